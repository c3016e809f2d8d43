//! The sandbox, from outside: what the customer sees, what goes over the wire, and what goes wrong to order.
#![allow(clippy::unwrap_used)]

mod calls;
mod directory;
mod faults;
mod gateway;
mod limits;
mod linq;
mod media;
mod nxcloud;
mod page;
mod phone;
mod socket;
mod waha;
mod wawp;
mod webhooks;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use threedots::message::MessageId;
use threedots::message::clock::Clock;
use threedots::sandbox::phone::What;
use threedots::sandbox::{
    Courier, Customer, CustomerId, Sandbox, SandboxSettings, StatusDelays, UpstreamAnswer, UpstreamRequest,
};

const ADA: &str = "12125550101";
const NUMBER: &str = "106540352242922";

/// A webhook that was posted.
#[derive(Clone)]
struct Post {
    url: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Post {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn value(&self) -> Value {
        self.json()["entry"][0]["changes"][0]["value"].clone()
    }

    fn message(&self) -> Value {
        self.value()["messages"][0].clone()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap()
    }
}

/// Where webhooks arrive: answers as it is told, and with 200 when it is told nothing.
#[derive(Clone, Default)]
struct Letterbox {
    posts: Arc<Mutex<Vec<Post>>>,
    answers: Arc<Mutex<VecDeque<Option<u16>>>>,
}

impl Letterbox {
    fn answer_next(&self, answers: impl IntoIterator<Item = Option<u16>>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    fn messages(&self) -> Vec<Value> {
        self.posts().iter().map(Post::message).filter(|message| !message.is_null()).collect()
    }

    fn statuses(&self) -> Vec<Value> {
        let status = |post: &Post| post.value()["statuses"][0].clone();
        self.posts().iter().map(status).filter(|status| !status.is_null()).collect()
    }
}

#[async_trait]
impl Courier for Letterbox {
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        self.posts.lock().unwrap().push(Post { url: url.to_owned(), headers, body });
        self.answers.lock().unwrap().pop_front().unwrap_or(Some(200))
    }
}

/// A sandbox with one customer, Ada.
struct World {
    sandbox: Arc<Sandbox>,
    letterbox: Letterbox,
    ada: CustomerId,
}

impl World {
    /// Without statuses: what is under test does not drown in them.
    fn quiet() -> Self {
        let statuses = StatusDelays { sent: None, delivered: None, read: None };
        Self::with(SandboxSettings { statuses, ..SandboxSettings::default() })
    }

    fn with(settings: SandboxSettings) -> Self {
        let letterbox = Letterbox::default();
        let settings = SandboxSettings { seed: settings.seed.or(Some(7)), ..settings };
        let sandbox = Sandbox::new(settings, Clock::tokio(), Arc::new(letterbox.clone()));
        sandbox.phone().add(Customer::new(ADA, "Ada"));
        Self { sandbox, letterbox, ada: CustomerId::new(ADA) }
    }

    /// Ada writes, and her webhook has been answered.
    async fn ada_writes(&self, words: &str) -> MessageId {
        let id = self.sandbox.write(&self.ada, words.into()).unwrap();
        let answered =
            |what: &What| matches!(what, What::WebhookAnswered { message: Some(message), .. } if *message == id);
        self.sandbox.phone().wait_for(|phone| phone.timeline().iter().any(|moment| answered(&moment.what))).await;
        id
    }

    async fn call(&self, body: &Value) -> (u16, Value) {
        answer(self.sandbox.handle(post("messages", body)).await)
    }

    async fn read(&self, message: &MessageId) -> (u16, Value) {
        self.call(&json!({ "messaging_product": "whatsapp", "status": "read", "message_id": message.as_str() })).await
    }

    async fn type_for(&self, message: &MessageId) -> (u16, Value) {
        self.call(&typing(message)).await
    }

    async fn send(&self, words: &str) -> (u16, Value) {
        self.call(&text(words)).await
    }
}

fn typing(message: &MessageId) -> Value {
    json!({
        "messaging_product": "whatsapp", "status": "read", "message_id": message.as_str(),
        "typing_indicator": { "type": "text" },
    })
}

fn text(words: &str) -> Value {
    to_ada("text", json!({ "body": words }))
}

fn to_ada(kind: &str, object: Value) -> Value {
    json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": format!("+{ADA}"), "type": kind, kind: object })
}

fn post(what: &str, body: &Value) -> UpstreamRequest {
    UpstreamRequest {
        method: "POST".to_owned(),
        path_and_query: format!("/graph/v25.0/{NUMBER}/{what}"),
        headers: vec![bearer(), ("content-type".to_owned(), "application/json".to_owned())],
        body: Bytes::from(body.to_string()),
    }
}

fn bearer() -> (String, String) {
    ("authorization".to_owned(), "Bearer sandbox-access-token".to_owned())
}

fn answer(answer: UpstreamAnswer) -> (u16, Value) {
    match answer {
        UpstreamAnswer::Whole { status, body, .. } => (status, serde_json::from_slice(&body).unwrap_or(Value::Null)),
        UpstreamAnswer::Reset => panic!("no answer"),
    }
}

fn code(answer: &(u16, Value)) -> (u16, i64) {
    (answer.0, answer.1["error"]["code"].as_i64().unwrap_or_default())
}

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
