//! What was acknowledged, and what was answered: the phones' timeline, read as an accountant would.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use threedots::message::MessageId;
use threedots::sandbox::phone::{What, Why};
use threedots::sandbox::{CustomerId, Phone};

/// A customer's message, by who wrote it and its number there. Written in the message, and in what answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Word {
    pub(crate) who: usize,
    pub(crate) number: u64,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.who, self.number)
    }
}

impl Word {
    /// All that stand in a text, alone or as in `3:17-20`.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        let words = |word: &str| {
            let (who, numbers) = word.split_once(':')?;
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let (who, first, last) = (who.parse().ok()?, first.parse().ok()?, last.parse().ok()?);
            Some((first..=last).map(move |number| Self { who, number }))
        };
        text.split_whitespace().filter_map(words).flatten().collect()
    }

    /// A text in which all these stand, and no longer than need be.
    pub(crate) fn listed(words: &[Self]) -> String {
        let follows = |one: &Self, next: &Self| (one.who, one.number + 1) == (next.who, next.number);
        let run = |run: &[Self]| match run {
            [first, .., last] => format!("{first}-{}", last.number),
            run => run[0].to_string(),
        };
        words.chunk_by(follows).map(run).collect::<Vec<_>>().join(" ")
    }
}

/// Which part of which answer of the model's it is. Written in the part, so that two answers to one message differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) answer: u64,
    pub(crate) part: usize,
    pub(crate) parts: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}/{}", self.answer, self.part, self.parts)
    }
}

impl Place {
    fn find(text: &str) -> Option<Self> {
        let place = |word: &str| {
            let (answer, part) = word.strip_prefix('#')?.split_once('.')?;
            let (part, parts) = part.split_once('/')?;
            Some(Self { answer: answer.parse().ok()?, part: part.parse().ok()?, parts: parts.parse().ok()? })
        };
        text.split_whitespace().find_map(place)
    }
}

/// A part of a reply that reached a phone.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) who: usize,
    /// No two parts say the same.
    pub(crate) text: String,
    pub(crate) answers: Vec<Word>,
    place: Option<Place>,
}

impl Arrival {
    /// Whether it is the same part, once more.
    fn is_copy_of(&self, other: &Self) -> bool {
        (self.who, &self.text) == (other.who, &other.text)
    }

    /// Whether it is the part behind that one.
    fn goes_on(&self, last: &Self) -> bool {
        let behind = last.place.map(|place| Place { part: place.part + 1, ..place });
        self.place == behind && self.answers == last.answers
    }
}

/// Without its words, of which there may be thousands.
impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning: String = self.text.chars().take(40).collect();
        match self.place {
            Some(place) => write!(f, "{beginning:?}, {place}"),
            None => write!(f, "{beginning:?}"),
        }
    }
}

/// How many parts there are, and which of them this is, counted from 1.
fn count(arrival: &Arrival) -> (usize, usize) {
    arrival.place.map_or((1, 1), |place| (place.parts, place.part))
}

/// Everything that counts.
pub(crate) struct Account {
    pub(crate) acknowledged: BTreeSet<Word>,
    pub(crate) arrivals: Vec<Arrival>,
    /// How often dots ended by themselves.
    pub(crate) lapsed: usize,
}

impl Account {
    /// Reads the timeline; `customers` are those who wrote, by their numbers.
    pub(crate) fn of(phone: &Phone, customers: &[CustomerId]) -> Self {
        let numbers: HashMap<_, _> = customers.iter().enumerate().map(|(who, customer)| (customer, who)).collect();
        let mut account = Self { acknowledged: BTreeSet::new(), arrivals: Vec::new(), lapsed: 0 };
        for moment in phone.timeline() {
            match moment.what {
                What::Reply { text, .. } => account.arrivals.push(Arrival {
                    who: numbers[&moment.customer.unwrap()],
                    answers: Word::all(&text),
                    place: Place::find(&text),
                    text,
                }),
                What::DotsOff { why: Why::Lapsed, .. } => account.lapsed += 1,
                _ => {}
            }
        }
        account
    }

    /// Notes that these were acknowledged.
    pub(crate) fn acknowledge<'a>(&mut self, phone: &Phone, messages: impl Iterator<Item = &'a MessageId>) {
        let words = messages.filter_map(|id| phone.message(id)).flat_map(|message| Word::all(message.body.words()));
        self.acknowledged.extend(words);
    }

    /// What stands in a reply.
    pub(crate) fn answered(&self) -> BTreeSet<Word> {
        self.arrivals.iter().flat_map(|arrival| &arrival.answers).copied().collect()
    }

    /// What was acknowledged and stands in no reply.
    pub(crate) fn unanswered(&self) -> Vec<Word> {
        self.acknowledged.difference(&self.answered()).copied().collect()
    }

    /// The parts that arrived more than once, each time but the first.
    pub(crate) fn doubles(&self) -> Vec<&Arrival> {
        let mut known = HashSet::new();
        self.arrivals.iter().filter(|arrival| !known.insert((arrival.who, &arrival.text))).collect()
    }

    /// What is not in order, customer by customer: every message in one reply, in the order in which they were written,
    /// and nothing of anybody else's; every reply whole, its parts in order and nothing between them. A copy directly
    /// behind what it is a copy of is no disorder.
    pub(crate) fn disorder(&self) -> Vec<String> {
        let mut chats: BTreeMap<usize, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &self.arrivals {
            let chat = chats.entry(arrival.who).or_default();
            if chat.last().is_none_or(|last| !arrival.is_copy_of(last)) {
                chat.push(arrival);
            }
        }
        let mut disorder = Vec::new();
        for (who, chat) in chats {
            let (mut newest, mut last): (u64, Option<&Arrival>) = (0, None);
            for arrival in chat {
                let rest = last.replace(arrival).filter(|last| count(last).0 > count(last).1);
                match rest {
                    Some(last) if arrival.goes_on(last) => continue,
                    Some(last) => disorder.push(format!("{arrival:?} comes in the middle of {last:?}")),
                    None if count(arrival).1 > 1 => disorder.push(format!("{arrival:?} has no beginning")),
                    None => {}
                }
                if arrival.answers.is_empty() {
                    disorder.push(format!("{arrival:?} answers nothing"));
                }
                for word in &arrival.answers {
                    if word.who != who || word.number <= newest {
                        disorder.push(format!("{arrival:?} answers {word} to {who} after {newest}"));
                    }
                    newest = word.number;
                }
            }
            disorder
                .extend(last.filter(|last| count(last).0 > count(last).1).map(|last| format!("{last:?} has no end")));
        }
        disorder
    }
}
