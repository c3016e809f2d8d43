//! `threedots try`: a chat with a handler in a terminal.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use actix_web::web::{self, Json};
use actix_web::{App, HttpResponse, HttpServer};
use serde_json::{Value, json};

/// A handler of somebody's: says back what it is told, has no answer to some of it, and fails at the rest.
async fn handler(turn: Json<Value>) -> HttpResponse {
    match turn["text"].as_str().unwrap() {
        "hush" => HttpResponse::NoContent().finish(),
        "fail" => HttpResponse::BadRequest().finish(),
        words => HttpResponse::Ok().json(json!({ "text": format!("You said: {words}\nand no more") })),
    }
}

/// What comes of these lines.
fn talk(url: &str, lines: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_threedots"))
        .args(["try", "--handler", url])
        .env_remove("HANDLER_SECRET")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_is_talked_with_and_what_the_customer_sees_is_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = HttpServer::new(|| App::new().default_service(web::to(handler))).workers(1).disable_signals();
    let server = server.listen(listener).unwrap().run();
    let handle = server.handle();
    tokio::spawn(server);
    for (line, shown) in [
        ("hello\n", "bot: You said: hello\n     and no more\n"),
        ("\n  spaces  ", "bot: You said: spaces\n     and no more\n"),
        ("fail\n", "(no answer: the handler failed: it answered with HTTP 400)\n"),
    ] {
        let url = url.clone();
        let output = tokio::task::spawn_blocking(move || talk(&url, line)).await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains(shown), "{line:?}: {said}");
    }
    let hush = url.clone();
    let output = tokio::task::spawn_blocking(move || talk(&hush, "hush")).await.unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("bot:"));
    handle.stop(false).await;
}

#[test]
fn an_address_that_is_none_is_told_with_what_to_do() {
    let output = talk("nonsense", "");
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--handler: must be an http or https address"), "{said}");
}
