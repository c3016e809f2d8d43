//! What holds of every store of a person who has several names.

use std::time::Duration;

use threedots::Inbound;
use threedots::message::clock::Timestamp;
use threedots::message::{Address, BotName, ChatId, ContactId, HistoryEntry, MessageRef, Renamed, Summary};
use threedots::store::{By, ContactChange, ContactRef, Ending, Forgotten, Opted, Pause, Settled, Settlement};

use crate::store::bench::{Bench, conversation, message, said};

/// Two forms of one number, and another.
const LONG: &str = "5511987654321";
const SHORT: &str = "551187654321";
const OTHER: &str = "5511987654322";

fn shop() -> BotName {
    BotName::new("shop")
}

fn peer(name: &str) -> ContactRef {
    ContactRef::named(&shop(), name).unwrap()
}

fn opt(out: bool, since: u64) -> ContactChange {
    ContactChange::Opt(Opted { out, since: Timestamp(since), by: threedots::store::OptedBy::Person })
}

fn pause(bench: &Bench, hours: u64) -> ContactChange {
    let since = bench.clock.now();
    ContactChange::Pause(Pause { since, until: Some(since.plus(Duration::from_hours(hours))), by: By::Operator })
}

/// A message in a chat from somebody who has a number, and perhaps another name.
fn from(chat: &str, id: &str, phone: Option<&str>, alias: Option<&str>) -> Inbound {
    let mut message = message(chat, id);
    message.at.phone = phone.map(ContactId::new);
    message.at.aliases = alias.map(ContactId::new).into_iter().collect();
    message
}

/// Takes a message in and has it be part of what was said, at its time.
async fn tell(bench: &Bench, mut message: Inbound, seconds: u64) {
    message.at.time = Timestamp::from_secs(1_700_000_000 + seconds);
    bench.accept(message).await;
    let claim = bench.claim().await;
    let at = |waiting: &threedots::store::Waiting| waiting.inbound.at.clone();
    let heard = claim.messages.iter().map(at).map(|MessageRef { message, time, .. }| HistoryEntry {
        time,
        ..said(&format!("words of {}", message.as_str()))
    });
    let said = heard.collect();
    let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
    let done = Settlement::Done(Settled { endings, said, failure_replied: None, sent: Vec::new(), failed: 0 });
    bench.store.settle(claim, done).await.unwrap();
}

/// What was said in all chats with somebody.
async fn told(bench: &Bench, name: &str) -> Vec<String> {
    let mut all = Vec::new();
    for chat in bench.store.chats(&peer(name)).await.unwrap().chats {
        all.extend(bench.store.history(&chat, 99).await.unwrap());
    }
    all.sort_by_key(|said| said.time);
    all.into_iter().map(|said| said.words).collect()
}

fn renamed(former: &[&str], now: &str, phone: Option<&str>) -> Renamed {
    let (chat, sender, phone) = (ChatId::new(now), ContactId::new(now), phone.map(ContactId::new));
    let former = former.iter().map(|id| ContactId::new(*id)).collect();
    Renamed { bot: shop(), former, now: Address { chat, group: false, sender, phone } }
}

pub(in crate::store) async fn what_stands_about_a_number_stands_about_all_of_its_forms(bench: &Bench) {
    bench.store.update_contact(&peer(SHORT), opt(true, 1)).await.unwrap();
    for name in [SHORT, LONG, "+5511987654321", "551187654321@c.us", "5511987654321:3@s.whatsapp.net"] {
        assert!(bench.store.contact_state(&peer(name)).await.unwrap().opted_out().is_some(), "{name}");
    }
    assert_eq!(bench.store.contact_state(&peer(OTHER)).await.unwrap().opted_out(), None);
    bench.store.update_contact(&peer(LONG), opt(false, 2)).await.unwrap();
    assert_eq!(bench.store.contact_state(&peer(SHORT)).await.unwrap().opted_out(), None);
}

pub(in crate::store) async fn what_stands_under_two_names_is_one_once_they_meet(bench: &Bench) {
    let store = &bench.store;
    // A hidden name and a number of which nobody knows yet that they are one person's.
    store.update_contact(&peer("99@lid"), pause(bench, 1)).await.unwrap();
    store.update_contact(&peer(SHORT), pause(bench, 5)).await.unwrap();
    store.update_contact(&peer("99@lid"), opt(true, 1)).await.unwrap();
    store.update_contact(&peer(SHORT), opt(true, 2)).await.unwrap();
    store.update_contact(&peer(SHORT), opt(false, 3)).await.unwrap();
    store.update_contact(&peer(SHORT), ContactChange::Admit).await.unwrap();
    bench.accept(from("99@lid", "1", Some(SHORT), None)).await;
    for name in ["99@lid", SHORT, LONG] {
        let standing = store.contact_state(&peer(name)).await.unwrap();
        assert!(standing.opted_out().is_some() && standing.admitted.is_some(), "{name}");
        let longer = bench.clock.now().plus(Duration::from_hours(5));
        assert_eq!(standing.pause(bench.clock.now()).and_then(|pause| pause.until), Some(longer), "{name}");
    }
    // From then on, a change by one name is a change by all.
    store.update_contact(&peer("99@lid"), opt(false, 4)).await.unwrap();
    store.update_contact(&peer(LONG), ContactChange::Resume).await.unwrap();
    store.update_contact(&peer(LONG), ContactChange::Expel).await.unwrap();
    for name in ["99@lid", SHORT, LONG] {
        let standing = store.contact_state(&peer(name)).await.unwrap();
        assert_eq!((standing.opted_out(), standing.admitted), (None, None), "{name}");
        assert_eq!(standing.pause(bench.clock.now()), None, "{name}");
    }
}

pub(in crate::store) async fn a_pause_by_any_name_ends_what_holds_the_chat_back(bench: &Bench) {
    bench.accept(from("99@lid", "1", Some(SHORT), Some("US.1"))).await;
    for name in [LONG, "US.1", "99@lid"] {
        let at = bench.clock.now().plus(Duration::from_hours(1));
        bench.store.settle(bench.claim().await, Settlement::Later { at }).await.unwrap();
        assert!(bench.is_idle());
        bench.store.update_contact(&peer(name), pause(bench, 1)).await.unwrap();
        assert!(!bench.is_idle(), "{name}");
        bench.store.update_contact(&peer(name), ContactChange::Resume).await.unwrap();
    }
}

pub(in crate::store) async fn the_chats_of_one_person_are_found_by_all_of_their_names(bench: &Bench) {
    // By number, in two forms; by a hidden name with the number beside it, and then without it.
    tell(bench, message("551187654321@c.us", "1"), 1).await;
    tell(bench, from("99@lid", "2", Some(LONG), None), 2).await;
    tell(bench, from("99@lid", "3", None, None), 3).await;
    tell(bench, message(OTHER, "4"), 4).await;
    let all = ["words of 1", "words of 2", "words of 3"];
    for name in [LONG, SHORT, "+551187654321", "99@lid", "99:7@lid", "551187654321@s.whatsapp.net"] {
        assert_eq!(told(bench, name).await, all, "{name}");
    }
    assert_eq!(told(bench, OTHER).await, ["words of 4"]);
    // They are written to where they wrote last, under whatever name.
    for name in [LONG, SHORT, "99@lid"] {
        let there = bench.store.resolve_address(&shop(), name).await.unwrap().unwrap();
        assert_eq!(there.address.chat, ChatId::new("99@lid"), "{name}");
    }
}

pub(in crate::store) async fn a_summary_is_found_by_another_name(bench: &Bench) {
    tell(bench, message(SHORT, "1"), 1).await;
    let summary = Summary { words: "they like blue".into(), until: bench.clock.now() };
    bench.store.summarise(&conversation(SHORT), &summary).await.unwrap();
    tell(bench, from("US.1", "2", Some(LONG), None), 2).await;
    assert_eq!(bench.store.summary(&conversation("US.1")).await, Ok(Some(summary)));
    tell(bench, message(OTHER, "3"), 3).await;
    assert_eq!(bench.store.summary(&conversation(OTHER)).await, Ok(None));
}

pub(in crate::store) async fn a_new_name_takes_along_what_stands_and_what_was_said(bench: &Bench) {
    let store = &bench.store;
    tell(bench, from("US.1", "1", Some("15550100021"), None), 1).await;
    let summary = Summary { words: "they like blue".into(), until: bench.clock.now() };
    store.summarise(&conversation("US.1"), &summary).await.unwrap();
    for change in [opt(true, 1), pause(bench, 3), ContactChange::Admit] {
        store.update_contact(&peer("15550100021"), change).await.unwrap();
    }
    // The identifier first, then the number: WhatsApp tells of each by itself.
    assert!(store.rename(&renamed(&["US.1"], "US.2", Some("15550100021"))).await.unwrap());
    assert!(store.rename(&renamed(&["15550100021"], "US.2", Some("15550100022"))).await.unwrap());
    for name in ["US.2", "15550100022"] {
        let standing = store.contact_state(&peer(name)).await.unwrap();
        assert!(standing.opted_out().is_some() && standing.admitted.is_some(), "{name}");
        assert!(standing.pause(bench.clock.now()).is_some(), "{name}");
        assert_eq!(told(bench, name).await, ["words of 1"], "{name}");
    }
    assert_eq!(store.summary(&conversation("US.2")).await, Ok(Some(summary)));
    // Whoever asks by an old name is led to the new one.
    for name in ["US.1", "US.2", "15550100021", "15550100022"] {
        let there = store.resolve_address(&shop(), name).await.unwrap().unwrap().address;
        assert_eq!(there.chat, ChatId::new("US.2"), "{name}");
        assert_eq!(there.phone, Some(ContactId::new("15550100022")), "{name}");
    }
    tell(bench, from("US.2", "2", Some("15550100022"), None), 2).await;
    assert_eq!(told(bench, "US.2").await, ["words of 1", "words of 2"]);
    // What is told again changes nothing, whatever has changed since.
    store.update_contact(&peer("US.2"), opt(false, 9)).await.unwrap();
    assert!(!store.rename(&renamed(&["15550100021"], "US.2", Some("15550100022"))).await.unwrap());
    assert_eq!(store.contact_state(&peer("US.2")).await.unwrap().opted_out(), None);
    let forgotten = store.forget(&shop(), "15550100021").await.unwrap();
    assert_eq!(forgotten, Forgotten { conversations: 1, said: 2, ..Forgotten::default() });
    assert_eq!(told(bench, "US.2").await, [""; 0]);
}

pub(in crate::store) async fn a_name_that_was_given_up_is_somebody_elses(bench: &Bench) {
    let store = &bench.store;
    tell(bench, message("15550100021", "1"), 1).await;
    for change in [opt(true, 1), pause(bench, 3), ContactChange::Admit] {
        store.update_contact(&peer("15550100021"), change).await.unwrap();
    }
    store.rename(&renamed(&["15550100021"], "15550100022", None)).await.unwrap();
    let left = store.contact_state(&peer("15550100021")).await.unwrap();
    assert!(left.opted_out().is_some(), "nothing is sent there unasked");
    assert_eq!((left.pause(bench.clock.now()), left.admitted), (None, None));
    // A stranger has the number now.
    tell(bench, message("15550100021", "2"), 2).await;
    assert_eq!(told(bench, "15550100021").await, ["words of 2"]);
    assert_eq!(told(bench, "15550100022").await, ["words of 1"]);
    let there = store.resolve_address(&shop(), "15550100021").await.unwrap().unwrap().address;
    assert_eq!(there.chat, ChatId::new("15550100021"));
    store.update_contact(&peer("15550100021"), ContactChange::Admit).await.unwrap();
    store.update_contact(&peer("15550100022"), ContactChange::Expel).await.unwrap();
    assert!(store.contact_state(&peer("15550100021")).await.unwrap().admitted.is_some());
    assert!(store.contact_state(&peer("15550100022")).await.unwrap().admitted.is_none());
}

pub(in crate::store) async fn a_new_name_of_somebody_unknown_is_nothing(bench: &Bench) {
    assert!(!bench.store.rename(&renamed(&["US.1"], "US.2", None)).await.unwrap());
    assert!(!bench.store.rename(&renamed(&["US.1"], "US.1", None)).await.unwrap());
    assert!(!bench.store.rename(&renamed(&[LONG], SHORT, None)).await.unwrap(), "another form is no other number");
    assert_eq!(bench.store.resolve_address(&shop(), "US.2").await.unwrap(), None);
}

pub(in crate::store) async fn what_is_being_answered_under_an_old_name_is_found_by_the_new_one(bench: &Bench) {
    tell(bench, message("US.1", "1"), 1).await;
    bench.accept(message("US.1", "2")).await;
    let claim = bench.claim().await;
    bench.store.rename(&renamed(&["US.1"], "US.2", None)).await.unwrap();
    let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
    let said = vec![HistoryEntry { time: Timestamp::from_secs(1_800_000_000), ..said("words of 2") }];
    let done = Settlement::Done(Settled { endings, said, failure_replied: None, sent: Vec::new(), failed: 0 });
    bench.store.settle(claim, done).await.unwrap();
    assert_eq!(told(bench, "US.2").await, ["words of 1", "words of 2"]);
    bench.store.forget(&shop(), "US.2").await.unwrap();
    assert_eq!(told(bench, "US.1").await, [""; 0]);
}

pub(in crate::store) async fn a_person_is_forgotten_by_every_form_of_every_name(bench: &Bench) {
    for (round, name) in [LONG, SHORT, "+5511987654321", "551187654321@c.us", "99@lid", "99:2@lid"].iter().enumerate() {
        let id = |what: &str| format!("{what} {round}");
        tell(bench, message(&format!("{SHORT}@c.us"), &id("a")), 1).await;
        tell(bench, from("99@lid", &id("b"), Some(LONG), None), 2).await;
        bench.accept(message("99@lid", &id("dead"))).await;
        bench.bury(bench.claim().await).await;
        tell(bench, message(&format!("{OTHER}@c.us"), &id("c")), 3).await;
        bench.store.update_contact(&peer(SHORT), opt(true, 1)).await.unwrap();
        let forgotten = bench.store.forget(&shop(), name).await.unwrap();
        assert_eq!(forgotten, Forgotten { conversations: 2, said: 2, dead: 1, ..Forgotten::default() }, "{name}");
        for known in [LONG, SHORT, "99@lid"] {
            assert_eq!(bench.store.contact_state(&peer(known)).await.unwrap().opted_out(), None, "{name}: {known}");
            assert_eq!(bench.store.resolve_address(&shop(), known).await.unwrap(), None, "{name}: {known}");
        }
        assert_eq!(told(bench, OTHER).await.len(), (round + 1).min(crate::store::bench::HISTORY_KEPT), "{name}");
    }
}
