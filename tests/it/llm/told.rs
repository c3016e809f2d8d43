//! What a model is told of every kind of message, of what it refers to, of who wrote it, and of what was said before.

use std::sync::Arc;

use serde_json::{Value, json};
use threedots::handler::llm::{Llm, LlmConfig, LlmContext};
use threedots::handler::{Handler, Turn};
use threedots::message::clock::Timestamp;
use threedots::message::content::{ContactCard, OrderItem};
use threedots::message::{
    Content, HistoryEntry, MediaKind, MediaRef, MessageId, Product, Quoted, Referral, Speaker, rendering,
};
use threedots::runtime::templates::Templates;

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
    let person = |words: &str| HistoryEntry { by: Speaker::Person, words: words.into(), ..turn.history[0].clone() };
    let history = vec![turn.history[0].clone(), person("Please to account 12345.")];
    turn.history = history;
    llm.reply(&turn).await.expect("an answer");
    let told = lines(&stub.requests()[0]);
    let (_, told) = told.split_once("\nuser: ").expect("what was said");
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
    let around = LlmContext { templates: Arc::new(templates), ..around(vec![patient(&stub.base_url)]) };
    let llm = Llm::new(config, around).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut turn = turn(vec![Content::text("hello")]);
    turn.now = Timestamp::from_secs(1_700_000_000);
    llm.reply(&turn).await.expect("an answer");
    let request = &stub.requests()[0];
    let system = request["messages"][0]["content"].as_str().expect("words");
    assert_eq!(system.matches("22:13").count(), 1, "{system}");
}

/// Every kind of message, one after the other, in a group or not, each third one with what it refers to.
fn every_kind(group: bool) -> Turn {
    let spoken = |kind, transcript: Option<&str>, caption: Option<&str>| {
        let (transcript, caption) = (transcript.map(str::to_owned), caption.map(str::to_owned));
        Content::Media(MediaRef { transcript, caption, ..MediaRef::of(kind) })
    };
    let mut all = contents();
    all.extend([
        Content::Media(MediaRef::of(MediaKind::Image)),
        spoken(MediaKind::Voice, Some(""), None),
        spoken(MediaKind::Voice, None, None),
        spoken(MediaKind::Voice, Some("[in reply: \"x\"]\nfrom me"), None),
        spoken(MediaKind::Audio, Some("La la"), Some("my song")),
        Content::Location { latitude: 1.5, longitude: 2.5, name: None, address: None, url: None },
        Content::Choice { id: "2".into(), title: "Red".into(), written: Some("the red one".into()), description: None },
        Content::Reaction { message: MessageId::new("earlier"), emoji: None },
        Content::Edit {
            message: MessageId::new("earlier"),
            content: Box::new(Content::Media(MediaRef::of(MediaKind::Video))),
        },
        Content::text("two\nlines"),
    ]);
    let mut turn = turn(all);
    for (number, message) in turn.messages.iter_mut().enumerate() {
        (message.at.group, message.referral, message.product, message.quoted) = (group, None, None, None);
        message.contact.name = [Some("Ann".to_owned()), Some("Bob".to_owned()), None][number % 3].clone();
        if number % 3 == 1 {
            message.quoted =
                Some(Quoted { words: Some("Which?".into()), by_us: Some(number % 2 == 0), ..Quoted::default() });
            message.product = Some(Product { catalog: None, product: "SKU-17".into() });
            message.referral = Some(Referral { headline: Some("Shoes".into()), ..Referral::default() });
            message.forwarded = true;
        }
    }
    turn
}

/// As the store gives it back.
fn stored(said: &HistoryEntry) -> HistoryEntry {
    serde_json::from_slice(&serde_json::to_vec(said).expect("JSON")).expect("what was said")
}

/// What the newest user line says before the line that tells the time, and behind it.
fn newest(request: &Value) -> (String, String) {
    let words = request["messages"].as_array().and_then(|lines| lines.last()).expect("lines")["content"].clone();
    let words = words.as_str().expect("words");
    let (before, behind) = words.split_once("[clock ").expect("the time of day");
    (before.to_owned(), behind.split_once('\n').expect("what is new").1.to_owned())
}

#[tokio::test]
async fn what_was_said_is_told_later_as_it_was_told_when_it_was_new() {
    for group in [false, true] {
        let stub = Stub::start().await;
        let llm = llm(LlmConfig { images: false, ..LlmConfig::default() }, &[&stub.base_url]);
        let mut first = every_kind(group);
        first.history.clear();
        llm.reply(&first).await.expect("an answer");
        let mut second = turn(vec![Content::text("and now?")]);
        (second.messages[0].at.group, second.messages[0].quoted) = (false, None);
        (second.messages[0].referral, second.messages[0].product) = (None, None);
        second.history = first.messages.iter().map(|message| stored(&HistoryEntry::heard(message))).collect();
        llm.reply(&second).await.expect("an answer");
        let requests = stub.requests_with_time();
        let (before, new) = newest(&requests[0]);
        assert_eq!(before, "", "{group}");
        assert_eq!(newest(&requests[1]), (format!("{new}\n"), "and now?".into()), "{group}");
    }
}

#[tokio::test]
async fn every_kind_in_the_history_of_a_group_with_a_person_of_the_business_as_the_model_sees_it() {
    let stub = Stub::start().await;
    let llm = llm(LlmConfig { images: false, ..LlmConfig::default() }, &[&stub.base_url]);
    let mut turn = every_kind(true);
    let mut history: Vec<HistoryEntry> =
        turn.messages.drain(..turn.messages.len() - 1).map(|message| stored(&HistoryEntry::heard(&message))).collect();
    let invoice = MediaRef { filename: Some("invoice.pdf".into()), ..MediaRef::of(MediaKind::Document) };
    let persons = [
        Content::text("I am Eve, of the shop."),
        Content::Media(MediaRef::of(MediaKind::Voice)),
        Content::Media(MediaRef { caption: Some("the red one".into()), ..MediaRef::of(MediaKind::Image) }),
        Content::Media(invoice),
    ];
    for words in persons.iter().filter_map(rendering::by_person) {
        history.push(HistoryEntry { by: Speaker::Person, name: None, told: None, words, ..turn.history[1].clone() });
    }
    turn.history = history;
    llm.reply(&turn).await.expect("an answer");
    let told = lines(&stub.requests()[0]);
    insta::assert_snapshot!("every_kind_in_the_history", told.split_once("\nuser: ").expect("what was said").1);
}

#[tokio::test]
async fn a_later_turn_shares_all_that_stands_before_its_first_new_message_with_the_one_before() {
    let mut requests = Vec::new();
    let mut history = every_kind(false).messages.iter().map(HistoryEntry::heard).collect::<Vec<_>>();
    history.push(HistoryEntry {
        by: Speaker::Bot,
        who: None,
        name: None,
        told: None,
        words: "Yes.".into(),
        ..history[0].clone()
    });
    for minute in 0..2 {
        // As after a restart.
        let stub = Stub::start().await;
        let config = LlmConfig { time_zone: "Europe/Vienna".into(), ..LlmConfig::default() };
        let llm = llm(config, &[&stub.base_url]);
        let mut turn = turn(vec![Content::text(format!("new {minute}"))]);
        (turn.messages[0].at.group, turn.messages[0].quoted) = (false, None);
        (turn.messages[0].referral, turn.messages[0].product) = (None, None);
        turn.now = Timestamp::from_secs(1_700_000_000 + minute * 60);
        turn.history.clone_from(&history);
        llm.reply(&turn).await.expect("an answer");
        history.push(HistoryEntry::heard(&turn.messages[0]));
        history.push(HistoryEntry {
            by: Speaker::Bot,
            who: None,
            name: None,
            told: None,
            words: "No.".into(),
            ..history[0].clone()
        });
        requests.push(stub.requests_with_time()[0]["messages"].to_string());
    }
    let (first, second) = (&requests[0], &requests[1]);
    let shared = first.bytes().zip(second.bytes()).take_while(|(one, other)| one == other).count();
    let new = first.find("[clock ").map(|_| first.rfind("[clock ").expect("the time of day")).expect("the time of day");
    assert_eq!(shared, new, "…{}\n…{}", &first[new - 40..], &second[new - 40..]);
    assert!(first[new..].contains("It is 23:13 in the time zone Europe/Vienna.\\nnew 0"), "{}", &first[new..]);
    assert!(second.contains("It is 23:14 in the time zone Europe/Vienna.\\nnew 1"));
}

#[test]
fn what_was_said_is_read_as_earlier_builds_have_written_it() {
    let old = json!({ "by": "customer", "words": "hello", "time": 1_700_000_000_000_u64, "who": null });
    let said: HistoryEntry = serde_json::from_value(old).expect("an old record");
    assert_eq!(
        (said.words.as_str(), said.name, said.message, said.transcript, said.told),
        ("hello", None, None, false, None)
    );
}
