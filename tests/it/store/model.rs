//! Whatever is done to them, the store in memory and the store on disk say the same.

use std::time::Duration;

use proptest::prelude::*;
use threedots::Inbound;
use threedots::clock::{Clock, Timestamp};
use threedots::store::{Claim, Ending, OutgoingPart, PartState, Seq, Settlement};

use super::bench::{Bench, conversation, message, outgoing, said};

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
    Done { claim: usize, endings: Vec<(u64, u8)>, all: bool, said: usize, failure_replied: Option<u64> },
    Later { claim: usize, seconds: u64 },
    History { chat: u8, most: usize },
    Dead { after: Option<u64>, most: usize },
    Advance { seconds: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let claim = 0..4_usize;
    let seconds = prop_oneof![Just(0), 1..100_u64, Just(86_400), Just(5 * 86_400)];
    prop_oneof![
        6 => prop::collection::vec((0..4_u8, 0..30_u8), 0..5).prop_map(Step::Accept),
        6 => (1..200_u64).prop_map(|seconds| Step::Claim { seconds }),
        2 => claim.clone().prop_map(|claim| Step::Drop { claim }),
        3 => (claim.clone(), 0..4_usize).prop_map(|(claim, parts)| Step::Intend { claim, parts }),
        3 => (claim.clone(), 0..4_usize, 0..9_u32).prop_map(|(claim, part, attempts)| Step::Mark { claim, part, attempts }),
        4 => (
            claim.clone(),
            prop::collection::vec((1..40_u64, 0..3_u8), 0..4),
            any::<bool>(),
            0..4_usize,
            prop::option::of(1..9_u64),
        )
            .prop_map(|(claim, endings, all, said, failure_replied)| Step::Done {
                claim, endings, all, said, failure_replied
            }),
        2 => (claim, seconds.clone()).prop_map(|(claim, seconds)| Step::Later { claim, seconds }),
        1 => (0..4_u8, 0..9_usize).prop_map(|(chat, most)| Step::History { chat, most }),
        1 => (prop::option::of(0..40_u64), 0..9_usize).prop_map(|(after, most)| Step::Dead { after, most }),
        3 => seconds.prop_map(|seconds| Step::Advance { seconds }),
        1 => Just(Step::Restart),
    ]
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn both_stores_say_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = Clock::tokio();
            let mut memory = Subject { bench: Bench::memory_of(clock, MAX_WAITING), claims: Vec::new() };
            let mut sled = Subject { bench: Bench::sled_of(clock, MAX_WAITING), claims: Vec::new() };
            for (number, step) in steps.iter().enumerate() {
                if let Step::Advance { seconds } = step {
                    tokio::time::advance(Duration::from_secs(*seconds)).await;
                    continue;
                }
                if matches!(step, Step::Restart) {
                    memory.let_go();
                    sled.let_go();
                    sled.bench.restart().await;
                    assert_eq!(memory.line_up().await, sled.line_up().await, "step {number}, a restart");
                    continue;
                }
                let said = (memory.take(step, number).await, sled.take(step, number).await);
                assert_eq!(said.0, said.1, "step {number}: {step:?}");
            }
            memory.let_go();
            sled.let_go();
            assert_eq!(memory.line_up().await, sled.line_up().await, "what is left");
            sled.bench.store.close().await;
        });
    }
}

struct Subject {
    bench: Bench,
    claims: Vec<Claim>,
}

impl Subject {
    /// Takes a step, and tells what came of it.
    async fn take(&mut self, step: &Step, number: usize) -> String {
        let store = &self.bench.store;
        match step {
            Step::Accept(batch) => {
                let batch: Vec<Inbound> =
                    batch.iter().map(|(chat, id)| message(&chat.to_string(), &id.to_string())).collect();
                format!("{:?}", store.accept(batch).await)
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
                format!("{:?}", store.intend(claim, &outgoing(claim, &words)).await)
            }
            Step::Mark { claim, part, attempts } => {
                let Some(claim) = self.claims.get(*claim) else { return String::new() };
                format!("{:?}", store.mark(claim, *part, PartState::Unknown { attempts: *attempts }).await)
            }
            Step::Done { claim, endings, all, said: count, failure_replied } => {
                let done = async |bench: &Bench, claim: Claim| {
                    let mut endings: Vec<_> = endings.iter().map(|(seq, how)| (Seq(*seq), ending(*how))).collect();
                    if *all {
                        endings.extend(claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)));
                    }
                    let said = (0..*count).map(|n| said(&format!("{number} {n}"))).collect();
                    let failure_replied = failure_replied.map(Timestamp);
                    bench
                        .store
                        .settle(claim, Settlement::Done { endings, said, failure_replied, sent: Vec::new(), failed: 0 })
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
        .map(|waiting| (waiting.seq, waiting.accepted, waiting.inbound.at.message.as_str().to_owned()))
        .collect();
    let part = |part: &OutgoingPart| (part.key.clone(), part.state.clone(), part.part.payload.words().map(str::len));
    let outgoing = claim.outgoing.as_ref().map(|reply| reply.parts.iter().map(part).collect::<Vec<_>>());
    format!("{} {messages:?} {outgoing:?} {:?}", claim.conversation.chat.as_str(), claim.failure_replied)
}
