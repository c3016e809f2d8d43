//! What a callback carries: messages or statuses in one flat object, or an event of the account's, which has a `field`.
//!
//! Two generations of callbacks are about, an old one in the manner of WhatsApp's on-premises API and one that passes
//! on what Meta's Cloud API says: what differs between them is read either way.

use crate::message::clock::Timestamp;
use crate::message::{BotName, DeliveryStatus, MessageId, PartKey};
use crate::provider::lenient::{self, Object, Shallow};
use crate::provider::whatsapp::inbound::{DeliveryContext, each, each_message, stage, time};
use crate::provider::whatsapp::sender::{Sender, phone};
use crate::provider::{Elsewhere, Events, WebhookError};

/// Whose callback it is, when it came, and what its fields are called.
pub(super) struct NxcloudReader<'a> {
    pub(super) bot: &'a BotName,
    /// Our own phone number, in digits.
    pub(super) own: &'a str,
    pub(super) own_number_fields: &'a [String],
    pub(super) message_id_fields: &'a [String],
    pub(super) received: Timestamp,
}

impl NxcloudReader<'_> {
    /// What `body` carries for this bot.
    pub(super) fn read(&self, body: &[u8]) -> Result<Events, WebhookError> {
        let body = lenient::whole(body).ok_or(WebhookError::Malformed)?;
        let root = Shallow::read(&body).ok_or(WebhookError::Malformed)?;
        let mut events = Events::default();
        let elsewhere = root.text("messaging_product").is_some_and(|product| product != "whatsapp");
        let (messages, statuses) = (root.get("messages").is_some(), root.get("statuses").is_some());
        if elsewhere || root.get("field").is_some() || !(messages || statuses) {
            events.ignored.other += 1;
            return Ok(events);
        }
        // Statuses in NXCloud's samples name no number: the address they came to is this bot's own.
        let number = self.own_number_fields.iter().find_map(|field| root.text(field));
        if number.is_some_and(|number| phone(&number).as_deref() != Some(self.own)) {
            events.leave_out(Elsewhere::by("business_phone"));
            return Ok(events);
        }
        if messages {
            self.messages(&root, &mut events);
        }
        if statuses {
            each(root.list("statuses"), &mut events, |status, events| {
                match self.status(Object(&lenient::object(status)?))? {
                    Some(status) => events.statuses.push(status),
                    None => events.ignored.other += 1,
                }
                Some(())
            });
        }
        Ok(events)
    }

    fn messages(&self, root: &Shallow<'_>, events: &mut Events) {
        let around = DeliveryContext {
            bot: self.bot,
            received: self.received,
            own: Some(self.own.to_owned()),
            contacts: root.objects("contacts").iter().map(|contact| Sender::of_contact(Object(contact))).collect(),
            codes: root.objects("errors").iter().filter_map(|error| Object(error).int("code")).collect(),
        };
        let ids: Vec<&str> = self.message_id_fields.iter().map(String::as_str).collect();
        each_message(root, &ids, events, |message, events| {
            let message = lenient::object(message)?;
            let message = Object(&message);
            let id = self.message_id_fields.iter().find_map(|field| message.text(field))?;
            around.message(message, id, events)
        });
    }

    /// The inner none is a word that says nothing about how far the message has come.
    fn status(&self, status: Object<'_>) -> Option<Option<DeliveryStatus>> {
        let id = status.text("id")?;
        let reason = status.objects("errors").next().and_then(reason);
        let Some(stage) = stage(&status.text("status")?, reason) else { return Some(None) };
        // A message of ours is called by the key that we gave it, if NXCloud took it over. Meta's own names are no
        // keys: there are phone numbers in them.
        let ours = || Some(id.clone()).filter(|id| id.starts_with(PartKey::PREFIX));
        let key = status.text("biz_opaque_callback_data").or_else(ours).map(PartKey::new);
        let time = time(status, self.received);
        Some(Some(DeliveryStatus { bot: self.bot.clone(), message: MessageId::new(id), key, stage, time }))
    }
}

/// Meta's code, where NXCloud's own stands beside it.
fn reason(error: Object<'_>) -> Option<i64> {
    error.int("meta_code").filter(|code| *code > 0).or_else(|| error.int("code"))
}
