//! What a delivery carries: entries, in them changes, in them messages and statuses, a thousand and more.
//!
//! Read level by level, so that an element that makes no sense is counted and spoils none of its neighbours.

use crate::message::clock::Timestamp;
use crate::message::{
    BotName, ChatId, ContactId, DeliveryStatus, Echo, MarketingPreference, MessageId, PartKey, rendering,
};
use crate::provider::lenient::{self, Object, Shallow};
use crate::provider::whatsapp::content;
use crate::provider::whatsapp::inbound::{DeliveryContext, each, each_message, stage, time};
use crate::provider::whatsapp::sender::{Sender, phone};
use crate::provider::{Elsewhere, Events, LastDigits, WebhookError};

/// Whose delivery it is, and when it came.
pub(super) struct MetaReader<'a> {
    pub(super) bot: &'a BotName,
    pub(super) phone_number_id: &'a str,
    pub(super) received: Timestamp,
}

impl MetaReader<'_> {
    /// What `body` carries for this bot.
    pub(super) fn read(&self, body: &[u8]) -> Result<Events, WebhookError> {
        let body = lenient::whole(body).ok_or(WebhookError::Malformed)?;
        let root = Shallow::read(&body).ok_or(WebhookError::Malformed)?;
        let mut events = Events::default();
        if root.text("object").is_some_and(|object| object != "whatsapp_business_account") {
            events.ignored.other += 1;
            return Ok(events);
        }
        each(root.list("entry"), &mut events, |entry, events| {
            each(Shallow::read(entry)?.list("changes"), events, |change, events| self.change(change, events));
            Some(())
        });
        Ok(events)
    }

    fn change(&self, change: &str, events: &mut Events) -> Option<()> {
        let change = Shallow::read(change)?;
        let field = change.text("field")?;
        if !["messages", "smb_message_echoes", "user_preferences"].contains(&field.as_str()) {
            events.ignored.other += 1;
            return Some(());
        }
        let value = change.shallow("value")?;
        let metadata = value.object("metadata")?;
        let number = Object(&metadata).text("phone_number_id")?;
        if number != self.phone_number_id {
            let digits = Some(LastDigits::of(&number, self.phone_number_id));
            events.leave_out(Elsewhere { setting: "phone_number_id", digits });
            return Some(());
        }
        if field == "smb_message_echoes" {
            each(value.list("message_echoes"), events, |echo, events| {
                events.echoes.push(self.echo(Object(&lenient::object(echo)?))?);
                Some(())
            });
            return Some(());
        }
        if field == "user_preferences" {
            each(value.list("user_preferences"), events, |wish, events| {
                match self.wish(Object(&lenient::object(wish)?))? {
                    Some(wish) => events.wishes.push(wish),
                    None => events.ignored.other += 1,
                }
                Some(())
            });
            return Some(());
        }
        let own = Object(&metadata).text("display_phone_number").as_deref().and_then(phone);
        self.value(&value, own, events);
        Some(())
    }

    /// Goes by which of messages and statuses there are, never by the contacts: statuses have those too.
    fn value(&self, value: &Shallow<'_>, own: Option<String>, events: &mut Events) {
        let (messages, statuses) = (value.get("messages").is_some(), value.get("statuses").is_some());
        if messages {
            let contacts =
                value.objects("contacts").iter().map(|contact| Sender::of_contact(Object(contact))).collect();
            let codes = value.objects("errors").iter().filter_map(|error| Object(error).int("code")).collect();
            let around = DeliveryContext { bot: self.bot, received: self.received, own, contacts, codes };
            each_message(value, &["id"], events, |message, events| {
                let message = lenient::object(message)?;
                let message = Object(&message);
                around.message(message, message.text("id")?, events)
            });
        }
        if statuses {
            each(value.list("statuses"), events, |status, events| {
                match self.status(Object(&lenient::object(status)?))? {
                    Some(status) => events.statuses.push(status),
                    None => events.ignored.other += 1,
                }
                Some(())
            });
        }
        // Neither: trouble with the account, of which no customer is part.
        events.ignored.other += usize::from(!messages && !statuses);
    }

    fn echo(&self, message: Object<'_>) -> Option<Echo> {
        let to = message.text("to");
        let number = to.as_deref().and_then(phone).map(ContactId::new);
        // The identifier by which a customer writes, where there is one; and one that came in the wrong field.
        let chat = message.text("to_user_id").or(to).map(ChatId::new);
        let content = content::read(message, &[]);
        let words = content.as_ref().and_then(|said| said.words().map(str::to_owned));
        let told = content.as_ref().and_then(rendering::by_person);
        let (bot, id, time) = (self.bot.clone(), MessageId::new(message.text("id")?), time(message, self.received));
        Some(Echo { bot, chat, phone: number, message: id, words, told, time })
    }

    /// What somebody has chosen in WhatsApp's own menu. The inner none is something else than whether to be sent
    /// offers.
    fn wish(&self, wish: Object<'_>) -> Option<Option<MarketingPreference>> {
        let opts_out = match (wish.text("category")?.as_str(), wish.text("value")?.as_str()) {
            ("marketing_messages", "stop") => true,
            ("marketing_messages", "resume") => false,
            _ => return Some(None),
        };
        let phone = wish.text("wa_id").as_deref().and_then(phone).map(ContactId::new);
        let chat = wish.text("user_id").map(ChatId::new);
        if phone.is_none() && chat.is_none() {
            return None;
        }
        Some(Some(MarketingPreference {
            bot: self.bot.clone(),
            chat,
            phone,
            opts_out,
            by_rule: false,
            time: time(wish, self.received),
        }))
    }

    /// The inner none is a word that says nothing about how far the message has come.
    fn status(&self, status: Object<'_>) -> Option<Option<DeliveryStatus>> {
        let message = MessageId::new(status.text("id")?);
        let Some(stage) = stage(&status.text("status")?, content::codes(status).first().copied()) else {
            return Some(None);
        };
        let key = status.text("biz_opaque_callback_data").map(PartKey::new);
        let time = time(status, self.received);
        Some(Some(DeliveryStatus { bot: self.bot.clone(), message, key, stage, time }))
    }
}
