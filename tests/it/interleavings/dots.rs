//! Dots with nothing behind them: how long a customer sees them at the most.
//!
//! | upstream | dots that nothing follows are over after |
//! |---|---|
//! | Meta, NXCloud | what is left of 25 s: there is no call that takes them off |
//! | all others | the call that takes them off, at once; a second where three were made in the last one; two where it fails |
//!
//! Something is behind them while a handler is at work, while a message is on its way, and until the upstream has said
//! that one has failed. What an upstream refuses three times, or a dead process had asked for, is nobody's to take off;
//! nor is what it had refused once when the process died, if the turn had ended by then.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use threedots::message::clock::Timestamp;
use threedots::sandbox::CustomerId;
use threedots::sandbox::phone::{Call, Moment, What, Why};

use super::judge::number_of;
use super::{LATE, Log, ON_ITS_WAY, Played, Script, Trouble, is_lit_outside, is_silent};

/// Where nothing goes wrong with calls that light dots or take them off.
const SOON: Duration = Duration::from_millis(1200);
/// Where something does: a start in flight, the upstream's limit, and three tries, the last of which may hang.
const IN_THE_END: Duration = Duration::from_millis(3000 + 1000 + 2000 + 3000);

/// Two that lie so far apart, for the first was not answered or asked for a second, leave no time for a third.
const TRIED: Duration = Duration::from_millis(950);

/// A stretch of time in which the dots were on, and why they went off.
struct Shown {
    from: Timestamp,
    to: Timestamp,
    why: Why,
}

fn shown(seen: &[Moment]) -> Vec<Shown> {
    let (mut all, mut from) = (Vec::new(), None);
    for moment in seen {
        match &moment.what {
            What::DotsOn { .. } => from = from.or(Some(moment.at)),
            What::DotsOff { why, .. } => {
                all.extend(from.take().map(|from| Shown { from, to: moment.at, why: *why }));
            }
            _ => {}
        }
    }
    all
}

pub(super) fn judge(script: &Script, played: &Played, log: &Log, customer: &CustomerId) -> TestCaseResult {
    let Played { world, customers, crashed, .. } = played;
    let typing = &world.provider.abilities().typing;
    let timeline = world.phone().timeline();
    // Of a failure the timeline does not say whose it is.
    let is_own = |moment: &&Moment| {
        let failed = matches!(moment.what, What::WebhookAnswered { event: "failed", .. });
        moment.customer.as_ref() == Some(customer) || failed && moment.customer.is_none()
    };
    let own: Vec<&Moment> = timeline.iter().filter(is_own).collect();
    let disturbed = script.faults.iter().any(|(_, trouble)| {
        use Trouble::{LateTypingAnswer, SlowTyping, StopFails, TypingFails, TypingHangs};
        matches!(trouble, SlowTyping(_) | LateTypingAnswer(_) | TypingFails | TypingHangs | StopFails(..))
    });
    let bound = if disturbed { IN_THE_END } else { SOON };
    for Shown { from, to, why } in shown(&world.phone().seen(customer)) {
        // What a dead process had asked for lands when it will.
        if crashed.iter().any(|at| from >= *at && from <= at.plus(LATE)) {
            continue;
        }
        let mut behind = from;
        let mut until = |at: Timestamp| behind = behind.max(at.min(to));
        let (mut is_served_later, mut has_failed) = (false, false);
        for (word, began, ended) in &log.work {
            let (_, who, act) = script.messages[number_of(word)];
            if customers[who] != *customer {
                continue;
            }
            is_served_later |= *began > to;
            if *began <= to {
                until(ended.unwrap_or(to));
                // A reply that the pace then holds up has waited for its lead, each time that it was about to leave.
                let lead = if is_silent(act) { Duration::ZERO } else { typing.lead };
                until(ended.unwrap_or(to).max(from).plus(lead));
            }
        }
        let (mut stops, mut stops_refused, mut sends) = (Vec::new(), 0, HashSet::new());
        for moment in &own {
            let is_before = moment.at <= to;
            match &moment.what {
                What::Called { what: Call::Send, call } if is_before => {
                    sends.insert(*call);
                    until(moment.at);
                }
                What::Answered { what: Call::Send, call }
                | What::CallRefused { what: Call::Send, call, .. }
                | What::CallUnanswered { what: Call::Send, call }
                    if sends.contains(call) =>
                {
                    until(moment.at);
                }
                What::Called { what: Call::Send, .. } => is_served_later = true,
                What::Called { what: Call::Stop, .. } if is_before && moment.at >= from => stops.push(moment.at),
                What::WebhookAnswered { event: "failed", .. } if is_before => {
                    has_failed |= moment.at >= from;
                    until(moment.at);
                }
                What::CallRefused { what: Call::Stop, .. } | What::CallUnanswered { what: Call::Stop, .. }
                    if is_before && moment.at >= from =>
                {
                    stops_refused += 1;
                }
                _ => {}
            }
        }
        // A process that is dead takes nothing off.
        crashed.iter().filter(|at| **at <= to && **at >= from).for_each(|at| until(*at));
        let phantom = to.since(behind);
        if typing.stop.is_none() {
            let most = typing.lifetime;
            prop_assert!(phantom <= most, "{customer:?}: the dots stood for {phantom:?} with nothing behind them");
            continue;
        }
        // What is sent is on its way; and three refusals, or two seconds, are the end of it.
        let took = stops.first().zip(stops.last()).map(|(first, last)| last.since(*first));
        let is_over = stops_refused >= 3 || took.is_some_and(|took| took >= TRIED) && stops_refused >= 2;
        // Nor does anybody know, after a crash between two tries, that a message which has ended without a word showed
        // any. Nor, by which name a message was taken whose failure is reported before anybody has noted that.
        let is_forgotten = (stops_refused > 0 || has_failed) && crashed.iter().any(|at| from <= *at && *at <= to);
        // A message that comes while the conversation is held back is looked at when that is over, and not before.
        let is_held_back = is_lit_outside(script) && is_served_later;
        if why == Why::Reply && phantom <= ON_ITS_WAY || is_over || is_forgotten || is_held_back {
            continue;
        }
        prop_assert!(
            phantom <= bound,
            "{customer:?}: the dots stood for {phantom:?} with nothing behind them, from {from:?} to {to:?} ({why:?})"
        );
    }
    Ok(())
}
