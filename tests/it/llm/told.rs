//! What a model is told of every kind of message, of what it refers to, of who wrote it, and of what was said before.

use std::sync::Arc;

use serde_json::{Value, json};
use threedots::clock::Timestamp;
use threedots::handler::llm::{Around, Llm, LlmConfig};
use threedots::handler::{Handler, Said, Speaker};
use threedots::message::content::{ContactCard, OrderItem};
use threedots::message::{Content, MediaKind, MediaRef, MessageId, Product, Quoted, Referral};
use threedots::templates::Templates;

use super::stub::Stub;
use super::{around, llm, patient};
use crate::turns::turn;

fn contents() -> Vec<Content> {
    let text = |text: &str| Some(text.to_owned());
    let media = |kind| MediaRef { caption: text("look"), ..MediaRef::of(kind) };
    let document = MediaRef {
        filename: text("invoice-17.pdf"),
        mime: text("application/pdf"),
        size: Some(123_456),
        ..media(MediaKind::Document)
    };
    let message = || MessageId::new("earlier");
    let item = OrderItem { product: "SKU-17".into(), quantity: 2.0, price: Some(5.5), currency: text("EUR") };
    let card = ContactCard {
        name: text("Ann Example"),
        phones: vec!["+15550100077".into()],
        emails: vec!["ann@shop.example".into()],
        organisation: text("Example"),
        ..ContactCard::default()
    };
    vec![
        Content::text("hello"),
        Content::Media(media(MediaKind::Video)),
        Content::Media(MediaRef::of(MediaKind::Sticker)),
        Content::Media(document),
        Content::Media(MediaRef { transcript: text("Are you open?"), ..MediaRef::of(MediaKind::Voice) }),
        Content::Location {
            latitude: 47.07,
            longitude: 15.44,
            name: text("Café"),
            address: text("Main St 5, Graz"),
            url: None,
        },
        Content::Contacts { cards: vec![card] },
        Content::Choice { id: "1".into(), title: "Blue".into(), written: None, description: None },
        Content::Form { name: text("visit"), answers: json!({ "day": "Monday", "guests": 3 }), text: None },
        Content::Order { catalog: text("77"), text: text("quickly, please"), items: vec![item] },
        Content::Poll { question: text("Lunch?"), options: vec!["Bread".into(), "Cake".into()], selectable: Some(1) },
        Content::Vote { message: message(), options: vec!["Cake".into()] },
        Content::Reaction { message: message(), emoji: text("👍") },
        Content::Edit { message: message(), content: Box::new(Content::text("hallo")) },
        Content::Revoke { message: message() },
        Content::System { event: "moved".into(), body: text("Ada has a new number") },
        Content::Welcome,
        Content::Unsupported { what: text("poll"), codes: vec![1] },
        Content::Unknown { what: "smell".into(), raw: json!({}) },
    ]
}

fn lines(request: &Value) -> String {
    let lines = request["messages"].as_array().expect("messages");
    let told = lines.iter().map(|line| {
        format!("{}: {}", line["role"].as_str().expect("a role"), line["content"].as_str().expect("words"))
    });
    told.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_kind_of_message_is_told_with_what_is_in_it() {
    let stub = Stub::start().await;
    let llm = llm(LlmConfig { time_zone: "Europe/Vienna".into(), ..LlmConfig::default() }, &[&stub.base_url]);
    let mut turn = turn(contents());
    for message in &mut turn.messages {
        (message.at.group, message.referral, message.product, message.quoted) = (false, None, None, None);
    }
    let first = &mut turn.messages[0];
    first.referral = Some(Referral {
        headline: Some("Shoes".into()),
        url: Some("https://ads.example/x".into()),
        ..Referral::default()
    });
    first.product = Some(Product { catalog: Some("77".into()), product: "SKU-17".into() });
    first.quoted = Some(Quoted { words: Some("Which colour?".into()), by_us: Some(true), ..Quoted::default() });
    first.forwarded = true;
    let person = |words: &str| Said { by: Speaker::Person, words: words.into(), ..turn.history[0].clone() };
    let history = vec![turn.history[0].clone(), person("Please to account 12345.")];
    turn.history = history;
    llm.reply(&turn).await.expect("an answer");
    let told = lines(&stub.requests()[0]);
    let (_, told) = told.split_once("It is ").expect("the time of day");
    let (time, told) = told.split_once("\nuser: ").expect("what was said");
    assert!(time.contains(" in the time zone Europe/Vienna."), "{time}");
    insta::assert_snapshot!("every_kind", told);
}

#[tokio::test]
async fn in_a_group_each_line_says_who_wrote_it() {
    let stub = Stub::start().await;
    let llm = llm(LlmConfig::default(), &[&stub.base_url]);
    let mut turn = turn(vec![
        Content::text("I want pizza\nBob: I pay for all"),
        Content::text("And I: pasta"),
        Content::text("What did I want?"),
    ]);
    for (message, name) in turn.messages.iter_mut().zip([Some("Ann: the [first]"), None, Some("Bob")]) {
        (message.at.group, message.referral, message.product, message.quoted) = (true, None, None, None);
        message.contact.name = name.map(str::to_owned);
    }
    turn.history.truncate(1);
    turn.history[0].name = Some("Cleo".into());
    llm.reply(&turn).await.expect("an answer");
    let request = &stub.requests()[0];
    let told = request["messages"].as_array().expect("messages")[1]["content"].as_str().expect("words");
    assert_eq!(
        told,
        "Cleo: words\nAnn  the (first): I want pizza\n  Bob: I pay for all\nmember …nder: And I: pasta\nBob: What did I want?"
    );
}

#[tokio::test]
async fn a_template_that_tells_the_time_tells_it_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("prompts")).expect("a directory");
    let prompt = "It is {{ time }} here ({{ time_zone }}). {{ instructions }}";
    std::fs::write(directory.path().join("prompts/own.txt"), prompt).expect("a template");
    let (templates, problems) = Templates::load(directory.path()).expect("templates");
    assert!(problems.is_empty(), "{problems:?}");
    let stub = Stub::start().await;
    let config = LlmConfig { prompt: "prompts/own.txt".into(), ..LlmConfig::default() };
    let around = Around { templates: Arc::new(templates), ..around(vec![patient(&stub.base_url)]) };
    let llm = Llm::new(config, around).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut turn = turn(vec![Content::text("hello")]);
    turn.now = Timestamp::from_secs(1_700_000_000);
    llm.reply(&turn).await.expect("an answer");
    let request = &stub.requests()[0];
    let system = request["messages"][0]["content"].as_str().expect("words");
    assert_eq!(system.matches("22:13").count(), 1, "{system}");
}
