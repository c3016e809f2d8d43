//! What a customer's message says, in words: one rendering for a model's prompt, for the history, for summaries and for
//! handlers that read text alone.
//!
//! What the customer wrote stands as it is. Everything else stands in square brackets before it, on one line each, and
//! is bounded: names, file names and whatever else came from outside hold no bracket, no line break, and not more than
//! 200 characters.

mod heard;

use std::fmt::Write;

use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::content::{ContactCard, OrderItem};
use super::{ContactId, ContactIds, Content, Inbound, MediaRef, Product, Quoted, Referral};
pub use heard::{said, told, transcribed};

/// How the lines begin that say what a message refers to.
const CONTEXT: [&str; 5] = ["[came from ", "[asks about product ", "[in reply", "[about ", "[forwarded]"];
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
    lines.extend(inbound.quoted.as_ref().filter(|_| answers).and_then(|quoted| self::quoted(quoted, inbound)));
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

/// The words of a message, for readers of text alone: what the customer wrote and said; of a place, cards, a form, an
/// order, a poll and a vote, all of which are facts, how they are told. Nothing for a medium without a caption, a
/// reaction, or what nobody has written.
pub fn text(content: &Content) -> Option<String> {
    match content {
        Content::Location { .. }
        | Content::Contacts { .. }
        | Content::Form { .. }
        | Content::Order { .. }
        | Content::Poll { .. }
        | Content::Vote { .. } => Some(self::content(content)),
        Content::Edit { content, .. } => text(content),
        _ => {
            let words: Vec<_> = content.written_and_said().collect();
            (!words.is_empty()).then(|| words.join("\n"))
        }
    }
}

/// What a message says, whatever it refers to.
pub fn content(content: &Content) -> String {
    let kind = content.kind().as_str();
    match content {
        Content::Text { body } => body.clone(),
        Content::Choice { title, description: None, .. } => title.clone(),
        Content::Choice { title, description: Some(description), .. } => {
            format!("[described as \"{}\"] {title}", one_line(description, LONGEST_FIELD))
        }
        Content::Media(media) => with_words(media_facts(kind, media), content.words()),
        Content::Location { latitude, longitude, name, address, url } => {
            let named = [name, address, url].into_iter().flatten().map(|field| one_line(field, LONGEST_FIELD));
            let place: Vec<_> = [format!("{latitude}, {longitude}")].into_iter().chain(named).collect();
            format!("[location {}]", place.join(", "))
        }
        Content::Contacts { cards } => format!("[contacts: {}]", told_of(cards, MOST_CARDS, card).join("; ")),
        Content::Form { name, answers, text } => {
            let name = name.as_ref().map(|name| format!(" {}", one_line(name, LONGEST_FIELD))).unwrap_or_default();
            let text = text.as_ref().map(|text| format!(", \"{}\"", one_line(text, LONGEST_QUOTE))).unwrap_or_default();
            format!("[form{name}{text}: {}]", cut(&self::answers(answers), LONGEST_FORM))
        }
        Content::Poll { question, options, selectable } => {
            let question = question.as_deref().map(|words| format!(" \"{}\"", one_line(words, LONGEST_QUOTE)));
            let most = selectable.map(|most| format!(" (at most {most})")).unwrap_or_default();
            let options = told_of(options, MOST_ITEMS, |option| one_line(option, LONGEST_FIELD)).join("; ");
            format!("[poll{}{most}: {options}]", question.unwrap_or_default())
        }
        Content::Vote { options, .. } if options.is_empty() => "[vote for nothing]".to_owned(),
        Content::Vote { options, .. } => {
            format!("[vote for {}]", told_of(options, MOST_ITEMS, |option| one_line(option, LONGEST_FIELD)).join("; "))
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

/// What the history is told of what a person of the business has sent: nothing of what says nothing.
pub fn by_person(content: &Content) -> Option<String> {
    match content {
        Content::Revoke { .. } | Content::System { .. } | Content::Welcome | Content::Reaction { emoji: None, .. } => {
            None
        }
        content => Some(self::content(content)).filter(|told| !told.is_empty()),
    }
}

/// What a group's member is called before their words: the name that they show, else the end of their identifier.
pub fn speaker(inbound: &Inbound) -> String {
    let shown = inbound.contact.name.as_ref().or(inbound.contact.username.as_ref());
    shown.and_then(|name| name_of(name)).unwrap_or_else(|| nameless(&inbound.at.sender))
}

/// A name as it stands before words; none if it shows nothing.
fn name_of(name: &str) -> Option<String> {
    Some(one_line(name, LONGEST_NAME).replace(':', " ")).filter(|name| !name.trim().is_empty())
}

/// What a group's member is called who shows no name.
fn nameless(member: &ContactId) -> String {
    let id = member.as_str().split(['@', ':']).next().unwrap_or_default();
    let hidden = id.chars().count().saturating_sub(SHOWN_OF_ID);
    format!("member …{}", id.chars().skip(hidden).collect::<String>())
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
    let title = card.title.as_deref().map(|title| one_line(title, LONGEST_FIELD));
    let named = name.into_iter().chain(title).chain(organisation);
    let phones = told_of(&card.phones, MOST_CARDS, |phone| one_line(phone, LONGEST_FIELD));
    let emails = told_of(&card.emails, MOST_CARDS, |email| one_line(email, LONGEST_FIELD));
    let addresses = told_of(&card.addresses, MOST_CARDS, |address| one_line(address, LONGEST_FIELD));
    let urls = told_of(&card.urls, MOST_CARDS, |url| one_line(url, LONGEST_FIELD));
    let all: Vec<_> = named.chain(phones).chain(emails).chain(addresses).chain(urls).collect();
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
    let greeting = referral.welcome_message.iter().map(|words| format!("greeted with {}", quoted(words)));
    let all: Vec<_> = words.chain(address).chain(greeting).collect();
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

/// The message that `inbound` quotes, or is about.
fn quoted(quoted: &Quoted, inbound: &Inbound) -> Option<String> {
    // That an unknown message is quoted tells nothing.
    let words = one_line(quoted.words.as_deref()?, LONGEST_QUOTE);
    let whose = whose(quoted, inbound);
    Some(match (inbound.content.about(), whose) {
        (None, Some(whose)) => format!("[in reply to {whose}: \"{words}\"]"),
        (None, None) => format!("[in reply: \"{words}\"]"),
        (Some(_), whose) => format!("[about {}: \"{words}\"]", whose.as_deref().unwrap_or("the message")),
    })
}

/// Whose a quoted message is: the reader's, the writer's own, or another member's; none if nobody knows.
fn whose(quoted: &Quoted, inbound: &Inbound) -> Option<String> {
    let own = || "their own earlier message".to_owned();
    if quoted.by_us == Some(true) {
        return Some("your message".to_owned());
    }
    if let Some(sender) = &quoted.sender
        && ContactIds::of_writer(&inbound.at).has(sender.as_str())
    {
        return Some(own());
    }
    // With one person, what is not ours is theirs.
    if !inbound.at.group {
        return (quoted.by_us == Some(false)).then(own);
    }
    let name = quoted.name.as_deref().and_then(name_of).or_else(|| quoted.sender.as_ref().map(nameless));
    name.or_else(|| (quoted.by_us == Some(false)).then(|| "a member's message".to_owned()))
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
    use crate::message::clock::Timestamp;
    use crate::message::{BotName, ChatId, Contact, MediaKind, MessageId, MessageRef};

    #[test]
    fn each_kind_tells_what_is_in_it() {
        let card = ContactCard {
            name: Some("Ann [Example]\nof\u{2028}us".into()),
            phones: (1..=7).map(|number| format!("+1555010000{number}")).collect(),
            emails: vec!["ann@shop.example".into()],
            organisation: Some("Shop".into()),
            title: Some("Baker".into()),
            addresses: vec!["Main St 5, Graz".into()],
            urls: vec!["https://shop.example".into()],
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
            url: name.map(|_| "https://maps.example/1".into()),
        };
        let order = |items, text: Option<&str>| Content::Order {
            catalog: Some("77".into()),
            text: text.map(str::to_owned),
            items,
        };
        let options = |all: &[&str]| all.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>();
        let poll = |question: Option<&str>, selectable| Content::Poll {
            question: question.map(str::to_owned),
            options: options(&["Bread", "Cake"]),
            selectable,
        };
        let vote = |all| Content::Vote { message: MessageId::new("poll"), options: options(all) };
        let rows = [
            (Content::text("[document] hi"), "[document] hi"),
            (Content::Media(document), "[document: invoice-17.pdf, application/pdf, 124 kB] as you asked"),
            (Content::Media(MediaRef::of(MediaKind::Image)), "[image]"),
            (place(None, None), "[location 47.07, 15.44]"),
            (
                place(Some("Café"), Some("Main St 5")),
                "[location 47.07, 15.44, Café, Main St 5, https://maps.example/1]",
            ),
            (
                Content::Contacts { cards: vec![card] },
                "[contacts: Ann (Example) of us, Baker, Shop, +15550100001, +15550100002, +15550100003, +15550100004, \
                 +15550100005, and 2 more, ann@shop.example, \
                 Main St 5, Graz, https://shop.example]",
            ),
            (
                order(vec![item(Some(5.5), Some("EUR")), item(None, None)], Some("quick")),
                "[order: 2 x SKU-17 at 5.5 EUR, 2 x SKU-17] quick",
            ),
            (
                Content::Form {
                    name: Some("visit".into()),
                    answers: json!({"day": "Monday", "flow_token": "t", "note": "x] [order: 5 x SKU-1"}),
                    text: Some("Sent\nit".into()),
                },
                "[form visit, \"Sent it\": day: Monday, note: x) (order: 5 x SKU-1]",
            ),
            (
                Content::Choice {
                    id: "1".into(),
                    title: "Tuesday".into(),
                    written: None,
                    description: Some("[ten] to noon".into()),
                },
                "[described as \"(ten) to noon\"] Tuesday",
            ),
            (poll(Some("Lunch?\n]"), Some(1)), "[poll \"Lunch? )\" (at most 1): Bread; Cake]"),
            (poll(None, None), "[poll: Bread; Cake]"),
            (vote(&["Bread", "Cake"]), "[vote for Bread; Cake]"),
            (vote(&[]), "[vote for nothing]"),
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
        let form = content(&Content::Form { name: None, answers: json!("z".repeat(100_000)), text: None });
        assert!(form.len() < 2_100);
        assert_eq!(cut("👨‍👩‍👧👨‍👩‍👧", 7), "👨‍👩‍👧…");
        assert_eq!(without_context("[in reply: \"a\"]\n[forwarded]\n[x]\ny"), "[x]\ny");
    }

    #[test]
    fn what_a_message_refers_to_is_told_before_it() {
        let by = |by_us, words: Option<&str>| Quoted { by_us, words: words.map(str::to_owned), ..Quoted::default() };
        let alone = inbound(false, Content::text("yes"));
        let told = |one: &Quoted| quoted(one, &alone);
        assert_eq!(
            told(&by(Some(true), Some("Red \"or\"\nblue]?"))).as_deref(),
            Some("[in reply to your message: \"Red 'or' blue)?\"]")
        );
        assert_eq!(
            told(&by(Some(false), Some("y"))).as_deref(),
            Some("[in reply to their own earlier message: \"y\"]")
        );
        assert_eq!(told(&by(Some(false), None)), None);
        assert_eq!(told(&by(None, Some("x"))).as_deref(), Some("[in reply: \"x\"]"));
        assert_eq!(told(&by(None, None)), None);
        let ad = Referral {
            headline: Some("Shoes".into()),
            url: Some("https://ads.example/x".into()),
            welcome_message: Some("Hi!".into()),
            ..Referral::default()
        };
        assert_eq!(referral(&ad), "[came from an ad: \"Shoes\", https://ads.example/x, greeted with \"Hi!\"]");
        assert_eq!(
            product(&Product { catalog: Some("77".into()), product: "SKU-17".into() }),
            "[asks about product SKU-17 of catalogue 77]"
        );
    }
    fn inbound(group: bool, content: Content) -> Inbound {
        let at = MessageRef {
            bot: BotName::new("shop"),
            chat: ChatId::new("chat"),
            group,
            sender: ContactId::new("15550100001@c.us"),
            phone: None,
            aliases: vec![ContactId::new("900001@lid")],
            message: MessageId::new("m"),
            time: Timestamp::from_secs(1),
        };
        Inbound {
            at,
            contact: Contact::default(),
            content,
            quotes: None,
            forwarded: false,
            quoted: None,
            referral: None,
            product: None,
        }
    }

    #[test]
    fn a_quoted_message_is_told_with_whoever_wrote_it() {
        let quote = |by_us, sender: Option<&str>, name: Option<&str>| Quoted {
            words: Some("x".into()),
            by_us,
            sender: sender.map(ContactId::new),
            name: name.map(str::to_owned),
        };
        let rows = [
            (quote(Some(true), None, None), "[in reply to your message: \"x\"]"),
            (quote(Some(false), Some("15550100002@c.us"), Some("Ann: [a]")), "[in reply to Ann  (a): \"x\"]"),
            (quote(None, Some("15550100002:3@s.whatsapp.net"), None), "[in reply to member …0002: \"x\"]"),
            (quote(Some(false), Some("900001@lid"), Some("Bob")), "[in reply to their own earlier message: \"x\"]"),
            (quote(None, Some("15550100001@s.whatsapp.net"), None), "[in reply to their own earlier message: \"x\"]"),
            (quote(Some(false), None, None), "[in reply to a member's message: \"x\"]"),
        ];
        for (quote, told) in rows {
            assert_eq!(quoted(&quote, &inbound(true, Content::text("yes"))).as_deref(), Some(told));
        }
    }

    #[test]
    fn a_reaction_an_edit_a_vote_and_a_revocation_say_what_they_are_about() {
        let about = MessageId::new("earlier");
        let rows = [
            (
                Content::Reaction { message: about.clone(), emoji: Some("👍".into()) },
                Some(true),
                "your message",
                "[reaction 👍]",
            ),
            (
                Content::Edit { message: about.clone(), content: Box::new(Content::text("b")) },
                Some(false),
                "their own earlier message",
                "[edit] b",
            ),
            (Content::Vote { message: about.clone(), options: vec!["a".into()] }, None, "the message", "[vote for a]"),
            (Content::Revoke { message: about }, Some(false), "their own earlier message", "[revoke]"),
        ];
        for (content, by_us, whose, told) in rows {
            let mut inbound = inbound(false, content);
            inbound.quoted = Some(Quoted { words: Some("x".into()), by_us, ..Quoted::default() });
            let all = message(&inbound);
            assert_eq!(all, format!("[about {whose}: \"x\"]\n{told}"));
            assert_eq!(without_context(&all), told);
        }
    }

    #[test]
    fn readers_of_text_alone_are_told_of_facts_and_not_of_bare_media() {
        let form = Content::Form { name: None, answers: json!({ "day": "Monday" }), text: None };
        let reaction = Content::Reaction { message: MessageId::new("m"), emoji: Some("👍".into()) };
        let cards =
            Content::Contacts { cards: vec![ContactCard { name: Some("Ann".into()), ..ContactCard::default() }] };
        assert_eq!(text(&form).as_deref(), Some("[form: day: Monday]"));
        assert_eq!(text(&cards).as_deref(), Some("[contacts: Ann]"));
        assert_eq!(text(&Content::text("hi")).as_deref(), Some("hi"));
        assert_eq!(text(&Content::Media(MediaRef::of(MediaKind::Image))), None);
        assert_eq!(text(&reaction), None);
    }
}
