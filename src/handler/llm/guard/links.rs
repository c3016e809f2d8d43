//! The rail that says where links may lead.
//!
//! A link stays if it is surely one of those that may: written plainly in ASCII, over http or https or without a
//! scheme, to a host of the list and its usual port, with no credentials. Whatever else a client may take for a link is
//! taken out. Words that only lack a space (`Hello.How`) are given one.

use url::{Host, Url};

use super::find::{domains, is_link, is_mark, is_stop, is_unseen, names_scheme, plain};

/// What stands where a link was.
const REMOVED: &str = "[…]";

/// What in ASCII no link goes on behind: spaces, and the brackets, quotes and signs that links are written in.
fn ends(c: char) -> bool {
    c.is_whitespace() || "()[]{}<>\"'`*|\\,;".contains(c)
}

/// Where links may lead.
pub(super) struct Links(Vec<Allowed>);

struct Allowed {
    host: String,
    /// Whether what stands below the host is meant too.
    below: bool,
    port: Option<u16>,
}

impl Allowed {
    fn read(written: &str) -> Option<Self> {
        let written = written.trim();
        let (name, below) = written.strip_prefix("*.").map_or((written, false), |name| (name, true));
        let (name, port) = match name.rsplit_once(':').filter(|(name, _)| !name.contains(':')) {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (name, None),
        };
        Some(Self { host: Host::parse(name).ok()?.to_string(), below, port })
    }

    fn is(&self, host: &str, port: Option<u16>) -> bool {
        let below = host.strip_suffix(&self.host).is_some_and(|rest| rest.ends_with('.'));
        let same = host == self.host || host.strip_prefix("www.") == Some(&self.host) || (self.below && below);
        same && port == self.port
    }
}

impl Links {
    /// Those that may lead to these hosts, and the numbers of those that are none. `None` if all may lead anywhere.
    pub(super) fn new(hosts: &[String]) -> (Option<Self>, Vec<usize>) {
        let read: Vec<_> = hosts.iter().map(|host| Allowed::read(host)).collect();
        let wrong = read.iter().enumerate().filter(|(_, host)| host.is_none()).map(|(number, _)| number).collect();
        (Some(Self(read.into_iter().flatten().collect())).filter(|_| !hosts.is_empty()), wrong)
    }

    /// The same text without links that lead elsewhere.
    pub(super) fn pass(&self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = word_end(rest);
            self.word(&rest[..end], &mut kept);
            let behind = rest[end..].find(|c| !ends(c)).unwrap_or(rest.len() - end);
            kept.push_str(&rest[end..end + behind]);
            rest = &rest[end + behind..];
        }
        kept
    }

    /// A word: something in which nothing ends a link for everybody.
    fn word(&self, word: &str, kept: &mut String) {
        let mut rest = word;
        for part in parted(word, ends_sentence) {
            let pieces = parted(part, |c, _, _| is_mark(c));
            if is_link(&plain(part)) && !pieces.iter().any(|piece| is_link(&plain(piece))) {
                self.foreign(part, kept);
                rest = &rest[part.len()..];
                continue;
            }
            for piece in pieces {
                rest = &rest[piece.len()..];
                let is_sign = piece.starts_with(|c| is_mark(c) || is_stop(c));
                // Some readers take what is not ASCII for a part of the host before it.
                if is_sign
                    && rest.contains(|c: char| c.is_alphanumeric() || "/?#@:".contains(c))
                    && self.ends_with_host(kept)
                {
                    kept.push(' ');
                }
                self.piece(piece, kept);
            }
        }
    }

    /// Whether the last of `text` is a link that may be there, and ends with its host.
    fn ends_with_host(&self, text: &str) -> bool {
        let last = text.rsplit(|c: char| !c.is_ascii() || ends(c)).next().unwrap_or_default();
        let link = last.trim_matches(|c: char| c.is_ascii_punctuation() && c != '/');
        let host = link.split_once("://").map_or(link, |(_, behind)| behind);
        !host.contains(['/', '?', '#']) && self.is_allowed(link)
    }

    /// A piece of a word, or a mark between two.
    fn piece(&self, piece: &str, kept: &mut String) {
        if !is_link(&plain(piece)) {
            return kept.push_str(piece);
        }
        let Some((start, end)) = self.surely_allowed(piece) else {
            match unglued(piece) {
                Some(words) => kept.push_str(&words),
                None => self.foreign(piece, kept),
            }
            return;
        };
        let (before, link, behind) = (&piece[..start], &piece[start..end], &piece[end..]);
        if !before.is_empty() {
            self.piece(before, kept);
        }
        // What touches it and is not ASCII could be taken for a part of its host; what is not seen, as if it were not
        // there.
        let is_glued = !link.contains("://") && is_label_end(kept);
        if is_glued || kept.ends_with(|c| c == '@' || is_unseen(c)) {
            kept.push(' ');
        }
        kept.push_str(link);
        if behind.starts_with(|c: char| !c.is_ascii()) || (!behind.is_ascii() && behind.contains(char::is_alphanumeric))
        {
            kept.push(' ');
        }
        if !behind.is_empty() {
            self.piece(behind, kept);
        }
    }

    fn foreign(&self, piece: &str, kept: &mut String) {
        let start = piece.find(|c: char| c.is_alphanumeric() || c == '/').unwrap_or(0);
        let closing = |c: char| ".:!?_~…".contains(c) || is_stop(c) || is_mark(c);
        let end = piece.trim_end_matches(closing).len().max(start);
        kept.push_str(&piece[..start]);
        kept.push_str(REMOVED);
        kept.push_str(&piece[end..]);
    }

    /// Where in a piece a link stands that surely leads where it may; nothing else in ASCII touches it but a sentence's
    /// signs.
    fn surely_allowed(&self, piece: &str) -> Option<(usize, usize)> {
        let mut start = 0;
        for run in piece.split_inclusive(|c: char| !c.is_ascii()) {
            let ascii = run.trim_end_matches(|c: char| !c.is_ascii());
            let core = ascii.trim_start_matches(|c: char| c.is_ascii_punctuation() && c != '/');
            let at = start + (ascii.len() - core.len());
            let core = core.trim_end_matches(|c: char| ".:!?_~-=&".contains(c));
            start += run.len();
            if self.is_allowed(core) {
                return Some((at, at + core.len()));
            }
            // "Shop:shop.example", "url=https://shop.example".
            for (sign, _) in core.match_indices([':', '=']).take(4) {
                let (before, behind) = core.split_at(sign + 1);
                let is_scheme = names_scheme(before) && !(before.ends_with("mailto:") && behind.contains('@'));
                if !is_scheme && !is_link(&plain(before)) && self.is_allowed(behind) {
                    return Some((at + before.len(), at + core.len()));
                }
            }
        }
        None
    }

    /// Whether this, as a whole, leads where it may, for whoever reads it.
    fn is_allowed(&self, link: &str) -> bool {
        let lower = link.to_ascii_lowercase();
        let (usual, rest) = match (lower.strip_prefix("https://"), lower.strip_prefix("http://")) {
            (Some(rest), _) => (Some("443"), rest),
            (_, Some(rest)) => (Some("80"), rest),
            _ => (None, &*lower),
        };
        let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let authority = match authority.split_once('@') {
            // An address of mail. Some readers find a host in the person's name, and end there.
            Some((person, host)) if usual.is_none() && behind.is_empty() && is_person(person) && !is_link(person) => {
                host
            }
            Some(_) => return false,
            None => authority,
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) if Some(port) == usual => (host, None),
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => return false,
            },
            None => (authority, None),
        };
        let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        let is_read_alike = Url::parse(&format!("https://{host}/")).is_ok_and(|url| url.host_str() == Some(host));
        // If no slash ends the host, some readers take what stands before an `@` for a person, or begin anew behind it.
        let is_ended =
            behind.is_empty() || behind.starts_with('/') || !(behind.contains('@') || is_link(&plain(behind)));
        // Some find another link in its path.
        let is_one = !behind.contains("://") && !behind.split('@').skip(1).any(|host| domains(host).next().is_some());
        let may = is_plain && is_read_alike && is_ended && is_one && behind.bytes().all(|byte| byte.is_ascii_graphic());
        may && self.0.iter().any(|allowed| allowed.is(host, port))
    }
}

fn is_person(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// Whether what would stand behind `text` could be taken for a part of a label, or of one with a mark in it.
fn is_label_end(text: &str) -> bool {
    let before = text.trim_end_matches(|c| is_mark(c) || ".-_".contains(c));
    let is_marked = !text[before.len()..].is_ascii();
    before.ends_with(|c: char| !c.is_whitespace() && (!c.is_ascii() || (is_marked && c.is_alphanumeric())))
}

/// Where the word ends that `text` begins with. The brackets around an IPv6 address are a part of it.
fn word_end(text: &str) -> usize {
    let mut from = 0;
    loop {
        let Some(at) = text[from..].find(ends).map(|at| from + at) else { return text.len() };
        let before = plain(&text[..at]);
        let is_host =
            text[at..].starts_with('[') && (before.ends_with("//") || (before.contains("//") && before.ends_with('@')));
        match text[at..].find(|c: char| c == ']' || c.is_whitespace()).filter(|_| is_host) {
            Some(closing) if text[at + closing..].starts_with(']') => from = at + closing + 1,
            _ => return at,
        }
    }
}

/// A word, taken apart at each character that `parts` it, which is told what stands before it and behind it. Each of
/// them is a piece of its own.
fn parted(word: &str, parts: impl Fn(char, &str, &str) -> bool) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    for (at, c) in word.char_indices() {
        let end = at + c.len_utf8();
        if parts(c, &word[..at], &word[end..]) {
            pieces.extend([&word[start..at], &word[at..end]]);
            start = end;
        }
    }
    pieces.push(&word[start..]);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Whether a stop that reads as a dot ends a sentence: between words that are not in ASCII, and before what is no
/// top-level domain.
fn ends_sentence(stop: char, before: &str, behind: &str) -> bool {
    let is_text = |c: Option<char>| c.is_none_or(|c| !c.is_ascii());
    is_stop(stop)
        && ((is_text(before.chars().next_back()) && is_text(behind.chars().next()))
            || domains(&plain(&format!("a.{behind}"))).next() != Some(2))
}

/// Words that only lack the space between two sentences, with that space; none if it is something else.
fn unglued(piece: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphabetic() || ".!?-".contains(c);
    let is_loud = !piece.contains(char::is_lowercase);
    if plain(piece) != piece || is_loud || !piece.chars().all(is_word) || piece.to_lowercase().contains("www.") {
        return None;
    }
    let (mut words, mut start) = (String::with_capacity(piece.len() + 2), 0);
    for at in domains(piece) {
        let mut letters = piece[at..].chars().take_while(|c| c.is_alphabetic());
        let is_capital = letters.next().is_some_and(char::is_uppercase);
        // "How", or an abbreviation such as "KG".
        if !is_capital || !(letters.clone().count() < 3 || letters.all(char::is_lowercase)) {
            return None;
        }
        words.push_str(&piece[start..at]);
        words.push(' ');
        start = at;
    }
    words.push_str(&piece[start..]);
    let is_harmless = start > 0 && !words.split(' ').any(|word| is_link(&plain(word)));
    is_harmless.then_some(words)
}

#[cfg(test)]
mod tests;
