//! Who wrote a message. WhatsApp names people by an identifier of the business's own (BSUID), by phone number, or by
//! both; either may be left out or empty (Meta's page "Business-scoped user IDs").

use crate::message::{Contact, ContactId, ContactIds};
use crate::provider::lenient::Object;

/// A person, as a message or an entry in `contacts` names one.
#[derive(Clone, Default)]
pub(crate) struct Sender {
    user_id: Option<String>,
    /// The identifier that all portfolios of one business share.
    parent: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) contact: Contact,
}

impl Sender {
    pub(crate) fn of_contact(wire: Object<'_>) -> Self {
        let profile = |key| wire.object("profile").and_then(|profile| profile.text(key));
        let contact = Contact { name: profile("name"), username: profile("username") };
        let parent = wire.text("parent_user_id");
        Self { contact, parent, ..Self::named(wire.text("user_id"), wire.text("wa_id")) }
    }

    /// The writer of `message`, with what `contacts` know about that person.
    pub(crate) fn of_message(message: Object<'_>, contacts: &[Sender]) -> Self {
        let parent = message.text("from_parent_user_id");
        let said = Self { parent, ..Self::named(message.text("from_user_id"), message.text("from")) };
        let known = match contacts {
            // A message that names nobody and has a single contact beside it leaves no doubt.
            [only] if said.user_id.is_none() && said.phone.is_none() => Some(only),
            // By name, not by position: there may be fewer contacts than messages.
            all => all.iter().find(|contact| contact.is(&said)),
        };
        let Some(known) = known else { return said };
        Self {
            user_id: said.user_id.or_else(|| known.user_id.clone()),
            parent: said.parent.or_else(|| known.parent.clone()),
            phone: said.phone.or_else(|| known.phone.clone()),
            contact: known.contact.clone(),
        }
    }

    /// The most lasting name there is for the person.
    pub(crate) fn id(&self) -> Option<ContactId> {
        self.user_id.as_deref().or(self.phone.as_deref()).map(ContactId::new)
    }

    /// What else the person is called, and is not written to by.
    pub(crate) fn aliases(&self) -> Vec<ContactId> {
        self.parent.iter().map(|parent| ContactId::new(parent.as_str())).collect()
    }

    /// Whom a notice of WhatsApp's names from now on who was this person, and what they were called; none if it tells
    /// of no new name. Both ways to write it are about: the number that was is `from`, or `customer` as well; the one
    /// that is, `wa_id` or `new_wa_id`.
    pub(crate) fn renamed(&self, notice: Object<'_>) -> Option<(Self, Vec<ContactId>)> {
        let kind = notice.text("type")?;
        let (user_id, number) = (notice.text("user_id"), notice.text("wa_id").or_else(|| notice.text("new_wa_id")));
        let new = match kind.as_str() {
            "user_changed_number" | "customer_changed_number" => Self::named(user_id, number),
            "user_changed_user_id" => Self::named(user_id, None),
            _ => return None,
        };
        let was = notice.text("customer").as_deref().and_then(phone);
        let now = Self {
            user_id: new.user_id.or_else(|| self.user_id.clone()),
            parent: notice.text("parent_user_id").or_else(|| self.parent.clone()),
            phone: new.phone.or_else(|| self.phone.clone()),
            contact: self.contact.clone(),
        };
        let mut names = ContactIds::default();
        [&now.user_id, &now.parent, &now.phone].into_iter().flatten().for_each(|id| names.add(id));
        let former = [&self.user_id, &self.parent, &self.phone, &was].into_iter().flatten();
        let mut former: Vec<_> = former.filter(|id| !names.has(id)).map(|id| ContactId::new(id.as_str())).collect();
        former.dedup();
        (!former.is_empty()).then_some((now, former))
    }

    /// A "phone number" that is none is an identifier that came in the wrong field.
    fn named(user_id: Option<String>, from: Option<String>) -> Self {
        let phone = from.as_deref().and_then(phone);
        let user_id = user_id.or(from.filter(|_| phone.is_none()));
        Self { user_id, parent: None, phone, contact: Contact::default() }
    }

    fn is(&self, other: &Self) -> bool {
        let same = |ours: &Option<String>, theirs: &Option<String>| ours.is_some() && ours == theirs;
        same(&self.user_id, &other.user_id) || same(&self.phone, &other.phone)
    }
}

/// The digits of a phone number, however it is written; none if there is more to it than that.
pub(crate) fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '(' | ')' | '.')).collect();
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
}
