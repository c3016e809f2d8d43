//! Sends: whom to, what, and what becomes of it.

mod check;
mod interactive;

use std::time::Duration;

use check::Fields;
use serde_json::{Value, json};

use super::{Desk, Refusal};
use crate::message::MessageId;
use crate::sandbox::Sandbox;
use crate::sandbox::phone::{Body, Customer, CustomerId, Side, Source, What};
use crate::sandbox::upstream::{Course, UpstreamAnswer};

/// How long after the customer's last message the bot may write freely.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// By which of a customer's names a send reached them.
pub(super) enum Reached {
    Phone,
    UserId,
    Group,
}

/// What a send carries.
enum Carried {
    Message(Body),
    Reaction { to: MessageId, emoji: String },
}

/// A send that was taken: what became of it.
pub(in crate::sandbox) struct Taken {
    pub(in crate::sandbox) customer: Customer,
    pub(in crate::sandbox) id: MessageId,
    pub(in crate::sandbox) course: Course,
    reached: Reached,
    input: String,
    key: Option<String>,
    is_template: bool,
}

impl Desk<'_> {
    /// Sends something. If it is not `deliverable` it is taken, and reported as failed later.
    pub(super) fn send(self, body: &Value, deliverable: bool) -> Result<UpstreamAnswer, Refusal> {
        let Taken { customer, id, course, reached, input, key, is_template } = self.take(body, deliverable)?;
        self.report(&customer, &id, key, course);
        let mut contact = json!({ "input": input });
        match reached {
            Reached::Phone => contact["wa_id"] = json!(customer.id.as_str()),
            Reached::UserId => contact["user_id"] = json!(customer.user_id),
            Reached::Group => contact["wa_id"] = json!(input),
        }
        let mut message = json!({ "id": id.as_str() });
        if let Reached::Group = reached {
            message["group_id"] = json!(input);
        } else if is_template {
            message["message_status"] = json!("accepted");
        }
        let answer = json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message] });
        Ok(UpstreamAnswer::json(200, &answer))
    }

    /// Takes a send and puts it onto the phone, or whatever becomes of it. Its statuses are still to be reported.
    pub(super) fn take(self, body: &Value, deliverable: bool) -> Result<Taken, Refusal> {
        let fields = Fields::new(body);
        let (customer, reached) = recipient(&self, body)?;
        let carried = self.carried(&fields)?;
        if matches!(reached, Reached::Group)
            && !matches!(&carried, Carried::Message(Body::Text(_) | Body::Media { .. } | Body::Template { .. }))
        {
            return Err(Refusal::not_for_groups());
        }
        let is_template = matches!(&carried, Carried::Message(Body::Template { .. }));
        let wrote = self.phone.last_wrote(&customer.id);
        let window_open = wrote.is_some_and(|wrote| self.clock.now().since(wrote) <= WINDOW);
        if !is_template && !window_open {
            return Err(Refusal::window_closed());
        }
        let input =
            fields.optional("to", usize::MAX)?.or(fields.optional("recipient", usize::MAX)?).unwrap_or_default();
        let key = fields.optional("biz_opaque_callback_data", 512)?.map(str::to_owned);
        let quotes = self.quoted(&fields, &customer)?;
        if matches!(reached, Reached::Phone) && !input.starts_with('+') {
            let note = "`to` has no plus: Meta may put the country code of the bot's own number before it";
            self.phone.enter(Some(&customer.id), What::Noted { note });
        }
        if let Some(failure) = self.meta_refuses(&customer.id) {
            return Err(Refusal::injected(failure));
        }
        let id = self.ids.message();
        let course = self.arrive(&customer, &id, carried, quotes, key.clone(), deliverable);
        Ok(Taken { customer, id, course, reached, input: input.to_owned(), key, is_template })
    }

    fn carried(self, fields: &Fields<'_>) -> Result<Carried, Refusal> {
        let kind = fields.required("type", 64)?;
        if !fields.value()[kind].is_object() && kind != "contacts" {
            return Err(Refusal::missing(kind));
        }
        Ok(Carried::Message(match kind {
            "text" => Body::Text(fields.required("text.body", 4096)?.to_owned()),
            "image" | "video" | "audio" | "document" | "sticker" => self.medium(kind, fields)?,
            "location" => Body::Location {
                latitude: fields.number("location.latitude")?,
                longitude: fields.number("location.longitude")?,
                name: fields.owned("location.name", usize::MAX)?,
                address: fields.owned("location.address", usize::MAX)?,
            },
            "contacts" => Body::Contacts(contact_names(fields)?),
            "interactive" => interactive::body(fields)?,
            "template" => template(fields)?,
            "reaction" => {
                let to = MessageId::new(fields.required("reaction.message_id", usize::MAX)?);
                let emoji = fields.value()["reaction"]["emoji"].as_str();
                let emoji = emoji.ok_or_else(|| Refusal::missing("reaction.emoji"))?.to_owned();
                return Ok(Carried::Reaction { to, emoji });
            }
            _ => return Err(Refusal::unsupported_type()),
        }))
    }

    fn medium(self, kind: &str, fields: &Fields<'_>) -> Result<Body, Refusal> {
        let (stored, link) = (fields.owned(&format!("{kind}.id"), 512)?, fields.owned(&format!("{kind}.link"), 4096)?);
        let source = match (stored, link) {
            (Some(id), _) if self.media.get(&id, self.clock.now()).is_some() => Source::Stored(id),
            (Some(_), _) => return Err(Refusal::out_of_bounds("there is no medium with this id")),
            (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => Source::Link(link),
            (None, Some(_)) => return Err(Refusal::out_of_bounds("the link is no web address")),
            (None, None) => return Err(Refusal::missing(&format!("{kind}.id"))),
        };
        let caption = fields.owned(&format!("{kind}.caption"), 1024)?;
        if caption.is_some() && matches!(kind, "audio" | "sticker") {
            return Err(Refusal::invalid("this type of medium takes no caption"));
        }
        let is_voice = fields.value()["audio"]["voice"] == true;
        let kind = match kind {
            "image" => "image",
            "video" => "video",
            "audio" if is_voice => "voice",
            "audio" => "audio",
            "sticker" => "sticker",
            _ => "document",
        };
        Ok(Body::Media { kind, source, caption, filename: fields.owned("document.filename", 240)? })
    }

    /// The message that a send quotes, if it stands in the same chat.
    fn quoted(self, fields: &Fields<'_>, customer: &Customer) -> Result<Option<MessageId>, Refusal> {
        let Some(id) = fields.optional("context.message_id", usize::MAX)? else { return Ok(None) };
        let id = MessageId::new(id);
        if self.phone.chat_of(&id).as_ref() == Some(&customer.id) {
            return Ok(Some(id));
        }
        let note = "the message to quote is not in this chat: the reply shows without it";
        self.phone.enter(Some(&customer.id), What::Noted { note });
        Ok(None)
    }

    /// Puts what was sent onto the phone. Returns how far it will be reported to have come, or why it failed.
    fn arrive(
        self,
        customer: &Customer,
        id: &MessageId,
        carried: Carried,
        quotes: Option<MessageId>,
        key: Option<String>,
        deliverable: bool,
    ) -> Course {
        match carried {
            _ if !deliverable => Course::Failed(131_026),
            Carried::Message(body) => {
                self.phone.bot_writes(&customer.id, id, body, quotes, key);
                Course::Whole
            }
            Carried::Reaction { to, emoji } => {
                let target = self.phone.message(&to).filter(|target| target.from == Side::Customer);
                if target.is_none() || self.phone.chat_of(&to).as_ref() != Some(&customer.id) {
                    return Course::Failed(131_009);
                }
                self.phone.bot_reacts(&customer.id, &to, &emoji);
                Course::SentOnly
            }
        }
    }
}

/// Finds the customer that a send names.
pub(super) fn recipient(sandbox: &Sandbox, body: &Value) -> Result<(Customer, Reached), Refusal> {
    let to = body["to"].as_str().filter(|to| !to.is_empty());
    let user_id = body["recipient"].as_str().filter(|user_id| !user_id.is_empty());
    let found = match (body["recipient_type"].as_str().unwrap_or("individual"), to, user_id) {
        ("group", Some(to), _) => {
            (sandbox.phone.find_customer(|customer| customer.group.as_deref() == Some(to)), Reached::Group)
        }
        ("individual", Some(to), _) => {
            let digits: String = to.chars().filter(|character| !"+ -()".contains(*character)).collect();
            if digits == sandbox.settings.display_phone_number {
                return Err(Refusal::to_oneself());
            }
            if !digits.chars().all(|digit| digit.is_ascii_digit()) {
                return Err(Refusal::out_of_bounds("`to` is no phone number"));
            }
            (sandbox.phone.customer(&CustomerId::new(digits)), Reached::Phone)
        }
        ("individual", None, Some(user_id)) => {
            (sandbox.phone.find_customer(|customer| customer.user_id == user_id), Reached::UserId)
        }
        ("individual" | "group", None, _) => return Err(Refusal::missing("to")),
        _ => return Err(Refusal::invalid("`recipient_type` has to be `individual` or `group`")),
    };
    match found {
        (Some(customer), reached) => Ok((customer, reached)),
        (None, _) => Err(Refusal::undeliverable()),
    }
}

fn contact_names(fields: &Fields<'_>) -> Result<Vec<String>, Refusal> {
    let cards = fields.value()["contacts"].as_array().filter(|cards| !cards.is_empty());
    let cards = cards.ok_or_else(|| Refusal::missing("contacts"))?;
    let name = |card: &Value| card["name"]["formatted_name"].as_str().map(str::to_owned);
    let names = cards.iter().map(|card| name(card).ok_or_else(|| Refusal::missing("contacts.name.formatted_name")));
    names.collect()
}

fn template(fields: &Fields<'_>) -> Result<Body, Refusal> {
    let mut values = Vec::new();
    for component in fields.value()["template"]["components"].as_array().into_iter().flatten() {
        let parameters = component["parameters"].as_array().into_iter().flatten();
        values.extend(parameters.filter_map(|parameter| parameter["text"].as_str()).map(str::to_owned));
    }
    Ok(Body::Template {
        name: fields.required("template.name", 512)?.to_owned(),
        language: fields.required("template.language.code", 16)?.to_owned(),
        values,
    })
}
