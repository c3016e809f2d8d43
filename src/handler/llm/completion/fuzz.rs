//! Streams as servers write them, changed in the ways in which servers differ, and what is heard of them.
//!
//! The seeds and the changes know what each stream still says. `CASES` in the environment says how many are tried,
//! `FIRST` which is the first: a case is the same for the same number, and one alone is shown.

mod frames;
mod levels;
mod marks;
mod mutate;
mod seeds;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::wire::Offer;
use mutate::{Meaning, MutatedStream, SeededRandom};

/// The share of streams that still say something of which that is heard, at the least, in percent.
const HEARD: f64 = 95.0;

/// What no customer may ever read.
const NEVER: [&str; 4] = ["zqTHOUGHTqz", "zqCALLqz", "zqJUNKqz", "zqERRORqz"];
/// What else none may read, where no words have it rightly.
const MARKS: [&str; 17] = [
    "<think",
    "</think",
    "<|",
    "|>",
    "<｜",
    "◁",
    "[THINK]",
    "[/THINK]",
    "<tool_call",
    "</tool_call",
    "[TOOL_CALLS]",
    "<function=",
    "</s>",
    "<end_of_turn>",
    "seed:think",
    "<reasoning",
    "<thought",
];

/// What was heard: words and calls, or why not.
type Heard = Result<(String, Vec<(String, String)>), String>;

fn environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

fn offers() -> Vec<Offer> {
    ["opening_hours", "order_status"]
        .map(|name| Offer::Function { name: name.into(), description: String::new(), parameters: json!({}) })
        .into()
}

/// What the product hears, from the bytes of the answer's body on.
async fn hear(kind: &'static str, pieces: Vec<Vec<u8>>, breaks: bool, offers: &[Offer]) -> Heard {
    let mut body: Vec<Result<Bytes, std::io::Error>> = pieces.into_iter().map(|piece| Ok(piece.into())).collect();
    if breaks {
        body.push(Err(std::io::Error::other("the connection broke")));
    }
    let answer = crate::runtime::http::answer_of(kind, body);
    let said = super::listen(answer, offers, Duration::from_secs(5)).await.map_err(|why| why.to_string())?;
    Ok((said.words, said.calls.into_iter().map(|call| (call.name, call.arguments)).collect()))
}

/// Words apart from how they are spaced.
fn spaced(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many cases there were, what was right of it, and examples of what was not.
#[derive(Default)]
struct FuzzResult {
    known: u64,
    right: u64,
    nothing: u64,
    leaked: Vec<String>,
    made_up: Vec<String>,
    missed: BTreeMap<&'static str, (u64, String)>,
    touched: BTreeMap<&'static str, u64>,
}

impl FuzzResult {
    fn judge(&mut self, number: u64, changed: &MutatedStream, meaning: Meaning, heard: &Heard) {
        let stream = &changed.stream;
        let told = || format!("case {number} ({}, {:?}): {heard:?}", stream.name, changed.done);
        if let Ok((words, _)) = heard {
            let holds = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
            if holds(&NEVER) || (!stream.holds_marks && holds(&MARKS)) {
                self.leaked.push(told());
            }
        }
        match meaning {
            Meaning::Unknown => {}
            Meaning::Nothing => {
                self.nothing += 1;
                if heard.is_ok() {
                    self.made_up.push(told());
                }
            }
            Meaning::Known => {
                self.known += 1;
                let is_right = heard.as_ref().is_ok_and(|(words, calls)| {
                    let calls: Vec<(String, Value)> = calls
                        .iter()
                        .map(|(name, arguments)| {
                            (name.clone(), crate::message::json::from_str(arguments).unwrap_or_default())
                        })
                        .collect();
                    spaced(words) == spaced(&stream.words) && calls == stream.calls
                });
                self.right += u64::from(is_right);
                for name in &changed.done {
                    *self.touched.entry(name).or_default() += 1;
                    if !is_right {
                        let missed = self.missed.entry(name).or_insert_with(|| (0, told()));
                        missed.0 += 1;
                    }
                }
            }
        }
    }
}

/// Says something to whoever runs cases by hand.
fn show(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[test]
fn what_servers_write_in_their_own_ways_is_heard_and_nothing_else_is_said() {
    let (cases, first) = (environment("CASES", 2_000), environment("FIRST", 0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (seeds, offers, mut found) = (seeds::all(), offers(), FuzzResult::default());
    for number in first..first + cases {
        let mut chance = SeededRandom::new(number);
        let changed = MutatedStream::new(&seeds, &mut chance);
        let (pieces, meaning) = changed.written(&mut chance);
        if cases == 1 {
            show(&String::from_utf8_lossy(&pieces.concat()));
        }
        let kind = if changed.stream.whole { "application/json" } else { "text/event-stream" };
        let heard = runtime.block_on(hear(kind, pieces, changed.style.breaks, &offers));
        found.judge(number, &changed, meaning, &heard);
    }
    let share = found.right as f64 * 100.0 / found.known.max(1) as f64;
    let mut report = format!(
        "{cases} cases: {} of {} that say something were heard ({share:.2} %), {} say nothing, {} leaked, \
         {} were made up\n",
        found.right,
        found.known,
        found.nothing,
        found.leaked.len(),
        found.made_up.len()
    );
    for (name, (count, example)) in &found.missed {
        report.push_str(&format!("missed, with {name}: {count} of {}, as {example}\n", found.touched[name]));
    }
    for (what, examples) in [("leaked", &found.leaked), ("made up", &found.made_up)] {
        examples.iter().take(12).for_each(|example| report.push_str(&format!("{what}: {example}\n")));
    }
    if std::env::var("CASES").is_ok() {
        show(&report);
    }
    assert!(found.known > cases / 3, "most changes leave something said\n{report}");
    assert!(found.leaked.is_empty() && found.made_up.is_empty(), "{report}");
    assert!(share >= HEARD, "{report}");
}
