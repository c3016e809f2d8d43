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
    /// All that stand in a text.
    fn all(text: &str) -> Vec<Self> {
        let word = |word: &str| {
            let (who, number) = word.split_once(':')?;
            Some(Self { who: who.parse().ok()?, number: number.parse().ok()? })
        };
        text.split_whitespace().filter_map(word).collect()
    }
}

/// A part of a reply that reached a phone.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) who: usize,
    /// The product's name for it.
    pub(crate) key: String,
    pub(crate) answers: Vec<Word>,
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
                What::Reply { key, text, .. } => account.arrivals.push(Arrival {
                    who: numbers[&moment.customer.unwrap()],
                    key: key.expect("every part has a key"),
                    answers: Word::all(&text),
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

    /// What was acknowledged and stands in no reply.
    pub(crate) fn unanswered(&self) -> Vec<Word> {
        let answered: HashSet<_> = self.arrivals.iter().flat_map(|arrival| &arrival.answers).collect();
        self.acknowledged.iter().filter(|word| !answered.contains(word)).copied().collect()
    }

    /// The parts that arrived more than once, each time but the first.
    pub(crate) fn doubles(&self) -> Vec<&str> {
        let mut known = HashSet::new();
        self.arrivals.iter().map(|arrival| arrival.key.as_str()).filter(|key| !known.insert(*key)).collect()
    }

    /// What is not in order, customer by customer: every message in one reply, in the order in which they were written,
    /// and nothing of anybody else's. A copy directly behind what it is a copy of is no disorder.
    pub(crate) fn disorder(&self) -> Vec<String> {
        let mut chats: BTreeMap<usize, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &self.arrivals {
            let chat = chats.entry(arrival.who).or_default();
            if chat.last().is_none_or(|last| (&last.key, &last.answers) != (&arrival.key, &arrival.answers)) {
                chat.push(arrival);
            }
        }
        let mut disorder = Vec::new();
        for (who, chat) in chats {
            let mut last = 0;
            for arrival in chat {
                if arrival.answers.is_empty() {
                    disorder.push(format!("{} answers nothing", arrival.key));
                }
                for word in &arrival.answers {
                    if word.who != who || word.number <= last {
                        disorder.push(format!("{} answers {word} to {who} after {last}", arrival.key));
                    }
                    last = word.number;
                }
            }
        }
        disorder
    }
}
