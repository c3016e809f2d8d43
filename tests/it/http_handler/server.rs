//! Where handlers come back to, over HTTP.

use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, http::header};
use serde_json::{Value, json};
use threedots::handler::callbacks::routes;
use threedots::handler::http::callbacks::Callbacks;
use threedots::sandbox::{Draft, Upstream};

use super::{Remote, whole, world};
use crate::world::World;

/// A turn that waits for its answer, and where that is posted.
async fn waiting() -> (World, Arc<Callbacks>, Value) {
    let remote = Remote::new(|_, _| async { Ok(whole(202, "", "")) });
    let (world, callbacks) = world(Upstream::Meta, &remote);
    world.sandbox.write(&world.customer, Draft::image(Some("this one"))).expect("a customer of this sandbox");
    world.pass(1).await;
    let turn = remote.seen()[0].turn();
    (world, callbacks, turn)
}

/// What a request is answered with: the status, and the body as text.
macro_rules! ask {
    ($callbacks:expr, $method:ident, $path:expr, $token:expr, $body:expr) => {{
        let app = init_service(App::new().configure(routes(Arc::clone($callbacks)))).await;
        let mut request = TestRequest::default().method(Method::$method).uri($path).set_payload($body.to_string());
        if let Some(token) = $token {
            request = request.insert_header((header::AUTHORIZATION, format!("Bearer {token}")));
        }
        let answer = call_service(&app, request.to_request()).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, read_body(answer).await)
    }};
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_posted_is_sent_once() {
    let (world, callbacks, turn) = waiting().await;
    let path = format!("/v1/turns/{}/reply", turn["id"].as_str().expect("text"));
    let token = turn["callback"]["token"].as_str();
    let (status, ..) = ask!(&callbacks, POST, &path, token, json!({ "text": "here" }));
    assert_eq!(status, StatusCode::NO_CONTENT);
    world.pass(1).await;
    assert_eq!(world.replies(), ["here"]);
    let (status, ..) = ask!(&callbacks, POST, &path, token, json!({ "text": "again" }));
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn so_many_wrong_requests_are_looked_at_in_a_second_and_no_more() {
    let (world, callbacks, _) = waiting().await;
    let app = init_service(App::new().configure(routes(Arc::clone(&callbacks)))).await;
    let ask = async |number: usize| {
        let request = TestRequest::get().uri(&format!("/v1/media/{number:064x}")).to_request();
        let answer = call_service(&app, request).await;
        (answer.status().as_u16(), answer.headers().get(header::RETRY_AFTER).is_some())
    };
    for number in 0..1000 {
        assert_eq!(ask(number).await, (404, false));
    }
    assert_eq!((ask(1).await, ask(2).await), ((429, true), (429, true)));
    world.pass(1).await;
    assert_eq!(ask(1).await, (404, false));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_says_why_and_the_turn_waits_on() {
    let (world, callbacks, turn) = waiting().await;
    let id = turn["id"].as_str().expect("text");
    let (reply, presence) = (format!("/v1/turns/{id}/reply"), format!("/v1/turns/{id}/presence"));
    let token = turn["callback"]["token"].as_str();
    let words = json!({ "text": "x" });
    let large = json!({ "text": "x".repeat(25 << 20) });
    for (method, path, token, body, expected) in [
        ("POST", &*reply, None, &words, 401),
        ("POST", &reply, Some("0000"), &words, 401),
        ("POST", &reply, token, &json!({ "words": "x" }), 422),
        ("POST", &reply, token, &large, 413),
        ("POST", &reply, Some("0000"), &large, 401),
        ("GET", &reply, token, &words, 405),
        ("POST", "/v1/turns/3d-0-0/reply", token, &words, 404),
        ("POST", "/v1/turns", token, &words, 404),
        ("POST", "/v1/turns//reply/", token, &words, 404),
        ("POST", &presence, None, &json!({ "show": "typing" }), 401),
        ("POST", &presence, token, &json!({ "show": "dancing" }), 422),
        ("POST", &presence, token, &json!({ "show": "recording" }), 204),
        ("GET", "/v1/media/0000", None, &Value::Null, 404),
        ("GET", "/", None, &Value::Null, 404),
    ] {
        let (status, _, answer) = if method == "GET" {
            ask!(&callbacks, GET, path, token, body)
        } else {
            ask!(&callbacks, POST, path, token, body)
        };
        assert_eq!(status.as_u16(), expected, "{method} {path}");
        if !status.is_success() {
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert!(answer["error"].is_string(), "{method} {path}: {answer}");
        }
    }
    assert!(world.replies().is_empty());
    let (status, ..) = ask!(&callbacks, POST, &reply, token, json!({ "text": "mended" }));
    assert_eq!(status, StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn a_medium_is_handed_out_as_a_file_and_nothing_that_a_browser_runs() {
    let (_world, callbacks, turn) = waiting().await;
    let url = turn["messages"][0]["content"]["url"].as_str().expect("an address");
    let path = url.strip_prefix("http://127.0.0.1:8082").expect("threedots' own address");
    let (status, headers, body) = ask!(&callbacks, GET, path, None::<&str>, "");
    assert_eq!(status, StatusCode::OK);
    let of = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert!(of("content-type").starts_with("image/"));
    assert_eq!((&*of("content-disposition"), &*of("x-content-type-options")), ("attachment", "nosniff"));
    assert!(!body.is_empty());
}
