//! The upstream and a language model, both on one socket of this process.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Json, post};
use actix_web::{App, HttpServer};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use threedots::clock::Clock;
use threedots::http::{Body, Call, Client, Transport};
use threedots::message::MessageId;
use threedots::sandbox::phone::{Moment, What};
use threedots::sandbox::{
    self, Courier, Customer, CustomerId, Page, RetrySchedule, Sandbox, SandboxSettings, StatusDelays,
};
use tokio::sync::watch;

use super::Dice;
use super::account::Account;

/// The upstream and the model, on one socket.
pub(crate) struct Upstream {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) model: Data<Model>,
    /// The port that webhooks go to.
    pub(crate) port: u16,
    courier: Arc<Post>,
    address: SocketAddr,
    server: ServerHandle,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let port = free_port();
        let settings = SandboxSettings {
            webhook_url: format!("http://127.0.0.1:{port}/webhooks/shop"),
            // Dots that nobody takes off stay, and show.
            typing_lifetime: Duration::from_secs(3600),
            statuses: StatusDelays { sent: None, delivered: Some(Duration::from_millis(50)), read: None },
            retries: RetrySchedule { first: Duration::from_millis(30), longest: Duration::from_millis(300) },
            ..SandboxSettings::default()
        };
        let courier = Arc::new(Post {
            client: Client::new().unwrap(),
            taken: Mutex::default(),
            acknowledgments: watch::Sender::new(()),
        });
        let sandbox = Sandbox::new(settings, Clock::System, Arc::clone(&courier) as Arc<dyn Courier>);
        let model = Data::new(Model::new());
        let routes = sandbox::configure(&[Arc::clone(&sandbox)], &Page::new(HashMap::new()).unwrap());
        let shared = model.clone();
        let server = move || {
            let model = App::new().app_data(shared.clone()).route("/v1/chat/completions", post().to(complete));
            model.configure(routes.clone())
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = HttpServer::new(server).workers(2).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { sandbox, model, port, courier, address, server: handle }
    }

    pub(crate) fn customer(&self, number: usize) -> CustomerId {
        let customer = Customer::new(&format!("1555010{number:04}"), &format!("Customer {number}"));
        self.sandbox.phone().add(customer.clone());
        customer.id
    }

    /// What happened so far; `customers` are those who wrote, by their numbers.
    pub(crate) fn account(&self, customers: &[CustomerId]) -> Account {
        // First the answers: what is acknowledged in between must not look as if it had none.
        let mut account = Account::of(self.sandbox.phone(), customers);
        account.acknowledge(self.sandbox.phone(), self.courier.taken.lock().unwrap().iter());
        account
    }

    /// Whether a message's webhook was answered with 200.
    pub(crate) fn taken(&self) -> impl Fn(&MessageId) -> bool + Send + 'static {
        let courier = Arc::clone(&self.courier);
        move |id| courier.taken.lock().unwrap().contains(id)
    }

    /// Returns right after the next webhook with a message has been answered with 200.
    pub(crate) async fn next_acknowledgment(&self) {
        // Its sender lives as long as the courier.
        let _ = self.courier.acknowledgments.subscribe().changed().await;
    }

    /// Returns right after the next reply has reached a phone.
    pub(crate) async fn next_reply(&self) {
        let phone = self.sandbox.phone();
        let known = phone.timeline().len();
        let is_reply = |moment: &Moment| matches!(moment.what, What::Reply { .. });
        phone.wait_for(|phone| phone.timeline_after(known).iter().any(is_reply)).await;
    }

    /// A configuration of one bot that talks with this upstream. Its data and its secrets are in `directory`.
    pub(crate) fn config(&self, directory: &Path, handler: &str, rest: &str) -> String {
        let Self { address, port, sandbox, .. } = self;
        let settings = sandbox.settings();
        let secrets = [("token", &settings.access_token), ("secret", &settings.app_secret)];
        for (name, secret) in secrets.into_iter().chain([("word", &"verify".to_owned())]) {
            fs::write(directory.join(name), secret).unwrap();
        }
        let directory = directory.display();
        format!(
            r#"
            {rest}
            [server]
            listen = "127.0.0.1:{port}"
            [store]
            path = "{directory}/data"
            [log]
            format = "json"
            [bots.shop.provider]
            kind = "meta"
            phone_number_id = "{}"
            access_token = "file:{directory}/token"
            app_secret = "file:{directory}/secret"
            verify_token = "file:{directory}/word"
            base_url = "http://{address}/graph"
            messages_per_second = 0
            pair_every = "0s"
            [bots.shop.gate]
            per_minute = 1000000
            [bots.shop.turn]
            history = 4
            [bots.shop.handler]
            {handler}
            "#,
            settings.phone_number_id,
        )
    }

    /// The same, with our model for a handler.
    pub(crate) fn config_with_model(&self, directory: &Path, rest: &str) -> String {
        let handler = format!(
            r#"
            kind = "llm"
            [[bots.shop.handler.models]]
            base_url = "http://{}/v1"
            model = "echo"
            "#,
            self.address
        );
        self.config(directory, &handler, rest)
    }

    pub(crate) async fn stop(self) {
        self.sandbox.shutdown().await;
        self.server.stop(false).await;
    }
}

/// A port that is free, and stays so while nobody listens on it.
///
/// It lies below those that the system gives to outgoing connections. Else one of these could sit on it while the
/// binary is down, or, made to that very port, even connect to itself.
pub(crate) fn free_port() -> u16 {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    let mut dice = Dice::new(u64::from(std::process::id()) << 32 | TRIED.fetch_add(1, Ordering::Relaxed));
    loop {
        let port = u16::try_from(12_000 + dice.up_to(18_000)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A language model that says what it was told, by all messages that have not been answered yet.
pub(crate) struct Model {
    /// How long an answer takes at the most, in milliseconds.
    pub(crate) slowness: AtomicU64,
    /// While true, whoever says "hold" has no answer.
    pub(crate) holds: watch::Sender<bool>,
    /// How many are waiting for one.
    pub(crate) held: AtomicUsize,
    calls: AtomicU64,
}

impl Model {
    fn new() -> Self {
        Self {
            slowness: AtomicU64::new(30),
            holds: watch::Sender::new(false),
            held: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
        }
    }
}

async fn complete(model: Data<Model>, asked: Json<Value>) -> Json<Value> {
    let messages = asked["messages"].as_array().unwrap();
    let by_customer = messages.iter().rev().take_while(|message| message["role"] == "user");
    let mut words: Vec<&str> = by_customer.map(|message| message["content"].as_str().unwrap()).collect();
    words.reverse();
    let words = words.join(" ");
    if words.contains("hold") && *model.holds.borrow() {
        model.held.fetch_add(1, Ordering::SeqCst);
        let _ = model.holds.subscribe().wait_for(|holds| !holds).await;
        model.held.fetch_sub(1, Ordering::SeqCst);
    }
    let call = model.calls.fetch_add(1, Ordering::Relaxed);
    let pause = Dice::new(call).up_to(model.slowness.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_millis(pause)).await;
    Json(json!({ "choices": [{ "message": { "content": words } }] }))
}

/// Carries the sandbox's webhooks, and remembers which messages were in those that were answered with 200.
struct Post {
    client: Arc<Client>,
    taken: Mutex<HashSet<MessageId>>,
    acknowledgments: watch::Sender<()>,
}

#[async_trait]
impl Courier for Post {
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        let headers = headers.into_iter().filter(|(name, _)| name != "content-type");
        let call = Call {
            method: "POST",
            url: url.parse().unwrap(),
            headers: headers.map(|(name, value)| (name.into(), value)).collect(),
            body: Body::Json(body.clone()),
            timeout: Duration::from_secs(30),
            in_clear: false,
        };
        let status = self.client.call(call).await.ok()?.status;
        if status == 200 {
            let webhook: Value = serde_json::from_slice(&body).unwrap();
            let messages = webhook["entry"][0]["changes"][0]["value"]["messages"].as_array().cloned();
            let ids = messages.into_iter().flatten().map(|message| MessageId::new(message["id"].as_str().unwrap()));
            let ids: Vec<_> = ids.collect();
            if !ids.is_empty() {
                self.taken.lock().unwrap().extend(ids);
                self.acknowledgments.send_replace(());
            }
        }
        Some(status)
    }
}
