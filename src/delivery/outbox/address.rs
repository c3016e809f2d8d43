//! Parts on their way out: their keys, and the message that they answer.

use crate::message::clock::Timestamp;
use crate::message::{Part, PartKey};
use crate::store::{FailedPart, Outgoing, OutgoingPart, PartState, Waiting};

/// Gives the parts their keys and the address they go to: ready to be recorded once it says what it answers. Their keys
/// go on from the number `first`, where earlier ones have been used.
pub fn address(newest: &Waiting, parts: Vec<Part>, first: usize, reports_carry_key: bool) -> Outgoing {
    let name = |part: usize| format!("{}-{part}", newest.name());
    let parts = parts.into_iter().enumerate().map(|(number, part)| OutgoingPart {
        key: PartKey::new(name(first + number)),
        part,
        began: Timestamp::default(),
        state: if number == 0 { PartState::Sending { attempts: 0 } } else { PartState::Waiting { attempts: 0 } },
    });
    Outgoing {
        to: newest.inbound.at.clone(),
        answers: vec![newest.seq],
        turned_away: Vec::new(),
        parts: parts.collect(),
        failure: None,
        fallback: None,
        left_out: None,
        reports_carry_key,
        makes_up_for: 0,
        announces_person: false,
        confirms_opt_out: false,
        unasked: false,
        despite_pause: false,
        undecided: Vec::new(),
    }
}

/// What is to be said unasked, by keys that are known since it was taken in; none if it is a message.
pub fn proactive(waiting: &Waiting, reports_carry_key: bool) -> Option<Outgoing> {
    let proactive = waiting.proactive.as_ref()?;
    let mut outgoing = address(waiting, proactive.parts.clone(), 0, reports_carry_key);
    outgoing.hold();
    Some(Outgoing { unasked: true, despite_pause: !proactive.unless_paused, ..outgoing })
}

/// One part in the place of all that has not left of `late`.
pub fn instead(late: &Outgoing, part: Part, reports_carry_key: bool) -> Outgoing {
    let number = late.parts.len();
    // The last key and one more: no other part has had it.
    let base = late.parts.last().map_or("3d", |last| last.key.as_str());
    let key = PartKey::new(format!("{base}.{number}"));
    let (state, began) = (PartState::Waiting { attempts: 0 }, Timestamp::default());
    let parts = vec![OutgoingPart { key, part, state, began }];
    Outgoing { parts, reports_carry_key, ..late.clone() }
}

/// What the key of a part ends in that takes the place of one that had failed.
pub const AGAIN: &str = ".r";

/// Parts in the place of others that had left and failed, so many, with keys of their own; none if there are none.
pub fn again(parts: Vec<(FailedPart, Part)>, makes_up_for: usize, reports_carry_key: bool) -> Option<Outgoing> {
    let to = parts.first()?.0.sent.to.clone();
    let unasked = parts.iter().any(|(failed, _)| failed.sent.unasked);
    let parts = parts.into_iter().map(|(failed, part)| OutgoingPart {
        key: PartKey::new(format!("{}{AGAIN}", failed.sent.key.as_str())),
        part,
        state: PartState::Waiting { attempts: 0 },
        began: Timestamp::default(),
    });
    Some(Outgoing {
        to,
        answers: Vec::new(),
        turned_away: Vec::new(),
        parts: parts.collect(),
        failure: None,
        fallback: None,
        left_out: None,
        reports_carry_key,
        makes_up_for,
        announces_person: false,
        confirms_opt_out: false,
        unasked,
        despite_pause: unasked,
        undecided: Vec::new(),
    })
}
