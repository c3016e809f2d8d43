//! WAHA, from WAHA's side (its OpenAPI file and pages): the calls that a bot makes, answered as a session answers them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Body, Call, Customer, CustomerId, DotsRules, Side};
use super::settings::SandboxSettings;
use super::upstream::{
    ACCESS_TOKEN, Asked, Denial, Echoed, News, UpstreamAnswer, UpstreamRequest, WEBHOOK_SECRET, Wire, Written,
};
use super::web::webhook::{self, Accent};
use super::web::{At, File, Outgoing, Unfit, Web, names, text};
use super::{Sandbox, signing};
use crate::message::MessageId;

/// WAHA.
pub(super) struct Waha;

impl Wire for Waha {
    fn name(&self) -> &'static str {
        "waha"
    }

    fn title(&self) -> &'static str {
        "WAHA"
    }

    fn habits(&self) -> &'static str {
        "Ticks and dots are calls of their own. The dots go after 10 seconds, with a reply, or when a call takes them \
         off; another call says \u{201c}recording\u{201d}."
    }

    fn dots(&self) -> DotsRules {
        DotsRules { lifetime: Duration::from_secs(10), cooldown: Duration::ZERO }
    }

    fn message_id(&self, ids: &Ids, customer: &Customer, from: Side) -> MessageId {
        names::message(ids, customer, from)
    }

    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked {
        let body = request.json().unwrap_or_default();
        let named = body["chatId"].as_str().unwrap_or_default();
        let call = call(request, &body);
        let about = match body["messageId"].as_str() {
            Some(id) => sandbox.phone.chat_of(&MessageId::new(id)),
            None => sandbox.phone.find_customer(|customer| names::chat(customer) == named).map(|customer| customer.id),
        };
        Asked { call, about }
    }

    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        perform(sandbox, request, deliverable).map_err(|refusal| refusal.denial(request, &sandbox.settings))
    }

    fn trouble(&self, sandbox: &Sandbox, failure: Failure) -> Denial {
        let session = &sandbox.settings.account_id;
        match failure {
            Failure::TooMany { retry_after } => too_many(retry_after),
            Failure::TooManyToOne => too_many(None),
            Failure::Token => denial(401, &json!({ "message": "Unauthorized", "statusCode": 401 })),
            Failure::Refused => wrong("number does not exist"),
            Failure::Unknown => {
                let exception = json!({ "message": "Evaluation failed: t", "name": "Error" });
                denial(500, &json!({ "statusCode": 500, "exception": exception }))
            }
            Failure::SessionDown => {
                let error = "Session status is not as expected. Try again later or restart the session";
                let body = json!({ "error": error, "session": session, "status": "FAILED", "expected": ["WORKING"] });
                denial(422, &body)
            }
            Failure::Broken | Failure::Undeliverable | Failure::Reset | Failure::Hang => Denial::page(502),
        }
    }

    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
        webhook::message(sandbox, &accent(sandbox), written)
    }

    fn echo(&self, sandbox: &Sandbox, echoed: &Echoed<'_>) -> Option<Bytes> {
        Some(webhook::echo(sandbox, &accent(sandbox), echoed))
    }

    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes> {
        webhook::status(sandbox, &accent(sandbox), news)
    }

    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
        let headers = [
            ("x-webhook-request-id", sandbox.ids.token()),
            ("x-webhook-timestamp", sandbox.clock.now().0.to_string()),
            ("x-webhook-hmac", signing::sha512_hex(&sandbox.settings.app_secret, body)),
            ("x-webhook-hmac-algorithm", "sha512".to_owned()),
        ];
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn on_arrival(&self, _: &Arc<Sandbox>, _: &CustomerId, _: &MessageId) {}

    fn provider_table(&self, settings: &SandboxSettings, base_url: &str) -> String {
        format!(
            r#"kind = "waha"
            api_key = "env:{ACCESS_TOKEN}"
            webhook_secret = "env:{WEBHOOK_SECRET}"
            session = "{}"
            base_url = "{base_url}""#,
            settings.account_id
        )
    }
}

fn accent(sandbox: &Sandbox) -> Accent {
    Accent { engine: "GOWS", session: sandbox.settings.account_id.clone(), whole_names: true }
}

/// What a call asks for, by its address, and `presence` by its body.
fn call(request: &UpstreamRequest, body: &Value) -> Call {
    let (path, _) = request.target();
    match (&*request.method, path.strip_prefix("/api/").unwrap_or_default()) {
        ("POST", "sendSeen") => Call::Read,
        ("POST", "startTyping") => Call::Typing,
        ("POST", "stopTyping") => Call::Stop,
        ("POST", path) if path.ends_with("/presence") => match body["presence"].as_str() {
            Some("typing") => Call::Typing,
            Some("recording") => Call::Recording,
            Some("paused") => Call::Stop,
            _ => Call::Unknown,
        },
        (
            "POST",
            "sendText" | "sendImage" | "sendFile" | "sendVideo" | "sendVoice" | "sendSticker" | "sendLocation",
        ) => Call::Send,
        ("PUT", "reaction") => Call::Send,
        ("GET", path) if path.starts_with("files/") => Call::Download,
        _ => Call::Unknown,
    }
}

/// Why a call is refused.
enum Refusal {
    Key,
    NoSession,
    Nowhere,
    Unfit(Unfit),
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl Refusal {
    fn denial(&self, request: &UpstreamRequest, settings: &SandboxSettings) -> Denial {
        let (path, _) = request.target();
        match self {
            Self::Key => denial(401, &json!({ "message": "Unauthorized", "statusCode": 401 })),
            Self::NoSession => {
                let message = format!("We didn't find a session with this name: there is {}", settings.account_id);
                denial(404, &json!({ "message": message, "error": "Not Found", "statusCode": 404 }))
            }
            Self::Nowhere => {
                let message = format!("Cannot {} {path}", request.method);
                denial(404, &json!({ "message": message, "error": "Not Found", "statusCode": 404 }))
            }
            Self::Unfit(Unfit::Missing(field)) => wrong(&format!("{field} should not be empty")),
            Self::Unfit(Unfit::Invalid(what)) => wrong(what),
            Self::Unfit(Unfit::NoSuchChat) => wrong("number does not exist"),
        }
    }
}

fn denial(status: u16, body: &Value) -> Denial {
    Denial { status, code: None, answer: UpstreamAnswer::json(status, body) }
}

fn wrong(message: &str) -> Denial {
    denial(400, &json!({ "statusCode": 400, "message": [message], "error": "Bad Request" }))
}

/// WAHA counts nothing itself: whatever stands in front of it does.
fn too_many(retry_after: Option<u64>) -> Denial {
    let answer = UpstreamAnswer::new(429, "text/plain", Bytes::from_static(b"Too Many Requests"));
    let answer = match retry_after {
        Some(seconds) => answer.with("retry-after", seconds.to_string()),
        None => answer,
    };
    Denial { status: 429, code: None, answer }
}

fn perform(sandbox: &Arc<Sandbox>, request: &UpstreamRequest, deliverable: bool) -> Result<UpstreamAnswer, Refusal> {
    if request.header("x-api-key") != Some(&sandbox.settings.access_token) {
        return Err(Refusal::Key);
    }
    let web = Web(sandbox);
    let body = request.json().unwrap_or_default();
    let call = call(request, &body);
    let (path, _) = request.target();
    let path = path.strip_prefix("/api/").ok_or(Refusal::Nowhere)?;
    match call {
        Call::Unknown => return Err(Refusal::Nowhere),
        Call::Download => return download(sandbox, path),
        _ => {}
    }
    // The session stands in the path of a presence, and in the body of everything else.
    let session = path.strip_suffix("/presence").or(body["session"].as_str());
    if session.ok_or(Unfit::Missing("session"))? != sandbox.settings.account_id {
        return Err(Refusal::NoSession);
    }
    if path == "reaction" {
        let id = web.react(&body, deliverable)?;
        return Ok(UpstreamAnswer::json(200, &json!({ "id": id.as_str(), "timestamp": sandbox.clock.now().0 / 1000 })));
    }
    let customer = web.customer(&body)?;
    match call {
        Call::Read => web.seen(&customer, &body)?,
        Call::Typing | Call::Recording => web.start(&customer, call == Call::Recording),
        Call::Stop => web.stop(&customer),
        _ => return send(web, &customer, path, &body, deliverable),
    }
    Ok(UpstreamAnswer::json(201, &json!({ "result": true })))
}

fn send(
    web: Web<'_>,
    customer: &Customer,
    path: &str,
    body: &Value,
    deliverable: bool,
) -> Result<UpstreamAnswer, Refusal> {
    let said = match path {
        "sendText" => web.text(body["text"].as_str().ok_or(Unfit::Missing("text"))?)?,
        "sendLocation" => Body::Location {
            latitude: body["latitude"].as_f64().ok_or(Unfit::Missing("latitude"))?,
            longitude: body["longitude"].as_f64().ok_or(Unfit::Missing("longitude"))?,
            name: Some(body["title"].as_str().ok_or(Unfit::Missing("title"))?.to_owned()),
            address: None,
        },
        path => web.medium(&file(path, body)?)?,
    };
    let words = said.words().to_owned();
    let has_media = matches!(said, Body::Media { .. });
    // Only texts and places take a name.
    let stanza = body["id"].as_str().filter(|_| !has_media);
    let outgoing = Outgoing { body: said, quotes: body["reply_to"].as_str(), stanza, deliverable };
    let id = web.send(customer, outgoing);
    let answer = json!({
        "id": id.as_str(),
        "timestamp": web.0.clock.now().0 / 1000,
        "from": webhook::me(web.0),
        "fromMe": true,
        "source": "api",
        "to": names::chat(customer),
        "participant": null,
        "body": words,
        "hasMedia": has_media,
        "ack": 0,
        "ackName": "PENDING",
        "vCards": [],
        "_data": {},
    });
    Ok(UpstreamAnswer::json(201, &answer))
}

fn file<'v>(path: &str, body: &'v Value) -> Result<File<'v>, Unfit> {
    let wire = &body["file"];
    let kind = match path {
        "sendImage" => "image",
        "sendVideo" => "video",
        "sendVoice" => "voice",
        "sendSticker" => "sticker",
        _ => "document",
    };
    if matches!(kind, "voice" | "video") && !body["convert"].is_boolean() {
        return Err(Unfit::Missing("convert"));
    }
    let mime = text(wire, "mimetype")?;
    if kind == "voice" && body["convert"] == false && !mime.starts_with("audio/ogg") {
        return Err(Unfit::Invalid("a voice note has to be Ogg Opus, or to be converted"));
    }
    let (name, url, data) = (wire["filename"].as_str(), wire["url"].as_str(), wire["data"].as_str());
    if name.is_none() && (kind == "video" || data.is_some()) {
        return Err(Unfit::Missing("file.filename"));
    }
    let at = match (url, data) {
        (Some(url), None) => At::Link(url),
        (None, Some(data)) => At::Base64(data),
        (None, None) => return Err(Unfit::Missing("file.url")),
        (Some(_), Some(_)) => return Err(Unfit::Invalid("file has both url and data")),
    };
    Ok(File { kind, mime, name, at, caption: body["caption"].as_str() })
}

/// A medium of a customer's, by the address that its webhook gave.
pub(super) fn medium(sandbox: &Sandbox, path: &str) -> Option<UpstreamAnswer> {
    let medium = sandbox.media.get(path.strip_prefix("files/")?, sandbox.clock.now())?;
    Some(UpstreamAnswer::new(200, &medium.mime, medium.data))
}

fn download(sandbox: &Sandbox, path: &str) -> Result<UpstreamAnswer, Refusal> {
    medium(sandbox, path).ok_or(Refusal::Nowhere)
}
