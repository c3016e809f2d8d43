//! An OpenAI-compatible server in a test's hand: it says, token by token, what the script has for each request.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

/// What the server does with a request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Says this.
    Says(String),
    /// Says all of this at once: it cannot stream.
    SaysAtOnce(Value),
    /// Says this, and how many tokens it has read and written.
    Costs(&'static str, u64, u64),
    /// Writes these pieces of its stream, as they are.
    Writes(&'static [&'static str]),
    /// Sends these events, and that there are no more.
    Sends(Vec<Value>),
    /// Sends a comment every 100 ms, so many of them, and then says this.
    Thinks(u32, &'static str),
    /// Says this, and why it ends, and then nothing any more.
    Lingers(&'static str),
    /// Wants these tools called, with these arguments.
    Calls(Vec<(&'static str, String)>),
    /// Says this, and then nothing any more.
    Stalls(&'static str),
    /// Says this, and hangs up.
    HangsUp(&'static str),
    /// Says this, and then that something went wrong.
    Fails(&'static str),
    /// Answers with this status and a page, as a gateway in between does.
    Page(u16),
    /// Answers with this status, and perhaps for how long it wants to be left alone.
    Refuses(u16, Option<&'static str>),
    /// Answers with this status and body.
    Complains(u16, String),
    /// Answers with this status, header and value.
    Rests(u16, &'static str, &'static str),
}

type Script = dyn Fn(&Value, usize) -> Does + Send + Sync;

/// The server.
pub(crate) struct Stub {
    pub(crate) base_url: String,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Stub {
    /// Answers with "Answer N".
    pub(crate) async fn start() -> Self {
        Self::scripted(|_, number| Does::Says(format!("Answer {number}"))).await
    }

    /// Does the same every time.
    pub(crate) async fn always(does: Does) -> Self {
        Self::scripted(move |_, _| does.clone()).await
    }

    /// Does what `script` says, given the request and its number, from 1.
    pub(crate) async fn scripted(script: impl Fn(&Value, usize) -> Does + Send + Sync + 'static) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let server = HttpServer::new(move || {
            let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
            let answer = move |body: web::Json<Value>| {
                let request = body.into_inner();
                let number = {
                    let mut seen = seen.lock().expect("no test panics in here");
                    seen.push(request.clone());
                    seen.len()
                };
                let does = script(&request, number);
                async move { answer(does) }
            };
            // An image of a few megabytes is a long line of base64.
            let limit = web::JsonConfig::default().limit(32 << 20);
            App::new().app_data(limit).route("/v1/chat/completions", web::post().to(answer))
        });
        tokio::spawn(server.workers(1).listen(listener).expect("listening").run());
        Self { base_url, requests }
    }

    /// What it was asked, without the line that tells the time of day: that is another in each run.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let mut requests = self.requests_with_time();
        for line in requests.iter_mut().filter_map(|request| request["messages"].as_array_mut()).flatten() {
            if line["role"] == "user" {
                without_time(&mut line["content"]);
            }
        }
        requests
    }

    /// What it was asked, whole.
    pub(crate) fn requests_with_time(&self) -> Vec<Value> {
        self.requests.lock().expect("no test panics in here").clone()
    }
}

fn without_time(content: &mut Value) {
    match content {
        Value::String(words) => {
            let is_time = |line: &&str| line.starts_with("[clock ") && line.contains("] It is ");
            *words = words.split('\n').filter(|line| !is_time(line)).collect::<Vec<_>>().join("\n");
        }
        Value::Array(pieces) => pieces.iter_mut().for_each(|piece| without_time(&mut piece["text"])),
        _ => {}
    }
}

fn answer(does: Does) -> HttpResponse {
    let hung_up = || Err(std::io::Error::other("hung up"));
    match does {
        Does::Says(words) => streamed(tokens(&words).chain([last("stop"), done()]), stream::empty().boxed()),
        Does::SaysAtOnce(message) => {
            HttpResponse::Ok().json(json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] }))
        }
        Does::Costs(words, read, written) => {
            let usage = json!({ "prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written });
            let usage = event(&json!({ "choices": [], "usage": usage }));
            streamed(tokens(words).chain([last("stop"), usage, done()]), stream::empty().boxed())
        }
        Does::Writes(pieces) => {
            streamed(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())), stream::empty().boxed())
        }
        Does::Sends(events) => streamed(events.iter().map(event).chain([done()]), stream::empty().boxed()),
        Does::Thinks(comments, words) => {
            let comment = |_| async {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                Ok(Bytes::from_static(b": still here\n\n"))
            };
            let rest: Vec<_> = tokens(words).chain([last("stop"), done()]).map(Ok).collect();
            streamed([].into_iter(), stream::iter(0..comments).then(comment).chain(stream::iter(rest)).boxed())
        }
        Does::Lingers(words) => streamed(tokens(words).chain([last("stop")]), stream::pending().boxed()),
        Does::Calls(calls) => {
            streamed(calls_in_pieces(&calls).chain([last("tool_calls"), done()]), stream::empty().boxed())
        }
        Does::Stalls(words) => streamed(tokens(words), stream::pending().boxed()),
        Does::HangsUp(words) => streamed(tokens(words), stream::iter([hung_up()]).boxed()),
        Does::Fails(words) => {
            let error = json!({ "error": { "message": "SECRET PROVIDER WORDS" } });
            streamed(tokens(words).chain([event(&error), done()]), stream::empty().boxed())
        }
        Does::Page(status) => {
            HttpResponse::build(StatusCode::from_u16(status).expect("a status")).body("<h1>SECRET PROVIDER WORDS</h1>")
        }
        Does::Complains(status, body) => {
            let mut answer = HttpResponse::build(StatusCode::from_u16(status).expect("a status"));
            answer.content_type("application/json").body(body)
        }
        Does::Rests(status, name, value) => {
            let mut answer = HttpResponse::build(StatusCode::from_u16(status).expect("a status"));
            answer.insert_header((name, value)).finish()
        }
        Does::Refuses(status, retry_after) => {
            let error = json!({ "error": { "message": "SECRET PROVIDER WORDS", "type": "server_error" } });
            let mut answer = HttpResponse::build(StatusCode::from_u16(status).expect("a status"));
            if let Some(retry_after) = retry_after {
                answer.insert_header(("retry-after", retry_after));
            }
            answer.json(error)
        }
    }
}

fn streamed(
    events: impl Iterator<Item = Bytes>,
    then: stream::BoxStream<'static, Result<Bytes, std::io::Error>>,
) -> HttpResponse {
    let events: Vec<_> = events.map(Ok).collect();
    HttpResponse::Ok().content_type("text/event-stream").streaming(stream::iter(events).chain(then))
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn done() -> Bytes {
    "data: [DONE]\n\n".into()
}

fn chunk(delta: &Value, finish_reason: Option<&str>) -> Bytes {
    event(&json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }] }))
}

fn last(reason: &str) -> Bytes {
    chunk(&json!({}), Some(reason))
}

/// The words, one after the other.
fn tokens(words: &str) -> impl Iterator<Item = Bytes> {
    let begin = chunk(&json!({ "role": "assistant", "content": "" }), None);
    let words: Vec<Bytes> = words.split_inclusive(' ').map(|word| chunk(&json!({ "content": word }), None)).collect();
    [begin].into_iter().chain(words)
}

/// The calls, their arguments in pieces of three characters.
fn calls_in_pieces(calls: &[(&'static str, String)]) -> impl Iterator<Item = Bytes> {
    let calls: Vec<Bytes> = calls.iter().enumerate().flat_map(|(index, call)| pieces(index, call)).collect();
    calls.into_iter()
}

fn pieces(index: usize, (name, arguments): &(&'static str, String)) -> Vec<Bytes> {
    let call = |call: Value| chunk(&json!({ "tool_calls": [call] }), None);
    let id = format!("id_{index}");
    let function = json!({ "name": name, "arguments": "" });
    let begin = call(json!({ "index": index, "id": id, "type": "function", "function": function }));
    let characters: Vec<char> = arguments.chars().collect();
    let rest = characters.chunks(3).map(|piece| {
        let piece: String = piece.iter().collect();
        call(json!({ "index": index, "function": { "arguments": piece } }))
    });
    [begin].into_iter().chain(rest).collect()
}

/// What the model was told of its calls, in the newest request: the results' words, in order.
pub(crate) fn results(request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().expect("messages");
    let results = messages.iter().filter(|line| line["role"] == "tool");
    results.map(|line| line["content"].as_str().expect("words").to_owned()).collect()
}
