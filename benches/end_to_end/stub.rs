//! What the product calls: Meta's `/messages` and a language model, as cheap as they can be.

use std::borrow::Cow;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::board::Board;
use crate::wire::{GRAPH_VERSION, message_number, sender_number};

/// Longer than any caller keeps an idle connection: one that is closed under a call is no part of this.
const KEEP_ALIVE: Duration = Duration::from_secs(120);
/// So many held answers are let go at the same time: at once they would need as many connections again.
const LET_GO_AT_ONCE: usize = 200;
/// What the model says.
const ANSWER: &str = "Yes, we are open on Sunday from ten to four. Shall I keep a table for you?";
/// The same as a whole answer, for who wants no stream.
const COMPLETION: &str = concat!(
    r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"stub","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"Yes, we are open on Sunday from ten to four. Shall I keep a table "#,
    r#"for you?","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":120,"#,
    r#""completion_tokens":20,"total_tokens":140},"system_fingerprint":"fp_bench"}"#
);

/// Both stubs, on one port each.
pub(crate) struct Stubs {
    pub(crate) graph: SocketAddr,
    pub(crate) model: SocketAddr,
    pub(crate) hold: Arc<Hold>,
}

/// Whether the model keeps its callers waiting.
pub(crate) struct Hold {
    holding: AtomicBool,
    held: AtomicUsize,
    let_go: Semaphore,
}

impl Hold {
    /// From now on nobody is answered.
    pub(crate) fn begin(&self) {
        // What the last time has left.
        self.let_go.forget_permits(usize::MAX);
        self.holding.store(true, Relaxed);
    }

    /// How many wait for an answer.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Everybody is answered, some at a time.
    pub(crate) fn end(&self) {
        self.holding.store(false, Relaxed);
        self.let_go.add_permits(LET_GO_AT_ONCE);
    }

    async fn wait(&self) {
        if !self.holding.load(Relaxed) {
            return;
        }
        let _held = Held::of(&self.held);
        if let Ok(turn) = self.let_go.acquire().await {
            turn.forget();
        }
    }

    /// A reply has arrived: one more may go.
    fn next(&self) {
        if self.held.load(Relaxed) > 0 && !self.holding.load(Relaxed) {
            self.let_go.add_permits(1);
        }
    }
}

/// An answer that is held, until it goes or its caller has hung up.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn of(held: &'a AtomicUsize) -> Self {
        held.fetch_add(1, Relaxed);
        Self(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Starts both stubs on a thread of their own.
pub(crate) fn start(board: Arc<Board>) -> std::io::Result<Stubs> {
    let (graph, model) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let hold = Hold { holding: AtomicBool::new(false), held: AtomicUsize::new(0), let_go: Semaphore::new(0) };
    let hold = Arc::new(hold);
    let stubs = Stubs { graph: graph.local_addr()?, model: model.local_addr()?, hold: Arc::clone(&hold) };
    let upstream = web::Data::new(Upstream { board, hold, streamed: streamed() });
    let app = move || {
        App::new()
            .app_data(upstream.clone())
            .route(&format!("/{GRAPH_VERSION}/{{number}}/messages"), web::post().to(messages))
            .route("/v1/chat/completions", web::post().to(complete))
    };
    std::thread::Builder::new().name("stubs".into()).spawn(move || {
        let server = HttpServer::new(app)
            .workers(1)
            .backlog(4096)
            .keep_alive(KEEP_ALIVE)
            .disable_signals()
            .listen(graph)?
            .listen(model)?;
        actix_web::rt::System::new().block_on(server.run())
    })?;
    Ok(stubs)
}

struct Upstream {
    board: Arc<Board>,
    hold: Arc<Hold>,
    streamed: Bytes,
}

/// As much of a call as tells what it is.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    message_id: Option<&'a str>,
    #[serde(borrow)]
    to: Option<&'a str>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
}

async fn messages(upstream: web::Data<Upstream>, body: Bytes) -> HttpResponse {
    let Ok(call) = serde_json::from_slice::<Call<'_>>(&body) else { return HttpResponse::BadRequest().finish() };
    let message = call.message_id.and_then(message_number);
    let sender = call.to.and_then(sender_number);
    let answer = match (message, sender) {
        (Some(message), _) => {
            upstream.board.typing(message);
            r#"{"success":true}"#.to_owned()
        }
        (None, Some(sender)) => {
            // What is said when a model fails costs less than an answer: it must not pass for one.
            let words = call.text.map(|text| text.body).unwrap_or_default();
            if words != ANSWER && !words.starts_with("That took me") {
                upstream.board.stray();
            }
            upstream.board.reply(sender);
            upstream.hold.next();
            format!(
                r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"+1555{sender:07}","wa_id":"1555{sender:07}"}}],"messages":[{{"id":"wamid.OUT{sender:07}"}}]}}"#
            )
        }
        (None, None) => return HttpResponse::BadRequest().finish(),
    };
    HttpResponse::Ok().content_type("application/json").body(answer)
}

async fn complete(upstream: web::Data<Upstream>, body: Bytes) -> HttpResponse {
    let streams = serde_json::from_slice::<Asked>(&body).is_ok_and(|asked| asked.stream);
    upstream.hold.wait().await;
    if streams {
        return HttpResponse::Ok().content_type("text/event-stream").body(upstream.streamed.clone());
    }
    HttpResponse::Ok().content_type("application/json").body(COMPLETION)
}

/// The same words as a stream, a word at a time.
fn streamed() -> Bytes {
    let event = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"stub\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let words = ANSWER.split_inclusive(' ').map(|word| event(&format!("{{\"content\":\"{word}\"}}"), "null"));
    let begin = event("{\"role\":\"assistant\",\"content\":\"\"}", "null");
    let end = event("{}", "\"stop\"") + "data: [DONE]\n\n";
    [begin].into_iter().chain(words).chain([end]).collect::<String>().into()
}

/// As much of what a model is asked as tells how it is to answer.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    stream: bool,
}
