//! Wawp, from Wawp's side (its pages on sending and on typing): the calls that a bot makes, and answers in every form
//! that Wawp has for them. Where its pages leave a question open, the stricter answer is taken.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Call, Customer, CustomerId, DotsRules, Side};
use super::settings::SandboxSettings;
use super::upstream::{
    ACCESS_TOKEN, ACCOUNT_ID, Asked, Denial, Echoed, News, UpstreamAnswer, UpstreamRequest, WEBHOOK_SECRET, Wire,
    Written,
};
use super::web::webhook::{self, Accent};
use super::web::{At, File, Outgoing, Unfit, Web, names, text};
use super::{Sandbox, signing, waha};
use crate::message::MessageId;
use answer::Refusal;

/// Wawp.
pub(super) struct Wawp;

impl Wire for Wawp {
    fn name(&self) -> &'static str {
        "wawp"
    }

    fn title(&self) -> &'static str {
        "Wawp"
    }

    fn habits(&self) -> &'static str {
        "Ticks and dots are calls of their own. The dots go by themselves after 10 to 20 seconds, or with a reply; a \
         call takes them off too, at most three times a second."
    }

    fn dots(&self) -> DotsRules {
        DotsRules { lifetime: Duration::from_secs(15), cooldown: Duration::ZERO }
    }

    fn message_id(&self, ids: &Ids, customer: &Customer, from: Side) -> MessageId {
        names::message(ids, customer, from)
    }

    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked {
        let fields = fields(request);
        let named = fields["chatId"].as_str().unwrap_or_default();
        let about = sandbox.phone.find_customer(|customer| names::chat(customer) == named).map(|customer| customer.id);
        Asked { call: call(request), about }
    }

    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        perform(sandbox, request, deliverable).map_err(Refusal::denial)
    }

    fn trouble(&self, _: &Sandbox, failure: Failure) -> Denial {
        answer::trouble(failure)
    }

    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
        webhook::message(sandbox, &accent(), written)
    }

    fn echo(&self, sandbox: &Sandbox, echoed: &Echoed<'_>) -> Option<Bytes> {
        Some(webhook::echo(sandbox, &accent(), echoed))
    }

    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes> {
        webhook::status(sandbox, &accent(), news)
    }

    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
        vec![("x-wawp-signature".to_owned(), signing::sha256_hex(&sandbox.settings.app_secret, body))]
    }

    fn on_arrival(&self, _: &Arc<Sandbox>, _: &CustomerId, _: &MessageId) {}

    fn provider_table(&self, _: &SandboxSettings, base_url: &str) -> String {
        format!(
            r#"kind = "wawp"
            instance_id = "env:{ACCOUNT_ID}"
            access_token = "env:{ACCESS_TOKEN}"
            webhook_secret = "env:{WEBHOOK_SECRET}"
            base_url = "{base_url}""#
        )
    }
}

/// What the session is called behind Wawp is not documented; samples have this.
fn accent() -> Accent {
    Accent { engine: "WEBJS", session: "default".to_owned(), whole_names: false }
}

fn call(request: &UpstreamRequest) -> Call {
    let (path, _) = request.target();
    match (&*request.method, path.strip_prefix("/v2/send/").unwrap_or_default()) {
        ("POST", "seen") => Call::Read,
        ("POST", "start-typing") => Call::Typing,
        ("POST", "stop-typing") => Call::Stop,
        ("POST", "text" | "image" | "pdf" | "voice" | "video") | ("PUT", "reaction") => Call::Send,
        ("GET", _) if path.starts_with("/api/files/") => Call::Download,
        _ => Call::Unknown,
    }
}

/// What a call says: in its query, and in a body if that is JSON. A form is not read.
fn fields(request: &UpstreamRequest) -> Value {
    let (_, query) = request.target();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut fields: Map<String, Value> = pairs.map(|(key, value)| (key.into_owned(), value.into())).collect();
    if let Some(Value::Object(body)) = request.json() {
        fields.extend(body);
    }
    fields.into()
}

/// Whether the credentials are there, in the fields or in headers, and right.
fn check_credentials(sandbox: &Sandbox, request: &UpstreamRequest, fields: &Value) -> Result<(), Refusal> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = fields["access_token"].as_str().or(bearer).or(request.header("access-token"));
    let instance = fields["instance_id"].as_str().or(request.header("x-instance-id"));
    if token.ok_or(Refusal::Token("Missing access_token"))? != sandbox.settings.access_token {
        return Err(Refusal::Token("Invalid access_token"));
    }
    if instance.ok_or(Unfit::Missing("instance_id"))? != sandbox.settings.account_id {
        return Err(Refusal::NoSession);
    }
    Ok(())
}

fn perform(sandbox: &Arc<Sandbox>, request: &UpstreamRequest, deliverable: bool) -> Result<UpstreamAnswer, Refusal> {
    let (path, _) = request.target();
    let call = call(request);
    match call {
        Call::Unknown => return Err(Refusal::Nowhere),
        Call::Download => {
            let medium = path.strip_prefix("/api/").and_then(|path| waha::medium(sandbox, path));
            return medium.ok_or(Refusal::Nowhere);
        }
        _ => {}
    }
    let fields = fields(request);
    check_credentials(sandbox, request, &fields)?;
    let web = Web(sandbox);
    let customer = web.customer(&fields)?;
    match call {
        Call::Read => web.seen(&customer, &fields)?,
        Call::Typing => web.start(&customer, false),
        Call::Stop => web.stop(&customer),
        _ if path == "/v2/send/reaction" => {
            if web.reacted(&fields).is_none_or(|reacted| reacted != customer) {
                return Err(Unfit::Invalid("messageId names no message of this chat").into());
            }
            let id = web.react(&fields, deliverable)?;
            return Ok(answer::sent(sandbox, &customer, &id, "reaction", ""));
        }
        _ => {
            let body = match path {
                "/v2/send/text" => web.text(fields["message"].as_str().ok_or(Unfit::Missing("message"))?)?,
                path => web.medium(&file(path, &fields)?)?,
            };
            let (kind, words) = (body.kind().to_owned(), body.words().to_owned());
            let outgoing = Outgoing { body, quotes: fields["reply_to"].as_str(), stanza: None, deliverable };
            let id = web.send(&customer, outgoing);
            return Ok(answer::sent(sandbox, &customer, &id, &kind, &words));
        }
    }
    Ok(answer::done(sandbox, &customer))
}

/// A medium, in keys with brackets in them.
fn file<'v>(path: &str, fields: &'v Value) -> Result<File<'v>, Unfit> {
    let kind = match path {
        "/v2/send/image" => "image",
        "/v2/send/video" => "video",
        "/v2/send/voice" => "voice",
        _ => "document",
    };
    let (url, mime) = (text(fields, "file[url]")?, text(fields, "file[mimetype]")?);
    let name = Some(text(fields, "file[filename]")?);
    if kind == "voice" && fields["convert"] != "true" && !mime.starts_with("audio/ogg") {
        return Err(Unfit::Invalid("a voice note has to be Ogg Opus, or to be converted"));
    }
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let at = inline.map_or(At::Link(url), |(_, data)| At::Base64(data));
    Ok(File { kind, mime, name, at, caption: fields["caption"].as_str() })
}
