//! Who has opted out at Linq: by one of its words as a whole message, which it answers with 403 and code 2024 from then
//! on, until the same person writes anything else. Groups are never held back (Linq's SDK, on `override_optout`).

use super::event::Event;
use crate::message::{BotName, Content, Inbound, OptOutWords, Wish};

/// Linq's own words.
pub(super) const WORDS: OptOutWords =
    OptOutWords { exact: &["STOP", "UNSUBSCRIBE", "OPTOUT", "CANCEL", "END", "QUIT"], loose: &["optout"] };

/// What Linq says of a chat that it holds messages back from.
const OPTED_OUT: &str = "OPTED_OUT";

/// That the person in the chat has opted out, if the event says so.
pub(super) fn told(event: &Event<'_>, bot: &BotName) -> Option<Wish> {
    let (status, since) = event.health()?;
    let wish = wish(event, bot, true).filter(|_| status == OPTED_OUT)?;
    Some(Wish { time: since.unwrap_or(wish.time), ..wish })
}

/// What Linq takes a message for: an opt-out if it is one of its words, and the end of one if it is anything else.
pub(super) fn of_message(event: &Event<'_>, message: &Inbound) -> Option<Wish> {
    let opts_out = matches!(&message.content, Content::Text { body } if WORDS.are(body));
    let wish = wish(event, &message.at.bot, opts_out)?;
    Some(Wish { phone: message.at.phone.clone(), time: message.at.time, ..wish })
}

fn wish(event: &Event<'_>, bot: &BotName, opts_out: bool) -> Option<Wish> {
    let chat = event.chat().filter(|_| !event.is_group())?;
    Some(Wish { bot: bot.clone(), chat: Some(chat), phone: None, opts_out, by_rule: true, time: event.time(&[]) })
}
