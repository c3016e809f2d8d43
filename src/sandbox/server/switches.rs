//! The switches for trouble that the page has.

use std::time::Duration;

use minijinja::{Value, context};
use serde::Deserialize;

use crate::sandbox::{AnyFault, Calls, Failure, Fault, Mischief, Sandbox, WebhookFault};

/// How late "late" is on the page.
const LATE: Duration = Duration::from_secs(3);

struct Switch {
    name: &'static str,
    title: &'static str,
    small_print: &'static str,
    order: Order,
}

#[derive(Clone, Copy)]
enum Order {
    Fail(Failure),
    FailAfterEffect(Failure),
    SlowToAct,
    SlowToAnswer,
    Webhooks(Mischief),
}

const fn switch(name: &'static str, title: &'static str, small_print: &'static str, order: Order) -> Switch {
    Switch { name, title, small_print, order }
}

/// What the upstream answers in its own words is told before the small print.
const ANSWERS: [Switch; 8] = [
    switch("429", "Too many calls", "come back in 2 s", Order::Fail(Failure::TooMany { retry_after: Some(2) })),
    switch("pair", "Too many to one customer", "", Order::Fail(Failure::TooManyToOne)),
    switch("500", "A broken proxy", "a page instead of an error", Order::Fail(Failure::Broken)),
    switch("unknown", "Something went wrong", "and yet it is done", Order::FailAfterEffect(Failure::Unknown)),
    switch("refused", "The message is refused", "for good", Order::Fail(Failure::Refused)),
    switch("token", "The token is refused", "", Order::Fail(Failure::Token)),
    switch("session", "The number is not connected", "", Order::Fail(Failure::SessionDown)),
    switch("undeliverable", "Taken, not delivered", "200, and failed later", Order::Fail(Failure::Undeliverable)),
];
const CONNECTION: [Switch; 5] = [
    switch("slow", "Slow to act", "the effect comes 3 s late", Order::SlowToAct),
    switch("late", "Slow to answer", "done at once, answered 3 s late", Order::SlowToAnswer),
    switch("reset", "Breaks before", "no answer, and nothing is done", Order::Fail(Failure::Reset)),
    switch("reset-after", "Breaks after", "no answer, and yet it is done", Order::FailAfterEffect(Failure::Reset)),
    switch("hang", "Hangs", "no answer, ever", Order::Fail(Failure::Hang)),
];
const WEBHOOKS: [Switch; 2] = [
    switch("duplicate", "Come twice", "the same one, at the same time", Order::Webhooks(Mischief::Duplicate)),
    switch(
        "out-of-order",
        "Come out of order",
        "one waits until the next has gone",
        Order::Webhooks(Mischief::HoldBack),
    ),
];

const GROUPS: [(&str, &[Switch]); 3] =
    [("The upstream answers", &ANSWERS), ("The connection", &CONNECTION), ("Webhooks", &WEBHOOKS)];

/// What the page asks for.
#[derive(Deserialize)]
pub(super) struct Turned {
    name: String,
    on: bool,
    #[serde(default)]
    calls: Whom,
    #[serde(default)]
    once: bool,
}

/// Which calls, as the page says it.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Whom {
    #[default]
    Any,
    Typing,
    Send,
}

/// The switches as the page's template gets them.
pub(in crate::sandbox) fn switches(sandbox: &Sandbox) -> Vec<Value> {
    let on = sandbox.faults().switched_on();
    let shown = |switch: &Switch| {
        let Switch { name, title, small_print, order } = *switch;
        let answer = answer(sandbox, order).unwrap_or_default();
        let between = if answer.is_empty() || small_print.is_empty() { "" } else { ", " };
        context! { name, title, small_print => format!("{answer}{between}{small_print}"), on => on.contains(&name) }
    };
    let group = |(title, switches): &(&str, &[Switch])| {
        context! { title => *title, switches => switches.iter().map(shown).collect::<Vec<Value>>() }
    };
    GROUPS.iter().map(group).collect()
}

/// What the upstream answers a call that fails in this way, in its own numbers.
fn answer(sandbox: &Sandbox, order: Order) -> Option<String> {
    let failure = match order {
        // These have no answer, or one of success.
        Order::Fail(Failure::Undeliverable | Failure::Reset | Failure::Hang) => return None,
        Order::FailAfterEffect(Failure::Undeliverable | Failure::Reset | Failure::Hang) => return None,
        Order::Fail(failure) | Order::FailAfterEffect(failure) => failure,
        Order::SlowToAct | Order::SlowToAnswer | Order::Webhooks(_) => return None,
    };
    let denial = sandbox.settings().upstream.wire().trouble(sandbox, failure);
    Some(match denial.code {
        Some(code) => format!("{}, code {code}", denial.status),
        None => denial.status.to_string(),
    })
}

/// Turns a switch. Whether there is one of that name.
pub(super) fn turn(sandbox: &Sandbox, turned: &Turned) -> bool {
    let mut all = GROUPS.iter().flat_map(|(_, switches)| *switches);
    let Some(switch) = all.find(|switch| switch.name == turned.name) else { return false };
    if turned.on {
        sandbox.faults().switch_on(switch.name, fault(switch.order, turned));
    } else {
        sandbox.faults().switch_off(switch.name);
    }
    sandbox.phone().touch();
    true
}

fn fault(order: Order, turned: &Turned) -> AnyFault {
    let calls = match turned.calls {
        Whom::Any => Calls::Any,
        Whom::Typing => Calls::Typing,
        Whom::Send => Calls::Send,
    };
    let fault = Fault::on(calls);
    let fault = match order {
        Order::Fail(failure) => fault.fail(failure),
        Order::FailAfterEffect(failure) => fault.fail(failure).after_effect(),
        Order::SlowToAct => fault.slow_to_act(LATE),
        Order::SlowToAnswer => fault.slow_to_answer(LATE),
        Order::Webhooks(mischief) => {
            let fault = WebhookFault::new(mischief);
            return if turned.once { fault.once() } else { fault }.into();
        }
    };
    if turned.once { fault.once() } else { fault }.into()
}
