//! An answer that was too long for its model: a model is asked to go on, once, and what is left unsaid then is said
//! to be.
//!
//! It goes on from the end of a sentence or of a word, so that nothing has to be guessed where the two halves meet.

use tracing::{info, warn};

use super::Llm;
use super::completion::Said;
use super::model::ModelRequest;
use super::steps::Ladder;
use super::wire::ChatMessage;
use crate::handler::Turn;

/// What a model is told that is to go on.
const GO_ON: &str = "[Your answer was cut off, since it was too long. Go on with it exactly where it ends. Repeat \
                     nothing of it, and say nothing about this.]";
/// So many bytes that are said twice are no chance.
const REPEATED: usize = 12;
/// So many are looked at.
const LOOKED_AT: usize = 600;

impl Llm {
    /// The whole of an answer that was cut short, or as much of it as there is to be had, up to the end of a sentence.
    pub(super) async fn finished(&self, turn: &Turn, asked: &ModelRequest<'_>, said: Said, rung: usize) -> String {
        if self.guard.is_too_long(&said.words) {
            // The rest would be cut off again.
            return said.words;
        }
        let (begun, blank) = begun(&said.words);
        info!("an answer was cut off by its length: a model is asked to go on with it");
        let mut messages = asked.messages.to_vec();
        messages.extend([ChatMessage::assistant(begun), ChatMessage::user(GO_ON)]);
        let go_on = ModelRequest { messages: &messages, may_call: false, ..*asked };
        let (mut ladder, mut lower) = (Ladder::from(rung, self.rungs.len()), rung);
        let more = match self.ask_once(turn, &go_on, &mut ladder, &mut lower).await {
            Ok(Ok(more)) if !more.words.is_empty() && !more.refused => Some(more),
            // Without the budget for more, or the time, there is what there is.
            _ => None,
        };
        match more.map(|more| (joined(begun, blank, &more.words), more.is_cut)) {
            Some((words, false)) => words,
            Some((words, true)) if words.len() > said.words.len() => up_to_a_sentence(&words),
            _ => up_to_a_sentence(&said.words),
        }
    }
}

/// Words up to where they can be gone on with, and what stands between that and the rest.
fn begun(words: &str) -> (&str, &str) {
    let words = words.trim_end();
    let sentence = end_of_sentence(words).filter(|end| *end >= words.len() / 2);
    let end = sentence.or_else(|| words.rfind(char::is_whitespace)).unwrap_or(words.len());
    let begun = words[..end].trim_end();
    if begun.is_empty() {
        return (words, "");
    }
    let rest = &words[begun.len()..];
    let blank = &rest[..rest.len() - rest.trim_start().len()];
    // Behind a whole sentence there is a blank, if it was the last.
    (begun, if blank.is_empty() && sentence.is_some() { " " } else { blank })
}

/// Both halves, without what the second repeats of the first.
fn joined(begun: &str, blank: &str, more: &str) -> String {
    let more = more.trim();
    let same = begun.bytes().zip(more.bytes()).take_while(|(one, other)| one == other).count();
    if same == begun.len() || same >= 4 * REPEATED {
        // It has begun anew.
        return if more.len() > begun.len() { more.to_owned() } else { begun.to_owned() };
    }
    let most = begun.len().min(more.len()).min(LOOKED_AT);
    let fits = |length: &usize| more.is_char_boundary(*length) && begun.ends_with(&more[..*length]);
    let repeated = (REPEATED..=most).rev().find(fits).unwrap_or(0);
    let rest = more[repeated..].trim_start();
    let joins = rest.is_empty() || rest.starts_with([',', '.', ';', ':', '!', '?', ')']);
    format!("{begun}{}{rest}", if joins { "" } else { blank })
}

/// Behind the last sentence that ends.
fn end_of_sentence(words: &str) -> Option<usize> {
    let ends = words.rmatch_indices(['.', '!', '?', '…', '。', '！', '？', '\n']).find(|(at, end)| {
        let behind = words[at + end.len()..].chars().next();
        let before = words[..*at].chars().next_back();
        match *end {
            "\n" | "。" | "！" | "？" => true,
            // A number may go on, and so may a numbered list.
            "." if before.is_some_and(char::is_numeric) => false,
            _ => behind.is_none_or(|c| c.is_whitespace() || "\"'“”»)*_~".contains(c)),
        }
    });
    let (at, end) = ends?;
    let behind = at + end.len();
    let closing = words[behind..].find(|c| !"\"'“”»)*_~".contains(c)).map_or(words.len(), |length| behind + length);
    Some(closing)
}

/// Words up to the end of a sentence or of a word, for a customer; and the log says so.
fn up_to_a_sentence(words: &str) -> String {
    warn!("an answer that was cut off by its length is sent up to the end of a sentence: set a larger max_tokens");
    shown(words)
}

/// The same for what is no answer.
pub(super) fn shown(words: &str) -> String {
    let words = words.trim_end();
    if let Some(end) = end_of_sentence(words).filter(|end| *end >= words.len() / 2) {
        return words[..end].trim_end().to_owned();
    }
    let end = words.rfind(char::is_whitespace).filter(|end| *end >= words.len() / 2).unwrap_or(words.len());
    format!("{}…", words[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_on_from_a_sentence_or_a_word() {
        for (words, expected) in [
            ("We are open. On Satur", ("We are open.", " ")),
            ("We are open.\n\nOn Satur", ("We are open.", "\n\n")),
            ("We are open.", ("We are open.", " ")),
            ("We said \"yes.\" On Satur", ("We said \"yes.\"", " ")),
            ("It is 4.50 at mo", ("It is 4.50 at", " ")),
            ("Yes. Bread is four euros and rolls are fif", ("Yes. Bread is four euros and rolls are", " ")),
            ("Supercalifrag", ("Supercalifrag", "")),
            ("今日は休み。明日は開", ("今日は休み。", " ")),
        ] {
            assert_eq!(begun(words), expected, "{words}");
        }
    }

    #[test]
    fn nothing_is_said_twice_where_two_halves_meet() {
        for (begun, blank, more, whole) in [
            ("We are open.", " ", "On Saturdays, too.", "We are open. On Saturdays, too."),
            ("We are open.", "\n\n", "On Saturdays, too.", "We are open.\n\nOn Saturdays, too."),
            ("We are open on", " ", "open on Saturdays.", "We are open on open on Saturdays."),
            (
                "We are open on weekdays",
                " ",
                "open on weekdays and Saturdays.",
                "We are open on weekdays and Saturdays.",
            ),
            ("We are open on weekdays", " ", ", and Saturdays.", "We are open on weekdays, and Saturdays."),
            ("We are open.", " ", "We are open. On Saturdays, too.", "We are open. On Saturdays, too."),
            ("We are open.", " ", "We are open.", "We are open."),
            ("Superca", "", "lifragil", "Supercalifragil"),
        ] {
            assert_eq!(joined(begun, blank, more), whole, "{begun} {more}");
        }
    }

    #[test]
    fn what_is_left_of_an_answer_ends_where_something_ends() {
        for (words, expected) in [
            ("We are open from nine to six. On Satur", "We are open from nine to six."),
            ("On Tuesday we are op", "On Tuesday we are…"),
            ("Bread is 4.50 and ro", "Bread is 4.50 and…"),
            ("Supercalifrag", "Supercalifrag…"),
            ("*We are open.* On", "*We are open.*"),
        ] {
            assert_eq!(shown(words), expected);
        }
    }
}
