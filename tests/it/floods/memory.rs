//! How much memory the real binary takes at the most, whatever comes in.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::{BTreeSet, HashSet};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::{Bytes, Data, Json, PayloadConfig, post};
use actix_web::{App, HttpServer};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::product::{Line, NUMBER, SECRET, signed};
use crate::real::binary::{Binary, Home};
use crate::real::upstream::free_port;
use crate::real::{PATIENCE, until};

/// What the binary may take, in bytes, with the settings that are its own and the connections that are opened here:
/// ARCHITECTURE.md says how it is made up.
const CEILING: usize = 1 << 30;

/// Longer than any caller keeps an idle connection: one that is closed under a call has its turn answered with the
/// canned reply, which holds no number.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// The length of a long message, in bytes.
const LONG: usize = 60_000;

/// A message by its number, and its writer.
fn message(customer: usize, number: usize, length: usize) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let words = format!("m{number} {}", "l".repeat(length));
    let (from, id) = (format!("1555{customer:07}"), format!("wamid.{number}"));
    json!({ "from": from, "id": id, "timestamp": now.to_string(), "type": "text", "text": { "body": words } })
}

fn delivery(messages: &[Value]) -> Vec<u8> {
    let contacts: BTreeSet<&str> = messages.iter().map(|message| message["from"].as_str().unwrap()).collect();
    let contact = |id: &&str| json!({ "wa_id": id, "profile": { "name": "Somebody" } });
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "12025550100", "phone_number_id": NUMBER },
        "contacts": contacts.iter().map(contact).collect::<Vec<_>>(),
        "messages": messages,
    });
    let entry = json!({ "id": "990000000000001", "changes": [{ "field": "messages", "value": value }] });
    signed(json!({ "object": "whatsapp_business_account", "entry": [entry] }).to_string().as_bytes())
}

/// An upstream that takes everything, and a model that answers nobody until it is told to.
struct Outside {
    address: SocketAddr,
    server: ServerHandle,
    state: Data<State>,
}

struct State {
    answers: watch::Sender<bool>,
    asked: AtomicUsize,
    /// The messages that were answered, by their numbers.
    answered: Mutex<HashSet<usize>>,
}

/// The numbers of messages that stand in a text.
fn numbers(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.split_whitespace().filter_map(|word| word.strip_prefix('m')?.parse().ok())
}

async fn take(state: Data<State>, call: Json<Value>) -> Json<Value> {
    if let Some(text) = call["text"]["body"].as_str() {
        state.answered.lock().unwrap().extend(numbers(text));
    }
    Json(json!({ "success": true, "messages": [{ "id": "wamid.OUTGOING" }] }))
}

async fn complete(state: Data<State>, body: Bytes) -> Json<Value> {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    drop(body);
    let messages = asked["messages"].as_array().unwrap();
    let by_customer = messages.iter().filter(|message| message["role"] == "user");
    let numbers: Vec<usize> = by_customer.flat_map(|message| numbers(message["content"].as_str().unwrap())).collect();
    drop(asked);
    state.asked.fetch_add(1, Ordering::SeqCst);
    state.answers.subscribe().wait_for(|answers| *answers).await.unwrap();
    let words: Vec<String> = numbers.iter().map(|number| format!("m{number}")).collect();
    Json(json!({ "choices": [{ "message": { "content": words.join(" ") } }] }))
}

impl Outside {
    fn start() -> Self {
        let (answers, asked, answered) = (watch::Sender::new(false), AtomicUsize::new(0), Mutex::default());
        let state = Data::new(State { answers, asked, answered });
        let shared = state.clone();
        let server = HttpServer::new(move || {
            let app = App::new().app_data(shared.clone()).app_data(PayloadConfig::new(16 << 20));
            app.route("/v1/chat/completions", post().to(complete)).default_service(post().to(take))
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = server.workers(1).keep_alive(KEEP_ALIVE).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { address, server: handle, state }
    }

    fn config(&self, port: u16, directory: &Path) -> String {
        for (name, secret) in [("token", "fictional"), ("secret", SECRET), ("word", "verify")] {
            std::fs::write(directory.join(name), secret).unwrap();
        }
        let (address, directory) = (self.address, directory.display());
        format!(
            r#"
            [server]
            listen = "127.0.0.1:{port}"
            [store]
            path = "{directory}/data"
            [worker]
            lease = "1h"
            [bots.shop.provider]
            kind = "meta"
            phone_number_id = "{NUMBER}"
            access_token = "file:{directory}/token"
            app_secret = "file:{directory}/secret"
            verify_token = "file:{directory}/word"
            base_url = "http://{address}/graph"
            messages_per_second = 0
            pair_every = "0s"
            [bots.shop.gate]
            per_minute = 1000000
            [bots.shop.turn]
            timeout = "20m"
            [bots.shop.handler]
            kind = "llm"
            [[bots.shop.handler.models]]
            base_url = "http://{address}/v1"
            model = "hangs"
            stall = "20m"
            timeout = "20m"
            "#
        )
    }

    fn answered(&self) -> usize {
        self.state.answered.lock().unwrap().len()
    }
}

/// The binary, and all that it has acknowledged.
struct Flood {
    address: SocketAddr,
    next: AtomicUsize,
    acknowledged: Mutex<HashSet<usize>>,
    turned_back: AtomicUsize,
}

impl Flood {
    /// So many new messages of a customer's, in one delivery.
    fn delivery(&self, customer: usize, count: usize, length: usize) -> (Vec<usize>, Vec<u8>) {
        let first = self.next.fetch_add(count, Ordering::SeqCst);
        let numbers: Vec<usize> = (first..first + count).collect();
        let messages: Vec<Value> = numbers.iter().map(|number| message(customer, *number, length)).collect();
        let delivery = delivery(&messages);
        (numbers, delivery)
    }

    /// Delivers new messages, once.
    async fn deliver(&self, customer: usize, count: usize, length: usize) {
        let (numbers, delivery) = self.delivery(customer, count, length);
        match Line::open(self.address).await.respond_while_sending(&delivery).await.status {
            200 => self.acknowledged.lock().unwrap().extend(numbers),
            // Beside so many others a body may also take too long to arrive.
            503 | 408 => drop(self.turned_back.fetch_add(1, Ordering::SeqCst)),
            status => panic!("answered with {status}"),
        }
    }

    /// Delivers again and again, so many at the same time; `what` says the customer, how many messages and how long.
    async fn deliver_all(&self, at_once: usize, what: impl Iterator<Item = (usize, usize, usize)>) {
        let deliveries = stream::iter(what).map(|(customer, count, length)| self.deliver(customer, count, length));
        deliveries.buffer_unordered(at_once).collect::<Vec<()>>().await;
    }
}

fn tell(binary: &Binary, began: Instant, what: &str) {
    let (peak, now) = binary.memory();
    println!("{:>5.1} s: {what}: {} MB, {} at the most", began.elapsed().as_secs_f64(), now >> 20, peak >> 20);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "for a release build: takes a minute, and 5,000 file descriptors"]
async fn whatever_comes_in_memory_has_a_ceiling_and_what_was_acknowledged_is_answered() {
    let outside = Outside::start();
    let port = free_port();
    let home = Home::of(port, |directory| outside.config(port, directory));
    let binary = home.start_and_wait().await;
    let began = Instant::now();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (next, acknowledged, turned_back) = (AtomicUsize::new(0), Mutex::default(), AtomicUsize::new(0));
    let flood = Arc::new(Flood { address, next, acknowledged, turned_back });
    tell(&binary, began, "it has started");

    // Conversations, each with a turn that hangs, and some more that waits behind it.
    flood.deliver_all(32, (1..=1000).map(|customer| (customer, 4, LONG))).await;
    tell(&binary, began, "1,000 conversations wait for a model that hangs");
    flood.deliver_all(32, (1001..=4000).map(|customer| (customer, 1, 100))).await;
    tell(&binary, began, "and 3,000 with little to say");
    // One conversation with a very long queue.
    flood.deliver_all(8, (0..60).map(|_| (0, 50, LONG))).await;
    tell(&binary, began, "3,000 long messages wait in one conversation");

    flood.deliver_all(100, (1..=100).map(|customer| (customer, 50, LONG))).await;
    tell(&binary, began, "100 deliveries of 3 MB, at once");
    // Senders that begin and do not end, with little and with much.
    let (_, long) = flood.delivery(0, 50, LONG);
    let mut slow = JoinSet::new();
    for number in 0..3000 {
        let piece = if number % 4 == 0 { long[..2_000_000].to_vec() } else { long[..15_000].to_vec() };
        slow.spawn(async move {
            let mut line = Line::open(address).await;
            line.send_what_it_takes(&piece).await;
            line
        });
    }
    // And beside them many of the longest at the same time, from the same customers.
    flood.deliver_all(200, (1..=200).map(|customer| (customer, 50, LONG))).await;
    tell(&binary, began, "200 deliveries of 3 MB, at once, beside 3,000 slow senders");
    slow.shutdown().await;

    outside.state.answers.send_replace(true);
    let expected = flood.acknowledged.lock().unwrap().len();
    // However slow the machine is, there is some progress.
    let (mut done, mut deadline) = (outside.answered(), Instant::now() + PATIENCE);
    while !flood.acknowledged.lock().unwrap().is_subset(&outside.state.answered.lock().unwrap()) {
        let now = outside.answered();
        if now > done {
            (done, deadline) = (now, Instant::now() + PATIENCE);
        }
        assert!(Instant::now() < deadline, "{now} of {expected} were answered: {}", home.tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tell(&binary, began, "all was answered");
    let known = outside.answered();
    flood.deliver_all(1, [(5000, 1, 10)].into_iter()).await;
    until("one more to be answered", || outside.answered() > known).await;
    let (peak, _) = binary.memory();
    let turned_back = flood.turned_back.load(Ordering::SeqCst);
    println!("{expected} messages were acknowledged, {turned_back} deliveries turned back");
    assert!(turned_back > 0, "it was not too much");
    assert!(peak <= CEILING, "{} MB", peak >> 20);
    assert!(!home.log().contains("dead"), "a message has died");
    outside.server.stop(false).await;
}
