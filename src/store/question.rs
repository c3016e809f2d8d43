//! The open question of a conversation: what becomes of it when a reply is settled. The same for every store.

use super::Outgoing;
use super::parts::Left;
use crate::message::PartKey;
use crate::message::question::{Question, are_choices};

/// Whatever has left of a reply ends the question before; the last question in it is the open one then. Whether
/// anything has changed.
pub(super) fn settle(open: &mut Option<Question>, outgoing: &Outgoing, left: &Left) -> bool {
    let Some(last) = left.sent.last() else { return false };
    let has_left = |key: &PartKey| left.sent.iter().any(|sent| sent.key == *key);
    let asking = outgoing.parts.iter().rev().find(|part| !part.part.offers.is_empty() && has_left(&part.key));
    let question = asking.filter(|asking| are_choices(&asking.part.offers)).map(|asking| Question {
        choices: asking.part.offers.clone(),
        messages: left.sent.iter().filter_map(|sent| sent.message.clone()).collect(),
        asked: if asking.began.0 == 0 { last.sent } else { asking.began },
        // In a group that is written to unasked, nobody was asked before all others.
        of: Some(&outgoing.to)
            .filter(|to| to.group && to.sender.as_str() != to.chat.as_str())
            .map(|to| to.sender.clone()),
    });
    let changed = *open != question;
    *open = question;
    changed
}
