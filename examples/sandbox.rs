//! cargo run --example sandbox
//!
//! The sandbox by itself, with the smallest bot that shows something: it reads, types for two seconds, and echoes.
//! Then open http://127.0.0.1:4000. Another port: `cargo run --example sandbox -- 4001`.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use actix_web::{App, HttpServer};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::clock::Clock;
use threedots::sandbox::{self, Courier, Page, Sandbox, SandboxSettings, UpstreamRequest};

/// Takes every webhook, and answers the messages among them.
#[derive(Default)]
struct Echo {
    sandbox: OnceLock<Weak<Sandbox>>,
}

#[async_trait]
impl Courier for Echo {
    async fn post(&self, _url: &str, _headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        let webhook: Value = serde_json::from_slice(&body).ok()?;
        let message = webhook.pointer("/entry/0/changes/0/value/messages/0").cloned();
        if let (Some(message), Some(sandbox)) = (message, self.sandbox.get().and_then(Weak::upgrade)) {
            tokio::spawn(answer(sandbox, message));
        }
        Some(200)
    }
}

async fn answer(sandbox: Arc<Sandbox>, message: Value) {
    let read = json!({
        "messaging_product": "whatsapp", "status": "read", "message_id": message["id"],
        "typing_indicator": { "type": "text" },
    });
    call(&sandbox, &read).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let said = message["text"]["body"].as_str().or(message["interactive"]["button_reply"]["title"].as_str());
    let words = match said {
        Some(said) => format!("You said: {said}"),
        None => format!("That was a message of type {}.", message["type"]),
    };
    let to = format!("+{}", message["from"].as_str().unwrap_or_default());
    let mut reply = json!({ "messaging_product": "whatsapp", "to": to, "context": { "message_id": message["id"] } });
    if said == Some("buttons") {
        let button = |id: &str, title: &str| json!({ "type": "reply", "reply": { "id": id, "title": title } });
        let buttons = [button("tea", "Tea"), button("coffee", "Coffee"), button("neither", "Neither")];
        reply["type"] = json!("interactive");
        reply["interactive"] =
            json!({ "type": "button", "body": { "text": "Tea or coffee?" }, "action": { "buttons": buttons } });
    } else {
        reply["type"] = json!("text");
        reply["text"] = json!({ "body": words });
    }
    call(&sandbox, &reply).await;
}

async fn call(sandbox: &Arc<Sandbox>, body: &Value) {
    let settings = sandbox.settings();
    let request = UpstreamRequest {
        method: "POST".to_owned(),
        path_and_query: format!("/v25.0/{}/messages", settings.phone_number_id),
        headers: vec![("authorization".to_owned(), format!("Bearer {}", settings.access_token))],
        body: Bytes::from(body.to_string()),
    };
    sandbox.handle(request).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(4000), |port| port.parse())?;
    let echo = Arc::new(Echo::default());
    let settings = SandboxSettings { bot_name: "Echo".to_owned(), ..SandboxSettings::default() };
    let sandbox = Sandbox::new(settings, Clock::System, echo.clone());
    echo.sandbox.set(Arc::downgrade(&sandbox)).map_err(|_| "set once")?;
    sandbox.new_customer("Ada Lovelace");
    sandbox.new_customer("Grace Hopper");
    let routes = sandbox::configure(&[Arc::clone(&sandbox)], &Page::new(HashMap::new())?);
    let server = HttpServer::new(move || App::new().configure(routes.clone())).on_connect(sandbox::on_connect);
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", port))?.run();
    let handle = server.handle();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // First the sandbox: pages hold their feeds open until it ends.
            sandbox.shutdown().await;
            handle.stop(true).await;
        }
    });
    Ok(server.await?)
}
