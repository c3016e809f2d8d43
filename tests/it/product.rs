//! The whole product on real sockets, in this process: a configuration file, a data directory, an upstream that answers
//! as it is told, and HTTP written by hand, so that it can be wrong.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use threedots::host::Running;
use threedots::host::config::Config;
use threedots::{App, Handler, Reply, Turn};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) const SECRET: &str = "fictional-app-secret";
pub(crate) const TOKEN: &str = "fictional-access-token";
pub(crate) const VERIFY_TOKEN: &str = "fictional-verify-token";
pub(crate) const NUMBER: &str = "109900000000001";
pub(crate) const WEBHOOK: &str = "/webhooks/shop";
pub(crate) const CUSTOMER: &str = "12025550123";

/// Nothing here takes long; a test that waits so long for something waits in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that must happen.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens")
}

/// What a product is started with.
pub(crate) struct Setup {
    /// Where its calls go.
    pub(crate) upstream: String,
    /// The `app_secret` of its bot, as it stands in the file.
    pub(crate) app_secret: String,
    pub(crate) body_timeout: &'static str,
    /// Other keys of its `server` table.
    pub(crate) server: String,
    /// Keys of the file's top level.
    pub(crate) top: String,
    /// Tables at the file's end.
    pub(crate) more: String,
}

impl Setup {
    pub(crate) fn new(upstream: &Upstream) -> Self {
        Self {
            upstream: upstream.url("graph"),
            app_secret: "file".into(),
            body_timeout: "30s",
            server: String::new(),
            top: String::new(),
            more: String::new(),
        }
    }

    /// The configuration file for a product that keeps everything in `directory`.
    pub(crate) fn text(&self, directory: &Path) -> String {
        let secret = |name: &str, secret: &str| {
            let path = directory.join(name);
            std::fs::write(&path, secret).expect("a writable directory");
            format!("\"file:{}\"", path.display())
        };
        let app_secret = match self.app_secret.as_str() {
            "file" => secret("app_secret", SECRET),
            other => other.to_owned(),
        };
        format!(
            "{top}\n[server]\nlisten = \"127.0.0.1:0\"\nbody_timeout = \"{body_timeout}\"\n{server}\n\
             [store]\npath = \"{directory}/store\"\n\
             [bots.shop.provider]\nkind = \"meta\"\nphone_number_id = \"{NUMBER}\"\nbase_url = \"{upstream}\"\n\
             access_token = {token}\nverify_token = {verify_token}\napp_secret = {app_secret}\n\
             [bots.shop.handler]\nkind = \"custom\"\n[bots.shop.gate]\nper_minute = 1000000\n{more}\n",
            top = self.top,
            body_timeout = self.body_timeout,
            server = self.server,
            directory = directory.display(),
            upstream = self.upstream,
            token = secret("access_token", TOKEN),
            verify_token = secret("verify_token", VERIFY_TOKEN),
            more = self.more,
        )
    }
}

/// A running product.
pub(crate) struct Product {
    pub(crate) address: SocketAddr,
    /// Where the operator's API is.
    pub(crate) operator: Option<SocketAddr>,
    running: Running,
}

impl Product {
    pub(crate) async fn start(directory: &Path, setup: &Setup, handler: impl Handler) -> Self {
        let (config, problems) = Config::load_text("threedots.toml", &setup.text(directory), [], &[]);
        assert_eq!(problems, []);
        let app = App::new(config).expect("a sound configuration").handler(handler);
        let running = app.start().await.expect("it starts");
        Self { address: running.address, operator: running.operator, running }
    }

    pub(crate) async fn stop(self) {
        soon(self.running.stop()).await;
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: &[u8]) -> Response {
        let mut line = Line::open(self.address).await;
        line.send(request).await;
        line.response().await.expect("an answer")
    }

    pub(crate) async fn post(&self, body: &str) -> u16 {
        self.ask(&signed(body.as_bytes())).await.status
    }
}

/// A handler that says everything back, at once.
pub(crate) fn echo() -> impl Handler {
    |turn: &Turn| Reply::text(format!("You said: {}", turn.text()))
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(known, _)| *known == name).map(|(_, it)| it)
    }
}

/// A connection.
pub(crate) struct Line {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: soon(TcpStream::connect(address)).await.expect("a connection"), read: Vec::new() }
    }

    /// Sends bytes, as many as the other side takes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        soon(self.stream.write_all(bytes)).await.is_ok()
    }

    /// Sends bytes for as long as the other side takes some.
    pub(crate) async fn send_what_it_takes(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.write_all(bytes)).await;
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        // An error means that the other side has hung up first.
        let _ = self.stream.shutdown().await;
    }

    /// The next answer; none if the connection was closed instead.
    pub(crate) async fn response(&mut self) -> Option<Response> {
        loop {
            let response = soon(read_message(&mut self.stream, &mut self.read)).await?;
            let status = response.0.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            if status != 100 {
                return Some(Response { status, head: response.0, body: response.1 });
            }
        }
    }

    /// Sends `bytes` while it waits for the answer: it may come long before the end.
    pub(crate) async fn respond_while_sending(mut self, bytes: &[u8]) -> Response {
        let (mut incoming, mut outgoing) = self.stream.split();
        let mut read = Vec::new();
        let sending = async {
            // The other side may hang up in the middle of it.
            let _ = outgoing.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            () = sending => None,
            answer = soon(read_message(&mut incoming, &mut read)) => answer,
        };
        let (head, body) = answer.expect("an answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Response { status, head, body }
    }

    /// Whether the other side has hung up: waits until it does.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        // A reset is a hang-up too.
        let _ = soon(self.stream.read_to_end(&mut rest)).await;
        rest.is_empty()
    }
}

/// A head and a body, of whose length the head tells; none if it ends before.
async fn read_message(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().expect("a length"))
            });
            let whole = end + 4 + length.unwrap_or(0);
            if read.len() >= whole {
                let body = read[end + 4..whole].to_vec();
                read.drain(..whole);
                return Some((head, body));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => read.extend_from_slice(&piece[..length]),
        }
    }
}

/// A request with these headers, its length among them, and a body.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut whole = head(method, path, headers, Some(body.len()));
    whole.extend_from_slice(body);
    whole
}

/// A request's head, and whatever it says of the length of its body.
pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: shop.example\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length {
        head += &format!("content-length: {length}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// A delivery as Meta would send it.
pub(crate) fn signed(body: &[u8]) -> Vec<u8> {
    request("POST", WEBHOOK, &[("x-hub-signature-256", &signature(SECRET, body))], body)
}

pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A text, written just now.
pub(crate) fn text(id: &str, words: &str) -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    json!({
        "from": CUSTOMER, "id": format!("wamid.{id}"), "timestamp": now.to_string(), "type": "text",
        "text": { "body": words },
    })
}

/// A delivery of these messages.
pub(crate) fn delivery(messages: &[Value]) -> String {
    delivery_from("Anna Example", messages)
}

/// A delivery of these messages, from a customer who shows this name.
pub(crate) fn delivery_from(name: &str, messages: &[Value]) -> String {
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "12025550100", "phone_number_id": NUMBER },
        "contacts": [{ "wa_id": CUSTOMER, "profile": { "name": name } }],
        "messages": messages,
    });
    let changes = json!([{ "field": "messages", "value": value }]);
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "990000000000001", "changes": changes }] })
        .to_string()
}

/// An upstream that answers as it is told, and remembers what it was asked.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<watch::Sender<Vec<Seen>>>,
}

/// A call, as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// What a call is answered with.
pub(crate) enum Given {
    /// A status, more header lines, and a body.
    Answer(u16, String, String),
    /// Nothing: the connection is closed.
    HangUp,
}

impl Upstream {
    /// An upstream to which everything is fine.
    pub(crate) async fn content() -> Self {
        Self::answering(Seen::agree).await
    }

    pub(crate) async fn answering(answer: impl Fn(&Seen) -> Given + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(watch::Sender::new(Vec::new()));
        let (answer, memory) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, memory) = (Arc::clone(&answer), Arc::clone(&memory));
                tokio::spawn(async move { serve(stream, &*answer, &memory).await });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// The words of the texts that it was given to send, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.seen().iter().filter_map(Seen::text).collect()
    }

    /// Waits until what it has seen is enough.
    pub(crate) async fn until(&self, enough: impl Fn(&[Seen]) -> bool) {
        let mut seen = self.seen.subscribe();
        soon(seen.wait_for(|seen| enough(seen))).await.expect("the upstream is there");
    }

    /// Waits until a text was sent that contains `words`.
    pub(crate) async fn sent(&self, words: &str) {
        self.until(|seen| seen.iter().filter_map(Seen::text).any(|text| text.contains(words))).await;
    }
}

impl Seen {
    /// What Meta answers when all is well.
    pub(crate) fn agree(&self) -> Given {
        let body = match self.json()["status"].as_str() {
            Some("read") => json!({ "success": true }),
            _ => json!({ "messaging_product": "whatsapp", "messages": [{ "id": "wamid.OUTGOING" }] }),
        };
        Given::Answer(200, String::new(), body.to_string())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The words, if it sends a text.
    pub(crate) fn text(&self) -> Option<String> {
        self.json()["text"]["body"].as_str().map(str::to_owned)
    }
}

/// Answers one call on any kind of connection.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(impl Fn(&Seen) -> Given + Sync),
    memory: &watch::Sender<Vec<Seen>>,
) {
    let Some((head, body)) = read_message(&mut stream, &mut Vec::new()).await else { return };
    let seen = Seen { head, body: String::from_utf8_lossy(&body).into_owned() };
    let given = answer(&seen);
    memory.send_modify(|all| all.push(seen));
    if let Given::Answer(status, headers, body) = given {
        let length = body.len();
        let whole =
            format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        // Whether the other side listens to the end is its business.
        let _ = stream.write_all(whole.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Whether the bytes stand anywhere in the files of a directory.
pub(crate) fn is_kept(directory: &Path, words: &str) -> bool {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    entries.into_iter().any(|path| {
        if path.is_dir() {
            return is_kept(&path, words);
        }
        let bytes = std::fs::read(&path).expect("a file");
        bytes.windows(words.len()).any(|window| window == words.as_bytes())
    })
}
