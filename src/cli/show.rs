//! What a person reads on the terminal. What customers wrote must not write there by itself: it is tamed.

use std::fmt::Write;

use threedots::admin::{ContactView, EnqueuedView, Invited, Letter, Letters, LettersChanged, MembersView};
use threedots::message::ContentKind;
use threedots::store::{DeadLetter, Forgotten, Seq};

/// One line a letter.
pub(super) fn letters(page: &Letters) -> String {
    if page.letters.is_empty() {
        return "no dead letters".into();
    }
    let rows: Vec<[String; 5]> = page
        .letters
        .iter()
        .map(|letter| {
            let Letter { letter: number, since, bot, reason, .. } = letter;
            [number.to_string(), since.clone(), tamed(bot.as_str()), kind_of(letter), tamed(reason)]
        })
        .collect();
    let head = ["ID", "DEAD SINCE", "BOT", "KIND", "REASON"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let [id, since, bot, kind, reason] = row;
        let [of_id, of_since, of_bot, of_kind] = widths;
        format!("{id:>of_id$}  {since:of_since$}  {bot:of_bot$}  {kind:of_kind$}  {reason}")
    };
    let mut text = [&head].into_iter().chain(&rows).map(line).collect::<Vec<_>>().join("\n");
    if let Some(next) = page.next {
        // Writing to a text never fails.
        let _ = write!(text, "\nthere may be more: --after {next}");
    }
    text
}

/// All of a letter.
pub(super) fn letter(letter: &Letter) -> String {
    let mut lines = vec![
        ("letter", letter.letter.to_string()),
        ("bot", tamed(letter.bot.as_str())),
        ("dead since", letter.since.clone()),
        ("reason", tamed(&letter.reason)),
        ("accepted", letter.accepted.clone()),
        ("kind", kind_of(letter)),
    ];
    if let Some(message) = &letter.message {
        lines.push(("written", message.written.clone()));
        lines.extend(message.name.as_deref().map(|name| ("name", tamed(name))));
        lines.push(("sender", tamed(&message.sender)));
        lines.extend(message.phone.as_deref().map(|phone| ("phone", tamed(phone))));
        lines.extend(message.group.then(|| ("said in", "a group".to_owned())));
        match &message.words {
            Some(words) => lines.push(("words", words.lines().map(tamed).collect::<Vec<_>>().join("\n            "))),
            None => {
                let content = serde_json::to_string(&message.content).unwrap_or_default();
                lines.push(("content", tamed_json(&content)));
            }
        }
    }
    lines.iter().map(|(name, value)| format!("{name:10}  {value}")).collect::<Vec<_>>().join("\n")
}

/// What became of the letters that were named.
pub(super) fn changed(changed: &LettersChanged, done: &str) -> String {
    let line = |letters: &[Seq], what: &str| {
        let numbers: Vec<String> = letters.iter().map(Seq::to_string).collect();
        (!letters.is_empty()).then(|| format!("{}: {what}", numbers.join(" ")))
    };
    let lines = [
        line(&changed.done, done),
        line(&changed.unread, DeadLetter::NOTHING_TO_REPLAY),
        line(&changed.unknown, "no dead letter (any longer)"),
    ];
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    if lines.is_empty() { "nothing was done".into() } else { lines.join("\n") }
}

/// Who answers a conversation now.
pub(super) fn stands(ContactView { paused, until, changed }: &ContactView) -> String {
    let known = if *changed { "" } else { " (as before)" };
    match (paused, until) {
        (true, Some(until)) => format!("paused: a person answers, the bot does not, until {until}{known}"),
        (true, None) => format!("paused: a person answers, the bot does not, until it is resumed{known}"),
        (false, _) => format!("not paused: the bot answers{known}"),
    }
}

/// What was erased.
pub(super) fn forgotten(forgotten: &Forgotten) -> String {
    let Forgotten { conversations, waiting, outgoing, said, sent, dead } = *forgotten;
    if conversations + waiting + outgoing + said + sent + dead == 0 {
        return "nothing was kept of this person: are the bot's name and the contact right?".into();
    }
    format!(
        "erased: {conversations} conversation(s), {waiting} waiting message(s), {outgoing} reply(ies) on their way, \
         {said} thing(s) said, {sent} part(s) sent, {dead} dead letter(s)"
    )
}

/// A text that stays on its line: nothing in it moves a cursor, changes a colour or turns the direction of writing.
fn tamed(text: &str) -> String {
    text.chars().map(|c| if is_wild(c) { '\u{fffd}' } else { c }).collect()
}

/// JSON that shows on a terminal as it is: what `tamed` replaces stands in it as escapes.
pub(super) fn tamed_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_wild(c) {
            // None of these is beyond four digits; and writing to a text never fails.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

fn is_wild(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// A code, and what to do with it.
pub(super) fn invited(Invited { code, number, until }: &Invited) -> String {
    format!("{code}\ninvitation {number}: whoever sends this to the bot until {until} is let in, once")
}

/// The invitations that are open, and who is in.
pub(super) fn members(MembersView { open, members, next }: &MembersView) -> String {
    let mut lines = Vec::new();
    lines.extend(
        open.iter().map(|open| format!("invitation {}: made {}, good until {}", open.number, open.made, open.until)),
    );
    lines
        .extend(members.iter().map(|member| format!("in since {}: {}", member.since, tamed(&member.names.join(", ")))));
    lines.extend(next.iter().map(|next| format!("there may be more: --after {next}")));
    if lines.is_empty() { "nobody is in, and nobody is invited".to_owned() } else { lines.join("\n") }
}

/// What a bot is to say, and where to look what becomes of it.
pub(super) fn sent(EnqueuedView { message, parts }: &EnqueuedView) -> String {
    let parts = parts.iter().map(|part| format!("\n  {}", part.path));
    format!("taken in as {message}: what becomes of it says the operator's API at{}", parts.collect::<String>())
}

/// What a dead letter was: a kind of message, or a proactive message, which is something to be said unasked.
fn kind_of(letter: &Letter) -> String {
    if letter.unread {
        DeadLetter::UNREAD.to_owned()
    } else {
        letter.kind.map_or("errand", ContentKind::as_str).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_moves_the_cursor() {
        for wild in ["\u{1b}[2J", "a\rb", "\u{9b}31m", "\u{202e}x", "\u{2028}", "\u{7f}\u{0}"] {
            assert!(!tamed(wild).chars().any(is_wild), "{wild:?}");
            let json = tamed_json(&serde_json::to_string(wild).expect("JSON"));
            assert!(!json.chars().any(is_wild), "{wild:?}");
            assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), wild);
        }
        assert_eq!(tamed("größer 👍"), "größer 👍");
    }
}
