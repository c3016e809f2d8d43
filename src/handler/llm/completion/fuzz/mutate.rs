//! What is changed in a stream, and what it still says then.

use serde_json::{Value, json};

use super::levels::anything;
use super::seeds::{SeedEvent, Stream};

/// Numbers that look like chance, the same for the same seed (SplitMix64).
pub(super) struct SeededRandom(u64);

impl SeededRandom {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of the numbers below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }

    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What a stream says after what was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Its words and its calls.
    Known,
    /// Nothing: it is no answer, and none may be made of it.
    Nothing,
    /// Nobody can say.
    Unknown,
}

/// How a stream is written.
#[derive(Debug)]
pub(super) struct StreamStyle {
    newline: &'static str,
    after_colon: &'static str,
    /// Line ends behind each event.
    blank: usize,
    before: &'static str,
    /// What its bytes are cut into at the most.
    piece: usize,
    /// How much of it comes, in thousandths.
    kept: usize,
    /// Whether its connection breaks at its end.
    pub(super) breaks: bool,
}

/// A stream that was changed.
#[derive(Debug)]
pub(super) struct MutatedStream {
    pub(super) stream: Stream,
    pub(super) meaning: Meaning,
    pub(super) style: StreamStyle,
    /// What was done.
    pub(super) done: Vec<&'static str>,
}

type Mutation = (&'static str, fn(&mut MutatedStream, &mut SeededRandom) -> bool);

const MUTATIONS: [Mutation; 34] = [
    ("a field dropped", |it, chance| it.trivial(chance, |_| None)),
    ("a field null", |it, chance| it.trivial(chance, |_| Some(Value::Null))),
    ("a field of another type", |it, chance| it.trivial(chance, |chance| Some(anything(chance)))),
    ("a field of another type", |it, chance| it.trivial(chance, |chance| Some(anything(chance)))),
    ("a field added", MutatedStream::add_field),
    ("an empty level", MutatedStream::add_empty),
    ("an empty level", MutatedStream::add_empty),
    ("a usage", MutatedStream::add_usage),
    ("words split", MutatedStream::split),
    ("words merged", MutatedStream::merge),
    ("an event twice", MutatedStream::duplicate),
    ("two events exchanged", MutatedStream::exchange),
    ("words as parts", MutatedStream::parts),
    ("words as parts", MutatedStream::parts),
    ("choices as an object", MutatedStream::choices_as_object),
    ("a message or text for a delta", MutatedStream::other_delta),
    ("lines of other kinds", MutatedStream::add_lines),
    ("line ends", |it, chance| it.restyle(|style| style.newline = *chance.one::<&str>(&["\r\n", "\r", "\n"]))),
    ("no blank", |it, chance| it.restyle(|style| style.after_colon = *chance.one::<&str>(&["", "  ", "\t"]))),
    ("empty lines", |it, chance| it.restyle(|style| style.blank = *chance.one(&[1, 3, 6]))),
    ("a beginning", |it, chance| {
        it.restyle(|style| style.before = *chance.one::<&str>(&["\u{feff}", "\n\n", ": hello\n\n"]))
    }),
    ("another end", MutatedStream::other_done),
    ("no reason", MutatedStream::no_reason),
    ("another reason", MutatedStream::other_reason),
    ("junk behind the reason", MutatedStream::junk),
    ("an error", MutatedStream::error),
    ("a damaged chunk", MutatedStream::damage),
    ("a thought", MutatedStream::thought),
    ("a thought", MutatedStream::thought),
    ("a thought without end", MutatedStream::endless_thought),
    ("a call as words", MutatedStream::call_as_words),
    ("a token of the template", MutatedStream::leak),
    ("calls in another form", MutatedStream::calls),
    ("the stream cut", |it, chance| {
        it.style.kept = chance.below(1000);
        it.style.breaks = chance.below(2) == 0;
        true
    }),
];

impl MutatedStream {
    /// Up to four changes.
    pub(super) fn new(seeds: &[Stream], chance: &mut SeededRandom) -> Self {
        let stream = chance.one(seeds).clone();
        let pieces = [1, 7, 64, 1000, usize::MAX];
        let style = StreamStyle {
            newline: "\n",
            after_colon: " ",
            blank: 2,
            before: "",
            piece: *chance.one(&pieces),
            kept: 1000,
            breaks: false,
        };
        let mut changed = Self { stream, meaning: Meaning::Known, style, done: Vec::new() };
        for _ in 0..=chance.below(4) {
            let (name, apply) = chance.one(&MUTATIONS);
            if apply(&mut changed, chance) {
                changed.done.push(name);
            }
        }
        let ends = changed.stream.events.iter().any(ends);
        if !ends && !changed.stream.whole && changed.meaning == Meaning::Known {
            changed.meaning = Meaning::Nothing;
        }
        changed
    }

    /// Its bytes as they come, and what they say.
    pub(super) fn written(&self, chance: &mut SeededRandom) -> (Vec<Vec<u8>>, Meaning) {
        let style = &self.style;
        let mut bytes = Vec::new();
        // From here on nothing is missing; before there, something is.
        let (mut all, mut begun) = (None, 0);
        if self.stream.whole {
            let Some(SeedEvent::Chunk(document)) = self.stream.events.first() else { unreachable!("one document") };
            bytes.extend_from_slice(document.to_string().as_bytes());
            (all, begun) = (Some(bytes.len()), bytes.len());
        } else {
            bytes.extend_from_slice(style.before.as_bytes());
            let events = &self.stream.events;
            let last_said = events.iter().rposition(says).unwrap_or(0);
            let settled = events.iter().enumerate().position(|(at, event)| at >= last_said && ends(event));
            let settled = settled.or_else(|| events.iter().rposition(ends));
            for (at, event) in events.iter().enumerate() {
                let line = match event {
                    SeedEvent::Chunk(chunk) => format!("data:{}{chunk}", style.after_colon),
                    SeedEvent::Data(data) => format!("data:{}{data}", style.after_colon),
                    SeedEvent::Line(line) => line.clone(),
                };
                let start = bytes.len();
                bytes.extend_from_slice(line.as_bytes());
                let blank = if matches!(event, SeedEvent::Line(_)) { 1 } else { style.blank };
                let end_of_line = bytes.len();
                bytes.extend_from_slice(style.newline.repeat(blank).as_bytes());
                if Some(at) == settled {
                    (all, begun) = (Some(bytes.len()), start.max(end_of_line));
                }
            }
        }
        let mut meaning = self.meaning;
        if style.kept < 1000 {
            bytes.truncate(bytes.len() * style.kept / 1000);
            let is_all = all.is_some_and(|all| bytes.len() >= all);
            let is_less = all.is_none() || bytes.len() < begun;
            meaning = match meaning {
                Meaning::Known if is_less => Meaning::Nothing,
                Meaning::Known if is_all => Meaning::Known,
                Meaning::Nothing => Meaning::Nothing,
                _ => Meaning::Unknown,
            };
        }
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let size = if style.piece == usize::MAX { rest.len() } else { 1 + chance.below(style.piece) };
            let (piece, others) = rest.split_at(size.min(rest.len()));
            pieces.push(piece.to_vec());
            rest = others;
        }
        (pieces, meaning)
    }

    fn restyle(&mut self, change: impl FnOnce(&mut StreamStyle)) -> bool {
        change(&mut self.style);
        !self.stream.whole
    }

    fn split(&mut self, chance: &mut SeededRandom) -> bool {
        let Some((at, words)) = self.pick(chance) else { return false };
        let cuts: Vec<usize> = words.char_indices().map(|(cut, _)| cut).collect();
        let (first, second) = words.split_at(*chance.one(&cuts));
        let (mut one, mut other) = (self.stream.events[at].clone(), self.stream.events[at].clone());
        (*content(&mut one).expect("picked"), *content(&mut other).expect("picked")) = (first.into(), second.into());
        if let Some(reason) = chunk(&mut one).and_then(|chunk| chunk.pointer_mut("/choices/0/finish_reason")) {
            *reason = Value::Null;
        }
        // What says all of it again does so beside the second.
        if let Some(chunk) = chunk(&mut one).filter(|chunk| chunk.pointer("/choices/0/delta").is_some())
            && let Some(message) = chunk.pointer_mut("/choices/0/message")
        {
            *message = Value::Null;
        }
        if self.stream.whole {
            return false;
        }
        self.stream.events.splice(at..=at, [one, other]);
        true
    }

    fn merge(&mut self, chance: &mut SeededRandom) -> bool {
        let Some((at, words)) = self.pick(chance) else { return false };
        let Some(next) = self.stream.events.get_mut(at + 1) else { return false };
        // Nothing but words may get lost.
        let holds = |chunk: &Value| ["tool_calls", "zqERRORqz"].iter().any(|it| chunk.to_string().contains(it));
        let says_more = matches!(next, SeedEvent::Chunk(chunk) if holds(chunk));
        let ends = ends(next);
        let Some(Value::String(more)) = content(next) else { return false };
        if ends || says_more || self.stream.whole {
            return false;
        }
        let both = format!("{words}{more}");
        *content(&mut self.stream.events[at]).expect("picked") = both.into();
        self.stream.events.remove(at + 1);
        true
    }

    fn duplicate(&mut self, chance: &mut SeededRandom) -> bool {
        let at = chance.below(self.stream.events.len());
        let event = self.stream.events[at].clone();
        if self.stream.whole || says(&event) || matches!(event, SeedEvent::Data(ref data) if data.starts_with('{')) {
            return false;
        }
        self.stream.events.insert(at, event);
        true
    }

    fn exchange(&mut self, chance: &mut SeededRandom) -> bool {
        let at = chance.below(self.stream.events.len());
        let fits = |event: Option<&SeedEvent>| match event {
            Some(SeedEvent::Chunk(chunk)) => {
                !says(&SeedEvent::Chunk(chunk.clone())) && !chunk.to_string().contains("zqERRORqz")
            }
            _ => false,
        };
        let events = &mut self.stream.events;
        if !fits(events.get(at)) || !fits(events.get(at + 1)) {
            return false;
        }
        events.swap(at, at + 1);
        true
    }

    pub(super) fn had(&self, name: &str) -> bool {
        self.done.contains(&name)
    }

    pub(super) fn insert(&mut self, chance: &mut SeededRandom, event: SeedEvent) -> bool {
        if self.stream.whole {
            return false;
        }
        let at = chance.below(self.stream.events.len() + 1);
        self.stream.events.insert(at, event);
        true
    }

    /// Changes one chunk, or all.
    pub(super) fn each(&mut self, chance: &mut SeededRandom, change: impl Fn(&mut Value) -> bool) -> bool {
        let all = chance.below(2) == 0;
        let mut chunks: Vec<&mut Value> = self.stream.events.iter_mut().filter_map(chunk).collect();
        if all {
            return chunks.iter_mut().filter_map(|chunk| change(chunk).then_some(())).count() > 0;
        }
        let count = chunks.len();
        chunks.into_iter().nth(chance.below(count)).is_some_and(change)
    }

    /// An event with words, and these.
    pub(super) fn pick(&mut self, chance: &mut SeededRandom) -> Option<(usize, String)> {
        let words = |event: &mut SeedEvent| match content(event) {
            Some(Value::String(words)) if !words.is_empty() => Some(words.clone()),
            _ => None,
        };
        let all: Vec<_> =
            self.stream.events.iter_mut().enumerate().filter_map(|(at, event)| Some((at, words(event)?))).collect();
        if all.is_empty() { None } else { Some(chance.one(&all).clone()) }
    }
}

pub(super) fn chunk(event: &mut SeedEvent) -> Option<&mut Value> {
    match event {
        SeedEvent::Chunk(chunk) => Some(chunk),
        _ => None,
    }
}

pub(super) fn content(event: &mut SeedEvent) -> Option<&mut Value> {
    let chunk = chunk(event)?;
    let place = ["/choices/0/delta/content", "/choices/0/message/content"];
    let place = place.into_iter().find(|place| chunk.pointer(place).is_some())?;
    chunk.pointer_mut(place)
}

/// Whether words, or calls, are in it.
pub(super) fn says(event: &SeedEvent) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::Array(values) => values.iter().any(any),
            Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
                "content" | "text" | "arguments" => match value {
                    Value::String(words) => !words.is_empty(),
                    other => any(other),
                },
                "name" => true,
                "choices" | "delta" | "message" | "tool_calls" | "function" | "function_call" => any(value),
                _ => false,
            }),
            Value::String(words) => !words.is_empty(),
            _ => false,
        }
    }
    match event {
        SeedEvent::Chunk(chunk) => chunk.get("choices").is_some_and(|choices| any(&json!({ "choices": choices }))),
        _ => false,
    }
}

/// Whether it says why the answer ends.
pub(super) fn reasons(event: &SeedEvent) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::Array(values) => values.iter().any(any),
            Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
                "finish_reason" => !value.is_null() && value != "",
                "choices" => any(value),
                _ => false,
            }),
            _ => false,
        }
    }
    matches!(event, SeedEvent::Chunk(chunk) if any(chunk))
}

pub(super) fn is_done(data: &str) -> bool {
    data.trim().eq_ignore_ascii_case("[DONE]")
}

/// Whether a stream is complete with it.
pub(super) fn ends(event: &SeedEvent) -> bool {
    reasons(event) || matches!(event, SeedEvent::Data(data) if is_done(data))
}
