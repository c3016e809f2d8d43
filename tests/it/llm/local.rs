//! A real language model, whichever runs behind `LOCAL_LLM` (an OpenAI-compatible base URL; `LOCAL_LLM_MODEL`, the
//! model's name there): what a stub cannot get wrong in the way that a server does. What is said is not looked at: a
//! small model says anything.
//!
//! `LOCAL_LLM=http://127.0.0.1:8000/v1 cargo test --test it llm::local -- --ignored --nocapture --test-threads 1`

#![allow(clippy::print_stdout)]

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use threedots::admin::telemetry::{self, LogLevel};
use threedots::handler::llm::{Llm, LlmConfig, LlmContext, ModelConfig};
use threedots::runtime::http::{Body, Call, Client, Transport};
use threedots::runtime::templates::Templates;
use tokio::time::{Instant, timeout};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

use super::{around, dead_end};
use crate::world::{Setup, World};

/// A small model on two cores may need that long for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The real one, if there is any; and what is logged goes to the terminal.
fn real() -> Option<(ModelConfig, DefaultGuard)> {
    let Ok(base_url) = std::env::var("LOCAL_LLM") else {
        println!("LOCAL_LLM is not set: nothing is asked");
        return None;
    };
    let lines = telemetry::layer(LogLevel::Info, false, std::io::stdout);
    let logs = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
    let model = std::env::var("LOCAL_LLM_MODEL").unwrap_or_else(|_| "smollm2".into());
    Some((ModelConfig { base_url, model, timeout: PATIENCE, stall: PATIENCE, ..ModelConfig::default() }, logs))
}

/// What stands in front of the real one, and what it does with a request.
#[derive(Clone, Copy)]
enum Does {
    /// Hands it on, and the answer back as it comes.
    Passes,
    /// The same, until so many events of the answer have come; then nothing any more.
    StallsAfter(usize),
    /// Says that it wants to be left alone for so many seconds.
    Refuses(u32),
}

struct Proxy {
    model: ModelConfig,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Proxy {
    fn before(real: &ModelConfig, does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (client, memory, real_one) = (Client::new().expect("a client"), Arc::clone(&seen), real.base_url.clone());
        let server = HttpServer::new(move || {
            let (client, memory, real_one) = (Arc::clone(&client), Arc::clone(&memory), real_one.clone());
            let answer = move |body: Bytes| {
                memory.lock().expect("nobody panics in here").push(serde_json::from_slice(&body).expect("JSON"));
                hand_on(Arc::clone(&client), real_one.clone(), body, does)
            };
            App::new().route("/chat/completions", web::post().to(answer))
        });
        tokio::spawn(server.workers(1).listen(listener).expect("listening").run());
        Self { model: ModelConfig { base_url, ..real.clone() }, seen }
    }

    fn seen(&self) -> Vec<Value> {
        self.seen.lock().expect("nobody panics in here").clone()
    }
}

async fn hand_on(client: Arc<Client>, real: String, body: Bytes, does: Does) -> HttpResponse {
    if let Does::Refuses(seconds) = does {
        return HttpResponse::TooManyRequests().insert_header(("retry-after", seconds.to_string())).finish();
    }
    let call = Call {
        method: "POST",
        url: format!("{real}/chat/completions").parse().expect("an address"),
        headers: Vec::new(),
        body: Body::Json(body),
        timeout: PATIENCE,
        in_clear: false,
    };
    let answer = client.call(call).await.expect("the real one answers");
    let pieces = stream::unfold((answer, 0), move |(mut answer, events)| async move {
        if matches!(does, Does::StallsAfter(most) if events >= most) {
            std::future::pending::<()>().await;
        }
        let piece = answer.chunk().await.ok()??;
        let events = events + piece.windows(6).filter(|window| window == b"data: ").count();
        Some((Ok::<_, std::io::Error>(piece), (answer, events)))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(pieces.boxed_local())
}

/// A prompt that even a small model understands: from a longer one it quotes, and such an answer is not used.
const PROMPT: &str = "Answer in one short sentence.";

fn world(models: Vec<ModelConfig>) -> World {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("prompts")).expect("a directory");
    std::fs::write(directory.path().join("prompts/short.txt"), PROMPT).expect("a template");
    let (templates, problems) = Templates::load(directory.path()).expect("templates");
    assert!(problems.is_empty());
    // Short answers: nobody reads them.
    let config =
        LlmConfig { max_tokens: 40, summary_tokens: 0, prompt: "prompts/short.txt".into(), ..LlmConfig::default() };
    let around = LlmContext { templates: Arc::new(templates), ..around(models) };
    let mut setup = Setup::new(Llm::new(config, around).unwrap_or_else(|problems| panic!("{problems:?}")));
    setup.turn.timeout = PATIENCE * 2;
    setup.worker.lease = PATIENCE * 3;
    setup.start()
}

/// Writes, and waits for the answer to it.
async fn say(world: &World, words: &str) -> Duration {
    let (before, began) = (world.replies().len(), Instant::now());
    world.write(words);
    let answered = world.phone().wait_for(|phone| phone.replies(&world.customer).len() > before);
    timeout(PATIENCE * 2, answered).await.expect("an answer");
    assert!(!world.phone().dots_showing(&world.customer), "the dots went with the reply");
    began.elapsed()
}

/// Prints what the customer saw, and holds it to what must be so of every answer.
fn show(name: &str, world: &World) {
    println!("\n== {name}");
    world.seen().iter().for_each(|line| println!("{line}"));
    let canned = world.replies().iter().any(|reply| reply.contains("cannot think straight"));
    assert!(!canned && world.replies().iter().all(|reply| !reply.trim().is_empty()), "{:?}", world.replies());
}

#[tokio::test]
#[ignore = "needs a real model: LOCAL_LLM"]
async fn a_conversation_of_several_turns_is_had_with_what_was_said_before() {
    let Some((real, _logs)) = real() else { return };
    let proxy = Proxy::before(&real, Does::Passes);
    let world = world(vec![proxy.model.clone()]);
    let said = ["My name is Ada. Hello!", "I like the colour blue.", "What is my name, and which colour do I like?"];
    for words in said {
        say(&world, words).await;
    }
    show("a conversation", &world);
    let seen = proxy.seen();
    assert_eq!(seen.len(), 3);
    let lines = seen[2]["messages"].as_array().expect("messages").clone();
    let told: Vec<_> = lines[1..].iter().map(|line| line["content"].as_str().unwrap_or_default().to_owned()).collect();
    let replies = world.replies();
    assert_eq!(told, [said[0], &replies[0], said[1], &replies[1], said[2]]);
}

#[tokio::test]
#[ignore = "needs a real model: LOCAL_LLM"]
async fn a_dead_address_before_it_costs_nothing_that_is_seen() {
    let Some((real, _logs)) = real() else { return };
    let dead = ModelConfig { base_url: dead_end(), ..real.clone() };
    let world = world(vec![dead, real]);
    say(&world, "Say hello.").await;
    show("the first address is dead", &world);
    assert_eq!(world.replies().len(), 1);
}

#[tokio::test]
#[ignore = "needs a real model: LOCAL_LLM"]
async fn one_that_stalls_in_the_middle_of_its_answer_is_left_for_the_next() {
    let Some((real, _logs)) = real() else { return };
    let proxy = Proxy::before(&real, Does::StallsAfter(4));
    // Long enough for a first token; the rest of the stall is what the customer waits.
    let stalling = ModelConfig { stall: Duration::from_secs(10), ..proxy.model.clone() };
    let world = world(vec![stalling, real]);
    let took = say(&world, "Tell me about the sea.").await;
    show("the first stalls in the middle of its answer", &world);
    assert_eq!((world.replies().len(), proxy.seen().len()), (1, 1), "one message, with nothing of the half in it");
    assert!(took >= Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
#[ignore = "needs a real model: LOCAL_LLM"]
async fn one_that_wants_to_be_left_alone_is_not_asked_again_meanwhile() {
    let Some((real, _logs)) = real() else { return };
    let proxy = Proxy::before(&real, Does::Refuses(3600));
    let world = world(vec![proxy.model.clone(), real]);
    say(&world, "Say one word.").await;
    say(&world, "Say another word.").await;
    show("the first answers 429, Retry-After: 3600", &world);
    assert_eq!((world.replies().len(), proxy.seen().len()), (2, 1));
}
