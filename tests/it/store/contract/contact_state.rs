//! What holds of every store when a person takes over.

use std::time::Duration;

use futures_util::FutureExt;
use threedots::message::clock::Timestamp;
use threedots::message::{BotName, ChatId, ContactId, Echo, MessageId, Speaker};
use threedots::store::{
    By, ContactChange, ContactRef, Echoed, Opted, OptedBy, PartState, Pause, Retention, Settled, Settlement,
};

use crate::store::bench::{Bench, conversation, ids, message, outgoing, within};

const HOUR: Duration = Duration::from_hours(1);

fn shop() -> BotName {
    BotName::new("shop")
}

fn peer(name: &str) -> ContactRef {
    ContactRef::named(&shop(), name).unwrap()
}

/// A pause from now on, for an hour.
fn pause(bench: &Bench) -> ContactChange {
    let since = bench.clock.now();
    ContactChange::Pause(Pause { since, until: Some(since.plus(HOUR)), by: By::Operator })
}

fn echo(bench: &Bench, chat: &str, id: &str, words: &str) -> Echo {
    let (chat, message, words) = (Some(ChatId::new(chat)), MessageId::new(id), Some(words.to_owned()));
    Echo { bot: shop(), chat, phone: None, message, told: words.clone(), words, time: bench.clock.now() }
}

async fn paused(bench: &Bench, name: &str) -> bool {
    bench.store.contact_state(&peer(name)).await.unwrap().pause(bench.clock.now()).is_some()
}

/// A conversation with a part that is being sent.
async fn sending(bench: &Bench, words: &[&str]) -> threedots::store::Claim {
    bench.accept(message("ann", "1")).await;
    let claim = bench.claim().await;
    let mut reply = outgoing(&claim, words);
    reply.reports_carry_key = false;
    reply.parts[0].state = PartState::Sending { attempts: 0 };
    bench.store.intend(&claim, &reply).await.unwrap();
    claim
}

fn sent(id: &str) -> PartState {
    PartState::Sent { message: MessageId::new(id) }
}

pub(in crate::store) async fn a_pause_ends_by_itself_or_when_somebody_has_the_bot_go_on(bench: &Bench) {
    assert!(bench.store.update_contact(&peer("+49 1"), pause(bench)).await.unwrap());
    assert!(paused(bench, "49 1").await);
    assert!(!paused(bench, "50").await);
    assert!(!bench.store.update_contact(&peer("50"), ContactChange::Resume).await.unwrap(), "nobody answers there");
    tokio::time::advance(HOUR).await;
    assert!(!paused(bench, "49 1").await);
    bench.store.update_contact(&peer("50"), pause(bench)).await.unwrap();
    assert!(bench.store.update_contact(&peer("50"), ContactChange::Resume).await.unwrap());
    assert!(!paused(bench, "50").await);
}

pub(in crate::store) async fn a_pause_is_made_no_shorter_by_another(bench: &Bench) {
    let since = bench.clock.now();
    let forever = ContactChange::Pause(Pause { since, until: None, by: By::Operator });
    bench.store.update_contact(&peer("ann"), forever).await.unwrap();
    bench.store.update_contact(&peer("ann"), pause(bench)).await.unwrap();
    tokio::time::advance(HOUR * 1000).await;
    assert!(paused(bench, "ann").await);
}

pub(in crate::store) async fn a_pause_holds_under_every_name_and_so_does_its_end(bench: &Bench) {
    let mut at = message("chat", "1").at;
    (at.sender, at.phone) = (ContactId::new("person"), Some(ContactId::new("491")));
    bench.store.update_contact(&ContactRef::of(&at), pause(bench)).await.unwrap();
    for name in ["chat", "person", "+491"] {
        assert!(paused(bench, name).await, "{name}");
    }
    bench.store.update_contact(&peer("+491"), ContactChange::Resume).await.unwrap();
    for name in ["chat", "person", "+491"] {
        assert!(!paused(bench, name).await, "{name}");
    }
}

pub(in crate::store) async fn whoever_holds_a_conversation_hears_that_a_person_has_taken_over(bench: &Bench) {
    let somebody = peer("ann");
    let mut heard = Box::pin(bench.store.taken_over(&somebody));
    assert!(heard.as_mut().now_or_never().is_none());
    bench.store.update_contact(&peer("ben"), pause(bench)).await.unwrap();
    assert!(heard.as_mut().now_or_never().is_none(), "it was somebody else's");
    bench.store.update_contact(&peer("ann"), pause(bench)).await.unwrap();
    assert_eq!(within(heard).await.unwrap().by, By::Operator);
    within(bench.store.taken_over(&somebody)).await.unwrap();
}

pub(in crate::store) async fn a_pause_ends_what_holds_its_conversation_back(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    let at = bench.clock.now().plus(HOUR);
    bench.store.settle(bench.claim().await, Settlement::Later { at }).await.unwrap();
    assert!(bench.is_idle());
    bench.store.update_contact(&peer("ann"), pause(bench)).await.unwrap();
    assert_eq!(ids(&bench.claim().await), ["1"]);
}

pub(in crate::store) async fn a_message_from_the_phone_pauses_for_so_long_after_it_was_written(bench: &Bench) {
    let taken_over = echo(bench, "ann", "e", "I am here");
    tokio::time::advance(HOUR / 2).await;
    assert_eq!(bench.store.echo(&taken_over, Some(HOUR)).await.unwrap(), Echoed::TakenOver);
    assert_eq!(bench.store.echo(&taken_over, Some(HOUR)).await.unwrap(), Echoed::Known, "repeated");
    assert!(paused(bench, "ann").await);
    tokio::time::advance(HOUR / 2).await;
    assert!(!paused(bench, "ann").await);
    assert_eq!(bench.store.echo(&taken_over, Some(HOUR)).await.unwrap(), Echoed::Known, "its time is over");
    let nowhere = Echo { chat: None, ..taken_over };
    assert_eq!(bench.store.echo(&nowhere, None).await.unwrap(), Echoed::Known);
}

pub(in crate::store) async fn what_a_person_wrote_is_kept_with_what_was_said(bench: &Bench) {
    let written = async || {
        let said = bench.store.history(&conversation("ann"), 9).await.unwrap();
        said.into_iter().map(|said| (said.by, said.words)).collect::<Vec<_>>()
    };
    bench.store.echo(&echo(bench, "ann", "d", "nobody has written yet"), Some(HOUR)).await.unwrap();
    assert_eq!(written().await, []);
    bench.accept(message("ann", "1")).await;
    for (id, words) in [("e", "I am here"), ("e", "I am here"), ("f", "Pay to 12345."), ("g", "")] {
        bench.store.echo(&echo(bench, "ann", id, words), Some(HOUR)).await.unwrap();
    }
    let theirs = [(Speaker::Person, "I am here".to_owned()), (Speaker::Person, "Pay to 12345.".to_owned())];
    assert_eq!(written().await, theirs);
    assert_eq!(bench.store.forget(&shop(), "ann").await.unwrap().said, 2);
    assert_eq!(written().await, []);
}

pub(in crate::store) async fn an_echo_that_turns_out_to_be_a_persons_is_kept_with_what_was_said(bench: &Bench) {
    let claim = sending(bench, &["words", "more"]).await;
    let theirs = echo(bench, "ann", "theirs", "I am here");
    assert_eq!(bench.store.echo(&theirs, None).await.unwrap(), Echoed::Undecided);
    assert_eq!(bench.store.history(&claim.conversation, 9).await.unwrap(), [], "nobody knows yet whose it is");
    bench.store.mark(&claim, 0, sent("ours")).await.unwrap();
    let said = bench.store.history(&claim.conversation, 9).await.unwrap();
    assert_eq!(said.iter().map(|said| (said.by, &*said.words)).collect::<Vec<_>>(), [(Speaker::Person, "I am here")]);
    bench.store.echo(&theirs, None).await.unwrap();
    assert_eq!(bench.store.history(&claim.conversation, 9).await.unwrap().len(), 1, "once");
    let wordless = Echo { words: None, told: Some("[image]".into()), ..echo(bench, "ann", "picture", "") };
    bench.store.echo(&wordless, None).await.unwrap();
    let said = bench.store.history(&claim.conversation, 9).await.unwrap();
    assert_eq!(said.iter().map(|said| &*said.words).collect::<Vec<_>>(), ["I am here", "[image]"]);
}

pub(in crate::store) async fn a_message_from_before_the_bot_was_told_to_go_on_pauses_nothing(bench: &Bench) {
    let repeated = echo(bench, "ann", "e", "I am here");
    bench.store.echo(&repeated, None).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    bench.store.update_contact(&peer("ann"), ContactChange::Resume).await.unwrap();
    assert_eq!(bench.store.echo(&repeated, None).await.unwrap(), Echoed::Known);
    assert!(!paused(bench, "ann").await);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(bench.store.echo(&echo(bench, "ann", "f", "again"), None).await.unwrap(), Echoed::TakenOver);
}

pub(in crate::store) async fn an_echo_of_a_part_that_has_left_is_nobodys(bench: &Bench) {
    let claim = sending(bench, &["words", "more"]).await;
    bench.store.mark(&claim, 0, sent("ours")).await.unwrap();
    let ours = echo(bench, "ann", "ours", "words");
    assert_eq!(bench.store.echo(&ours, None).await.unwrap(), Echoed::Ours);
    let done = Settlement::Done(Settled {
        endings: Vec::new(),
        said: Vec::new(),
        failure_replied: None,
        sent: vec![(1, MessageId::new("too"))],
        failed: 0,
    });
    bench.store.settle(claim, done).await.unwrap();
    assert_eq!(bench.store.echo(&ours, None).await.unwrap(), Echoed::Ours);
    assert_eq!(bench.store.echo(&echo(bench, "ann", "too", "more"), None).await.unwrap(), Echoed::Ours);
    assert!(!paused(bench, "ann").await);
}

pub(in crate::store) async fn an_echo_that_overtakes_the_answer_to_its_own_send_is_decided_by_it(bench: &Bench) {
    let claim = sending(bench, &["words", "more"]).await;
    assert!(!bench.store.overheard(&claim).await.unwrap());
    assert_eq!(bench.store.echo(&echo(bench, "ann", "ours", "w"), None).await.unwrap(), Echoed::Undecided);
    assert!(bench.store.overheard(&claim).await.unwrap());
    bench.store.mark(&claim, 0, sent("ours")).await.unwrap();
    assert!(!paused(bench, "ann").await);
    // The next one is not of the part that is being sent then.
    bench.store.mark(&claim, 1, PartState::Sending { attempts: 0 }).await.unwrap();
    assert_eq!(bench.store.echo(&echo(bench, "ann", "theirs", "more"), None).await.unwrap(), Echoed::Undecided);
    assert!(!paused(bench, "ann").await);
    bench.store.mark(&claim, 1, sent("too")).await.unwrap();
    assert!(paused(bench, "ann").await);
}

pub(in crate::store) async fn an_echo_is_decided_when_its_reply_is_settled_at_the_latest(bench: &Bench) {
    let settled = |sent| {
        Settlement::Done(Settled { endings: Vec::new(), said: Vec::new(), failure_replied: None, sent, failed: 0 })
    };
    let claim = sending(bench, &["words"]).await;
    bench.store.echo(&echo(bench, "ann", "ours", "w"), None).await.unwrap();
    bench.store.settle(claim, settled(vec![(0, MessageId::new("ours"))])).await.unwrap();
    assert!(!paused(bench, "ann").await);
    let claim = sending(bench, &["words again"]).await;
    bench.store.echo(&echo(bench, "ann", "theirs", "w"), None).await.unwrap();
    bench.store.settle(claim, settled(vec![(0, MessageId::new("another"))])).await.unwrap();
    assert!(paused(bench, "ann").await);
}

pub(in crate::store) async fn an_echo_with_the_words_of_a_part_that_may_have_left_says_that_it_has(bench: &Bench) {
    let claim = sending(bench, &["words", "more"]).await;
    let unknown = PartState::Unknown { attempts: 1, since: Timestamp(7) };
    bench.store.mark(&claim, 0, unknown.clone()).await.unwrap();
    assert_eq!(bench.store.echo(&echo(bench, "ann", "ours", " words"), None).await.unwrap(), Echoed::Settled);
    assert_eq!(bench.store.mark(&claim, 0, unknown.clone()).await.unwrap(), sent("ours"));
    // The same, of an echo that came while nobody knew yet that nobody would know.
    bench.store.mark(&claim, 1, PartState::Sending { attempts: 0 }).await.unwrap();
    bench.store.echo(&echo(bench, "ann", "too", "more"), None).await.unwrap();
    assert_eq!(bench.store.mark(&claim, 1, unknown.clone()).await.unwrap(), sent("too"));
    assert!(!paused(bench, "ann").await);
    drop(claim);
    let claim = sending(bench, &["other"]).await;
    bench.store.mark(&claim, 0, unknown.clone()).await.unwrap();
    assert_eq!(bench.store.echo(&echo(bench, "ann", "theirs", "I am here"), None).await.unwrap(), Echoed::TakenOver);
    assert_eq!(bench.store.mark(&claim, 0, unknown.clone()).await.unwrap(), unknown);
}

pub(in crate::store) async fn a_pause_goes_with_the_person_and_when_it_is_over(bench: &Bench) {
    let all = Retention { history: HOUR, sent: HOUR, dead: HOUR };
    let since = bench.clock.now();
    let forever = ContactChange::Pause(Pause { since, until: None, by: By::Handler });
    let mut at = message("chat", "1").at;
    at.phone = Some(ContactId::new("491"));
    bench.store.update_contact(&ContactRef::of(&at), forever).await.unwrap();
    bench.store.update_contact(&peer("ben"), pause(bench)).await.unwrap();
    tokio::time::advance(HOUR * 24 * 400).await;
    while !bench.store.sweep(&all).await.unwrap().round {}
    assert!(paused(bench, "chat").await, "until somebody has the bot go on");
    assert_eq!(bench.store.contact_state(&peer("ben")).await.unwrap().paused, None);
    bench.store.forget(&shop(), "+491").await.unwrap();
    assert!(!paused(bench, "chat").await);
}

pub(in crate::store) async fn what_a_person_said_last_about_being_written_to_stays(bench: &Bench) {
    let opt = |out: bool, since: u64| ContactChange::Opt(Opted { out, since: Timestamp(since), by: OptedBy::Person });
    let standing = async || bench.store.contact_state(&peer("ann")).await.unwrap().opted_out();
    assert!(!bench.store.update_contact(&peer("ann"), opt(false, 5)).await.unwrap(), "nothing has changed");
    assert!(bench.store.update_contact(&peer("ann"), opt(true, 10)).await.unwrap());
    assert!(!bench.store.update_contact(&peer("ann"), opt(true, 11)).await.unwrap());
    assert!(!bench.store.update_contact(&peer("ann"), opt(false, 9)).await.unwrap(), "that was before");
    // Neither a pause nor time changes anything about it.
    bench.store.update_contact(&peer("ann"), pause(bench)).await.unwrap();
    bench.store.update_contact(&peer("ann"), ContactChange::Resume).await.unwrap();
    tokio::time::advance(HOUR * 24 * 400).await;
    while !bench.store.sweep(&Retention::default()).await.unwrap().round {}
    assert_eq!(standing().await, Some(Timestamp(10)));
    assert!(bench.store.update_contact(&peer("ann"), opt(false, 12)).await.unwrap());
    assert_eq!(standing().await, None);
}
