//! The operator's listener: there only with a token, apart from the webhooks', and gone with the process.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use threedots::host::config::Config;
use tokio::net::TcpStream;

use super::{ROUTES, TOKEN};
use crate::product::{Line, Product, Response, Setup, Upstream, echo, head, request};

/// The operator's part of a configuration.
fn operator(directory: &Path, token: &str) -> String {
    let path = directory.join("operator_token");
    std::fs::write(&path, token).expect("a writable directory");
    format!("[operator]\nlisten = \"127.0.0.1:0\"\ntoken = \"file:{}\"", path.display())
}

async fn ask(address: SocketAddr, request: &[u8]) -> Response {
    let mut line = Line::open(address).await;
    line.send(request).await;
    line.response().await.expect("an answer")
}

fn with_token(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    request(method, path, &[("authorization", &format!("Bearer {TOKEN}"))], body)
}

#[tokio::test]
async fn it_is_apart_from_the_public_listener_and_ends_with_the_process() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::content().await);
    let setup = Setup { more: operator(directory.path(), TOKEN), ..Setup::new(&upstream) };
    let product = Product::start(directory.path(), &setup, echo()).await;
    let operator = product.operator.expect("there is a token");
    assert_ne!(operator, product.address);
    for (method, path) in ROUTES.into_iter().filter(|(_, path)| path.starts_with("/v1")) {
        let answer = product.ask(&with_token(method, path, b"")).await;
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{path} on the public listener");
    }
    for path in ["/healthz", "/readyz", "/webhooks/shop"] {
        assert_eq!(ask(operator, &with_token("GET", path, b"")).await.status, 404, "{path} on the operator's");
    }
    let state = ask(operator, &with_token("GET", "/v1/state", b"")).await;
    assert_eq!(state.status, 200);
    let state: Value = serde_json::from_slice(&state.body).expect("JSON");
    assert_eq!((&state["bots"][0]["bot"], &state["bots"][0]["down"]), (&"shop".into(), &false.into()));
    // A token that stands there twice is none.
    let bearer = format!("Bearer {TOKEN}");
    let twice = request("GET", "/v1/state", &[("authorization", &bearer), ("authorization", &bearer)], b"");
    assert_eq!(ask(operator, &twice).await.status, 401);
    product.stop().await;
    assert!(TcpStream::connect(operator).await.is_err(), "nobody listens any longer");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_and_one_of_a_stranger_not_read() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::content().await);
    let setup = Setup { more: operator(directory.path(), TOKEN), ..Setup::new(&upstream) };
    let product = Product::start(directory.path(), &setup, echo()).await;
    let operator = product.operator.expect("there is a token");
    let (right, wrong) = (format!("Bearer {TOKEN}"), "Bearer none".to_owned());
    for (token, status) in [(&right, 408), (&wrong, 401)] {
        let mut line = Line::open(operator).await;
        line.send(&head("POST", "/v1/forget", &[("authorization", token)], Some(1000))).await;
        assert_eq!(line.response().await.expect("an answer").status, status);
        assert!(line.is_closed().await);
    }
    product.stop().await;
}

#[tokio::test]
async fn connections_that_say_nothing_or_half_of_it_do_not_delay_the_operator() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::content().await);
    let setup = Setup { more: operator(directory.path(), TOKEN), ..Setup::new(&upstream) };
    let product = Product::start(directory.path(), &setup, echo()).await;
    let operator = product.operator.expect("there is a token");
    let mut half_open = Vec::new();
    for number in 0..300 {
        let mut line = Line::open(operator).await;
        if number % 2 == 0 {
            line.send(b"GET /v1/state HTTP/1.1\r\nhost: half").await;
        }
        half_open.push(line);
    }
    for _ in 0..5 {
        let began = std::time::Instant::now();
        assert_eq!(ask(operator, &with_token("GET", "/v1/state", b"")).await.status, 200);
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }
    for mut line in half_open {
        // Told that it took too long, or simply closed.
        let _ = line.response().await;
        line.is_closed().await;
    }
    product.stop().await;
}

#[tokio::test]
async fn without_a_token_there_is_no_listener() {
    let (directory, upstream) = (tempfile::tempdir().expect("a directory"), Upstream::content().await);
    let product = Product::start(directory.path(), &Setup::new(&upstream), echo()).await;
    assert_eq!(product.operator, None);
    product.stop().await;
}

#[test]
fn a_token_that_could_be_guessed_an_address_that_is_none_and_a_short_memory_are_problems() {
    let directory = tempfile::tempdir().expect("a directory");
    let bot = "[bots.shop.provider]\nkind = \"meta\"\nphone_number_id = \"1\"\naccess_token = \"env:HOME\"\n\
               app_secret = \"env:HOME\"\nverify_token = \"env:HOME\"\n[bots.shop.handler]\nkind = \"demo\"\n";
    let told = |table: &str| {
        let (config, mut problems) = Config::parse("threedots.toml", &format!("{table}\n{bot}"), []);
        problems.extend(threedots::App::new(config).err().map(|found| found.0).unwrap_or_default());
        problems.into_iter().map(|problem| (problem.key, problem.text)).collect::<Vec<_>>()
    };
    assert_eq!(told(&operator(directory.path(), TOKEN)), []);
    for token in [&TOKEN[..31], "thirty-two bytes of which one is ", "a-token-of-more-than-32-bytes-in-\u{fc}mlauts"] {
        let found = told(&operator(directory.path(), token));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "operator.token");
        assert!(found[0].1.contains("32 or more") && !found[0].1.contains(token), "{found:?}");
    }
    assert_eq!(told("[operator]\ntoken = \"env:THERE_IS_NONE\"")[0].0, "operator.token");
    assert_eq!(told(&format!("[operator]\ntoken = \"{TOKEN}\""))[0].0, "operator.token");
    for listen in ["8081", "localhost:8081", "127.0.0.1"] {
        assert_eq!(told(&format!("[operator]\nlisten = \"{listen}\""))[0].0, "operator.listen", "{listen}");
    }
    assert_eq!(told("[retention]\nhistory = \"0s\"\nsent = \"1h\"\ndead = \"365d\""), []);
    assert_eq!(told("[retention]\ndead = \"59m\"")[0].0, "retention.dead");
    assert_eq!(told("[retention]\nsent = \"1m\"")[0].0, "retention.sent");
    assert_eq!(told("[retention]\nhistory = \"3 months\"")[0].0, "retention.history");
}

#[test]
fn a_time_may_be_given_in_days() {
    let kept = |text: &str| {
        let (config, problems) = Config::parse("threedots.toml", &format!("[retention]\nhistory = \"{text}\""), []);
        assert_eq!(problems.len(), 1, "there is no bot, and nothing else wrong: {problems:?}");
        config.retention.history.as_secs()
    };
    assert_eq!(kept("90d"), 90 * 24 * 3600);
    assert_eq!(kept("1d 12h"), 36 * 3600);
    assert_eq!(kept("2w"), 14 * 24 * 3600);
    assert_eq!(kept("1h 30m"), 5400);
}
