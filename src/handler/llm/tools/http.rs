//! A tool over HTTP: the call is posted as JSON, signed as a turn is that leaves for an HTTP handler.
//!
//! | the tool answers with | which is |
//! |---|---|
//! | 200 and JSON | the result; of an object, `result` if it has one; besides, if it may, `"beat": true` and `"handover": true` |
//! | 200 and text | the result |
//! | 204 | done, with nothing to say |
//! | 400, 404, 409, 410 or 422 and text, or JSON with `error`, `message` or `detail` | a failure, with words for the model |
//! | anything else | a failure, which the model is told of |

use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Callable, CheckedCall, Failure, ToolResult};
use crate::handler::Egress;
use crate::handler::llm::config::{ToolConfig, ToolPermission};
use crate::handler::way_out::{self, WayOut};
use crate::message::clock::Clock;
use crate::message::json;
use crate::runtime::http::CallError;

/// The version of what is posted.
const VERSION: u32 = 1;

pub(super) struct OverHttp {
    way_out: WayOut,
    answer_limit: u64,
    may: Vec<ToolPermission>,
    clock: Clock,
}

/// What is posted. Whose conversation it is says the turn; the model has a say in the arguments alone.
#[derive(Serialize)]
struct Posted<'a> {
    version: u32,
    id: &'a str,
    tool: &'a str,
    arguments: &'a Map<String, Value>,
    turn: &'a str,
    bot: &'a str,
    chat: Option<&'a str>,
    group: bool,
    sender: Option<&'a str>,
    phone: Option<&'a str>,
    name: Option<&'a str>,
}

impl OverHttp {
    pub(super) fn new(
        config: &ToolConfig,
        secret: Option<&SecretString>,
        ways_out: &Egress,
        clock: Clock,
    ) -> Result<Self, Vec<way_out::SettingProblem>> {
        let way_out = WayOut::new(&config.url, secret, config.private, ways_out)?;
        Ok(Self { way_out, answer_limit: config.answer_limit, may: config.may.clone(), clock })
    }
}

#[async_trait::async_trait]
impl Callable for OverHttp {
    async fn call(&self, call: &CheckedCall<'_>) -> Result<ToolResult, Failure> {
        let at = call.turn.newest().map(|message| &message.at);
        let posted = Posted {
            version: VERSION,
            id: &call.id,
            tool: call.name,
            arguments: &call.arguments,
            turn: &call.turn.id,
            bot: call.turn.bot.as_str(),
            chat: at.map(|at| at.chat.as_str()),
            group: at.is_some_and(|at| at.group),
            sender: at.map(|at| at.sender.as_str()),
            phone: at.and_then(|at| at.phone.as_ref()).map(|phone| phone.as_str()),
            name: call.turn.contact.name.as_deref(),
        };
        let body = serde_json::to_vec(&posted).map_err(|_| Failure::NotUnderstood)?;
        let accept = "application/json, text/plain";
        let posted = self.way_out.call(&call.id, self.clock.now(), call.timeout, accept, body, call.timeout);
        let answer = self.way_out.transport.call(posted).await.map_err(failure)?;
        let kind = answer.headers.get("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match answer.status {
            204 => Ok(ToolResult { words: "Done.".into(), ..ToolResult::default() }),
            200 | 201 => {
                let is_json = kind == "application/json";
                let body = String::from_utf8(answer.bytes(self.answer_limit).await.map_err(failure)?.into())
                    .map_err(|_| Failure::NotUnderstood)?;
                if is_json { read(&body, &self.may) } else { Ok(ToolResult { words: body, ..ToolResult::default() }) }
            }
            // What is wrong with the call, and not with the tool.
            status @ (400 | 404 | 409 | 410 | 422) => {
                // Room for what stands around the words: these are cut, and the rest of a longer answer is not read.
                let body = answer.bytes(self.answer_limit.saturating_mul(2)).await.ok();
                let words = body.and_then(|body| error_words(&kind, &body)).ok_or(Failure::Status(status))?;
                Ok(ToolResult::failed(words, self.answer_limit))
            }
            status => Err(Failure::Status(status)),
        }
    }
}

/// The words that a tool has for the model in an error; a gateway's page has none.
fn error_words(kind: &str, body: &[u8]) -> Option<String> {
    let words = match kind {
        "text/plain" => std::str::from_utf8(body).ok()?.to_owned(),
        "application/json" | "application/problem+json" => {
            let json: Value = json::from_slice(body).ok()?;
            let found = ["/error", "/error/message", "/message", "/detail"]
                .iter()
                .find_map(|place| json.pointer(place)?.as_str());
            found?.to_owned()
        }
        _ => return None,
    };
    Some(words).filter(|words| !words.trim().is_empty())
}

/// Reads a tool's JSON. What it may not ask for is a field like any other.
fn read(body: &str, may: &[ToolPermission]) -> Result<ToolResult, Failure> {
    let mut json: Value = json::from_str(body).map_err(|_| Failure::NotUnderstood)?;
    let mut outcome = ToolResult::default();
    if let Value::Object(fields) = &mut json {
        outcome.heed(may, |what| fields.get(word(what)).cloned());
        may.iter().for_each(|what| drop(fields.remove(word(*what))));
        if let Some(result) = fields.remove("result") {
            json = result;
        }
    }
    outcome.words = match json {
        Value::String(words) => words,
        other => other.to_string(),
    };
    Ok(outcome)
}

/// The field that asks for it.
fn word(what: ToolPermission) -> &'static str {
    match what {
        ToolPermission::Beat => "beat",
        ToolPermission::Handover => "handover",
    }
}

fn failure(error: CallError) -> Failure {
    match error {
        CallError::TooLarge => Failure::TooLong,
        CallError::NotSent(_) | CallError::Unaskable(_) | CallError::Unfit(_) => Failure::Unreachable,
        CallError::Unanswered(_) => Failure::TimedOut,
    }
}
