//! Every name that one person is known by, and what counts as a name.
//!
//! A person is known to an upstream by a phone number, which may have two forms, by a hidden name (`…@lid`), by an
//! identifier of the business's own (`US.1234`), by an e-mail address. Whoever looks for what stands about a person
//! looks under all of them: what is the same name, and what is none, is decided here and in `phone` alone.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Address, MessageRef, mention, phone};

/// What WhatsApp puts behind the number of a person.
const OF_NUMBERS: [&str; 2] = ["c.us", "s.whatsapp.net"];
/// What it puts behind names that are no numbers: a person's hidden name, a group.
const OF_OTHERS: [&str; 2] = ["lid", "g.us"];

/// Every name of one person, or of a group: as the upstream gives them, and in every other form that they have.
///
/// ```
/// use threedots::message::ContactIds;
///
/// let kim = ContactIds::written("+55 (11) 98765-4321").unwrap();
/// assert!(kim.has("551187654321@s.whatsapp.net"));
/// assert!(kim.named_in(r#"{"from":"551187654321","type":"text"}"#));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactIds(Vec<String>);

/// The names may be phone numbers.
impl std::fmt::Debug for ContactIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContactIds({})", self.0.len())
    }
}

/// Why something that somebody has written names no contact. Says nothing of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAContact {
    /// It has no country code.
    #[error(
        "is a phone number without its country code, or none: write it from the country code on, such as +49 170 1234567"
    )]
    National,
    /// It has a country code, and no number that there is in that country.
    #[error("is no phone number: it has too few or too many digits, or there is no such country code")]
    NoNumber,
    /// It is no number at all.
    #[error(
        "is no phone number and no identifier of an upstream's: write a number from its country code on, such as \
         +49 170 1234567, or the identifier that `dead show` and handlers are given, such as US.1234, 1234@lid or an \
         e-mail address"
    )]
    Unknown,
}

impl ContactIds {
    /// Whoever goes by this name, as an upstream writes it: with a device behind it, with a plus, in any case. Nobody,
    /// if it says nothing.
    pub fn known_as(id: &str) -> Self {
        let mut ids = Self::default();
        ids.add(id);
        ids
    }

    /// Whoever a person means who has written this: a phone number with its country code, however it is written, or an
    /// identifier of an upstream's.
    ///
    /// # Errors
    /// When it is neither, with what to write instead.
    pub fn written(text: &str) -> Result<Self, NotAContact> {
        written(text).map(|id| Self::known_as(&id))
    }

    /// The person who wrote a message, in a group or not.
    pub fn of_writer(at: &MessageRef) -> Self {
        let mut ids = Self::default();
        for id in [&at.sender].into_iter().chain(&at.phone).chain(&at.aliases) {
            ids.add(id.as_str());
        }
        ids
    }

    /// Whom the chat of a message is with; of a group, the group.
    pub fn of_chat(at: &MessageRef) -> Self {
        let mut ids = if at.group { Self::default() } else { Self::of_writer(at) };
        ids.add(at.chat.as_str());
        ids
    }

    /// Whom an address is of.
    pub fn at(address: &Address) -> Self {
        let mut ids = Self::default();
        if !address.group {
            ids.add(address.sender.as_str());
            address.phone.iter().for_each(|phone| ids.add(phone.as_str()));
        }
        ids.add(address.chat.as_str());
        ids
    }

    /// Adds a name, as an upstream writes it, in all of its forms.
    pub fn add(&mut self, id: &str) {
        for form in forms(id) {
            if !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// Adds all names of `other`.
    pub fn merge(&mut self, other: &Self) {
        for id in &other.0 {
            if !self.0.contains(id) {
                self.0.push(id.clone());
            }
        }
    }

    /// Leaves out all names of `other`.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|id| !other.0.contains(id)).cloned().collect())
    }

    /// Whether this is one of the names, in whatever form.
    pub fn has(&self, id: &str) -> bool {
        forms(id).iter().any(|form| self.0.contains(form))
    }

    /// Whether one of the names is one of `other`'s: they are one person.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().any(|id| other.0.contains(id))
    }

    /// What the chat with the person may be called: by each name, and by a number as WhatsApp's own clients have it, if
    /// one of the names is of theirs.
    pub(crate) fn chats(&self) -> Vec<String> {
        let is_whatsapps = |id: &&String| {
            id.split_once('@').is_some_and(|(_, server)| OF_NUMBERS.contains(&server) || OF_OTHERS.contains(&server))
        };
        let mut chats = self.0.clone();
        if self.0.iter().any(|id| is_whatsapps(&id)) {
            for number in self.0.iter().filter(|id| phone::digits(id).is_some()) {
                chats.extend(
                    OF_NUMBERS.map(|server| format!("{number}@{server}")).into_iter().filter(|id| !self.0.contains(id)),
                );
            }
        }
        chats
    }

    /// The names, each in every form.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this text, such as JSON that cannot be read, names the person by any name in any form: as a word of its
    /// own, behind or before a server (`@lid`), as a number the way people write one, or inside one of WhatsApp's names
    /// for messages (`wamid.…`), which hold the number.
    pub fn named_in(&self, text: &str) -> bool {
        mention::is_named(&self.0, text)
    }
}

/// What stands for one name whatever form it has: to count by, and to compare by.
pub fn contact_key(id: &str) -> String {
    // Of the forms of one number always the same.
    match phone::digits(of_number(id).as_deref().unwrap_or(id)) {
        Some(digits) => {
            phone::forms(digits).into_iter().max_by_key(|form| (form.len(), form.clone())).unwrap_or_default()
        }
        None => forms(id).pop().unwrap_or_default(),
    }
}

/// One name that a person has written, as an upstream would write it.
///
/// # Errors
/// When it is none.
pub(crate) fn written(text: &str) -> Result<String, NotAContact> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").or_else(|| text.strip_prefix("whatsapp:")).unwrap_or(text);
    if is_identifier(text) {
        return Ok(without_device(text.strip_prefix('+').unwrap_or(text)).into_owned());
    }
    phone::written(text)
}

/// Whether this has the form of an identifier: of WhatsApp's (`…@lid`, `…@c.us`, `…@g.us`), of a business's own
/// (`US.1234`), an e-mail address, a UUID.
fn is_identifier(text: &str) -> bool {
    if let Some((user, server)) = text.split_once('@') {
        let is_whatsapps = OF_NUMBERS.contains(&server) || OF_OTHERS.contains(&server);
        let is_user = |c: char| c.is_ascii_digit() || (server == "g.us" && c == '-') || c == ':' || c == '+';
        let is_host =
            server.split('.').all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'));
        let is_email = is_host && server.contains('.') && user.chars().all(|c| !c.is_whitespace() && c != '"');
        return !user.is_empty() && if is_whatsapps { user.chars().all(is_user) } else { is_email };
    }
    if let Some((country, rest)) = text.split_once('.')
        && country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
    {
        let rest = rest.strip_prefix("ENT.").unwrap_or(rest);
        return (1..=128).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    }
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Every form of a name that an upstream has given: the name itself first.
fn forms(id: &str) -> Vec<String> {
    let id = id.trim();
    let id = without_device(id.strip_prefix('+').unwrap_or(id));
    if id.is_empty() {
        return Vec::new();
    }
    let mut all = vec![id.clone().into_owned()];
    let number = of_number(&id);
    if let Some(digits) = phone::digits(number.as_deref().unwrap_or(&id)) {
        all.extend(phone::forms(digits));
    } else if id.contains('@') {
        // Addresses of e-mail are the same in any case.
        all.push(id.to_lowercase());
    }
    let mut seen = Vec::with_capacity(all.len());
    for form in all {
        if !seen.contains(&form) {
            seen.push(form);
        }
    }
    seen
}

/// The number that a name of WhatsApp's is made of, if it is.
fn of_number(id: &str) -> Option<String> {
    let (user, server) = id.split_once('@')?;
    let user = user.split(':').next().unwrap_or_default();
    (OF_NUMBERS.contains(&server) && phone::digits(user).is_some()).then(|| user.to_owned())
}

/// `:7` names one of a person's devices.
fn without_device(id: &str) -> Cow<'_, str> {
    let Some((user, server)) = id.split_once('@') else { return id.into() };
    match user.split_once(':') {
        Some((user, device)) if device.bytes().all(|byte| byte.is_ascii_digit()) => format!("{user}@{server}").into(),
        _ => id.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_in_whatever_form_an_upstream_writes_it() {
        for forms in [
            &["551187654321", "+5511987654321", "5511987654321@c.us", "551187654321:12@s.whatsapp.net"][..],
            &["99887766@lid", "99887766:4@lid", "+99887766@lid"],
            &["Kim@Example.org", "kim@example.ORG", " kim@example.org "],
            &["US.1234"],
            &["chat", "+chat"],
        ] {
            for one in forms {
                assert!(forms.iter().all(|other| ContactIds::known_as(one).has(other)), "{one}");
                assert!(forms.iter().all(|other| contact_key(one) == contact_key(other)), "{one}");
            }
        }
        let kim = ContactIds::known_as("551187654321@c.us");
        for other in ["551187654322", "551187654321@lid", "551187654321@g.us", "US.551187654321", "", "+"] {
            assert!(!kim.has(other), "{other}");
        }
        assert!(ContactIds::known_as(" + ").is_empty());
    }

    #[test]
    fn what_is_no_number_and_no_identifier_is_refused() {
        for fine in [
            "+1 (555) 010-0003",
            "whatsapp:+15550100003",
            "99887766@lid",
            "15550100003@c.us",
            "15550100003:2@s.whatsapp.net",
            "120363000000000001@g.us",
            "49170-1234@g.us",
            "US.13491208655302741918",
            "US.ENT.1349120865",
            "kim@example.org",
            "0e9a3a7c-4d55-4f0c-8a4e-1f3b5c7d9e11",
        ] {
            assert!(ContactIds::written(fine).is_ok(), "{fine}");
        }
        for wrong in ["foo", "foo bar", "kim@", "@lid", "foo@lid", "us.1234", "US.", "US.12 34", "kim@home", "+", "a.b"]
        {
            assert_eq!(ContactIds::written(wrong).err(), Some(NotAContact::Unknown), "{wrong}");
        }
        assert_eq!(ContactIds::written("0170 1234567").err(), Some(NotAContact::National));
    }

    #[test]
    fn a_text_that_names_a_person_is_found_by_every_form() {
        let mut kim = ContactIds::known_as("5511987654321");
        kim.add("99887766@lid");
        kim.add("Kim@Example.org");
        for text in [
            r#"{"from":"551187654321""#,
            r#"{"from":551187654321}"#,
            r#"{"from":"551187654321:3@s.whatsapp.net""#,
            r#"{"id":"false_99887766@lid_3EB0"}"#,
            r#"{"id":"false_99887766:12\u0040lid_3EB0"}"#,
            "mail to kim@example.ORG now",
            "call +55 (11) 98765-4321, please",
            "call 0055 11 8765 4321",
            // An identifier of a message of that number's.
            "wamid.HBgMNTUxMTg3NjU0MzIxFQIAERgSRkVF\\ud83d",
        ] {
            assert!(kim.named_in(text), "{text}");
        }
        for text in
            ["", "5511876543210", "1551187654321", "199887766@lid", "99887766", "wamid.HBgM", "\\", "\\u12", ":@"]
        {
            assert!(!kim.named_in(text), "{text}");
        }
        assert!(!ContactIds::default().named_in("551187654321"));
    }
}
