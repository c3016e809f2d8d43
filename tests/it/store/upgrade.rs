//! Data that an earlier version wrote: opened, read, and worked on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tempfile::TempDir;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{
    BotName, ChatId, Conversation, Count, DeliveryStatus, HistoryEntry, MessageId, Part, Payload, Speaker, Stage,
};
use threedots::sandbox::{Customer, Upstream};
use threedots::store::disk::{Disk, DiskSettings, EngineKind};
use threedots::store::{
    Accepted, By, Claim, Claims, ContactRef, Contacts, DeadLetters, Enqueued, Histories, IdempotencyKey, Inbox,
    Maintenance, Pairing, PartState, StatusOutcome,
};

use super::bench::{LEASE, copy, message_saying};
use crate::world::{BOT, Setup, echo};

for_each_engine! {
    paused:
    ;
    running:
        every_kind_of_record_is_read
        turns_go_on
}

/// The chats in it, by what stands in them.
const ANSWERED: &str = "15550100001@s.whatsapp.net";
const DEAD: &str = "15550100002@s.whatsapp.net";
const HALF_SENT: &str = "15550100003@s.whatsapp.net";
const WAITING: &str = "15550100004@s.whatsapp.net";
const REMINDED: &str = "15550100005@s.whatsapp.net";
const PAUSED: &str = "15550100006@s.whatsapp.net";
const OPTED_OUT: &str = "15550100007@s.whatsapp.net";
const MEMBER: &str = "15550100008@s.whatsapp.net";
const UNREADABLE: &str = "15550100009@s.whatsapp.net";

/// A copy of the data, opened.
fn open(kind: EngineKind) -> (TempDir, Disk) {
    let directory = tempfile::tempdir().unwrap();
    let path: PathBuf = directory.path().join("store");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-0.1").join(kind.name()), &path);
    let store = Disk::open(DiskSettings { kind, path, reserve: 0, ..DiskSettings::default() }, Clock::System).unwrap();
    assert_eq!(store.opened().quarantine, None);
    (directory, store)
}

fn bot() -> BotName {
    BotName::new(BOT)
}

fn contact(name: &str) -> ContactRef {
    ContactRef::named(&bot(), name).unwrap()
}

/// All that is ready, by chat.
async fn claims(store: &Disk) -> BTreeMap<String, Claim> {
    let mut claims = BTreeMap::new();
    while let Some(claim) = store.claim(LEASE).now_or_never() {
        let claim = claim.unwrap();
        claims.insert(claim.conversation.chat.as_str().to_owned(), claim);
    }
    claims
}

fn words(part: &Part) -> &str {
    match &part.payload {
        Payload::Text { body, .. } => body,
        _ => panic!("a text"),
    }
}

async fn every_kind_of_record_is_read(kind: EngineKind) {
    let (_directory, store) = open(kind);
    let store = &store;
    let answered = Conversation { bot: bot(), chat: ChatId::new(ANSWERED) };

    let said = store.history(&answered, 9).await.unwrap();
    let said: Vec<_> = said.iter().map(|HistoryEntry { by, words, .. }| (*by, words.as_str())).collect();
    let (customer, answer) = ((Speaker::Customer, "words of h1"), (Speaker::Bot, "We open at ten."));
    assert_eq!(said, [customer, answer, (Speaker::Person, "And close at six.")]);
    let summary = store.summary(&answered).await.unwrap().unwrap();
    assert_eq!((summary.words.as_str(), summary.until), ("They asked for the hours.", Timestamp(7)));
    let spent = |by| Count { name: "budget shop".into(), by, most: Some(42), until: Timestamp(4_000_000_000_000) };
    assert_eq!(store.count(vec![spent(1)]).await.unwrap(), None, "41 and 1");
    assert_eq!(store.count(vec![spent(1)]).await.unwrap(), Some(0), "over the limit");

    let letters = store.dead(None, 9).await.unwrap();
    let letters: Vec<_> = letters.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(letters, ["code 7", "unreadable"]);
    for (chat, id) in [(ANSWERED, "h1"), (DEAD, "d1"), (HALF_SENT, "r1"), (WAITING, "w2"), (UNREADABLE, "o1")] {
        let again = store.accept(&[message_saying(chat, id, String::new())]).await.unwrap();
        assert!(matches!(again[..], [Accepted::Duplicate(_)]), "{id}");
    }

    let (message, time) = (MessageId::new("up-1"), Timestamp(1_700_000_100_000));
    let read = DeliveryStatus { bot: bot(), message, key: None, stage: Stage::Read, time };
    // It was sent where reports carry keys, so it is found by its key alone.
    assert_eq!(store.apply_statuses(vec![read]).await.unwrap(), [StatusOutcome::Unknown]);

    let now = Timestamp(1_790_000_000_000);
    let pause = store.contact_state(&contact(PAUSED)).await.unwrap().pause(now).unwrap();
    assert_eq!((pause.since, pause.until, pause.by), (now, None, By::Operator));
    assert_eq!(store.contact_state(&contact(OPTED_OUT)).await.unwrap().opted_out(), Some(now));
    assert!(store.contact_state(&contact(MEMBER)).await.unwrap().admitted.is_some());
    assert_eq!(store.invitations(&bot()).await.unwrap().len(), 1);

    let key = IdempotencyKey { bot: bot(), key: "order-17".into(), fingerprint: [5; 16] };
    assert!(matches!(store.enqueued(&key).await.unwrap(), Some(Enqueued::Known(_))));
    let other = IdempotencyKey { fingerprint: [6; 16], ..key };
    assert_eq!(store.enqueued(&other).await.unwrap(), Some(Enqueued::Taken));

    let claims = claims(store).await;
    assert_eq!(claims.keys().map(String::as_str).collect::<Vec<_>>(), [HALF_SENT, WAITING, REMINDED]);
    let outgoing = claims[HALF_SENT].outgoing.as_ref().unwrap();
    assert_eq!(outgoing.answers, claims[HALF_SENT].messages.iter().map(|waiting| waiting.seq).collect::<Vec<_>>());
    let parts: Vec<_> = outgoing.parts.iter().map(|part| (words(&part.part), part.state.clone())).collect();
    let (left, waits) = (PartState::Sent { message: MessageId::new("up-2") }, PartState::Waiting { attempts: 0 });
    assert_eq!(parts, [("one", left), ("two", waits.clone()), ("three", waits)]);
    let waiting: Vec<_> = claims[WAITING].messages.iter().map(|waiting| waiting.inbound.at.message.as_str()).collect();
    assert_eq!(waiting, ["w1", "w2"]);
    let proactive = claims[REMINDED].proactive_messages[0].proactive.as_ref().unwrap();
    assert_eq!((words(&proactive.parts[0]), proactive.unless_paused), ("Your order has left.", true));
    drop(claims);

    // A failure reply's time comes with the next claim, and the invitation is redeemed once.
    store.accept(&[message_saying(ANSWERED, "h2", "Hello".into())]).await.unwrap();
    assert_eq!(self::claims(store).await[ANSWERED].failure_replied, Some(Timestamp(9)));
    assert!(store.redeem_invitation(&contact(WAITING), [7; 32], threedots::store::Seq(99)).await.unwrap());
    store.close().await;
}

async fn turns_go_on(kind: EngineKind) {
    let (_directory, store) = open(kind);
    // Where no window closes: the messages are years old.
    let setup = || {
        let mut setup = Setup::on(Upstream::Gateway, echo());
        setup.gate.max_age = Duration::MAX;
        setup
    };
    let mut world = setup().build();
    let numbers = ["15550100003", "15550100004", "15550100005"];
    let customers = numbers.map(|number| Customer::new(number, "Ben"));
    for customer in &customers {
        world.phone().add(customer.clone());
    }
    world.store = Arc::new(store);
    world.begin(setup());
    let replies = || customers.each_ref().map(|customer| world.replies_to(&customer.id));
    let expected = [vec!["two", "three"], vec!["You said: words of w1\nwords of w2"], vec!["Your order has left."]];
    for _ in 0..600 {
        if replies().iter().zip(&expected).all(|(replies, expected)| replies.len() >= expected.len()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(replies(), expected.map(|replies| replies.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    world.worker.stop().await;
    world.store.close().await;
}
