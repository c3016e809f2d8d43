//! A question that was written out as text, and what answers it: exactly a number, or exactly a label.
//!
//! Nothing is guessed. What could be meant in two ways, a number that is also another choice's label, is no answer.

use std::fmt;
use std::time::Duration;

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};

use super::reply::Choice;
use super::{ContactId, Content, Inbound, MessageId};
use crate::message::clock::Timestamp;

/// How long a question stays open, unless something else is said by us before.
pub const STAYS_OPEN: Duration = Duration::from_hours(24);

/// So many choices, and so many bytes of them, make a question that is remembered: a longer list is not answered by
/// heart.
const MOST_CHOICES: usize = 100;
const MOST_BYTES: usize = 16 << 10;

/// Whether these can be remembered as a question's choices.
pub fn are_choices(choices: &[Choice]) -> bool {
    let bytes = choices.iter().map(|choice| choice.id.len() + choice.title.len()).sum::<usize>();
    (1..=MOST_CHOICES).contains(&choices.len()) && bytes <= MOST_BYTES
}

/// The newest question of a conversation, as long as nothing was said by us after it, by the bot or by a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What may be chosen, in the order in which it was numbered.
    pub choices: Vec<Choice>,
    /// The upstream's names of the messages that ask it, as far as they are known.
    pub messages: Vec<MessageId>,
    /// When it began to leave, by our clock.
    pub asked: Timestamp,
    /// Who was asked, in a group; none if that is whoever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ContactId>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({} choices)", self.choices.len())
    }
}

impl Question {
    /// What a message chooses that was accepted at that time; none if it is no answer.
    pub fn answered_by(&self, message: &Inbound, accepted: Timestamp) -> Option<&Choice> {
        let Content::Text { body } = &message.content else { return None };
        // What was written before the question can be no answer to it.
        if accepted <= self.asked || accepted.since(self.asked) >= STAYS_OPEN || !self.is_meant_by(message) {
            return None;
        }
        self.choice(body).filter(|choice| !choice.id.is_empty())
    }

    /// Whether a message can be about this question. Who quotes it means it, whoever that is; who quotes anything else
    /// does not.
    fn is_meant_by(&self, message: &Inbound) -> bool {
        match &message.quotes {
            Some(quoted) if !self.messages.is_empty() => self.messages.iter().any(|asking| is_same(asking, quoted)),
            _ => self.of.as_ref().is_none_or(|asked| *asked == message.at.sender),
        }
    }

    fn choice(&self, said: &str) -> Option<&Choice> {
        let said = plain(said);
        let by_number = number(&said).and_then(|number| self.choices.get(number.checked_sub(1)?));
        let mut by_label = self.choices.iter().filter(|choice| is_label(&said, &plain(&choice.title)));
        let labelled = by_label.next();
        if by_label.any(|other| Some(&other.id) != labelled.map(|choice| &choice.id)) {
            return None;
        }
        match (by_number, labelled) {
            (Some(number), Some(label)) if number.id != label.id => None,
            (number, label) => number.or(label),
        }
    }
}

/// Without capitals and marks, in one form, and with single spaces.
fn plain(text: &str) -> String {
    let folded = CaseMapper::new().fold_string(text);
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&folded);
    let folded = CaseMapper::new().fold_string(&decomposed);
    let letters: String = folded.chars().filter(|letter| !is_left_out(*letter)).collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a sign is one that people leave out: accents, and the vowels of Arabic and Hebrew. Marks without which a
/// word is another (of Indian scripts and of Japanese) are not. A digit on a key is a digit and two signs behind it.
fn is_left_out(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
        || matches!(letter, '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
        || letter == '\u{fe0f}'
}

/// A telephone's keyboard ends a sentence by itself.
fn is_label(said: &str, label: &str) -> bool {
    !label.is_empty() && (said == label || said.strip_suffix(['.', '!']).is_some_and(|said| said == label))
}

/// `2`, `2.`, `2)` or `(2)`, in any script's digits.
fn number(said: &str) -> Option<usize> {
    let bare = match said.strip_prefix('(') {
        Some(rest) => rest.strip_suffix(')')?,
        None => said.strip_suffix(['.', ')', '。', '、']).unwrap_or(said),
    };
    if bare.is_empty() || bare.chars().count() > 3 {
        return None;
    }
    bare.chars().try_fold(0, |number, c| Some(number * 10 + digit(c)?))
}

/// The zeros of the scripts whose digits have no other form of ASCII's (Unicode, category Nd).
const ZEROS: [u32; 35] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6, 0x0e50,
    0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
];

fn digit(c: char) -> Option<usize> {
    let value = c.to_digit(10).or_else(|| {
        let code = u32::from(c);
        ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map(|zero| code - zero)
    });
    value.and_then(|value| usize::try_from(value).ok())
}

/// Whether two names are one message's. Some upstreams write a name out in one place, with its chat, and shorten it to
/// what tells it apart in another.
fn is_same(one: &MessageId, other: &MessageId) -> bool {
    let core = |name: &str| -> String {
        let name = name.split('#').next().unwrap_or_default();
        let pieces = name.split('_').filter(|piece| !piece.contains('@') && !matches!(*piece, "true" | "false"));
        pieces.collect::<Vec<_>>().join("_")
    };
    let (one, other) = (one.as_str(), other.as_str());
    one == other || core(one) == core(other) && !core(one).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(labels: &[&str]) -> Question {
        let choice =
            |(number, label): (usize, &&str)| Choice { id: format!("id-{number}"), title: (*label).to_owned() };
        let choices = labels.iter().enumerate().map(choice).collect();
        Question { choices, messages: Vec::new(), asked: Timestamp(1), of: None }
    }

    fn chosen(labels: &[&str], said: &str) -> Option<String> {
        question(labels).choice(said).map(|choice| choice.id.clone())
    }

    #[test]
    fn a_number_in_any_script_or_a_label_in_any_letters_is_a_choice() {
        let labels = ["Blue", "Crème  brûlée", "Ça va", "أحمر"];
        for (said, id) in [
            ("2", "id-1"),
            (" 2. ", "id-1"),
            ("2)", "id-1"),
            ("(2)", "id-1"),
            ("２", "id-1"),
            ("（２）", "id-1"),
            ("②", "id-1"),
            ("2️⃣", "id-1"),
            ("٢", "id-1"),
            ("२.", "id-1"),
            ("02", "id-1"),
            ("BLUE", "id-0"),
            ("blue.", "id-0"),
            ("creme brulee", "id-1"),
            ("CRÈME BRÛLÉE", "id-1"),
            ("ca va", "id-2"),
            ("أحمر", "id-3"),
        ] {
            assert_eq!(chosen(&labels, said).as_deref(), Some(id), "{said}");
        }
    }

    #[test]
    fn nothing_else_is_a_choice() {
        let labels = ["Blue", "Red", "Red wine"];
        for said in [
            "",
            "0",
            "4",
            "22",
            "2 please",
            "the red",
            "reddish",
            "re",
            "1 2",
            "1,2",
            "-1",
            "(2",
            "2))",
            "#2",
            "two",
            "99999999999999999999",
        ] {
            assert_eq!(chosen(&labels, said), None, "{said}");
        }
        assert_eq!(chosen(&["2", "1", "10"], "2"), None, "the second, or the one that says two?");
        assert_eq!(chosen(&["2", "1", "10"], "10").as_deref(), Some("id-2"));
        assert_eq!(chosen(&["Résumé", "Resume"], "resume"), None);
        assert_eq!(chosen(&["かぎ", "はし"], "かき"), None, "without its mark it is another word");
        assert_eq!(chosen(&["Straße"], "STRASSE").as_deref(), Some("id-0"));
    }

    #[test]
    fn one_message_may_be_named_in_two_ways() {
        let same = |one: &str, other: &str| is_same(&MessageId::new(one), &MessageId::new(other));
        assert!(same("true_15550100001@c.us_3EB0A1", "3EB0A1"));
        assert!(same("true_120@g.us_3EB0A1_15550100001@c.us", "true_120@g.us_3EB0A1"));
        assert!(same("6f0c-uuid", "6f0c-uuid#1") && same("wamid.a_b=", "wamid.a_b="));
        assert!(!same("true_15550100001@c.us_3EB0A1", "3EB0A2") && !same("wamid.a_b=", "wamid.b="));
    }
}
