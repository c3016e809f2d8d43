//! What the product writes, as a process of its own, at its most talkative: lines of JSON, and nobody's words in them.

mod callouts;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use threedots::admin::telemetry::{self, LogLevel};
use threedots::ingress::webhook::{ServerConfig, Webhooks};
use threedots::message::clock::Clock;
use threedots::message::{BotName, Content};
use threedots::policy::control::ControlConfig;
use threedots::policy::takeover::PeopleConfig;
use threedots::provider::meta::{Meta, MetaSettings};
use threedots::provider::{Method, Provider, WebhookRequest};
use threedots::runtime::http::Headers;
use threedots::runtime::meters::Meters;
use threedots::store::Maintenance;
use threedots::store::disk::{Disk, MemorySettings};
use threedots::{App, Handler, HandlerError, Reply, Turn};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt;

use crate::buffer::Buffer;
use crate::canaries::{
    self, APP_SECRET, GUESS, MEDIUM, MODEL_KEY, NAME, OUTGOING, PHONE, TOKEN, USER, VERIFY_TOKEN, WORDS,
};
use crate::product::{Given, Line, NUMBER, Response, Seen, Upstream, delivery_from, request, signature, soon, text};
use crate::world::inlets;

const CONFIGURATION: &str = "CONFIGURATION_OF_A_TEST";

/// Does everything that a handler should not, each bot in its way, and quotes its customer in whatever it can.
struct Misbehaving;

#[async_trait]
impl Handler for Misbehaving {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let words = turn.text();
        match turn.bot.as_str() {
            "fails" => Err(HandlerError::new("no answer is to be had")),
            "panics" => {
                panic!("{words} {:?} {:?}", turn.contact.name, turn.newest().map(|newest| newest.at.chat.as_str()))
            }
            "hangs" => std::future::pending().await,
            "hands-over" => Ok(Reply::Handover { reason: "somebody else should answer".into() }),
            "says-nothing" => Ok(Reply::text("")),
            "says-too-much" => Ok(Reply::buttons(&*words, (0..20).map(|_| (USER, WORDS)))),
            "fetches" => {
                let media = turn.messages.iter().find_map(|message| match &message.content {
                    Content::Media(media) => Some(media),
                    _ => None,
                });
                let fetched = turn.media.fetch(media.expect("there is an image")).await;
                Err(HandlerError::new(fetched.err().expect("the upstream has lost it").to_string()))
            }
            _ => Ok(Reply::text(format!("You said: {words}"))),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by a test of this file, as a process of its own"]
async fn a_program_with_a_handler_of_its_own() {
    let Ok(configuration) = std::env::var(CONFIGURATION) else { return };
    let app = App::load(Path::new(&configuration)).expect("a sound configuration").handler(Misbehaving);
    app.run().await.expect("it runs until it is told to end");
}

/// Ends with the test, however that ends.
struct Leashed(Child);

impl Drop for Leashed {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A product in a process of its own, and everything that it has written.
struct Process {
    child: Leashed,
    written: watch::Receiver<String>,
    readers: Vec<std::thread::JoinHandle<()>>,
    address: SocketAddr,
}

impl Process {
    async fn start(command: &mut Command) -> Self {
        let mut child = Leashed(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
        let (sender, mut written) = watch::channel(String::new());
        let sender = Arc::new(sender);
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.0.stdout.take().expect("piped")), Box::new(child.0.stderr.take().expect("piped"))];
        let readers = streams.map(|stream| {
            let sender = Arc::clone(&sender);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n') {
                    let line = String::from_utf8_lossy(&line.expect("a pipe can be read")).into_owned();
                    sender.send_modify(|all| *all = format!("{all}{line}\n"));
                }
            })
        });
        let announced = |all: &str| {
            let line = lines(all).into_iter().find(|line| line["message"] == "listening for webhooks")?;
            line["address"].as_str()?.parse::<SocketAddr>().ok()
        };
        drop(sender);
        // An error means that it has written its last.
        let _ = soon(written.wait_for(|all| announced(all).is_some())).await;
        let all = written.borrow().clone();
        let address = announced(&all).unwrap_or_else(|| panic!("it does not say where it listens:\n{all}"));
        Self { child, written, readers: readers.into(), address }
    }

    /// Waits until it has written a line of which this is true.
    async fn writes(&mut self, what: impl Fn(&Value) -> bool) {
        let written = soon(self.written.wait_for(|all| lines(all).iter().any(&what))).await;
        drop(written.expect("it goes on"));
    }

    async fn ask(&self, request: &[u8]) -> Response {
        let mut line = Line::open(self.address).await;
        line.send(request).await;
        line.response().await.expect("an answer")
    }

    /// Ends it as an operator does, and returns everything that it has written.
    async fn end(mut self) -> String {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.0.id())).status();
        assert!(kill.expect("there is a shell").success());
        let ended = soon(tokio::task::spawn_blocking(move || {
            let status = self.child.0.wait().expect("it ends");
            self.readers.into_iter().for_each(|reader| reader.join().expect("no reader panics"));
            (status, self.written.borrow().clone())
        }));
        let (status, written) = ended.await.expect("no panic");
        assert!(status.success(), "{written}");
        written
    }
}

/// The lines that are log lines.
fn lines(written: &str) -> Vec<Value> {
    written.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn signed_for(bot: &str, secret: &str, body: &str) -> Vec<u8> {
    let signature = signature(secret, body.as_bytes());
    request("POST", &format!("/webhooks/{bot}"), &[("x-hub-signature-256", &signature)], body.as_bytes())
}

/// What an upstream says that has read all about its customer, and about us.
fn gossip() -> String {
    format!("{TOKEN} {APP_SECRET} {MODEL_KEY} {WORDS} {NAME} {PHONE} {USER} {MEDIUM} {OUTGOING}")
}

/// Fails each call in the way that its path names.
fn gossiping(seen: &Seen) -> Given {
    let error = |code: i64| {
        let data = json!({ "messaging_product": "whatsapp", "details": gossip() });
        json!({ "error": { "message": gossip(), "type": gossip(), "code": code, "error_data": data, "fbtrace_id": USER } })
            .to_string()
    };
    let plain = String::new;
    match seen.head.split('/').nth(1).unwrap_or_default() {
        "unauthorized" => Given::Answer(401, plain(), error(190)),
        "limited" => Given::Answer(429, format!("x-business-use-case-usage: {}\r\n", gossip()), error(130_429)),
        "rejected" => Given::Answer(400, plain(), error(131_026)),
        "new" => Given::Answer(400, plain(), error(-7)),
        "broken" => Given::Answer(500, format!("x-error: {}\r\n", gossip()), gossip()),
        "moved" => Given::Answer(302, format!("location: http://127.0.0.1:1/?{TOKEN}\r\n"), gossip()),
        "odd" => Given::Answer(200, plain(), gossip()),
        "reset" => Given::HangUp,
        "model-broken" => {
            Given::Answer(500, plain(), json!({ "error": { "message": gossip(), "type": gossip() } }).to_string())
        }
        "model-refuses" => {
            Given::Answer(401, plain(), json!({ "error": { "message": gossip(), "code": gossip() } }).to_string())
        }
        "model-odd" => Given::Answer(200, plain(), gossip()),
        "model-other" => Given::Answer(200, plain(), json!({ "choices": [{ "text": gossip() }] }).to_string()),
        _ if seen.head.starts_with("GET") => Given::Answer(404, plain(), error(100)),
        _ => match seen.agree() {
            Given::Answer(status, headers, body) => {
                Given::Answer(status, headers, body.replace("wamid.OUTGOING", OUTGOING))
            }
            Given::HangUp => Given::HangUp,
        },
    }
}

/// Bots whose upstream fails in the way of their name, bots whose handler does, and bots whose models do.
const BY_UPSTREAM: [&str; 9] =
    ["unauthorized", "limited", "rejected", "new", "broken", "moved", "odd", "reset", "refused"];
const BY_HANDLER: [&str; 8] =
    ["fails", "panics", "hangs", "hands-over", "says-nothing", "says-too-much", "fetches", "answers"];
const BY_MODEL: [&str; 2] = ["models", "template"];

fn configuration(directory: &Path, upstream: &Upstream) -> String {
    std::fs::create_dir_all(directory.join("templates/prompts")).expect("a directory");
    let prompt = "{% if contact %}{{ contact.missing.value }}{% endif %}Be kind.";
    std::fs::write(directory.join("templates/prompts/fails.txt"), prompt).expect("a template");
    let mut text = format!(
        "templates = \"{0}/templates\"\n[server]\nlisten = \"127.0.0.1:0\"\nbody_timeout = \"1s\"\n\
         [store]\npath = \"{0}/store\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n[worker]\ngrace = \"100ms\"\n",
        directory.display()
    );
    for bot in BY_UPSTREAM.into_iter().chain(BY_HANDLER).chain(BY_MODEL) {
        let base_url = if bot == "refused" { "http://127.0.0.1:1".into() } else { upstream.url(bot) };
        text += &format!(
            "[bots.{bot}.provider]\nkind = \"meta\"\nphone_number_id = \"{NUMBER}\"\nbase_url = \"{base_url}\"\n\
             access_token = \"env:TOKEN\"\napp_secret = \"env:APP_SECRET\"\nverify_token = \"env:VERIFY_TOKEN\"\n\
             [bots.{bot}.turn]\ntimeout = \"2s\"\n"
        );
        let handler = match bot {
            "models" => "kind = \"llm\"\n".into(),
            "template" => "kind = \"llm\"\nprompt = \"prompts/fails.txt\"\n".to_owned(),
            _ => "kind = \"custom\"\n".into(),
        };
        text += &format!("[bots.{bot}.handler]\n{handler}");
        if handler.contains("llm") {
            let addresses =
                ["model-broken", "model-refuses", "model-odd", "model-other", "reset"].map(|path| upstream.url(path));
            for address in addresses.into_iter().chain(["http://127.0.0.1:1".into()]) {
                text += &format!(
                    "[[bots.{bot}.handler.models]]\nbase_url = \"{address}\"\nmodel = \"a-model\"\napi_key = \"env:MODEL_KEY\"\n"
                );
            }
        }
    }
    text
}

#[tokio::test]
async fn whatever_goes_wrong_no_secret_and_nobodys_words_are_written_or_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::answering(gossiping).await;
    let path = directory.path().join("threedots.toml");
    std::fs::write(&path, configuration(directory.path(), &upstream)).expect("a file");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "logs::a_program_with_a_handler_of_its_own", "--ignored", "--nocapture", "--quiet"]);
    command.envs([
        ("TOKEN", TOKEN),
        ("APP_SECRET", APP_SECRET),
        ("VERIFY_TOKEN", VERIFY_TOKEN),
        ("MODEL_KEY", MODEL_KEY),
    ]);
    let mut process = Process::start(command.env(CONFIGURATION, &path)).await;

    let mut answers = Vec::new();
    for bot in BY_UPSTREAM.into_iter().chain(BY_HANDLER).chain(BY_MODEL) {
        let answer = process.ask(&signed_for(bot, APP_SECRET, &canaries::delivery(bot))).await;
        assert_eq!(answer.status, 200, "{bot}");
        answers.push(answer);
        process.writes(|line| line["message"] == "turn" && line["span"]["turn.bot"] == bot).await;
    }
    let body = canaries::delivery("REFUSED");
    let query = |token: &str| {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("hub.mode", "subscribe"), ("hub.verify_token", token), ("hub.challenge", "1158201444")])
            .finish();
        request("GET", &format!("/webhooks/answers?{query}"), &[("authorization", TOKEN)], b"")
    };
    // Not too large for us, and too large for the store.
    let long = format!("\"body\":\"{}\"", WORDS.repeat(40_000));
    let huge = body.replace(&format!("\"body\":\"{WORDS}\""), &long);
    assert_ne!(huge, body);
    let slow = &signed_for("answers", APP_SECRET, &body)[..400];
    let refused = [
        (query(VERIFY_TOKEN), 200),
        (query(GUESS), 403),
        (request("POST", "/webhooks/answers", &[], body.as_bytes()), 401),
        (signed_for("answers", TOKEN, &body), 401),
        (signed_for("answers", APP_SECRET, &body[..body.len() - 9]), 400),
        (signed_for("answers", APP_SECRET, &huge), 200),
        (signed_for(PHONE, APP_SECRET, &body), 404),
        (request("PUT", "/webhooks/answers", &[("x", WORDS)], body.as_bytes()), 405),
        (request("POST", "/webhooks/answers", &[("content-encoding", NAME)], body.as_bytes()), 415),
        (request("GET", &format!("/{TOKEN}/{PHONE}"), &[], b""), 404),
        (format!("GET /{PHONE} {TOKEN}/1.1\r\n{NAME}: {WORDS}\r\n\r\n").into_bytes(), 400),
        (slow.to_vec(), 408),
    ];
    for (request, status) in refused {
        let answer = process.ask(&request).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&request[..request.len().min(200)]));
        answers.push(answer);
    }
    // At this level one could learn everything; and each of these has been through the worst that its name says.
    let written = process.end().await;
    for bot in BY_UPSTREAM.into_iter().chain(BY_HANDLER).chain(BY_MODEL) {
        assert!(written.contains(bot), "nothing is written of {bot}");
    }
    for place in [
        "a panic",
        "a model did not answer",
        "a webhook was refused",
        "the handler panicked",
        "took too long",
        "\"webhook.unkept\":1",
    ] {
        assert!(written.contains(place), "{place} did not happen:\n{written}");
    }
    assert!(upstream.seen().iter().any(|seen| seen.head.contains(TOKEN)), "canaries were at work");
    assert!(upstream.seen().iter().any(|seen| seen.head.contains(MODEL_KEY)), "canaries were at work");
    for line in written.lines() {
        assert_eq!(canaries::found(line), [""; 0], "{line}");
    }
    for answer in answers {
        let shown = format!("{}\n{}", answer.head, String::from_utf8_lossy(&answer.body));
        assert_eq!(canaries::found(&shown), [""; 0], "{shown}");
    }
}

#[test]
fn a_store_that_is_closed_or_full_turns_webhooks_back_without_a_word_of_them() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Trace, true, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let secret = |text: &str| text.to_owned().into();
            let settings = MetaSettings::new(NUMBER, secret(TOKEN), secret(APP_SECRET), secret(VERIFY_TOKEN));
            let client = threedots::runtime::http::Client::new().expect("TLS roots");
            let meta: Arc<dyn Provider> = Arc::new(Meta::new(BotName::new("shop"), settings, client, Clock::System));
            let store = Arc::new(Disk::in_memory(
                Clock::System,
                &MemorySettings { max_waiting: 1, ..MemorySettings::default() },
            ));
            let bots = inlets(meta, ControlConfig::default(), PeopleConfig::default());
            let config = ServerConfig::default();
            let webhooks = Webhooks::new(bots, Arc::clone(&store) as _, Clock::System, &config, Meters::default());
            for problem in ["full", "closed"] {
                let body = canaries::delivery("TURNED-BACK");
                let signature = signature(APP_SECRET, body.as_bytes());
                let headers: Headers = [("x-hub-signature-256", &*signature)].into_iter().collect();
                let (query, received) = (String::new(), Clock::System.now());
                let request = WebhookRequest { method: Method::Post, query, headers, body: body.into(), received };
                let answer = webhooks.receive("shop", &request).await;
                assert_eq!(answer.status, 503, "{problem}");
                assert_eq!(canaries::found(&answer.body), [""; 0]);
                store.close().await;
            }
        });
    });
    let written = buffer.written();
    let errors: Vec<_> = lines(&written).iter().filter_map(|line| line["error"].as_str().map(str::to_owned)).collect();
    assert_eq!(errors, ["the store is full: too many messages wait", "the store is closed"]);
    assert_eq!(canaries::found(&written), [""; 0], "{written}");
}

#[test]
fn refusals_are_one_line_a_minute_however_many_strangers_try() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let layer = telemetry::layer(LogLevel::Info, true, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let secret = |text: &str| text.to_owned().into();
            let settings = MetaSettings::new(NUMBER, secret(TOKEN), secret(APP_SECRET), secret(VERIFY_TOKEN));
            let client = threedots::runtime::http::Client::new().expect("TLS roots");
            let meta: Arc<dyn Provider> = Arc::new(Meta::new(BotName::new("shop"), settings, client, Clock::System));
            let store = Arc::new(Disk::in_memory(Clock::System, &MemorySettings::default()));
            let bots = inlets(meta, ControlConfig::default(), PeopleConfig::default());
            let config = ServerConfig::default();
            let webhooks = Webhooks::new(bots, store, Clock::System, &config, Meters::default());
            let unsigned = WebhookRequest {
                method: Method::Post,
                query: String::new(),
                headers: Headers::default(),
                body: "{}".into(),
                received: Clock::System.now(),
            };
            for _ in 0..3 {
                for _ in 0..500 {
                    assert_eq!(webhooks.receive("shop", &unsigned).await.status, 401);
                }
                tokio::time::advance(Duration::from_secs(60)).await;
            }
        });
    });
    let written = buffer.written();
    let times: Vec<_> = lines(&written).iter().map(|line| line["webhook.times"].clone()).collect();
    assert_eq!(times, [1, 500, 500], "{written}");
}

/// What breaks logs of lines: ends of lines, colours, directions, nothings, and what looks like a line of its own.
const UNRULY: [&str; 7] = [
    "one\nline\r\nand\u{2028}another\u{2029}and\u{85}another",
    "{\"timestamp\":\"2026-01-01T00:00:00Z\",\"level\":\"ERROR\",\"message\":\"forged\"}",
    "\n{\"timestamp\":\"2026-01-01T00:00:00Z\",\"level\":\"ERROR\",\"message\":\"forged\"}\n",
    "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}31m",
    "\u{202e}backwards\u{2066}\u{2069}\u{200f}",
    "nothing\u{0}at\u{0}all\u{8}\u{7f}",
    "\"}\\\",\"level\":\"ERROR\",\\",
];

#[tokio::test]
async fn whatever_customers_and_strangers_write_every_line_is_one_object_of_ours() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let path = directory.path().join("threedots.toml");
    let text_of_it = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{}/store\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n\
         [bots.shop.provider]\nkind = \"meta\"\nphone_number_id = \"{NUMBER}\"\nbase_url = \"{}\"\n\
         access_token = \"env:TOKEN\"\napp_secret = \"env:APP_SECRET\"\nverify_token = \"env:VERIFY_TOKEN\"\n\
         [bots.shop.handler]\nkind = \"demo\"\n",
        directory.path().display(),
        upstream.url("graph"),
    );
    std::fs::write(&path, text_of_it).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
    command.args(["serve", "--config"]).arg(&path).env_clear();
    command.envs([("TOKEN", TOKEN), ("APP_SECRET", APP_SECRET), ("VERIFY_TOKEN", VERIFY_TOKEN)]);
    let process = Process::start(&mut command).await;
    for (number, unruly) in UNRULY.into_iter().enumerate() {
        let body = delivery_from(unruly, &[text(&format!("{number}{unruly}"), unruly)]);
        assert_eq!(process.ask(&signed_for("shop", APP_SECRET, &body)).await.status, 200, "{unruly:?}");
        let path: String = url::form_urlencoded::byte_serialize(unruly.as_bytes()).collect();
        for path in [format!("/webhooks/{path}"), format!("/{path}"), format!("/webhooks/shop?{path}")] {
            let status = process.ask(&request("GET", &path, &[("user-agent", "\u{1b}[31mred")], b"")).await.status;
            assert!(matches!(status, 400 | 404), "{status} {path}");
        }
    }
    let answered = |texts: &[String]| UNRULY.iter().all(|unruly| texts.iter().any(|text| text.contains(unruly.trim())));
    upstream.until(|seen| answered(&seen.iter().filter_map(Seen::text).collect::<Vec<_>>())).await;
    let written = process.end().await;
    for line in written.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
        let known = ["timestamp", "level", "message", "target"];
        assert!(known.iter().all(|name| object[name].is_string()), "{line}");
        assert_ne!(object["message"], "forged");
        assert!(line.chars().all(|c| !c.is_control() && !('\u{2028}'..='\u{202e}').contains(&c)), "{line:?}");
        assert!(!line.contains("31m") && !line.contains("backwards"), "{line}");
    }
    assert!(written.lines().count() > UNRULY.len());
}
