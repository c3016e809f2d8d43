//! What `openapi.json` says, held against the code, in both directions.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use threedots::handler::Handler;
use threedots::handler::http::callbacks::Callbacks;
use threedots::handler::http::{Egress, Http, HttpConfig};
use threedots::message::clock::Clock;
use threedots::message::content::{ContactCard, OrderItem};
use threedots::message::{Content, MediaKind, MediaRef, MessageId};

use super::Remote;
use crate::turns::turn;

fn document() -> Value {
    serde_json::from_str(include_str!("../../../openapi.json")).expect("JSON")
}

/// What is valid as one of the document's schemas.
fn validator(name: &str) -> Validator {
    let schema = json!({ "$ref": format!("#/components/schemas/{name}"), "components": document()["components"] });
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// One of each kind.
fn contents() -> Vec<Content> {
    let media = |kind| {
        let (id, url, sha256) = (Some("id".to_owned()), Some("https://upstream.example/secret".to_owned()), None);
        let (mime, caption, filename) = (Some("x/y".to_owned()), None, Some("z".to_owned()));
        Content::Media(MediaRef { kind, id, url, mime, sha256, caption, filename, size: Some(7), transcript: None })
    };
    let kinds = [
        MediaKind::Image,
        MediaKind::Video,
        MediaKind::Audio,
        MediaKind::Voice,
        MediaKind::Document,
        MediaKind::Sticker,
    ];
    let message = || MessageId::new("earlier");
    let item = OrderItem { product: "tea".into(), quantity: 2.0, price: Some(3.5), currency: None };
    let mut contents = vec![
        Content::text("hello"),
        Content::Location { latitude: 1.0, longitude: -2.5, name: None, address: None, url: None },
        Content::Contacts { cards: vec![ContactCard::default()] },
        Content::Choice { id: "1".into(), title: "one".into(), written: None, description: None },
        Content::Choice { id: "1".into(), title: "one".into(), written: Some("1.".into()), description: None },
        Content::Form { name: None, answers: json!({ "age": 7 }), text: None },
        Content::Order { catalog: None, text: None, items: vec![item] },
        Content::Poll { question: None, options: vec!["Bread".into()], selectable: None },
        Content::Vote { message: message(), options: Vec::new() },
        Content::Reaction { message: message(), emoji: None },
        Content::Edit { message: message(), content: Box::new(Content::text("hallo")) },
        Content::Revoke { message: message() },
        Content::System { event: "moved".into(), body: None },
        Content::Welcome,
        Content::Unsupported { what: None, codes: vec![1] },
        Content::Unknown { what: "smell".into(), raw: json!({}) },
    ];
    contents.extend(kinds.map(media));
    contents
}

/// A handler with `remote` at its other end.
fn http(remote: &Arc<Remote>) -> Http {
    let config = HttpConfig { url: "https://handler.example/".into(), ..HttpConfig::default() };
    let ways_out = Egress {
        anywhere: Arc::clone(remote) as _,
        public: Arc::clone(remote) as _,
        models: threedots::runtime::http::Shared::default(),
    };
    let callbacks = Callbacks::new("http://127.0.0.1:8082", Clock::tokio());
    Http::new(config, None, &ways_out, callbacks, Clock::tokio()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A turn with one message of each kind, as a handler is sent it.
async fn posted() -> Value {
    let remote = Remote::always(204, "", "");
    http(&remote).reply(&turn(contents())).await.expect("silence");
    remote.seen()[0].turn()
}

/// Whether the code takes this for an answer.
async fn is_taken(answer: &Value) -> bool {
    let remote = Remote::always(200, "application/json", &answer.to_string());
    http(&remote).reply(&turn(vec![Content::text("hello")])).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_is_sent_is_of_the_form_that_it_says() {
    let posted = posted().await;
    let errors: Vec<_> = validator("Turn").iter_errors(&posted).map(|error| error.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    assert!(!posted.to_string().contains("upstream.example"), "an upstream's address was handed on");
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_turn_tells_of_what_is_not_written() {
    let remote = Remote::always(204, "", "");
    let card = ContactCard { name: Some("Ann".into()), ..ContactCard::default() };
    let contents = vec![
        Content::text("hello"),
        Content::Form { name: Some("visit".into()), answers: json!({ "day": "Monday" }), text: None },
        Content::Contacts { cards: vec![card] },
        Content::Media(MediaRef::of(MediaKind::Image)),
        Content::Reaction { message: MessageId::new("earlier"), emoji: Some("👍".into()) },
        Content::Poll { question: Some("Lunch?".into()), options: vec!["Bread".into()], selectable: None },
    ];
    http(&remote).reply(&turn(contents)).await.expect("silence");
    let posted = remote.seen()[0].turn();
    assert_eq!(posted["text"], "hello\n[form visit: day: Monday]\n[contacts: Ann]\n[poll \"Lunch?\": Bread]");
    for field in ["words", "by_us", "sender", "name"] {
        assert!(posted["messages"][0]["quoted"].get(field).is_some(), "{field}");
    }
}

/// The kinds of an object's `type`, with the names of its fields.
fn fields(object: &Map<String, Value>) -> Vec<(String, BTreeSet<String>)> {
    let of_type = &object["properties"]["type"];
    let kinds = of_type["enum"].as_array().cloned().unwrap_or_else(|| vec![of_type["const"].clone()]);
    let names: BTreeSet<_> = object["properties"].as_object().expect("fields").keys().cloned().collect();
    kinds.iter().map(|kind| (kind.as_str().expect("a word").to_owned(), names.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn it_says_of_no_kind_and_no_field_that_a_handler_is_never_sent() {
    let said: BTreeSet<_> = document()["components"]["schemas"]["Content"]["oneOf"]
        .as_array()
        .expect("kinds")
        .iter()
        .flat_map(|kind| fields(kind.as_object().expect("an object")))
        .collect();
    let posted = posted().await;
    let sent: BTreeSet<_> = posted["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["content"].as_object().expect("an object"))
        .map(|content| (content["type"].as_str().expect("a word").to_owned(), content.keys().cloned().collect()))
        .collect();
    assert_eq!(said, sent);
}

fn examples() -> Vec<Value> {
    document()["components"]["schemas"]["Reply"]["examples"].as_array().expect("examples").clone()
}

#[tokio::test(start_paused = true)]
async fn its_examples_are_taken_and_show_every_kind() {
    let valid = validator("Reply");
    for example in examples() {
        assert!(valid.is_valid(&example) && is_taken(&example).await, "{example}");
    }
    let shown: BTreeSet<_> = examples()
        .iter()
        .filter_map(|example| example["parts"].as_array().cloned())
        .flatten()
        .map(|part| part["type"].as_str().expect("a word").to_owned())
        .collect();
    let said: BTreeSet<_> = document()["components"]["schemas"]["Part"]["oneOf"]
        .as_array()
        .expect("kinds")
        .iter()
        .flat_map(|kind| fields(kind.as_object().expect("an object")))
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(shown, said);
}

/// Every answer that comes of one by taking a field away, giving it another type, or adding one.
fn variations(answer: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut vary = |pointer: &str| {
        let Some(Value::Object(object)) = answer.pointer(pointer) else { return };
        let mut with = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut varied = answer.clone();
            if let Some(Value::Object(object)) = varied.pointer_mut(pointer) {
                change(object);
            }
            found.push(varied);
        };
        for name in object.keys() {
            with(&|object| drop(object.remove(name)));
            for other in [json!(7), json!({}), json!("text"), json!(["x"]), json!(true)] {
                with(&|object| drop(object.insert(name.clone(), other.clone())));
            }
        }
        with(&|object| drop(object.insert("unheard-of".into(), json!("x"))));
    };
    vary("");
    for number in 0..answer["parts"].as_array().map_or(0, Vec::len) {
        vary(&format!("/parts/{number}"));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn whatever_it_refuses_is_refused_and_whatever_it_takes_is_taken() {
    let valid = validator("Reply");
    let (mut taken, mut refused) = (0, 0);
    for example in examples() {
        for answer in variations(&example) {
            // That a medium is base64 is beyond a schema.
            if answer.to_string().contains(r#""data":"text""#) {
                continue;
            }
            let (says, does) = (valid.is_valid(&answer), is_taken(&answer).await);
            assert_eq!(says, does, "the document says {says}, the code {does}: {answer}");
            *(if does { &mut taken } else { &mut refused }) += 1;
        }
    }
    assert!(taken > 20 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
#[ignore = "needs Python, and a package of it"]
fn it_is_valid_as_the_specification_says() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let run = |program: &Path, arguments: &[&str]| {
        let status = std::process::Command::new(program).args(arguments).status();
        assert!(status.is_ok_and(|status| status.success()), "{program:?} {arguments:?}");
    };
    let home = directory.path().join("venv");
    run(Path::new("python3"), &["-m", "venv", home.to_str().expect("text")]);
    run(&home.join("bin/pip"), &["install", "--quiet", "openapi-spec-validator"]);
    run(&home.join("bin/openapi-spec-validator"), &["openapi.json"]);
}
