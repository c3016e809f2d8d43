//! Whatever is done to them, the store in memory and those on disk say the same.

use std::time::Duration;

use proptest::prelude::*;
use threedots::Inbound;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, ChatId, Conversation, Echo, MessageId, Stage};
use threedots::store::disk::EngineKind;
use threedots::store::{
    By, Claim, ContactChange, ContactRef, Ending, OutgoingPart, PartState, Pause, Retention, Seq, Settled, Settlement,
};

use super::bench::{Bench, conversation, group_message, key, message, outgoing, report, said};

/// Few enough to be reached.
const MAX_WAITING: usize = 12;

/// Something to do to a store. Claims are named by their place among those that are held.
#[derive(Clone, Debug)]
enum Step {
    Accept(Vec<(u8, u8)>),
    Claim { seconds: u64 },
    Drop { claim: usize },
    Intend { claim: usize, parts: usize },
    Mark { claim: usize, part: usize, attempts: u32 },
    Sent { claim: usize, part: usize },
    Done { claim: usize, done: Done },
    Later { claim: usize, seconds: u64 },
    History { chat: u8, most: usize },
    Dead { after: Option<u64>, most: usize },
    Note(Vec<(usize, bool, u8)>),
    Stand { name: u8, seconds: Option<u64> },
    Echo { chat: u8, part: usize, ours: bool, words: bool, seconds: u64 },
    Sending { claim: usize, part: usize },
    Replay { letter: u64 },
    Discard { letter: u64 },
    Forget { person: u8 },
    Sweep { days: u64 },
    Advance { seconds: u64 },
    Restart,
}

/// How a claim ends.
#[derive(Clone, Debug)]
struct Done {
    endings: Vec<(u64, u8)>,
    all: bool,
    said: usize,
    failure_replied: Option<u64>,
    sent: usize,
    failed: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let claim = 0..4_usize;
    let seconds = prop_oneof![Just(0), 1..100_u64, Just(86_400), Just(5 * 86_400)];
    prop_oneof![
        6 => prop::collection::vec((0..5_u8, 0..30_u8), 0..5).prop_map(Step::Accept),
        6 => (1..200_u64).prop_map(|seconds| Step::Claim { seconds }),
        2 => claim.clone().prop_map(|claim| Step::Drop { claim }),
        3 => (claim.clone(), 0..4_usize).prop_map(|(claim, parts)| Step::Intend { claim, parts }),
        3 => (claim.clone(), 0..4_usize, 0..9_u32).prop_map(|(claim, part, attempts)| Step::Mark { claim, part, attempts }),
        2 => (claim.clone(), 0..4_usize).prop_map(|(claim, part)| Step::Sent { claim, part }),
        2 => (claim.clone(), 0..4_usize).prop_map(|(claim, part)| Step::Sending { claim, part }),
        2 => (0..5_u8, prop::option::of(seconds.clone())).prop_map(|(name, seconds)| Step::Stand { name, seconds }),
        3 => (0..4_u8, 0..40_usize, any::<(bool, bool)>(), seconds.clone())
            .prop_map(|(chat, part, (ours, words), seconds)| Step::Echo { chat, part, ours, words, seconds }),
        4 => (claim.clone(), done()).prop_map(|(claim, done)| Step::Done { claim, done }),
        2 => (claim, seconds.clone()).prop_map(|(claim, seconds)| Step::Later { claim, seconds }),
        1 => (0..4_u8, 0..9_usize).prop_map(|(chat, most)| Step::History { chat, most }),
        1 => (prop::option::of(0..40_u64), 0..9_usize).prop_map(|(after, most)| Step::Dead { after, most }),
        5 => prop::collection::vec((0..40_usize, any::<bool>(), 0..6_u8), 1..4).prop_map(Step::Note),
        2 => (1..20_u64).prop_map(|letter| Step::Replay { letter }),
        1 => (1..20_u64).prop_map(|letter| Step::Discard { letter }),
        1 => (0..6_u8).prop_map(|person| Step::Forget { person }),
        1 => (1..9_u64).prop_map(|days| Step::Sweep { days }),
        3 => seconds.prop_map(|seconds| Step::Advance { seconds }),
        1 => Just(Step::Restart),
    ]
}

fn done() -> impl Strategy<Value = Done> {
    (
        prop::collection::vec((1..40_u64, 0..3_u8), 0..4),
        any::<bool>(),
        0..4_usize,
        prop::option::of(1..9_u64),
        0..4_usize,
        0..3_usize,
    )
        .prop_map(|(endings, all, said, failure_replied, sent, failed)| Done {
            endings,
            all,
            said,
            failure_replied,
            sent,
            failed,
        })
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn all_stores_say_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = Clock::tokio();
            let mut memory = Subject::new(Bench::memory_of(clock, MAX_WAITING));
            let mut sled = Subject::new(Bench::disk_of(EngineKind::Sled, clock, MAX_WAITING));
            let mut redb = Subject::new(Bench::disk_of(EngineKind::Redb, clock, MAX_WAITING));
            for (number, step) in steps.iter().enumerate() {
                if let Step::Advance { seconds } = step {
                    tokio::time::advance(Duration::from_secs(*seconds)).await;
                    continue;
                }
                if matches!(step, Step::Restart) {
                    memory.let_go();
                    let expected = memory.line_up().await;
                    for disk in [&mut sled, &mut redb] {
                        disk.let_go();
                        disk.bench.restart().await;
                        assert_eq!(expected, disk.line_up().await, "step {number}, a restart");
                    }
                    continue;
                }
                let expected = memory.take(step, number).await;
                for disk in [&mut sled, &mut redb] {
                    assert_eq!(expected, disk.take(step, number).await, "step {number}: {step:?}");
                }
            }
            memory.let_go();
            let expected = memory.line_up().await;
            for disk in [&mut sled, &mut redb] {
                disk.let_go();
                assert_eq!(expected, disk.line_up().await, "what is left");
                disk.bench.store.close().await;
            }
        });
    }
}

struct Subject {
    bench: Bench,
    claims: Vec<Claim>,
    /// Every part that was intended: its conversation, its number in its reply, and the word in its key and its name.
    parts: Vec<(Conversation, usize, String)>,
}

impl Subject {
    fn new(bench: Bench) -> Self {
        Self { bench, claims: Vec::new(), parts: Vec::new() }
    }

    /// The upstream's name for a part of what was intended last in a conversation.
    fn name(&self, conversation: &Conversation, part: usize) -> MessageId {
        let known = self.parts.iter().rev().find(|known| (&known.0, known.1) == (conversation, part));
        MessageId::new(known.map_or("no name", |(_, _, word)| word))
    }

    /// Takes a step, and tells what came of it.
    async fn take(&mut self, step: &Step, number: usize) -> String {
        let store = &self.bench.store;
        match step {
            Step::Accept(batch) => {
                let batch: Vec<Inbound> = batch.iter().map(|(chat, id)| inbound(*chat, *id)).collect();
                format!("{:?}", store.accept(&batch).await)
            }
            Step::Claim { seconds } => {
                if self.bench.is_idle() {
                    return "nothing to claim".to_owned();
                }
                let claim = self.bench.claim_for(Duration::from_secs(*seconds)).await;
                let seen = describe(&claim);
                self.claims.push(claim);
                seen
            }
            Step::Drop { claim } => self.with(*claim, async |_, claim| drop(claim)).await,
            Step::Intend { claim, parts } => {
                let words: Vec<String> = (0..*parts).map(|part| format!("{number} {part}").repeat(2_000)).collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let Some(claim) = self.claims.get(*claim) else { return String::new() };
                let mut reply = outgoing(claim, &words);
                reply.reports_carry_key = number.is_multiple_of(2);
                if let Some(message) = claim.messages.first() {
                    reply.to = message.inbound.at.clone();
                }
                for (part, outgoing) in reply.parts.iter_mut().enumerate() {
                    let word = format!("{number}-{part}");
                    outgoing.key = key(&word);
                    self.parts.push((claim.conversation.clone(), part, word));
                }
                format!("{:?}", store.intend(claim, &reply).await)
            }
            Step::Mark { claim, part, attempts } => {
                let Some(claim) = self.claims.get(*claim) else { return String::new() };
                format!(
                    "{:?}",
                    store.mark(claim, *part, PartState::Unknown { attempts: *attempts, since: Timestamp(7) }).await
                )
            }
            Step::Sent { claim, part } => {
                let Some(claim) = self.claims.get(*claim) else { return String::new() };
                let message = self.name(&claim.conversation, *part);
                format!("{:?}", store.mark(claim, *part, PartState::Sent { message }).await)
            }
            Step::Done { claim, done } => {
                let Some(named) = self.claims.get(*claim).map(|claim| &claim.conversation) else {
                    return String::new();
                };
                let sent: Vec<_> = (0..done.sent).map(|part| (part, self.name(named, part))).collect();
                let Done { endings, all, said: count, failure_replied, failed, .. } = done.clone();
                let done = async |bench: &Bench, claim: Claim| {
                    let mut endings: Vec<_> = endings.iter().map(|(seq, how)| (Seq(*seq), ending(*how))).collect();
                    if all {
                        endings.extend(claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)));
                    }
                    let said = (0..count).map(|n| said(&format!("{number} {n}"))).collect();
                    let failure_replied = failure_replied.map(Timestamp);
                    bench
                        .store
                        .settle(claim, Settlement::Done(Settled { endings, said, failure_replied, sent, failed }))
                        .await
                };
                self.with(*claim, done).await
            }
            Step::Later { claim, seconds } => {
                // No two at the same time, for then it would be open which of them comes first.
                let wait = Duration::from_secs(*seconds) + Duration::from_millis(number as u64);
                let at = self.bench.clock.now().plus(wait);
                let later = async |bench: &Bench, claim| bench.store.settle(claim, Settlement::Later { at }).await;
                self.with(*claim, later).await
            }
            Step::History { chat, most } => {
                let history = store.history(&conversation(&chat.to_string()), *most).await.unwrap();
                format!("{:?}", history.iter().map(|said| &said.words).collect::<Vec<_>>())
            }
            Step::Dead { after, most } => {
                let letters = store.dead(after.map(Seq), *most).await.unwrap();
                let tell =
                    |letter: &threedots::store::DeadLetter| (letter.message.seq, letter.reason.clone(), letter.since);
                format!("{:?}", letters.iter().map(tell).collect::<Vec<_>>())
            }
            Step::Note(reports) => {
                let word = |part: usize| self.parts.get(part % self.parts.len().max(1)).map(|(_, _, word)| word);
                let statuses = reports.iter().filter_map(|(part, by_name, stage)| {
                    let word = word(*part)?;
                    Some(report(word, Some(word.as_str()).filter(|_| !by_name), reported(*stage)))
                });
                let noted = store.apply_statuses(statuses.collect()).await;
                let mut parts = Vec::new();
                for word in reports.iter().filter_map(|(part, ..)| word(*part)) {
                    parts.push(store.part(&key(word)).await);
                }
                format!("{noted:?} {parts:?}")
            }
            Step::Sending { claim, part } => {
                let Some(claim) = self.claims.get(*claim) else { return String::new() };
                let state = store.mark(claim, *part, PartState::Sending { attempts: 0 }).await;
                format!("{state:?} {:?}", store.overheard(claim).await)
            }
            Step::Stand { name, seconds } => {
                let peer = ContactRef::named(&BotName::new("shop"), &name.to_string()).unwrap();
                let since = self.bench.clock.now();
                let until = seconds.map(|seconds| since.plus(Duration::from_secs(seconds)));
                let change = match until {
                    None => ContactChange::Resume,
                    until => ContactChange::Pause(Pause { since, until, by: By::Operator }),
                };
                format!("{:?} {:?}", store.update_contact(&peer, change).await, store.contact_state(&peer).await)
            }
            Step::Echo { chat, part, ours, words, seconds } => {
                let known = self.parts.get(part % self.parts.len().max(1)).filter(|_| *ours);
                let id = known.map_or_else(|| format!("theirs {number}"), |(_, _, word)| word.clone());
                let words = known
                    .filter(|_| *words)
                    .and_then(|(_, part, word)| Some(format!("{} {part}", word.split_once('-')?.0).repeat(2_000)));
                let (chat, message) = (Some(ChatId::new(chat.to_string())), MessageId::new(id));
                let echo = Echo {
                    bot: BotName::new("shop"),
                    chat,
                    phone: None,
                    message,
                    told: words.clone(),
                    words,
                    time: self.bench.clock.now(),
                };
                let peer = ContactRef::of_echo(&echo).unwrap();
                let echoed = store.echo(&echo, Some(Duration::from_secs(*seconds))).await;
                format!("{echoed:?} {:?}", store.contact_state(&peer).await)
            }
            Step::Replay { letter } => format!("{:?}", store.replay(Seq(*letter)).await),
            Step::Discard { letter } => format!("{:?}", store.discard(Seq(*letter)).await),
            Step::Forget { person } => {
                let forgotten = store.forget(&BotName::new("shop"), &person.to_string()).await;
                format!("{forgotten:?} {:?}", store.backlog())
            }
            Step::Sweep { days } => {
                let age = Duration::from_hours(24 * days);
                let mut all = Vec::new();
                loop {
                    let swept = store.sweep(&Retention { history: age, sent: age, dead: age }).await.unwrap();
                    all.push((swept.conversations, swept.sent, swept.dead));
                    if swept.round {
                        break format!("{all:?}");
                    }
                }
            }
            Step::Advance { .. } | Step::Restart => String::new(),
        }
    }

    /// Takes a claim out of those that are held, if there is such a one.
    async fn with<T: std::fmt::Debug>(&mut self, claim: usize, end: impl AsyncFnOnce(&Bench, Claim) -> T) -> String {
        if claim >= self.claims.len() {
            return String::new();
        }
        let claim = self.claims.remove(claim);
        format!("{:?}", end(&self.bench, claim).await)
    }

    fn let_go(&mut self) {
        self.claims.clear();
    }

    /// Brings everything that is ready into the order of its names, and tells what it is.
    async fn line_up(&self) -> Vec<String> {
        let mut claims = Vec::new();
        while !self.bench.is_idle() {
            claims.push(self.bench.claim().await);
        }
        claims.sort_by(|one, other| one.conversation.cmp(&other.conversation));
        let seen = claims.iter().map(describe).collect();
        for claim in claims {
            drop(claim);
        }
        seen
    }
}

/// A message in one of four chats, or in a group of some of the same people.
fn inbound(chat: u8, id: u8) -> Inbound {
    if chat < 4 {
        return message(&chat.to_string(), &id.to_string());
    }
    let phone = id.is_multiple_of(2).then_some("5");
    group_message("group", &id.to_string(), &(id % 3).to_string(), phone)
}

fn reported(stage: u8) -> Stage {
    match stage {
        0 => Stage::Sent,
        1 => Stage::Delivered,
        2 => Stage::Read,
        3 => Stage::Played,
        4 => Stage::Failed(None),
        _ => Stage::Failed(Some(7)),
    }
}

fn ending(how: u8) -> Ending {
    match how {
        0 => Ending::Answered,
        1 => Ending::Silent,
        _ => Ending::Dead { reason: "code".to_owned() },
    }
}

/// Everything that there is to see of a claim.
fn describe(claim: &Claim) -> String {
    let messages: Vec<_> = claim
        .messages
        .iter()
        .map(|waiting| {
            (waiting.seq, waiting.accepted, waiting.replayed, waiting.inbound.at.message.as_str().to_owned())
        })
        .collect();
    let part = |part: &OutgoingPart| (part.key.clone(), part.state.clone(), part.part.payload.words().map(str::len));
    let outgoing = claim.outgoing.as_ref().map(|reply| reply.parts.iter().map(part).collect::<Vec<_>>());
    let failed: Vec<_> = claim.failed.iter().map(|part| (&part.sent.key, part.code, part.sent.sent)).collect();
    format!("{} {messages:?} {outgoing:?} {:?} {failed:?}", claim.conversation.chat.as_str(), claim.failure_replied)
}
