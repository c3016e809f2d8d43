//! Who has opted out at Linq: by one of its words as a whole message, which it answers with 403 and code 2024 from then
//! on, until the same person writes anything else. Groups are never held back (Linq's SDK, on `override_optout`).

use super::event::LinqEvent;
use crate::message::{BotName, Content, Inbound, MarketingPreference, OptOutWords};

/// Linq's own words.
pub(super) const WORDS: OptOutWords =
    OptOutWords { exact: &["STOP", "UNSUBSCRIBE", "OPTOUT", "CANCEL", "END", "QUIT"], loose: &["optout"] };

/// What Linq says of a chat that it holds messages back from.
const OPTED_OUT: &str = "OPTED_OUT";

/// That the person in the chat has opted out, if the event says so.
pub(super) fn told(event: &LinqEvent<'_>, bot: &BotName) -> Option<MarketingPreference> {
    let (status, since) = event.health()?;
    let wish = wish(event, bot, true).filter(|_| status == OPTED_OUT)?;
    Some(MarketingPreference { time: since.unwrap_or(wish.time), ..wish })
}

/// What Linq takes a message for: an opt-out if it is one of its words, and the end of one if it is anything else.
pub(super) fn of_message(event: &LinqEvent<'_>, message: &Inbound) -> Option<MarketingPreference> {
    let opts_out = matches!(&message.content, Content::Text { body } if WORDS.are(body));
    let wish = wish(event, &message.at.bot, opts_out)?;
    Some(MarketingPreference { phone: message.at.phone.clone(), time: message.at.time, ..wish })
}

fn wish(event: &LinqEvent<'_>, bot: &BotName, opts_out: bool) -> Option<MarketingPreference> {
    let chat = event.chat().filter(|_| !event.is_group())?;
    Some(MarketingPreference {
        bot: bot.clone(),
        chat: Some(chat),
        phone: None,
        opts_out,
        by_rule: true,
        time: event.time(&[]),
    })
}
