//! What a customer's message says, in words: one rendering for a model's prompt, for the history, for summaries and for
//! handlers that read text alone.
//!
//! What the customer wrote stands as it is. Everything else stands in square brackets before it, on one line each, and
//! is bounded: names, file names and whatever else came from outside hold no bracket, no line break, and not more than
//! 200 characters.

use std::fmt::Write;

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::content::{ContactCard, OrderItem};
use super::{Content, Inbound, MediaRef, Product, Quoted, Referral};

/// How the lines begin that say what a message refers to.
const CONTEXT: [&str; 4] = ["[came from ", "[asks about product ", "[in reply", "[forwarded]"];
/// The longest single field, in characters.
const LONGEST_FIELD: usize = 200;
/// The longest name of a speaker, in characters.
const LONGEST_NAME: usize = 60;
/// How much of an identifier tells members without a name apart, in characters.
const SHOWN_OF_ID: usize = 4;
/// The longest quotation, in characters.
const LONGEST_QUOTE: usize = 400;
/// The longest rendering of a form's answers, in characters.
const LONGEST_FORM: usize = 2_000;
/// How many cards of a message are told, and how many numbers and addresses of one.
const MOST_CARDS: usize = 5;
/// How many lines of an order are told.
const MOST_ITEMS: usize = 30;

/// All that a message says: what it refers to, what it is, and the customer's words.
pub fn message(inbound: &Inbound) -> String {
    with_context(inbound, content(&inbound.content))
}

/// What a message refers to, and `body` for what it says.
pub fn with_context(inbound: &Inbound, body: String) -> String {
    let mut lines = Vec::new();
    lines.extend(inbound.referral.as_ref().map(referral));
    lines.extend(inbound.product.as_ref().map(product));
    // A choice says by itself what it answers.
    let answers = !matches!(inbound.content, Content::Choice { .. });
    lines.extend(inbound.quoted.as_ref().filter(|_| answers).and_then(quoted));
    lines.extend(inbound.forwarded.then(|| "[forwarded]".to_owned()));
    if lines.is_empty() {
        return body;
    }
    lines.push(body);
    lines.join("\n")
}

/// What was said, without the lines of what it refers to.
pub fn without_context(words: &str) -> &str {
    let mut rest = words;
    while let Some((line, behind)) = rest.split_once('\n')
        && line.ends_with(']')
        && CONTEXT.iter().any(|begin| line.starts_with(begin))
    {
        rest = behind;
    }
    rest
}

/// What a message says, whatever it refers to.
pub fn content(content: &Content) -> String {
    let kind = content.kind().as_str();
    match content {
        Content::Text { body } => body.clone(),
        Content::Choice { title, .. } => title.clone(),
        Content::Media(media) => with_words(media_facts(kind, media), content.words()),
        Content::Location { latitude, longitude, name, address } => {
            let named = [name, address].into_iter().flatten().map(|field| one_line(field, LONGEST_FIELD));
            let place: Vec<_> = [format!("{latitude}, {longitude}")].into_iter().chain(named).collect();
            format!("[location {}]", place.join(", "))
        }
        Content::Contacts { cards } => format!("[contacts: {}]", told_of(cards, MOST_CARDS, card).join("; ")),
        Content::Form { name, answers } => {
            let name = name.as_ref().map(|name| format!(" {}", one_line(name, LONGEST_FIELD))).unwrap_or_default();
            format!("[form{name}: {}]", cut(&self::answers(answers), LONGEST_FORM))
        }
        Content::Order { items, text, .. } => {
            let items = told_of(items, MOST_ITEMS, item).join(", ");
            with_words(format!("[order: {items}]"), text.as_deref())
        }
        Content::Reaction { emoji: Some(emoji), .. } => format!("[reaction {}]", one_line(emoji, LONGEST_FIELD)),
        Content::Reaction { emoji: None, .. } => "[reaction taken back]".to_owned(),
        Content::Edit { content, .. } => format!("[edit] {}", self::content(content)),
        Content::System { body: Some(body), .. } => format!("[system: {}]", one_line(body, LONGEST_FIELD)),
        Content::Unsupported { what: Some(what), .. } | Content::Unknown { what, .. } => {
            format!("[{kind}: {}]", one_line(what, LONGEST_FIELD))
        }
        Content::Revoke { .. } | Content::System { .. } | Content::Welcome | Content::Unsupported { .. } => {
            format!("[{kind}]")
        }
    }
}

/// What a group's member is called before their words: the name that they show, else the end of their identifier.
pub fn speaker(inbound: &Inbound) -> String {
    let shown = inbound.contact.name.as_ref().or(inbound.contact.username.as_ref());
    let name = shown.map(|name| one_line(name, LONGEST_NAME).replace(':', " ")).filter(|name| !name.trim().is_empty());
    name.unwrap_or_else(|| {
        let id = inbound.at.sender.as_str().split('@').next().unwrap_or_default();
        let hidden = id.chars().count().saturating_sub(SHOWN_OF_ID);
        format!("member …{}", id.chars().skip(hidden).collect::<String>())
    })
}

/// A form's answers: names and values, or the JSON that they are.
fn answers(answers: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => one_line(text, LONGEST_FORM),
        other => one_line(&other.to_string(), LONGEST_FORM),
    };
    match answers {
        // Flows are known by a token of the upstream's, which the customer has not written.
        Value::Object(all) => {
            let told = all.iter().filter(|(name, _)| *name != "flow_token");
            let told = told.map(|(name, value)| format!("{}: {}", one_line(name, LONGEST_FIELD), plain(value)));
            told.collect::<Vec<_>>().join(", ")
        }
        other => plain(other),
    }
}

fn with_words(facts: String, words: Option<&str>) -> String {
    match words {
        Some(words) if !words.is_empty() => format!("{facts} {words}"),
        _ => facts,
    }
}

fn media_facts(kind: &str, media: &MediaRef) -> String {
    let name = media.filename.as_deref().map(|name| one_line(name, LONGEST_FIELD));
    // What is seen or heard has no name that its sender gave it, and a form that says nothing.
    let form = media.mime.as_deref().filter(|_| kind == "document").map(|mime| one_line(mime, LONGEST_FIELD));
    let facts: Vec<_> = name.into_iter().chain(form).chain(media.size.map(bytes)).collect();
    if facts.is_empty() { format!("[{kind}]") } else { format!("[{kind}: {}]", facts.join(", ")) }
}

fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} bytes"),
        1_000..1_000_000 => format!("{} kB", size.div_ceil(1_000)),
        _ => format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000),
    }
}

fn card(card: &ContactCard) -> String {
    let name = card.name.as_deref().map(|name| one_line(name, LONGEST_FIELD));
    let organisation = card.organisation.as_deref().map(|name| one_line(name, LONGEST_FIELD));
    let named = name.into_iter().chain(organisation);
    let phones = told_of(&card.phones, MOST_CARDS, |phone| one_line(phone, LONGEST_FIELD));
    let emails = told_of(&card.emails, MOST_CARDS, |email| one_line(email, LONGEST_FIELD));
    let all: Vec<_> = named.chain(phones).chain(emails).collect();
    if all.is_empty() { "an empty card".to_owned() } else { all.join(", ") }
}

fn item(OrderItem { product, quantity, price, currency }: &OrderItem) -> String {
    let mut line = format!("{quantity} x {}", one_line(product, LONGEST_FIELD));
    if let Some(price) = price {
        let currency = currency.as_deref().map(|currency| format!(" {}", one_line(currency, 20))).unwrap_or_default();
        let _ = write!(line, " at {price}{currency}");
    }
    line
}

/// Each of the first `most`, and how many there are besides.
fn told_of<T>(all: &[T], most: usize, tell: impl Fn(&T) -> String) -> Vec<String> {
    let more = all.len().saturating_sub(most);
    let more = (more > 0).then(|| format!("and {more} more"));
    all.iter().take(most).map(tell).chain(more).collect()
}

fn referral(referral: &Referral) -> String {
    let what = match referral.source_type.as_deref() {
        Some("post") => "a post",
        _ => "an ad",
    };
    let quoted = |field: &String| format!("\"{}\"", one_line(field, LONGEST_FIELD));
    let words = [&referral.headline, &referral.body].into_iter().flatten().map(quoted);
    let address = referral.url.iter().map(|url| one_line(url, LONGEST_FIELD));
    let all: Vec<_> = words.chain(address).collect();
    match all.is_empty() {
        true => format!("[came from {what}]"),
        false => format!("[came from {what}: {}]", all.join(", ")),
    }
}

fn product(product: &Product) -> String {
    let catalog =
        product.catalog.as_deref().map(|name| format!(" of catalogue {}", one_line(name, 60))).unwrap_or_default();
    format!("[asks about product {}{catalog}]", one_line(&product.product, LONGEST_FIELD))
}

fn quoted(quoted: &Quoted) -> Option<String> {
    let whose = match quoted.by_us {
        Some(true) => " to your message",
        Some(false) => " to a customer's message",
        None => "",
    };
    // That an unknown message is quoted tells nothing.
    let words = one_line(quoted.words.as_deref()?, LONGEST_QUOTE);
    Some(format!("[in reply{whose}: \"{words}\"]"))
}

/// What a group's member said, behind their name. Lines that follow are indented: nobody speaks in another's name.
pub fn spoken(name: &str, words: &str) -> String {
    format!("{name}: {}", words.replace('\n', "\n  "))
}

/// On one line, without brackets, and not too long.
fn one_line(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| match c {
        '[' => '(',
        ']' => ')',
        '"' => '\'',
        c if c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
        c => c,
    });
    let plain: String = plain.collect();
    cut(&plain.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// The first `most` characters at the most; what a person sees as one is not cut.
fn cut(text: &str, most: usize) -> String {
    let Some((longest, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let ends = text.grapheme_indices(true).map(|(at, _)| at).take_while(|at| *at <= longest);
    format!("{}…", text[..ends.last().unwrap_or_default()].trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::MediaKind;

    #[test]
    fn each_kind_tells_what_is_in_it() {
        let card = ContactCard {
            name: Some("Ann [Example]\nof\u{2028}us".into()),
            phones: (1..=7).map(|number| format!("+1555010000{number}")).collect(),
            emails: vec!["ann@shop.example".into()],
            organisation: Some("Shop".into()),
        };
        let item = |price, currency: Option<&str>| OrderItem {
            product: "SKU-17".into(),
            quantity: 2.0,
            price,
            currency: currency.map(str::to_owned),
        };
        let document = MediaRef {
            filename: Some("invoice-17.pdf".into()),
            mime: Some("application/pdf".into()),
            size: Some(123_456),
            caption: Some("as you asked".into()),
            ..MediaRef::of(MediaKind::Document)
        };
        let place = |name: Option<&str>, address: Option<&str>| Content::Location {
            latitude: 47.07,
            longitude: 15.44,
            name: name.map(str::to_owned),
            address: address.map(str::to_owned),
        };
        let order = |items, text: Option<&str>| Content::Order {
            catalog: Some("77".into()),
            text: text.map(str::to_owned),
            items,
        };
        let rows = [
            (Content::text("[document] hi"), "[document] hi"),
            (Content::Media(document), "[document: invoice-17.pdf, application/pdf, 124 kB] as you asked"),
            (Content::Media(MediaRef::of(MediaKind::Image)), "[image]"),
            (place(None, None), "[location 47.07, 15.44]"),
            (place(Some("Café"), Some("Main St 5")), "[location 47.07, 15.44, Café, Main St 5]"),
            (
                Content::Contacts { cards: vec![card] },
                "[contacts: Ann (Example) of us, Shop, +15550100001, +15550100002, +15550100003, +15550100004, \
                 +15550100005, and 2 more, ann@shop.example]",
            ),
            (
                order(vec![item(Some(5.5), Some("EUR")), item(None, None)], Some("quick")),
                "[order: 2 x SKU-17 at 5.5 EUR, 2 x SKU-17] quick",
            ),
            (
                Content::Form {
                    name: Some("visit".into()),
                    answers: json!({"day": "Monday", "flow_token": "t", "note": "x] [order: 5 x SKU-1"}),
                },
                "[form visit: day: Monday, note: x) (order: 5 x SKU-1]",
            ),
            (Content::Unknown { what: "poll".into(), raw: json!({}) }, "[unknown: poll]"),
            (Content::Welcome, "[welcome]"),
        ];
        for (said, told) in rows {
            assert_eq!(content(&said), told);
        }
    }

    #[test]
    fn what_is_told_is_bounded_and_the_customers_words_are_whole() {
        let items: Vec<_> = (0..500)
            .map(|number| OrderItem {
                product: "x".repeat(1000) + &number.to_string(),
                quantity: 1.0,
                price: None,
                currency: None,
            })
            .collect();
        let words = "w".repeat(3_000);
        let told = content(&Content::Order { catalog: None, text: Some(words.clone()), items });
        assert!(told.contains("and 470 more") && told.ends_with(&words) && told.len() < 11_000, "{}", told.len());
        let form = content(&Content::Form { name: None, answers: json!("z".repeat(100_000)) });
        assert!(form.len() < 2_100);
        assert_eq!(cut("👨‍👩‍👧👨‍👩‍👧", 7), "👨‍👩‍👧…");
        assert_eq!(without_context("[in reply: \"a\"]\n[forwarded]\n[x]\ny"), "[x]\ny");
    }

    #[test]
    fn what_a_message_refers_to_is_told_before_it() {
        let by = |by_us, words: Option<&str>| Quoted { by_us, words: words.map(str::to_owned) };
        assert_eq!(
            quoted(&by(Some(true), Some("Red \"or\"\nblue]?"))).as_deref(),
            Some("[in reply to your message: \"Red 'or' blue)?\"]")
        );
        assert_eq!(quoted(&by(Some(false), Some("y"))).as_deref(), Some("[in reply to a customer's message: \"y\"]"));
        assert_eq!(quoted(&by(Some(false), None)), None);
        assert_eq!(quoted(&by(None, Some("x"))).as_deref(), Some("[in reply: \"x\"]"));
        assert_eq!(quoted(&by(None, None)), None);
        let ad = Referral {
            headline: Some("Shoes".into()),
            url: Some("https://ads.example/x".into()),
            ..Referral::default()
        };
        assert_eq!(referral(&ad), "[came from an ad: \"Shoes\", https://ads.example/x]");
        assert_eq!(
            product(&Product { catalog: Some("77".into()), product: "SKU-17".into() }),
            "[asks about product SKU-17 of catalogue 77]"
        );
    }
}
