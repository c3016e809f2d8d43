//! What a chat client may turn into a link, rather once too often than once too seldom.
//!
//! Clients do not agree on what a link is, and what they show as one is what a customer touches. So text is brought
//! into one form first: compatibility forms composed (NFKC), what cannot be seen taken out, ideographic stops and their
//! like made dots, what is percent-encoded decoded. Then whatever any of these finds is a link:
//!
//! - `linkify`, which knows addresses with a scheme, and of mail;
//! - `://`, a scheme that needs no `//`, `//` before a host, `www.`;
//! - a dot before a label that is a top-level domain (the `psl` crate has them, and a few are reserved);
//! - four numbers that make an IPv4 address, and anything in Punycode.

use std::iter;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use linkify::{LinkFinder, LinkKind};
use psl::Psl;
use url::Host;

/// Schemes that lead somewhere without a `//`.
const SCHEMES: [&str; 22] = [
    "http",
    "https",
    "ftp",
    "mailto",
    "tel",
    "telprompt",
    "callto",
    "sms",
    "smsto",
    "mms",
    "whatsapp",
    "intent",
    "market",
    "geo",
    "maps",
    "facetime",
    "skype",
    "tg",
    "javascript",
    "data",
    "file",
    "magnet",
];

/// Those of them that are words as well: in lower case alone they are schemes.
const WORDS: [&str; 8] = ["data", "file", "geo", "maps", "market", "sms", "tel", "intent"];

/// Top-level domains that the list does not have, since they are nobody's: some lead to this machine or its network.
const RESERVED: [&str; 9] = ["example", "test", "invalid", "localhost", "local", "internal", "onion", "home", "lan"];

/// So often is percent-encoding looked through.
const MOST_DECODINGS: usize = 3;

/// A text in the one form in which links are looked for. Upper case stays.
pub(super) fn plain(text: &str) -> String {
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    let seen = composed.chars().filter(|c| !is_unseen(*c)).map(|c| if c == '\u{3002}' { '.' } else { c });
    let mut plain: String = seen.collect();
    for _ in 0..MOST_DECODINGS {
        match decoded(&plain) {
            Some(decoded) => plain = decoded,
            None => break,
        }
    }
    plain
}

/// What clients show nothing of.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control() || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn decoded(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let byte = rest.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (kept, length) = match byte.filter(u8::is_ascii_graphic) {
            Some(byte) => (char::from(byte), 3),
            None => ('%', 1),
        };
        decoded.push_str(&rest[..at]);
        decoded.push(kept);
        rest = &rest[at + length..];
    }
    decoded.push_str(rest);
    (decoded != text).then_some(decoded)
}

/// Whether this parts words that no link holds both of: punctuation beyond ASCII which does not read as a dot.
pub(super) fn is_mark(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    !c.is_ascii() && GeneralCategoryGroup::Punctuation.contains(category) && !is_stop(c)
}

/// Whether this reads as a dot, and is none.
pub(super) fn is_stop(c: char) -> bool {
    !c.is_ascii() && plain(c.encode_utf8(&mut [0; 4])) == "."
}

/// Whether a client may make a link of something in `plain`, which is [`plain`] and without white space.
pub(super) fn is_link(plain: &str) -> bool {
    let lower = plain.to_lowercase();
    lower.contains("://")
        || (lower.contains("xn--") && lower.contains('.'))
        || begins_host(&lower)
        || has_scheme(plain)
        || domains(plain).next().is_some()
        || has_path(plain)
        || has_ipv4(&lower)
        || is_known_to_linkify(&lower)
}

fn is_known_to_linkify(text: &str) -> bool {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]);
    finder.links(text).next().is_some()
}

/// `//` or `www.` before something that can be a host.
fn begins_host(text: &str) -> bool {
    let after = |from: usize| text[from..].chars().next();
    let before = |at: usize| text[..at].chars().next_back();
    let slashes = text.match_indices("//").any(|(at, _)| {
        let is_first = before(at).is_none_or(|c| !c.is_ascii_alphanumeric() && c != '/' && c != ':');
        is_first && after(at + 2).is_some_and(|c| c.is_alphanumeric() || c == '[')
    });
    slashes
        || text.match_indices("www.").any(|(at, _)| {
            before(at).is_none_or(|c| !c.is_ascii_alphanumeric()) && after(at + 4).is_some_and(char::is_alphanumeric)
        })
}

fn has_scheme(text: &str) -> bool {
    text.match_indices(':').any(|(at, _)| {
        let is_followed = text[at + 1..].starts_with(|c: char| c.is_alphanumeric() || "/\\+*#".contains(c));
        is_followed && names_scheme(&text[..=at])
    })
}

/// Whether `text` ends with a scheme and its colon.
pub(super) fn names_scheme(text: &str) -> bool {
    let Some(text) = text.strip_suffix(':') else { return false };
    let written = text.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let scheme = written.to_ascii_lowercase();
    SCHEMES.contains(&&*scheme) && (written == scheme || !WORDS.contains(&&*scheme))
}

/// Where in `plain` a label stands that is a top-level domain, behind a dot and another label.
pub(super) fn domains(plain: &str) -> impl Iterator<Item = usize> + '_ {
    plain.match_indices('.').filter_map(|(at, _)| {
        let before = plain[..at].chars().next_back()?;
        let is_label = before.is_alphanumeric() || before == '-' || before == '_' || !before.is_ascii();
        (is_label && is_top_level(label(&plain[at + 1..]))).then_some(at + 1)
    })
}

/// What of `text` a label is that begins there: some clients end it where ASCII ends, or a script.
fn label(text: &str) -> &str {
    let scripts = CodePointMapData::<Script>::new();
    let first = text.chars().next().filter(|c| !c.is_ascii()).map(|c| scripts.get(c));
    let end = text.find(|c: char| match first {
        None => !c.is_ascii_alphanumeric() && c != '-',
        Some(script) => ![script, Script::Inherited].contains(&scripts.get(c)),
    });
    text[..end.unwrap_or(text.len())].trim_end_matches('-')
}

fn is_top_level(label: &str) -> bool {
    let label = label.to_lowercase();
    if label.chars().count() < 2 || label.chars().all(|c| c.is_ascii_digit()) {
        return false;
    }
    // Some rules are for what stands below it alone.
    let below = psl::List.find([label.as_bytes(), b"a"].into_iter());
    let alone = psl::List.find(iter::once(label.as_bytes()));
    RESERVED.contains(&&*label) || below.typ.is_some() || alone.typ.is_some()
}

/// A name with a dot and a path behind it, whatever its last label is.
fn has_path(plain: &str) -> bool {
    plain.match_indices('.').any(|(at, _)| {
        let label = label(&plain[at + 1..]);
        let behind = &plain[at + 1 + label.len()..];
        let is_name = label.chars().count() > 1 && label.chars().all(char::is_lowercase);
        let is_label = plain[..at].ends_with(|c: char| c.is_alphanumeric());
        is_name && is_label && behind.starts_with('/') && behind[1..].starts_with(char::is_alphanumeric)
    })
}

fn has_ipv4(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').map(|word| word.trim_matches('.'));
    let mut addresses = words.filter(|word| word.matches('.').count() == 3);
    addresses.any(|word| matches!(Host::parse(word), Ok(Host::Ipv4(_))))
}
