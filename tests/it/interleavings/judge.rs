//! What must hold on the timeline of any case.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use threedots::message::MessageId;
use threedots::message::clock::Timestamp;
use threedots::provider::{KeyedBy, ReadReceipts};
use threedots::sandbox::phone::{Call, Moment, What};

use super::{BLOCKED, Deed, LATE, ON_ITS_WAY, Played, Script, TIMEOUT, Trouble, dots, is_lit_outside, is_silent};
use crate::interleavings::Act;

/// Whether a message came in just then: the dots that come on under it may be the upstream's own.
fn is_new(seen: &[Moment], message: &MessageId, at: Timestamp) -> bool {
    let is_it = |moment: &Moment| matches!(&moment.what, What::CustomerWrote { message: new } if new == message);
    seen.iter().any(|moment| moment.at == at && is_it(moment))
}

pub(super) fn judge(script: &Script, played: &Played) -> TestCaseResult {
    let Played { world, customers, crashed, handler, words, dead, left } = played;
    let timeline = world.phone().timeline();
    let log = handler.log.lock().expect("no test panics in here");
    let abilities = world.provider.abilities();

    // 3: one worker at a time.
    prop_assert!(!log.overlapped, "one conversation was served twice at the same time");

    // 9: nothing is left, and whatever was not answered has a reason.
    prop_assert!(!left, "something still waits");
    let fails = |act: &Act| act.0 >= TIMEOUT * 10 || matches!(act.1, Deed::Fail | Deed::Panic | Deed::Hang);
    let failed = script.messages.iter().any(|(.., act)| fails(act));
    // So is a reply that is reported as failed before anybody knows that it was taken.
    let undeliverable = script.faults.iter().any(|(_, trouble)| matches!(trouble, Trouble::SendUndeliverable(_)));
    prop_assert!(*dead == 0 || failed || undeliverable, "{dead} dead letters, and nothing failed");

    // 6: whoever is not answered sees nothing.
    let blocked = world.phone().seen(&customers[BLOCKED]);
    let fine = |what: &What| match what {
        What::CustomerWrote { .. } => true,
        // How long is judged below.
        What::DotsOn { .. } | What::DotsOff { .. } => is_lit_outside(script),
        // There the upstream marks as read whatever arrives.
        What::MarkedRead { .. } => abilities.reads == ReadReceipts::None,
        _ => false,
    };
    prop_assert!(blocked.iter().all(|moment| fine(&moment.what)), "the blocked customer saw something: {blocked:?}");

    // 8 and 2: a part is on the phone once, unless the outcome of an earlier send was unknown.
    let mut shown: HashMap<&str, usize> = HashMap::new();
    timeline.iter().filter_map(|moment| name(&moment.what)).for_each(|name| *shown.entry(name).or_default() += 1);
    let doubled: usize = shown.values().map(|times| times - 1).sum();
    let unsure = timeline.iter().filter(|moment| match moment.what {
        What::CallUnanswered { what, .. } => what == Call::Send,
        What::CallRefused { what, status, .. } => what == Call::Send && status >= 500,
        _ => false,
    });
    // Some upstreams answer with 200 whatever has happened.
    let told = script.faults.iter().filter(|(_, trouble)| matches!(trouble, Trouble::SendBrokenAfterDelivery));
    // A crash can catch every conversation in the middle of a send.
    let unsure = unsure.count() + told.count() + crashed.len() * customers.len();
    prop_assert!(doubled <= unsure, "{doubled} parts were doubled, and only {unsure} sends had an unknown end");
    let known = abilities.idempotent_sends || abilities.statuses_carry_key;
    prop_assert!(doubled == 0 || !known, "{doubled} parts were doubled in spite of their keys");

    let calm = script.faults.is_empty() && script.crashes.is_empty();
    for customer in customers {
        dots::judge(script, played, &log, customer)?;
    }
    for customer in &customers[..BLOCKED] {
        let seen = world.phone().seen(customer);
        prop_assert!(!world.phone().dots_showing(customer), "dots without end");
        let mut answered: Vec<&str> = Vec::new();
        let mut copies = HashSet::new();
        let (mut last, mut replied) = (None, Timestamp(0));
        // What the customer had written before they last said "stop", and when that was.
        let (mut written, mut stopped) = (HashSet::new(), None);
        for moment in &seen {
            // A copy that had been given up for lost answers nobody.
            if matches!(moment.what, What::Reply { .. })
                && name(&moment.what).is_none_or(|name| !copies.contains(&name))
            {
                replied = moment.at;
            }
            match &moment.what {
                What::CustomerWrote { message, .. } => match words.get(message) {
                    Some(word) => drop(written.insert(number_of(word))),
                    None => stopped = Some((moment.at, written.clone())),
                },
                // 3: in order. The failure reply has no number. A copy that had been given up for lost has no order.
                What::Reply { text, .. } if name(&moment.what).is_none_or(|name| copies.insert(name)) => {
                    let numbers: Vec<usize> =
                        text.split_whitespace().filter_map(|word| word.trim_matches(['<', '>']).parse().ok()).collect();
                    prop_assert!(numbers.is_sorted());
                    // What was on its way when they said "stop" may still arrive.
                    if let Some((at, before)) = &stopped
                        && calm
                        && moment.at > at.plus(ON_ITS_WAY)
                    {
                        prop_assert!(!numbers.iter().any(|number| before.contains(number)), "answered after a stop");
                    }
                    if let (Some(first), Some(before)) = (numbers.first(), last) {
                        prop_assert!(*first >= before, "answered {first} after {before}");
                    }
                    last = numbers.first().copied().or(last);
                    answered.push(text);
                }
                // 4 and 5: dots stand under messages on which somebody is at work, and no others; but a call that a
                // dead process had made may land while its successor is at work.
                What::DotsOn { message, .. } if is_lit_outside(script) && is_new(&seen, message, moment.at) => {}
                What::DotsOn { message, .. }
                    if !crashed.iter().any(|at| moment.at >= *at && moment.at <= at.plus(LATE)) =>
                {
                    if abilities.typing.keyed_by == KeyedBy::Chat {
                        let here = |word: &str| script.messages[number_of(word)].1;
                        let mut work = log
                            .work
                            .iter()
                            .filter(|(word, began, _)| customers[here(word)] == *customer && *began <= moment.at);
                        let Some((word, _, ended)) = work.next_back() else {
                            return Err(TestCaseError::fail("the dots came on before anybody was at work"));
                        };
                        if let Some(ended) = ended.filter(|ended| *ended < moment.at) {
                            // In the same moment the turn before it may have been answered.
                            let is_answered =
                                replied > ended || answered.iter().any(|text| text.contains(word.as_str()));
                            prop_assert!(!is_answered, "the dots came on after {word} had been answered");
                            // Where dots have to precede a reply, one that was there at once waits for the receipt too.
                            let calls = if abilities.typing.lead.is_zero() { 1 } else { 2 };
                            let late = moment.at > ended.plus(LATE * calls);
                            // They precede a reply, too, that was held back before any of it had left.
                            let is_silent = is_silent(script.messages[number_of(word)].2);
                            let precedes = !abilities.typing.lead.is_zero() && !is_silent;
                            prop_assert!(!late || precedes, "the dots came on after the work on {word}");
                        }
                        continue;
                    }
                    let word = &words[message];
                    prop_assert!(
                        !answered.iter().any(|text| text.contains(word.as_str())),
                        "the dots came on for {word}, which had been answered"
                    );
                    let ended = log.work.iter().rfind(|(known, ..)| known == word).and_then(|(_, _, ended)| *ended);
                    if let Some(ended) = ended {
                        prop_assert!(
                            moment.at <= ended.plus(LATE),
                            "the dots came on for {word} after its work had ended"
                        );
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What tells a part from all others: our key, or its words where the upstream does not carry keys.
fn name(what: &What) -> Option<&str> {
    match what {
        What::Reply { key: Some(key), .. } => Some(key),
        // The failure reply has no number: it may come again after an hour.
        What::Reply { key: None, text, .. } if text.contains('<') => Some(text),
        _ => None,
    }
}

pub(super) fn number_of(word: &str) -> usize {
    word.trim_matches(['<', '>']).parse().expect("a number")
}
