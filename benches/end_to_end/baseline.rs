//! The baseline: a bare actix-web handler that makes the same three calls and keeps nothing.
//!
//! It verifies the signature, reads the JSON, answers 200, and then calls: typing and model together, then the send.
//! What it has acknowledged is lost when it ends.

use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use hmac::Mac;
use serde_json::{Value, json};

use crate::wire::{ACCESS_TOKEN, GRAPH_VERSION, SHOP, signer};

struct Upstream {
    http: reqwest::Client,
    messages: String,
    model: String,
}

/// Serves on `listen` until it is killed.
pub(crate) fn serve(listen: &str, graph: &str, model: &str) -> std::io::Result<()> {
    // reqwest wants one to be chosen, also where nothing is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(30)).build();
    let upstream = web::Data::new(Upstream {
        http: http.map_err(std::io::Error::other)?,
        messages: format!("http://{graph}/{GRAPH_VERSION}/{}/messages", SHOP.phone_number_id),
        model: format!("http://{model}/v1/chat/completions"),
    });
    let app = move || App::new().app_data(upstream.clone()).route("/webhooks/shop", web::post().to(webhook));
    let server = HttpServer::new(app).backlog(4096).bind(listen)?;
    actix_web::rt::System::new().block_on(server.run())
}

async fn webhook(upstream: web::Data<Upstream>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let signature = request.headers().get("x-hub-signature-256").and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|value| hex::decode(value.strip_prefix("sha256=")?).ok());
    let mut signed = signer();
    signed.update(&body);
    if signature.is_none_or(|signature| signed.verify_slice(&signature).is_err()) {
        return HttpResponse::Unauthorized().finish();
    }
    let Ok(event) = serde_json::from_slice::<Value>(&body) else { return HttpResponse::BadRequest().finish() };
    let message = &event["entry"][0]["changes"][0]["value"]["messages"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (id, from, words) = (text(&message["id"]), text(&message["from"]), text(&message["text"]["body"]));
    actix_web::rt::spawn(async move {
        if let Err(error) = answer(&upstream, id, from, words).await {
            complain(&error);
        }
    });
    HttpResponse::Ok().body("ok")
}

async fn answer(upstream: &Upstream, id: String, from: String, words: String) -> reqwest::Result<()> {
    let typing = json!({
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": id,
        "typing_indicator": { "type": "text" },
    });
    let prompt = json!([
        { "role": "system", "content": "You are a friendly assistant. Answer briefly." },
        { "role": "user", "content": words },
    ]);
    let asked = json!({ "model": "stub", "messages": prompt, "max_tokens": 800 });
    let typing = upstream.post(&upstream.messages, &typing);
    let completion = upstream.post(&upstream.model, &asked);
    let (typing, completion) = futures_util::join!(typing, completion);
    typing?;
    let reply = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": format!("+{from}"),
        "type": "text",
        "text": { "body": completion?["choices"][0]["message"]["content"], "preview_url": false },
    });
    upstream.post(&upstream.messages, &reply).await.map(drop)
}

impl Upstream {
    async fn post(&self, url: &str, body: &Value) -> reqwest::Result<Value> {
        let call = self.http.post(url).bearer_auth(ACCESS_TOKEN).header("content-type", "application/json");
        let answer = call.body(body.to_string()).send().await?.error_for_status()?.bytes().await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }
}

#[expect(clippy::print_stderr, reason = "a benchmark's complaint")]
fn complain(error: &reqwest::Error) {
    eprintln!("baseline: {error}");
}
