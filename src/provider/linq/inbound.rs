//! What a delivery carries: one event of one of some seventy types, of which a bot has a use for eight.

use super::content::{self, LinqMessage};
use super::event::LinqEvent;
use super::{consent, names, reaction};
use crate::message::clock::Timestamp;
use crate::message::{
    BotName, Contact, Content, DeliveryStatus, Echo, Inbound, MessageId, MessageRef, PartKey, Stage, rendering,
};
use crate::provider::lenient::{self, Object, Shallow};
use crate::provider::{Elsewhere, Events, Unread, WebhookError};

/// Whose delivery it is, and when it came.
pub(super) struct LinqReader<'a> {
    pub(super) bot: &'a BotName,
    /// The bot's line; empty if it serves all lines.
    pub(super) number: &'a str,
    pub(super) received: Timestamp,
}

impl LinqReader<'_> {
    /// What `body` carries for this bot.
    pub(super) fn read(&self, body: &[u8]) -> Result<Events, WebhookError> {
        let body = lenient::whole(body).ok_or(WebhookError::Malformed)?;
        let envelope = Shallow::read(&body).ok_or(WebhookError::Malformed)?;
        let mut events = Events::default();
        if self.event(&envelope, &mut events).is_none() {
            match unread(&body, &envelope) {
                Some(unread) => events.not_read(unread),
                None => events.ignored.malformed += 1,
            }
        }
        Ok(events)
    }

    fn event(&self, envelope: &Shallow<'_>, events: &mut Events) -> Option<()> {
        let Some(news) = LinqNews::of(&envelope.text("event_type")?) else {
            events.ignored.other += 1;
            return Some(());
        };
        let data = envelope.object("data")?;
        let event = LinqEvent::new(envelope, Object(&data), self.received);
        if event.line().is_some_and(|line| !self.serves(&line)) {
            events.leave_out(Elsewhere::by("number"));
            return Some(());
        }
        match news {
            LinqNews::Received => self.received(&event, events),
            LinqNews::Edited => self.edited(&event, events),
            LinqNews::Reacted { added } => self.reacted(&event, added, events),
            LinqNews::Status(stage, when) => self.status(&event, stage, when, events),
        }?;
        events.wishes.extend(consent::told(&event, self.bot));
        // What Linq has found later counts.
        events.wishes.sort_by_key(|wish| (wish.time, wish.opts_out));
        Some(())
    }

    fn serves(&self, line: &str) -> bool {
        let digits = |number: &str| number.trim_start_matches('+').to_owned();
        self.number.is_empty() || digits(self.number) == digits(line)
    }

    fn received(&self, event: &LinqEvent<'_>, events: &mut Events) -> Option<()> {
        // Of those that were sent from our side another event tells.
        if event.is_ours() || event.is_past() {
            events.ignored.other += 1;
            return Some(());
        }
        let id = event.message.text("id")?;
        let LinqMessage { first, more, unknown, malformed } = content::read(event.message.list("parts"))?;
        let at = self.reference(event, MessageId::new(&*id), &["sent_at", "received_at", "created_at"])?;
        let quotes = event.message.object("reply_to").and_then(|quoted| quoted.text("message_id"));
        let further = more.into_iter().map(|(part, medium)| (names::of_part(&id, part), Content::Media(medium)));
        for (message, content) in std::iter::once((at.message.clone(), first)).chain(further) {
            let at = MessageRef { message, ..at.clone() };
            events.messages.push(inbound(at, content, quotes.as_deref().map(MessageId::new)));
        }
        events.wishes.extend(events.messages.first().and_then(|message| consent::of_message(event, message)));
        events.ignored.other += unknown;
        events.ignored.malformed += malformed;
        Some(())
    }

    fn edited(&self, event: &LinqEvent<'_>, events: &mut Events) -> Option<()> {
        if event.is_ours() || event.is_past() {
            events.ignored.other += 1;
            return Some(());
        }
        let id = event.data.text("id")?;
        let words = event.data.object("part")?.text("text")?;
        let content = Content::Edit { message: MessageId::new(&*id), content: Box::new(Content::text(words)) };
        let name = names::of_event(&id, &event.name("edited_at")?);
        events.messages.push(inbound(self.reference(event, name, &["edited_at"])?, content, None));
        Some(())
    }

    fn reacted(&self, event: &LinqEvent<'_>, added: bool, events: &mut Events) -> Option<()> {
        if event.is_ours() || event.is_past() {
            events.ignored.other += 1;
            return Some(());
        }
        let content = reaction::read(event.data, added)?;
        let name = names::of_event(&event.data.text("message_id")?, &event.name("reacted_at")?);
        events.messages.push(inbound(self.reference(event, name, &["reacted_at"])?, content, None));
        Some(())
    }

    fn status(&self, event: &LinqEvent<'_>, stage: Stage, when: &str, events: &mut Events) -> Option<()> {
        // A customer's message is delivered and read as well: by us.
        if event.is_theirs() {
            events.ignored.other += 1;
            return Some(());
        }
        let id = event.data.text("message_id").or_else(|| event.message.text("id"))?;
        let stage = match stage {
            Stage::Failed(_) => Stage::Failed(event.data.int("code")),
            stage => stage,
        };
        let key = event.message.text("idempotency_key").or_else(|| event.data.text("idempotency_key"));
        let is_keyed = key.as_deref().is_some_and(|key| key.starts_with(PartKey::PREFIX));
        if stage == Stage::Sent && !is_keyed && !event.is_reconciled() {
            events.echoes.push(self.echo(event, &id, when));
        }
        events.statuses.push(DeliveryStatus {
            bot: self.bot.clone(),
            message: MessageId::new(id),
            key: key.map(PartKey::new),
            stage,
            time: event.time(&[when, "updated_at"]),
        });
        Some(())
    }

    /// A message from our side that does not go by a key of ours: somebody has written it with another client of
    /// Linq's. A voice memo of ours has no key either, and is known by its name.
    fn echo(&self, event: &LinqEvent<'_>, id: &str, when: &str) -> Echo {
        let parts = content::read(event.message.list("parts"));
        let words = parts.as_ref().and_then(|said| said.first.words().map(str::to_owned));
        let told = parts.map(|said| {
            let more = said.more.into_iter().map(|(_, medium)| Content::Media(medium));
            let all = std::iter::once(said.first).chain(more);
            all.filter_map(|content| rendering::by_person(&content)).collect::<Vec<_>>().join("\n")
        });
        Echo {
            bot: self.bot.clone(),
            chat: event.chat(),
            phone: event.recipient().filter(|phone| !event.is_group() && is_phone(phone.as_str())),
            message: MessageId::new(id),
            words,
            told,
            time: event.time(&[when]),
        }
    }

    fn reference(&self, event: &LinqEvent<'_>, message: MessageId, when: &[&str]) -> Option<MessageRef> {
        let sender = event.sender()?;
        Some(MessageRef {
            bot: self.bot.clone(),
            chat: event.chat()?,
            group: event.is_group(),
            phone: is_phone(sender.as_str()).then(|| sender.clone()),
            sender,
            aliases: Vec::new(),
            message,
            time: event.time(when),
        })
    }
}

/// An event that makes no sense, if it is something that a customer has written.
fn unread(body: &str, envelope: &Shallow<'_>) -> Option<Unread> {
    if let Some(LinqNews::Status(..)) | None = LinqNews::of(&envelope.text("event_type")?) {
        return None;
    }
    let data = envelope.get("data").unwrap_or_default();
    let unread = Unread::new(body).with(data, &["id", "message_id"], &["from"]);
    let sender = envelope.object("data").and_then(|data| {
        let event = LinqEvent::new(envelope, Object(&data), Timestamp::default());
        event.sender().map(|sender| sender.as_str().to_owned())
    });
    Some(Unread { names: sender.into_iter().chain(unread.names).collect(), ..unread })
}

/// What an event tells a bot.
enum LinqNews {
    Received,
    Edited,
    Reacted {
        added: bool,
    },
    /// How far a message has come, and which field says when.
    Status(Stage, &'static str),
}

impl LinqNews {
    fn of(event_type: &str) -> Option<Self> {
        Some(match event_type {
            "message.received" => Self::Received,
            "message.edited" => Self::Edited,
            "reaction.added" => Self::Reacted { added: true },
            "reaction.removed" => Self::Reacted { added: false },
            "message.sent" => Self::Status(Stage::Sent, "sent_at"),
            "message.delivered" => Self::Status(Stage::Delivered, "delivered_at"),
            "message.read" => Self::Status(Stage::Read, "read_at"),
            "message.failed" => Self::Status(Stage::Failed(None), "failed_at"),
            _ => return None,
        })
    }
}

fn inbound(at: MessageRef, content: Content, quotes: Option<MessageId>) -> Inbound {
    // Linq gives no names of people.
    Inbound {
        at,
        contact: Contact::default(),
        content,
        quotes,
        forwarded: false,
        referral: None,
        quoted: None,
        product: None,
    }
}

/// Whether a handle is a phone number: not an e-mail address, a short code or a name.
fn is_phone(handle: &str) -> bool {
    let digits = handle.strip_prefix('+').unwrap_or(handle);
    (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
}
