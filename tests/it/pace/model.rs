//! The pace alone, against a model: for any customers, any rates, and any lateness of those who were given a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use proptest::prelude::*;
use threedots::delivery::pacing::{Pace, Slot};
use threedots::message::ChatId;
use threedots::message::clock::Timestamp;
use threedots::provider::{Rate, Scope, SendLimits};

/// When everything begins, in milliseconds.
const START: u64 = 1_760_000_000_000;

fn chat(number: usize) -> ChatId {
    ChatId::new(format!("chat-{number}"))
}

fn at(milliseconds: u64) -> Timestamp {
    Timestamp(START + milliseconds)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn meta() -> SendLimits {
    SendLimits { number: Rate::window(80, seconds(1)).into_iter().collect(), pair: pair() }
}

fn pair() -> Vec<Rate> {
    Rate::bucket(seconds(6), 45).into_iter().collect()
}

/// Sends as many as go now. How many, and when the next one goes.
fn drain(pace: &Pace, chat: &ChatId, now: Timestamp) -> (usize, Timestamp) {
    for sent in 0.. {
        if let Slot::At(next) = pace.book(chat, now, &[]) {
            return (sent, next);
        }
    }
    unreachable!("there are limits")
}

/// Whether these times keep to a rate, by its definition.
fn keeps_to(times: &[Timestamp], rate: Rate) -> bool {
    match rate {
        Rate::Window { most, per } => {
            times.windows(most as usize + 1).all(|run| run[most as usize].since(run[0]) >= per)
        }
        Rate::Bucket { every, burst } => {
            let (mut owed, mut last) = (Duration::ZERO, Timestamp(0));
            times.iter().all(|time| {
                owed = owed.saturating_sub(time.since(last)) + every;
                last = *time;
                owed <= every * burst
            })
        }
    }
}

fn rate() -> impl Strategy<Value = Rate> {
    prop_oneof![
        (1u32..30, 1u64..20_000).prop_map(|(most, per)| Rate::Window { most, per: Duration::from_millis(per) }),
        (1u64..3_000, 1u32..30).prop_map(|(every, burst)| Rate::Bucket { every: Duration::from_millis(every), burst }),
    ]
}

fn limits() -> impl Strategy<Value = SendLimits> {
    let rates = || prop::collection::vec(rate(), 0..3);
    (rates(), rates()).prop_map(|(number, pair)| SendLimits { number, pair })
}

/// Whoever comes too late to a booked time comes so much too late, in milliseconds.
fn lateness() -> impl Strategy<Value = Vec<u64>> {
    let late = prop_oneof![6 => Just(0u64), 3 => 0u64..50, 1 => 0u64..5_000];
    prop::collection::vec(late, 1..20)
}

/// What came of a run: when each message left, and from which chat.
struct Run {
    sent: Vec<(Timestamp, usize)>,
    /// How often somebody asked.
    asked: usize,
}

/// Chats that come in at their times, each with so many messages, one after the other.
fn run(
    pace: &Pace,
    chats: &[(u64, usize)],
    late: &[u64],
    mut refuse: impl FnMut(usize) -> Option<(Scope, u64)>,
) -> Run {
    let mut queue: BinaryHeap<Reverse<(Timestamp, usize, usize, usize)>> = BinaryHeap::new();
    for (number, (comes, messages)) in chats.iter().enumerate() {
        queue.push(Reverse((at(*comes), number, number, *messages)));
    }
    let mut run = Run { sent: Vec::new(), asked: 0 };
    let mut ticket = chats.len();
    while let Some(Reverse((now, _, number, left))) = queue.pop() {
        if left == 0 {
            continue;
        }
        run.asked += 1;
        ticket += 1;
        assert!(run.asked < 100_000, "somebody asks in vain");
        match pace.book(&chat(number), now, &[]) {
            Slot::Now => match refuse(run.asked) {
                Some((scope, wait)) => {
                    let wait = Some(Duration::from_millis(wait));
                    let again = pace.throttled(scope, wait, &chat(number), now);
                    assert!(again >= now);
                    queue.push(Reverse((again, ticket, number, left)));
                }
                None => {
                    run.sent.push((now, number));
                    queue.push(Reverse((now, ticket, number, left - 1)));
                }
            },
            Slot::At(later) => {
                assert!(later > now, "a time that is no later");
                let late = late[run.asked % late.len()];
                queue.push(Reverse((later.plus(Duration::from_millis(late)), ticket, number, left)));
            }
        }
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_stretch_of_time_ever_has_too_many(
        limits in limits(),
        chats in prop::collection::vec((0u64..10_000, 0usize..25), 1..12),
        late in lateness(),
    ) {
        let run = run(&Pace::new(limits.clone()), &chats, &late, |_| None);
        let messages: usize = chats.iter().map(|(_, messages)| messages).sum();
        prop_assert_eq!(run.sent.len(), messages, "all of them leave");
        let all: Vec<Timestamp> = run.sent.iter().map(|(sent, _)| *sent).collect();
        for rate in limits.number {
            prop_assert!(keeps_to(&all, rate), "the number: {:?} {:?}", rate, all);
        }
        for number in 0..chats.len() {
            let own = run.sent.iter().filter(|(_, by)| *by == number).map(|(sent, _)| *sent);
            let own: Vec<Timestamp> = own.collect();
            for rate in &limits.pair {
                prop_assert!(keeps_to(&own, *rate), "one chat: {:?} {:?}", rate, own);
            }
        }
        // Those who come in time ask twice for each message at the most, others seldom much more often.
        prop_assert!(run.asked <= messages * 12 + 12, "{} asked for {}", run.asked, messages);
    }

    #[test]
    fn times_are_given_out_in_the_order_in_which_they_are_asked_for(
        number in rate(),
        chats in prop::collection::vec(0u64..5_000, 1..60),
        refused in prop::option::of((1usize..40, 0u64..20_000)),
    ) {
        let mut chats: Vec<(u64, usize)> = chats.into_iter().map(|comes| (comes, 1)).collect();
        chats.sort_unstable();
        let limits = SendLimits { number: vec![number], pair: Vec::new() };
        let refuse = |asked| refused.filter(|(at, _)| *at == asked).map(|(_, wait)| (Scope::Number, wait));
        let run = run(&Pace::new(limits), &chats, &[0], refuse);
        let order: Vec<usize> = run.sent.iter().map(|(_, number)| *number).collect();
        prop_assert_eq!(order, (0..chats.len()).collect::<Vec<_>>());
    }

    #[test]
    fn nobody_sends_before_the_upstream_has_said_so(
        limits in limits(),
        chats in prop::collection::vec((0u64..2_000, 1usize..10), 1..12),
        late in lateness(),
        refusals in prop::collection::vec((1usize..60, 0u64..30_000), 1..4),
    ) {
        let pace = Pace::new(limits);
        let mut closed: Vec<(usize, u64)> = Vec::new();
        let refuse = |asked| {
            let found = refusals.iter().find(|(at, _)| *at == asked).copied();
            closed.extend(found);
            found.map(|(_, wait)| (Scope::Number, wait))
        };
        let run = run(&pace, &chats, &late, refuse);
        prop_assert_eq!(run.sent.len(), chats.iter().map(|(_, messages)| messages).sum::<usize>());
        // The longest silence is at least as long as the longest that was asked for while somebody still had something.
        let times: Vec<Timestamp> = run.sent.iter().map(|(sent, _)| *sent).collect();
        let longest = closed.iter().map(|(_, wait)| *wait).max().unwrap_or_default();
        let began = at(chats.iter().map(|(comes, _)| *comes).min().unwrap_or_default());
        let silence = std::iter::once(began).chain(times.iter().copied()).zip(&times).map(|(from, to)| to.since(from));
        prop_assert!(silence.max().unwrap_or_default().as_millis() as u64 + 2_000 >= longest);
    }
}

/// Chats that come in at their times, whose handlers work for so many milliseconds and then have something to say, or
/// not. When each of those that did left.
fn run_with_handlers(pace: &Pace, chats: &[(u64, u64, bool)]) -> Vec<Timestamp> {
    let mut queue: BinaryHeap<Reverse<(Timestamp, usize, usize, bool)>> = BinaryHeap::new();
    for (number, (comes, ..)) in chats.iter().enumerate() {
        queue.push(Reverse((at(*comes), number, number, false)));
    }
    let mut sent = Vec::new();
    for ticket in chats.len()..100_000 {
        let Some(Reverse((now, _, number, is_done))) = queue.pop() else { return sent };
        let (_, works, speaks) = chats[number];
        let slot = if is_done { pace.book(&chat(number), now, &[]) } else { pace.reserve(&chat(number), now, &[]) };
        match slot {
            Slot::Now if is_done => sent.push(now),
            Slot::Now if speaks => queue.push(Reverse((now.plus(Duration::from_millis(works)), ticket, number, true))),
            Slot::Now => pace.release(&chat(number)),
            Slot::At(later) => {
                assert!(later > now, "a time that is no later");
                queue.push(Reverse((later, ticket, number, is_done)));
            }
        }
    }
    panic!("somebody asks in vain");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whoever_books_before_the_handler_is_asked_keeps_to_the_limits_too(
        limits in limits(),
        chats in prop::collection::vec((0u64..10_000, prop_oneof![0u64..3_000, 0u64..100_000], any::<bool>()), 1..60),
    ) {
        let sent = run_with_handlers(&Pace::new(limits.clone()), &chats);
        prop_assert_eq!(sent.len(), chats.iter().filter(|(.., speaks)| *speaks).count(), "all who speak are heard");
        for rate in limits.number {
            prop_assert!(keeps_to(&sent, rate), "{:?} {:?}", rate, sent);
        }
    }
}

#[test]
fn a_time_that_was_given_to_one_is_not_taken_by_another() {
    let pace = Pace::new(SendLimits { number: Rate::window(1, seconds(10)).into_iter().collect(), pair: Vec::new() });
    assert_eq!(pace.book(&chat(1), at(0), &[]), Slot::Now);
    let Slot::At(second) = pace.book(&chat(2), at(10), &[]) else { panic!("one is enough") };
    assert_eq!(pace.book(&chat(2), at(20), &[]), Slot::At(second), "who asks again is told the same");
    // The next one comes exactly when the second could go, and does not get in between.
    let Slot::At(third) = pace.book(&chat(3), second, &[]) else { panic!("the second goes first") };
    assert!(third.since(second) >= seconds(10));
    assert_eq!(pace.book(&chat(2), second, &[]), Slot::Now);
}

#[test]
fn a_chat_that_waits_for_its_own_limit_holds_up_nobody() {
    let pace = Pace::new(SendLimits { number: Rate::window(80, seconds(1)).into_iter().collect(), pair: pair() });
    let (sent, next) = drain(&pace, &chat(1), at(0));
    assert_eq!(sent, 45);
    assert!(next.since(at(0)) >= seconds(6) && next.since(at(0)) <= Duration::from_millis(6100));
    assert_eq!(pace.book(&chat(2), at(0), &[]), Slot::Now);
}

#[test]
fn what_a_history_tells_counts_as_sent() {
    let pace = Pace::new(meta());
    assert!(pace.recalls(&chat(1), at(0)).is_some_and(|most| most >= 45));
    // Forty, all within the last moment: five are left.
    let sent: Vec<Timestamp> = (0..40).map(|number| Timestamp(START - 40 + number)).collect();
    assert_eq!(pace.book(&chat(1), at(0), &sent), Slot::Now);
    assert_eq!(pace.recalls(&chat(1), at(0)), None, "it is asked for once");
    assert_eq!(drain(&pace, &chat(1), at(0)).0, 4);
    // More than can have been sent at once, because they are known by the end of their reply: it is waited for one.
    let many = vec![at(0); 200];
    let Slot::At(next) = pace.book(&chat(2), at(0), &many) else { panic!("nothing is left") };
    assert!(next.since(at(0)) <= Duration::from_millis(6100), "{:?}", next.since(at(0)));
    // What is older than any limit reaches is of no interest.
    assert_eq!(pace.recalls(&chat(3), at(269_000)), Some(160));
    assert_eq!(pace.recalls(&chat(3), at(270_000)), None);
}

#[test]
fn without_limits_no_history_is_asked_for_and_everything_goes() {
    let pace = Pace::new(SendLimits::default());
    for number in 0..10_000 {
        assert_eq!(pace.recalls(&chat(number % 7), at(0)), None);
        assert_eq!(pace.book(&chat(number % 7), at(0), &[]), Slot::Now);
    }
    assert_eq!(pace.remembers(), 0);
}

#[test]
fn a_number_without_a_limit_that_is_refused_goes_on_one_by_one() {
    let pace = Pace::new(SendLimits::default());
    assert_eq!(pace.book(&chat(0), at(0), &[]), Slot::Now);
    let first = pace.throttled(Scope::Number, Some(seconds(5)), &chat(0), at(100));
    assert_eq!(first, at(5_100));
    let slots: Vec<Slot> = (1..5).map(|number| pace.book(&chat(number), at(200), &[])).collect();
    assert_eq!(slots, [5_150, 5_200, 5_250, 5_300].map(|time| Slot::At(at(time))));
    assert_eq!(pace.book(&chat(0), at(5_100), &[]), Slot::Now);
    for number in 1..5 {
        assert_eq!(pace.book(&chat(number), at(5_100 + 50 * number as u64), &[]), Slot::Now);
    }
    // A refusal more, and it is twice as slow; some time without, and it is as before.
    pace.throttled(Scope::Number, Some(seconds(1)), &chat(4), at(5_300));
    assert_eq!(pace.book(&chat(4), at(6_300), &[]), Slot::Now);
    assert_eq!(pace.book(&chat(5), at(6_400), &[]), Slot::Now);
    assert_eq!(pace.book(&chat(6), at(6_400), &[]), Slot::At(at(6_500)));
    assert_eq!([7, 8].map(|number| pace.book(&chat(number), at(200_000), &[])), [Slot::Now; 2]);
}

#[test]
fn a_refusal_without_a_time_is_a_pause_all_the_same() {
    let pace = Pace::new(meta());
    let waits = |scope, number, now| pace.throttled(scope, None, &chat(number), now).since(now);
    assert_eq!(waits(Scope::Number, 1, at(0)), seconds(1));
    assert_eq!(waits(Scope::Account, 2, at(10_000)), seconds(60));
    // Meta says that the customer was sent too much: everything that it lends is used up.
    let wait = waits(Scope::Pair, 3, at(100_000));
    assert!(wait >= seconds(6) && wait <= Duration::from_millis(6100), "{wait:?}");
}

#[test]
fn a_clock_that_is_set_back_stops_nobody() {
    let pace = Pace::new(meta());
    let hour = 3_600_000;
    for number in 0..80 {
        assert_eq!(pace.book(&chat(number), at(hour), &[]), Slot::Now);
    }
    assert_eq!(drain(&pace, &chat(100), at(hour)).0, 0);
    pace.throttled(Scope::Number, Some(seconds(20)), &chat(100), at(hour));
    let Slot::At(booked) = pace.book(&chat(101), at(hour), &[]) else { panic!("nobody sends") };
    // The same moment, by a clock that was an hour ahead.
    assert_eq!(pace.book(&chat(101), at(0), &[]), Slot::At(Timestamp(booked.0 - hour)));
    assert_eq!(pace.book(&chat(100), at(20_000), &[]), Slot::Now, "within the time that was asked for");
    // Threads that are a little out of step change nothing.
    assert_eq!(pace.book(&chat(101), at(20_100), &[]), Slot::Now);
    assert_eq!(pace.book(&chat(102), at(20_150), &[]), Slot::Now);
    let Slot::At(next) = pace.book(&chat(103), at(20_140), &[]) else { panic!("there is a gap between two") };
    assert!(next > at(20_150));
}

#[test]
fn customers_who_are_done_are_forgotten() {
    let pace = Pace::new(SendLimits { number: Vec::new(), pair: pair() });
    let mut most = 0;
    for number in 0..100_000u64 {
        // Ten in a second: each is whole again after 6 s.
        assert_eq!(pace.book(&chat(number as usize), at(300_000 + number * 100), &[]), Slot::Now);
        pace.recalls(&chat(number as usize), at(300_000 + number * 100));
        most = most.max(pace.remembers());
    }
    assert!(most < 6_000, "{most}");
}
