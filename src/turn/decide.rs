//! What a turn does next.
//!
//! [`decide`] is pure. What costs something to know, or changes something as it is looked at, it asks for only when it
//! matters: [`Step::Learn`] names it, and the turn comes back with it.

use super::GiveBackReason;
use super::interrupt::GivenCommand;
use crate::message::clock::Timestamp;
use crate::policy::quiet_hours::QuietPeriod;
use crate::store::{Claim, Seq};

/// A fact that is looked up only when it decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Learned<T> {
    /// Nobody has looked.
    #[default]
    NotYet,
    /// What was found.
    Known(T),
}

/// What is known beside the claim.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Whether a person answers.
    pub(super) is_paused: bool,
    /// The last control word that waits and that no reply on its way answers.
    pub(super) command: Option<GivenCommand>,
    /// Until when the upstream does not let the bot work.
    pub(super) down_until: Learned<Option<Timestamp>>,
    /// The first message that says a code by which its writer is let in.
    pub(super) code: Learned<Option<Seq>>,
    /// Which messages are to be answered.
    pub(super) due: Learned<Due>,
    /// Whether no free-form reply reaches the customer any more.
    pub(super) is_closed: Learned<bool>,
    /// The quiet hours that it is in; learnt with `is_closed`.
    pub(super) quiet: Option<QuietPeriod>,
    /// Until when the pace lets nothing leave.
    pub(super) held_until: Learned<Option<Timestamp>>,
}

/// Which messages are to be answered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// More may come until then.
    Later(Timestamp),
    /// None: the gates have turned all away.
    Nothing,
    /// Those that the gates let through.
    Now,
}

/// What is looked up next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Whether the upstream lets the bot work. After a pause one turn is let through to try.
    Health,
    /// Whether somebody says a good code. Each try counts.
    Code,
    /// What is due: the merge window, and the gates, which count whom they turn away.
    Due,
    /// What was said before, and with it whether a free-form reply still reaches the customer.
    Window,
    /// Whether something could leave soon: reserves a place.
    Pace,
}

/// What happens next in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look this up, and decide again.
    Learn(Lookup),
    /// A person answers: say nothing.
    StandAside,
    /// Leave everything as it is until then.
    GiveBack(Timestamp, GiveBackReason),
    /// Leave unsent what has not left of a reply.
    CallOff(GivenCommand),
    /// Go on with a reply that is on its way.
    Resume,
    /// Send again what had left and failed.
    Redeliver,
    /// Greet whom the code of this message lets in.
    Welcome(Seq),
    /// Do what a control word orders.
    Obey(GivenCommand),
    /// Say the first proactive message.
    SendProactive,
    /// Say nothing.
    KeepSilent,
    /// Send the approved template, or leave dead letters.
    WindowClosed,
    /// It is night: say so once, or wait.
    KeepQuiet(QuietPeriod),
    /// Ask the handler, and send what it answers.
    Ask,
}

/// Decides what a turn does next. What stands first wins:
///
/// 1. A person who answers. Only proactive messages are for nobody else to hold back, and decide that for themselves.
/// 2. An upstream that does not let the bot work.
/// 3. A reply that is on its way: a control word calls it off, unless it is a proactive message; else it goes on.
/// 4. Parts that had left and have failed.
/// 5. A code that lets somebody in.
/// 6. A control word.
/// 7. A proactive message that came before all messages. What came behind one waits for the next turn.
/// 8. A burst that may not be over.
/// 9. Gates that turn every message away.
/// 10. A window that has closed.
/// 11. Quiet hours. A proactive message goes before messages that wait for the morning.
/// 12. A pace at which nothing could leave soon.
/// 13. The handler.
pub(super) fn decide(claim: &Claim, facts: &Facts) -> Step {
    use Learned::{Known, NotYet};
    if facts.is_paused {
        return Step::StandAside;
    }
    match facts.down_until {
        NotYet => return Step::Learn(Lookup::Health),
        Known(Some(until)) => return Step::GiveBack(until, GiveBackReason::BotDown),
        Known(None) => {}
    }
    if let Some(outgoing) = &claim.outgoing {
        return facts.command.filter(|_| !outgoing.unasked).map_or(Step::Resume, Step::CallOff);
    }
    if !claim.failed.is_empty() {
        return Step::Redeliver;
    }
    match facts.code {
        NotYet => return Step::Learn(Lookup::Code),
        Known(Some(by)) => return Step::Welcome(by),
        Known(None) => {}
    }
    if let Some(command) = facts.command {
        return Step::Obey(command);
    }
    if is_proactive_first(claim) {
        return Step::SendProactive;
    }
    match facts.due {
        NotYet => return Step::Learn(Lookup::Due),
        Known(Due::Later(until)) => return Step::GiveBack(until, GiveBackReason::MoreMayCome),
        Known(Due::Nothing) => return Step::KeepSilent,
        Known(Due::Now) => {}
    }
    match (facts.is_closed, facts.quiet) {
        (NotYet, _) => return Step::Learn(Lookup::Window),
        (Known(true), _) => return Step::WindowClosed,
        (Known(false), Some(_)) if !claim.proactive_messages.is_empty() => return Step::SendProactive,
        (Known(false), Some(period)) => return Step::KeepQuiet(period),
        (Known(false), None) => {}
    }
    match facts.held_until {
        NotYet => Step::Learn(Lookup::Pace),
        Known(Some(until)) => Step::GiveBack(until, GiveBackReason::Closed),
        Known(None) => Step::Ask,
    }
}

/// Whether nothing that is claimed came before the first proactive message.
fn is_proactive_first(claim: &Claim) -> bool {
    let message = claim.messages.first().map(|waiting| waiting.seq);
    claim.proactive_messages.first().is_some_and(|proactive| message.is_none_or(|seq| proactive.seq < seq))
}

#[cfg(test)]
mod tests;
