//! A bot's upstream and a language model, both on one socket of this process.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, post};
use actix_web::{App, HttpServer};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use threedots::message::MessageId;
use threedots::message::clock::Clock;
use threedots::runtime::http::{Body, Call, Client, Transport};
use threedots::sandbox::phone::{Moment, Side, What};
use threedots::sandbox::{
    self, Courier, Customer, CustomerId, Page, RetrySchedule, Sandbox, SandboxSettings, StatusDelays, Upstream as Kind,
};
use tokio::sync::watch;

use super::Dice;
use super::account::Account;
use super::model::{self, Model};

/// A bot's upstream and the model, on one socket.
pub(crate) struct Upstream {
    pub(crate) bot: &'static str,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) model: Data<Model>,
    /// The port that webhooks go to.
    pub(crate) port: u16,
    courier: Arc<Post>,
    address: SocketAddr,
    server: ServerHandle,
}

impl Upstream {
    /// Meta, and the bot `shop`.
    pub(crate) fn start() -> Self {
        Self::of(Kind::Meta, "shop", free_port())
    }

    /// The upstream of one bot out of several: they share the `port` that webhooks go to.
    pub(crate) fn of(kind: Kind, bot: &'static str, port: u16) -> Self {
        let settings = SandboxSettings {
            webhook_url: format!("http://127.0.0.1:{port}/webhooks/{bot}"),
            // Dots that nobody takes off stay, and show.
            typing_lifetime: Duration::from_secs(3600),
            statuses: StatusDelays { sent: None, delivered: Some(Duration::from_millis(50)), read: None },
            retries: RetrySchedule { first: Duration::from_millis(30), longest: Duration::from_millis(300) },
            ..SandboxSettings::of(kind)
        };
        let courier = Arc::new(Post {
            client: Client::new().unwrap(),
            sandbox: OnceLock::new(),
            taken: Mutex::default(),
            acknowledgments: watch::Sender::new(()),
        });
        let sandbox = Sandbox::new(settings, Clock::System, Arc::clone(&courier) as Arc<dyn Courier>);
        assert!(courier.sandbox.set(Arc::downgrade(&sandbox)).is_ok());
        let model = Data::new(Model::new());
        let routes = sandbox::configure(&[Arc::clone(&sandbox)], &Page::new(HashMap::new()).unwrap());
        let shared = model.clone();
        let server = move || {
            let model = App::new().app_data(shared.clone()).route("/v1/chat/completions", post().to(model::complete));
            model.configure(routes.clone())
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = HttpServer::new(server).on_connect(sandbox::on_connect).workers(2).disable_signals();
        let server = server.listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { bot, sandbox, model, port, courier, address, server: handle }
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
        config(directory, self.port, rest) + &self.tables(directory, handler)
    }

    /// The same, with our model for a handler.
    pub(crate) fn config_with_model(&self, directory: &Path, rest: &str) -> String {
        self.config(directory, &self.handler(&["echo"], ""), rest)
    }

    /// A handler that asks these of our models, one after the other, whose replies may be as long as they are. `rest`
    /// is what else there is to say of it.
    pub(crate) fn handler(&self, models: &[&str], rest: &str) -> String {
        let Self { bot, address, .. } = self;
        let table = |model: &&str| {
            format!("\n[[bots.{bot}.handler.models]]\nbase_url = \"http://{address}/v1\"\nmodel = \"{model}\"")
        };
        format!("kind = \"llm\"\nmax_reply = 0\n{rest}{}", models.iter().map(table).collect::<String>())
    }

    /// The tables of its bot. Nothing holds it back: neither the gates nor the upstream's limits. Its upstreams take
    /// the same text as one message.
    pub(crate) fn tables(&self, directory: &Path, handler: &str) -> String {
        let Self { bot, address, sandbox, .. } = self;
        let settings = sandbox.settings();
        let unlimited = match settings.upstream {
            Kind::Meta | Kind::NxCloud => "messages_per_second = 0\npair_every = \"0s\"",
            Kind::Gateway => "messages_per_minute = 0\nmessages_per_hour = 0",
            Kind::Linq => "pair_messages = 0\ntext_limit = 4096",
            // They have none, but show the dots for seconds before each reply.
            Kind::Wawp | Kind::Waha => "lead = \"50ms\"",
        };
        let table = settings.provider_table(&format!("http://{address}/graph"));
        let provider = in_files(&table, |name| settings.secret(name), directory);
        format!(
            r#"
            [bots.{bot}.provider]
            {provider}
            {unlimited}
            [bots.{bot}.gate]
            per_minute = 1000000
            [bots.{bot}.turn]
            history = 4
            [bots.{bot}.handler]
            {handler}
            "#
        )
    }

    pub(crate) async fn stop(self) {
        self.sandbox.shutdown().await;
        self.server.stop(false).await;
    }
}

/// What a configuration has besides its bots.
pub(crate) fn config(directory: &Path, port: u16, rest: &str) -> String {
    let data = directory.join("data");
    let data = data.display();
    format!(
        r#"
        {rest}
        [server]
        listen = "127.0.0.1:{port}"
        [store]
        path = "{data}"
        [log]
        format = "json"
        "#
    )
}

/// The same table, with its secrets in files of `directory`.
fn in_files(table: &str, secret: impl Fn(&str) -> Option<String>, directory: &Path) -> String {
    let mut pieces = table.split("\"env:");
    let mut written = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('"').unwrap();
        let file = directory.join(name.replace(' ', "-"));
        fs::write(&file, secret(name).unwrap()).unwrap();
        written += &format!("\"file:{}\"{rest}", file.display());
    }
    written
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

/// Carries the sandbox's webhooks, and remembers which messages were in those that were answered with 200.
struct Post {
    client: Arc<Client>,
    sandbox: OnceLock<Weak<Sandbox>>,
    taken: Mutex<HashSet<MessageId>>,
    acknowledgments: watch::Sender<()>,
}

impl Post {
    /// The customers' messages that a webhook names, wherever its upstream puts their names.
    fn messages(&self, webhook: &Value) -> Vec<MessageId> {
        let Some(sandbox) = self.sandbox.get().and_then(Weak::upgrade) else { return Vec::new() };
        let mut texts = Vec::new();
        collect_texts(webhook, &mut texts);
        let by_customer =
            |id: &MessageId| sandbox.phone().message(id).is_some_and(|message| message.from == Side::Customer);
        texts.into_iter().map(MessageId::new).filter(by_customer).collect()
    }
}

fn collect_texts<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
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
            let ids = self.messages(&serde_json::from_slice(&body).unwrap());
            if !ids.is_empty() {
                self.taken.lock().unwrap().extend(ids);
                self.acknowledgments.send_replace(());
            }
        }
        Some(status)
    }
}
