//! What is known of the parts of replies, and how the upstream's reports move them. The same for every store.

use serde::{Deserialize, Serialize};

use super::{FailedPart, Outgoing, OutgoingPart, PartState, SentPart, Seq, StatusOutcome, StoreError, Undecided};
use crate::message::clock::Timestamp;
use crate::message::{Conversation, DeliveryStatus, MessageId, MessageRef, PartKey, Stage};

/// What is kept of a part under its key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trace {
    /// Its reply is on its way out: the part stands there.
    Outgoing(OnItsWay),
    /// Its reply is settled: the part stands here.
    Sent(Box<SentPart>),
}

/// Where a part is found whose reply is on its way out.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OnItsWay {
    pub(super) key: PartKey,
    pub(super) conversation: Conversation,
    /// How far it has come, by the upstream's reports.
    #[serde(default)]
    pub(super) reported: Option<Stage>,
    /// The proactive message that it is of, while that waits for its turn.
    #[serde(default, rename = "errand", skip_serializing_if = "Option::is_none")]
    pub(super) proactive: Option<Seq>,
}

impl Trace {
    /// The conversation that the part belongs to.
    pub(super) fn conversation(&self) -> &Conversation {
        match self {
            Self::Outgoing(part) => &part.conversation,
            Self::Sent(part) => &part.conversation,
        }
    }

    /// The part, if its reply is settled.
    pub(super) fn sent(self) -> Option<SentPart> {
        match self {
            Self::Outgoing(_) => None,
            Self::Sent(part) => Some(*part),
        }
    }
}

/// How far a part has come of what is outgoing, if anything is; one that is not part of that waits for its turn.
pub(super) fn under_way(outgoing: Option<&Outgoing>, key: &PartKey) -> PartState {
    let part = outgoing.and_then(|outgoing| outgoing.parts.iter().find(|part| part.key == *key));
    part.map_or(PartState::Waiting { attempts: 0 }, |part| part.state.clone())
}

impl OnItsWay {
    /// A part of which nothing has been reported.
    pub(super) fn new(key: &PartKey, conversation: &Conversation) -> Self {
        Self { key: key.clone(), conversation: conversation.clone(), reported: None, proactive: None }
    }
}

/// Sets the state of one part of what is outgoing, and says what holds now: what has been sent, or has failed, stays
/// so.
pub(super) fn mark(
    outgoing: Option<&mut Outgoing>,
    part: usize,
    state: PartState,
    now: Timestamp,
) -> Result<PartState, StoreError> {
    const UNKNOWN: StoreError = StoreError::Invalid("no such part is outgoing");
    let part = outgoing.and_then(|outgoing| outgoing.parts.get_mut(part)).ok_or(UNKNOWN)?;
    if !matches!(part.state, PartState::Sent { .. } | PartState::Failed { .. }) {
        if matches!(state, PartState::Sending { .. }) {
            part.begin(now);
        }
        part.state = state;
    }
    Ok(part.state.clone())
}

/// What an echo is, as far as what is outgoing in its chat tells.
pub(super) enum EchoMatch {
    /// A part that has left.
    Ours,
    /// A part of which nobody had known whether it was delivered: it has been, and that is written down in it.
    Settles,
    /// Perhaps a part that is being sent.
    Undecided,
    /// None of these parts.
    Other,
}

/// Compares an echo with what is outgoing in its chat.
pub(super) fn overhear(outgoing: &mut Outgoing, message: &MessageId, words: Option<&str>) -> EchoMatch {
    if outgoing.parts.iter().any(|part| matches!(&part.state, PartState::Sent { message: sent } if sent == message)) {
        EchoMatch::Ours
    } else if outgoing.undecided.iter().any(|known| known.message == *message) || is_sending(outgoing) {
        EchoMatch::Undecided
    } else if settle_by_words(outgoing, message, words) {
        EchoMatch::Settles
    } else {
        EchoMatch::Other
    }
}

/// Decides about the echoes as far as the parts' states tell: those that are of none of them are a person's. Gives the
/// newest of these.
pub(super) fn decide(outgoing: &mut Outgoing) -> Option<Undecided> {
    if outgoing.undecided.is_empty() {
        return None;
    }
    let mut undecided = std::mem::take(&mut outgoing.undecided);
    undecided.retain(|echo| {
        let is_it =
            |part: &OutgoingPart| matches!(&part.state, PartState::Sent { message } if *message == echo.message);
        !outgoing.parts.iter().any(is_it)
    });
    if is_sending(outgoing) {
        outgoing.undecided = undecided;
        return None;
    }
    undecided.retain(|echo| !settle_by_words(outgoing, &echo.message, echo.words.as_deref()));
    undecided.into_iter().max_by_key(|echo| echo.pause.since)
}

/// The same, of a reply that is settled: `named` are parts that have left since they were last marked.
pub(super) fn decide_in_the_end(outgoing: &Outgoing, named: &[(usize, MessageId)]) -> Option<Undecided> {
    if outgoing.undecided.is_empty() {
        return None;
    }
    let mut outgoing = outgoing.clone();
    for (number, part) in outgoing.parts.iter_mut().enumerate() {
        let name = named.iter().find(|(named, _)| *named == number);
        if let Some((_, message)) = name {
            part.state = PartState::Sent { message: message.clone() };
        } else if let PartState::Sending { attempts } = part.state {
            part.state = PartState::Waiting { attempts };
        }
    }
    decide(&mut outgoing)
}

fn is_sending(outgoing: &Outgoing) -> bool {
    outgoing.parts.iter().any(|part| matches!(part.state, PartState::Sending { .. }))
}

/// A part that may have been delivered is the echo that says the same. One that was tried and waits again may have
/// been, too: where the upstream knows our keys, nobody asks before it is sent again.
fn settle_by_words(outgoing: &mut Outgoing, message: &MessageId, words: Option<&str>) -> bool {
    let is_same = |part: &OutgoingPart| part.part.payload.words().map(str::trim) == words.map(str::trim);
    let may_be = |part: &&mut OutgoingPart| match part.state {
        PartState::Waiting { attempts } => attempts > 0 && is_same(part),
        PartState::Unknown { .. } => is_same(part),
        PartState::Sending { .. } | PartState::Sent { .. } | PartState::Failed { .. } => false,
    };
    match outgoing.parts.iter_mut().find(may_be) {
        Some(part) => {
            part.state = PartState::Sent { message: message.clone() };
            true
        }
        None => false,
    }
}

/// Moves a part that has left, if the report says anything new.
pub(super) fn advance(stage: &mut Stage, reported: &Stage) -> StatusOutcome {
    let (forward, noted) = match (&*stage, reported) {
        (Stage::Failed(_), _) => (false, StatusOutcome::Known),
        // What the customer's phone has had has not failed.
        (known, Stage::Failed(_)) => (*known == Stage::Sent, StatusOutcome::Failed),
        (known, reported) => (reported > known, StatusOutcome::Moved),
    };
    if !forward {
        return StatusOutcome::Known;
    }
    *stage = reported.clone();
    noted
}

/// What a conversation has to do by a report.
pub(super) enum StatusEffect {
    /// Nothing new.
    Nothing,
    /// Go on with what is outgoing: more is known of it.
    GoOn(Conversation),
    /// See to a part that has failed.
    Failed(Conversation),
}

/// What a report has changed in what is outgoing.
pub(super) struct Reported {
    pub(super) noted: StatusOutcome,
    /// Whether a part's state has changed: then the reply need not wait any longer.
    pub(super) settled: bool,
    /// The part that had left, and has failed.
    pub(super) failed: Option<FailedPart>,
}

/// Takes in a report about a part of what is outgoing; none if there is no such part.
pub(super) fn report(
    outgoing: &mut Outgoing,
    trace: &mut OnItsWay,
    status: &DeliveryStatus,
    now: Timestamp,
) -> Option<Reported> {
    let number = outgoing.parts.iter().position(|part| part.key == trace.key)?;
    let OutgoingPart { key, part, state, .. } = &mut outgoing.parts[number];
    let unchanged = Reported { noted: StatusOutcome::Known, settled: false, failed: None };
    match (&*state, &status.stage) {
        (PartState::Failed { .. }, _) => return Some(unchanged),
        (PartState::Sent { message }, reported) => {
            let mut stage = trace.reported.clone().unwrap_or(Stage::Sent);
            let noted = advance(&mut stage, reported);
            if noted == StatusOutcome::Known {
                return Some(unchanged);
            }
            let message = message.clone();
            let (conversation, unasked) = (&trace.conversation, outgoing.unasked);
            let failed = failed_code(&stage).map(|code| FailedPart {
                sent: sent(key, conversation, &outgoing.to, part, message, stage.clone(), now, unasked),
                code,
            });
            trace.reported = Some(stage);
            return Some(Reported { noted, settled: false, failed });
        }
        (_, Stage::Failed(code)) => {
            let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
            *state = PartState::Failed { reason: format!("the provider reported that it failed{code}") };
        }
        _ => *state = PartState::Sent { message: status.message.clone() },
    }
    trace.reported = Some(status.stage.clone());
    let noted = if failed_code(&status.stage).is_some() { StatusOutcome::Failed } else { StatusOutcome::Settled };
    Some(Reported { noted, settled: true, failed: None })
}

/// What is left of a reply that is settled.
#[derive(Default)]
pub(super) struct Left {
    /// The parts that have left.
    pub(super) sent: Vec<SentPart>,
    /// Those of them that have failed while whoever sent them took them for sent.
    pub(super) failed: Vec<FailedPart>,
    /// The parts that never left.
    pub(super) never: Vec<PartKey>,
}

/// Takes a reply apart as it is settled: `named` are parts that have left since they were last marked, and `reported`
/// is asked what has been reported of a part.
pub(super) fn take_apart<E>(
    conversation: &Conversation,
    outgoing: &Outgoing,
    named: &[(usize, MessageId)],
    now: Timestamp,
    mut reported: impl FnMut(&PartKey) -> Result<Option<Stage>, E>,
) -> Result<Left, E> {
    let mut left = Left::default();
    for (number, OutgoingPart { key, part, state, .. }) in outgoing.parts.iter().enumerate() {
        let name = named.iter().find(|(named, _)| *named == number).map(|(_, message)| message);
        let (message, was_told) = match (state, name) {
            (PartState::Sent { message }, _) => (message, true),
            (_, Some(message)) => (message, false),
            (_, None) => {
                left.never.push(key.clone());
                continue;
            }
        };
        let stage = reported(key)?.unwrap_or(Stage::Sent);
        let code = failed_code(&stage).filter(|_| !was_told);
        let sent = sent(key, conversation, &outgoing.to, part, message.clone(), stage, now, outgoing.unasked);
        left.failed.extend(code.map(|code| FailedPart { sent: sent.clone(), code }));
        left.sent.push(sent);
    }
    Ok(left)
}

#[expect(clippy::too_many_arguments, reason = "the fields of one record, which comes of two")]
fn sent(
    key: &PartKey,
    conversation: &Conversation,
    to: &MessageRef,
    part: &crate::message::Part,
    message: MessageId,
    stage: Stage,
    sent: Timestamp,
    unasked: bool,
) -> SentPart {
    let message = Some(message).filter(|message| !message.as_str().is_empty());
    let (key, conversation, to, part) = (key.clone(), conversation.clone(), to.clone(), part.clone());
    SentPart { key, conversation, to, part, message, stage, sent, unasked }
}

/// The code of a failure.
pub(super) fn failed_code(stage: &Stage) -> Option<Option<i64>> {
    match stage {
        Stage::Failed(code) => Some(*code),
        _ => None,
    }
}
