//! The real thing: the binary as a child process, on a real socket, with a sandbox and a language model on another.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

pub(crate) mod account;
pub(crate) mod load;

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account::Account;
use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Json, post};
use actix_web::{App, HttpServer};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use threedots::clock::Clock;
use threedots::http::{Body, Call, Client, Transport};
use threedots::message::MessageId;
use threedots::sandbox::{
    self, Courier, Customer, CustomerId, Page, RetrySchedule, Sandbox, SandboxSettings, StatusDelays,
};
use tokio::sync::watch;

/// How long anything may take that does happen in the end, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers that look like chance, and are the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed out of the environment, or out of the clock. Prints it: with it a run can be repeated, though not to
    /// the microsecond.
    pub(crate) fn seeded() -> (Self, u64) {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let seed = std::env::var("SEED").map_or(u64::try_from(clock).unwrap(), |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        (Self::new(seed), seed)
    }

    /// One of the numbers from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % (most + 1)
    }

    pub(crate) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.up_to(most - least))
    }
}

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
        let courier = Arc::new(Post { client: Client::new().unwrap(), taken: Mutex::default() });
        let sandbox = Sandbox::new(settings, Clock::System, Arc::clone(&courier) as Arc<dyn Courier>);
        let model = Data::new(Model::new());
        let routes = sandbox::configure(Arc::clone(&sandbox), Page::new(HashMap::new()).unwrap());
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
fn free_port() -> u16 {
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
        };
        let status = self.client.call(call).await.ok()?.status;
        if status == 200 {
            let webhook: Value = serde_json::from_slice(&body).unwrap();
            let messages = webhook["entry"][0]["changes"][0]["value"]["messages"].as_array().cloned();
            let ids = messages.into_iter().flatten().map(|message| MessageId::new(message["id"].as_str().unwrap()));
            self.taken.lock().unwrap().extend(ids);
        }
        Some(status)
    }
}

/// Where the binary lives: its configuration, its data, its log.
pub(crate) struct Home {
    directory: TempDir,
    port: u16,
}

impl Home {
    /// A home with the upstream's model for a handler.
    pub(crate) fn new(upstream: &Upstream, rest: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let home = Self { directory, port: upstream.port };
        let config = upstream.config_with_model(home.directory.path(), rest);
        fs::write(home.directory.path().join("threedots.toml"), config).unwrap();
        home
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Everything that the binary has said, over all its runs.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Starts the binary. Over the file lies what stands in `over`.
    pub(crate) fn start_with(&self, over: &[(&str, &str)]) -> Binary {
        let log = OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_threedots"))
            .args(["serve", "--config"])
            .arg(self.directory.path().join("threedots.toml"))
            .env_clear()
            .envs(over.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Binary { child, port: self.port }
    }

    pub(crate) fn start(&self) -> Binary {
        self.start_with(&[])
    }

    /// Starts the binary, and returns when it takes webhooks.
    pub(crate) async fn start_and_wait(&self) -> Binary {
        let mut binary = self.start();
        let ready = binary.is_ready().await;
        assert!(ready, "it did not start: {}", self.tail());
        binary
    }

    /// The last lines of the log.
    pub(crate) fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Whatever happened, this stands in no log, and nothing was moved aside.
    pub(crate) fn check_log(&self, customers: &[CustomerId]) {
        let log = self.log();
        for bad in ["moved it aside", "a panic", "panicked", "the store has failed", "could not be recorded"] {
            assert!(!log.contains(bad), "`{bad}` stands in the log");
        }
        for customer in customers {
            assert!(!log.contains(customer.as_str()), "a customer's number stands in the log");
        }
        for entry in fs::read_dir(self.store()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_str().unwrap().starts_with("bad-"), "data was moved aside");
        }
    }
}

/// A running binary. Dropped, it is killed.
pub(crate) struct Binary {
    child: Child,
    port: u16,
}

impl Binary {
    /// Waits until it takes webhooks; false if it ended instead.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if get(self.port, "/readyz").await == Some(200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        false
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended, and says how.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of a GET.
async fn get(port: u16, path: &str) -> Option<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut connection = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Waits until `holds` does; says `what` it waited for if that never comes.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
