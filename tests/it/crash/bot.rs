//! A bot of the kill loop: what its customers say, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use threedots::sandbox::{Draft, Mischief, Upstream as Kind, WebhookFault};

use crate::real::Dice;
use crate::real::account::{Account, Word};
use crate::real::load::Load;
use crate::real::operator::{Letter, Part};
use crate::real::upstream::Upstream;

/// A bot, its upstream, and its customers.
pub(super) struct Bot {
    pub(super) upstream: Upstream,
    pub(super) load: Load,
}

/// What became of a bot's messages.
pub(super) struct Ends {
    pub(super) account: Account,
    pub(super) answered: BTreeSet<Word>,
    pub(super) silent: BTreeSet<Word>,
    pub(super) dead: BTreeSet<Word>,
}

/// What the model is to do.
fn mood(word: Word) -> &'static str {
    match (3 * word.who as u64 + word.number) % 20 {
        0 => "stall",
        3 | 13 => "long",
        4 | 14 => PICTURE,
        6 | 16 => "busy",
        7 | 17 => "refuse",
        _ => "",
    }
}

/// No word, but a message of a kind that the bot does not answer.
const PICTURE: &str = "picture";

fn to_the_model(word: Word) -> Draft {
    match mood(word) {
        PICTURE => Draft::image(Some(&word.to_string())),
        mood => Draft::text(format!("{word} {mood}")),
    }
}

/// What the demo is to do; of several messages it does what the first says.
fn order(word: Word) -> &'static str {
    ["silent", "", "fail", "panic"][(word.who + usize::try_from(word.number).unwrap()) % 4]
}

fn to_the_demo(word: Word) -> Draft {
    Draft::text(format!("{} {word}", order(word)))
}

/// Whether the upstream neither knows our keys nor reports them.
fn is_blind(kind: Kind) -> bool {
    matches!(kind, Kind::Wawp | Kind::Waha)
}

impl Bot {
    pub(super) fn start(kind: Kind, port: u16, dice: &mut Dice) -> Self {
        let upstream = Upstream::of(kind, kind.name(), port);
        // Every webhook comes twice at the same time, and each of the two until it is taken.
        upstream.sandbox.faults().add(WebhookFault::new(Mischief::Duplicate));
        let load = match kind {
            Kind::Waha => Load::start(&upstream, dice, 4, 0, 2000, to_the_demo),
            _ => Load::start(&upstream, dice, 6, 0, 200, to_the_model),
        };
        Self { upstream, load }
    }

    pub(super) fn is_demo(&self) -> bool {
        self.kind() == Kind::Waha
    }

    fn kind(&self) -> Kind {
        self.upstream.sandbox.settings().upstream
    }

    pub(super) fn account(&self) -> Account {
        self.upstream.account(&self.load.customers)
    }

    /// What became of every message; `letters` are the dead.
    pub(super) fn ends(&self, letters: &[Letter]) -> Ends {
        let bot = self.upstream.bot;
        let (account, mut dead) = (self.account(), BTreeSet::new());
        for letter in letters.iter().filter(|letter| letter.bot == bot) {
            assert!(dead.insert(letter.word), "{bot}: {} is dead twice", letter.word);
        }
        let answered = account.answered();
        let both: Vec<_> = answered.intersection(&dead).collect();
        assert!(both.is_empty(), "{bot}: answered, and dead: {both:?}");
        let unknown: Vec<_> = answered.union(&dead).filter(|word| !account.acknowledged.contains(word)).collect();
        assert!(unknown.is_empty(), "{bot}: never acknowledged: {unknown:?}");
        let no_end = |word: &&Word| !answered.contains(word) && !dead.contains(word);
        let silent: BTreeSet<_> = account.acknowledged.iter().filter(no_end).copied().collect();
        for word in &account.acknowledged {
            let is_silent = silent.contains(word);
            if self.is_demo() {
                // Those behind the one that asked for silence are left in silence together with it.
                let together = || silent.contains(&Word { number: word.number - 1, ..*word });
                assert!(!is_silent || order(*word) == "silent" || together(), "{bot}: {word} has no end");
            } else {
                assert_eq!(is_silent, mood(*word) == PICTURE, "{bot}: whether {word} is silent");
            }
        }
        Ends { account, answered, silent, dead }
    }

    /// No part came twice but those that the log names: `again` are this bot's parts that were sent again by policy,
    /// and how often. Returns how many did.
    pub(super) fn check_doubles(&self, account: &Account, again: &[&(Part, usize)]) -> usize {
        let bot = self.upstream.bot;
        assert!(again.is_empty() || is_blind(self.kind()), "{bot} has better means than a policy");
        let mut doubles: BTreeMap<&str, usize> = BTreeMap::new();
        for double in account.doubles() {
            let times = doubles.entry(&double.text).or_default();
            *times += 1;
            let named = again.iter().find(|(part, _)| part.text == double.text);
            let named = named.map_or(0, |(_, times)| *times);
            assert!(*times <= named, "{bot}: {times} times too often, and the log knows of {named}: {double:?}");
        }
        doubles.values().sum()
    }
}
