//! Whatever calls out on a turn's behalf (handlers over HTTP, tools, MCP servers of both kinds, transcription) and
//! fails in each of its ways: the lines of it hold no secret, no body, no phone number and no identifier.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use threedots::message::clock::Clock;

use super::{Process, gossip, lines, signed_for};
use crate::canaries::{self, APP_SECRET, MEDIUM, MESSAGE, MODEL_KEY, NAME, PHONE, TOKEN, USER, VERIFY_TOKEN, WORDS};
use crate::product::{Given, NUMBER, Seen, Upstream};

/// Ways to fail, as a server does; and one to succeed, with everything in the answer that must not be logged.
const WAYS: [&str; 9] = ["broken", "limited", "refused", "moved", "odd", "other", "long", "reset", "fine"];

/// Bots whose handler is over HTTP, whose tool is, whose MCP server is, and whose voice notes are listened to, each of
/// them with every way; and bots whose MCP server is a process.
const KINDS: [&str; 4] = ["handler", "tool", "mcp", "ears"];
const PROCESSES: [&str; 8] = ["ends", "babbles", "count", "fail", "refuse", "die", "whisper_too_long", "hang"];

/// Answers in the way that a call's path names: `/tool/broken/…`.
fn failing(seen: &Seen) -> Given {
    let mut path = seen.head.split(' ').nth(1).unwrap_or_default().split('/').skip(1);
    let (kind, way) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    let json =
        |status: u16, body: Value| Given::Answer(status, "content-type: application/json\r\n".into(), body.to_string());
    match (kind, way) {
        ("graph", _) if seen.head.starts_with("GET") => {
            let here = seen.head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
            json(200, json!({ "url": format!("http://{here}/file/{MEDIUM}"), "mime_type": "audio/ogg", "id": MEDIUM }))
        }
        ("graph", _) => seen.agree(),
        ("file", _) => Given::Answer(200, "content-type: audio/ogg\r\n".into(), gossip()),
        ("model", _) => json(200, model(seen, way)),
        (_, "broken") => Given::Answer(500, format!("x-error: {}\r\n", gossip()), gossip()),
        (_, "limited") => Given::Answer(429, format!("retry-after: {}\r\n", gossip()), gossip()),
        (_, "refused") => json(401, json!({ "error": { "message": gossip(), "code": gossip() } })),
        (_, "moved") => Given::Answer(302, format!("location: http://127.0.0.1:1/?{TOKEN}\r\n"), gossip()),
        (_, "odd") => Given::Answer(200, "content-type: application/json\r\n".into(), gossip()),
        (_, "other") => json(200, json!({ "parts": [{ "type": gossip(), "text": gossip() }], "words": gossip() })),
        (_, "long") => json(200, json!({ "text": gossip().repeat(4000) })),
        ("handler" | "ears", "fine") => json(200, json!({ "text": gossip() })),
        ("tool", "fine") => json(200, json!({ "result": gossip(), "beat": gossip(), "handover": gossip() })),
        // No session begins, and the protocol's own error says why.
        ("mcp", "fine") => {
            json(200, json!({ "jsonrpc": "2.0", "id": 0, "error": { "code": -1, "message": gossip() } }))
        }
        _ => Given::HangUp,
    }
}

/// A model that calls each tool that it is offered once, the first with arguments that do not fit, and then gossips.
fn model(seen: &Seen, tool: &str) -> Value {
    let lines = seen.json()["messages"].as_array().cloned().unwrap_or_default();
    let called = lines.iter().filter(|line| line["role"] == "tool").count();
    let offered = !seen.json()["tools"].is_null();
    let call = |name: &str, arguments: String| {
        let function = json!({ "name": name, "arguments": arguments });
        json!({ "tool_calls": [{ "id": "1", "type": "function", "function": function }] })
    };
    let name = if tool == "tool" { "tool".to_owned() } else { format!("clerk_{tool}") };
    let message = match called {
        _ if !offered => json!({ "content": gossip() }),
        0 => call(&name, gossip()),
        1 => call(&gossip().replace(' ', "_"), "{}".into()),
        2 => call(&name, json!({ "words": gossip() }).to_string()),
        _ => json!({ "content": gossip() }),
    };
    json!({ "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] })
}

/// A voice note and a text, full of canaries.
fn delivery(id: &str) -> String {
    let now = Clock::System.now().0 / 1000;
    let message = |number: usize, kind: &str, object: Value| {
        json!({
            "from": PHONE, "from_user_id": USER, "id": format!("{MESSAGE}.{id}.{number}"),
            "timestamp": now.to_string(), "type": kind, kind: object,
        })
    };
    let voice = json!({ "id": MEDIUM, "mime_type": "audio/ogg; codecs=opus", "sha256": WORDS, "voice": true });
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "12025550100", "phone_number_id": NUMBER },
        "contacts": [{ "wa_id": PHONE, "user_id": USER, "profile": { "name": NAME, "username": NAME } }],
        "messages": [message(1, "audio", voice), message(2, "text", json!({ "body": WORDS }))],
    });
    let changes = json!([{ "field": "messages", "value": value }]);
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "990000000000001", "changes": changes }] })
        .to_string()
}

fn bots() -> Vec<String> {
    let ways = KINDS.iter().flat_map(|kind| WAYS.iter().map(move |way| format!("{kind}-{way}")));
    let nowhere = KINDS.iter().map(|kind| format!("{kind}-nowhere"));
    ways.chain(nowhere).chain(PROCESSES.iter().map(|way| format!("process-{way}"))).collect()
}

fn configuration(directory: &Path, upstream: &Upstream) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[store]\npath = \"{0}/store\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n\
         [callbacks]\nlisten = \"127.0.0.1:0\"\n[worker]\ngrace = \"100ms\"\n",
        directory.display()
    );
    for bot in bots() {
        let (kind, way) = bot.split_once('-').expect("both");
        let url = match way {
            "nowhere" => "http://127.0.0.1:1".to_owned(),
            way => upstream.url(&format!("{kind}/{way}")),
        };
        text += &format!(
            "[bots.{bot}.provider]\nkind = \"meta\"\nphone_number_id = \"{NUMBER}\"\nbase_url = \"{}\"\n\
             media_hosts = [\"127.0.0.1\"]\naccess_token = \"env:TOKEN\"\napp_secret = \"env:APP_SECRET\"\n\
             verify_token = \"env:VERIFY_TOKEN\"\n[bots.{bot}.turn]\ntimeout = \"6s\"\n[bots.{bot}.handler]\n",
            upstream.url("graph")
        );
        let model = |tool: &str| {
            format!(
                "kind = \"llm\"\n[[bots.{bot}.handler.models]]\nbase_url = \"{}\"\nmodel = \"a-model\"\n\
                 api_key = \"env:MODEL_KEY\"\n",
                upstream.url(&format!("model/{tool}"))
            )
        };
        text += &match kind {
            "handler" => {
                format!("kind = \"http\"\nurl = \"{url}\"\nprivate = true\nanswer_limit = 65536\ntimeout = \"2s\"\n")
            }
            "tool" => format!(
                "{}[[bots.{bot}.handler.tools]]\nname = \"tool\"\ndescription = \"A tool.\"\nurl = \"{url}\"\n\
                 private = true\nmay = [\"beat\"]\n",
                model("tool")
            ),
            "mcp" => format!(
                "{}[[bots.{bot}.handler.mcp]]\nname = \"clerk\"\nurl = \"{url}\"\nprivate = true\ntoken = \"env:TOKEN\"\n\
                 timeout = \"2s\"\n",
                model("count")
            ),
            "process" => format!("{}{}", model(way), process(&bot, way, directory)),
            _ => format!(
                "kind = \"demo\"\n[bots.{bot}.transcription]\nbase_url = \"{url}\"\napi_key = \"env:MODEL_KEY\"\n\
                 timeout = \"4s\"\n"
            ),
        };
    }
    text
}

/// An MCP server that is a process: one that says what it should not on every way out, and a real one.
fn process(bot: &str, way: &str, directory: &Path) -> String {
    let gossip = gossip();
    let (command, arguments) = match way {
        "ends" => {
            ("/bin/sh".to_owned(), vec!["-c".to_owned(), format!("echo '{gossip}' >&2; echo '{gossip}'; exit 3")])
        }
        "babbles" => {
            let line = json!({ "jsonrpc": "2.0", "method": gossip, "params": { "words": gossip } });
            let script = format!("while read line; do echo '{line}'; echo '{gossip}'; echo '{gossip}' >&2; done");
            ("/bin/sh".to_owned(), vec!["-c".to_owned(), script])
        }
        _ => {
            let this = std::env::current_exe().expect("this program").to_str().expect("text").to_owned();
            let test = "llm::mcp::process::a_server_of_tools";
            (this, ["--exact", test, "--ignored", "--nocapture", "--quiet"].map(str::to_owned).into())
        }
    };
    // A process takes its time to start; one that babbles never begins.
    let timeout = if way == "babbles" || way == "hang" { "3s" } else { "5s" };
    let arguments: Vec<_> = arguments.iter().map(|argument| json!(argument).to_string()).collect();
    format!(
        "[[bots.{bot}.handler.mcp]]\nname = \"clerk\"\ncommand = \"{command}\"\nargs = [{}]\ntimeout = \"{timeout}\"\n\
         env = {{ DIARY_OF_A_TEST = \"{}\", TOOL_KEY = \"env:MODEL_KEY\", GOSSIP = \"env:GOSSIP\" }}\n",
        arguments.join(", "),
        directory.display()
    )
}

#[tokio::test]
async fn whatever_is_called_on_a_turns_behalf_and_fails_no_secret_and_nobodys_words_are_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::answering(failing).await;
    let path = directory.path().join("threedots.toml");
    std::fs::write(&path, configuration(directory.path(), &upstream)).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_threedots"));
    command.args(["serve", "--config"]).arg(&path).envs([
        ("TOKEN", TOKEN),
        ("APP_SECRET", APP_SECRET),
        ("VERIFY_TOKEN", VERIFY_TOKEN),
        ("MODEL_KEY", MODEL_KEY),
        ("GOSSIP", &gossip()),
    ]);
    let mut process = Process::start(&mut command).await;
    for bot in bots() {
        let answer = process.ask(&signed_for(&bot, APP_SECRET, &delivery(&bot))).await;
        assert_eq!(answer.status, 200, "{bot}");
    }
    for bot in bots() {
        process.writes(|line| line["message"] == "turn" && line["span"]["turn.bot"] == *bot).await;
    }
    let written = process.end().await;
    let said = lines(&written);
    let count = |what: &str| {
        said.iter().filter(|line| line["message"].as_str().is_some_and(|said| said.contains(what))).count()
    };
    // Each went wrong in its way, and said so.
    assert!(count("a voice note was not transcribed") >= 9, "{written}");
    assert!(count("the tools of an MCP server could not be listed") >= 10, "{written}");
    assert!(count("a tool did not answer") + count("a tool said that it could not do this") >= 8, "{written}");
    assert!(count("arguments that do not fit") + count("a tool that does not exist") >= 10, "{written}");
    let reason =
        |word: &str| said.iter().any(|line| line["turn.reason"].as_str().is_some_and(|why| why.contains(word)));
    assert!(reason("HTTP 500") && reason("HTTP 401") && reason("openapi.json"), "{written}");
    // And the canaries were at work, on their way there and back.
    let seen = upstream.seen();
    for kind in KINDS {
        assert!(seen.iter().any(|seen| seen.head.contains(&format!(" /{kind}/fine"))), "{kind} was not called");
    }
    assert!(seen.iter().any(|seen| seen.head.contains(" /tool/") && seen.body.contains(PHONE)));
    assert!(seen.iter().any(|seen| seen.head.contains(" /handler/") && seen.body.contains(WORDS)));
    assert!(seen.iter().any(|seen| seen.head.contains(" /ears/") && seen.head.contains(MODEL_KEY)));
    assert!(seen.iter().any(|seen| seen.head.contains(" /mcp/") && seen.head.contains(TOKEN)));
    for line in written.lines() {
        assert_eq!(canaries::found(line), [""; 0], "{line}");
    }
    // Nobody who was started is left.
    let started = std::fs::read_to_string(directory.path().join("processes")).expect("some were started");
    let left: Vec<_> = started.lines().filter(|process| crate::llm::lives(process)).collect();
    assert!(started.lines().count() >= 8 && left.is_empty(), "{left:?}");
}
