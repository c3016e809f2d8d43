//! The handler of a first evening: needs nothing, answers at human speed, and shows the typing guard at work.
//!
//! | the customer writes | the handler |
//! |---|---|
//! | `slow 40` | thinks for 40 seconds (300 at most) |
//! | `fail` | fails |
//! | `panic` | panics |
//! | `hang` | never answers |
//! | `silent` | answers nothing, on purpose, and knows that at once |
//! | `silent 5` | works for 5 seconds (300 at most) before it answers nothing |
//! | `long` | answers with more than fits into one message |
//! | `buttons` | asks a question with buttons |
//! | `beat` | takes the dots off for a moment between "searching" and "found", where the upstream can |
//! | `stop` | is not asked: a control word, which ends whatever it is at |
//! | anything else | says it back |

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::{Handler, HandlerError, Turn};
use crate::message::{Content, Reply};

/// The demo handler.
pub struct Demo;

/// How long somebody thinks before the first word.
const THINKING: Duration = Duration::from_millis(900);
/// How fast somebody writes: a fast typist's 12 characters a second.
const EACH_CHARACTER: Duration = Duration::from_millis(80);
/// Nobody waits longer than this for a short answer.
const LONGEST: Duration = Duration::from_secs(5);
const SLOWEST: u64 = 300;
/// What a model may write.
const FORMATTED: &str = "\
## Opening hours

We open **soon**, at *nine*, ~~at ten~~: `hours 9`.

* Monday
* Tuesday

1. Come
2. Ask

> Back in a minute

```rust
while at_work() {
    show_dots();
}
```

| Day | Until |
|---|---|
| Friday | **five** |
";

#[async_trait]
impl Handler for Demo {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let text = asked(turn);
        let mut words = text.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default().to_lowercase(), words.next());
        match first.as_str() {
            "slow" => {
                let seconds = number(second).unwrap_or(40);
                sleep(Duration::from_secs(seconds)).await;
                Ok(Reply::text(format!("That took me {seconds} seconds. Did the dots hold out?")))
            }
            "fail" => {
                sleep(THINKING * 2).await;
                Err(HandlerError::new("the demo was asked to fail"))
            }
            "panic" => {
                sleep(THINKING * 2).await;
                panic!("the demo was asked to panic")
            }
            "hang" => std::future::pending().await,
            "silent" => {
                sleep(Duration::from_secs(number(second).unwrap_or_default())).await;
                Ok(Reply::silence())
            }
            "long" => {
                sleep(THINKING * 2).await;
                Ok(Reply::text(long_story()))
            }
            "format" => Ok(say(Reply::markdown(FORMATTED)).await),
            "buttons" => Ok(say(Reply::buttons(
                "What shall I show you?",
                [("slow 10", "Ten seconds of dots"), ("fail", "A failure"), ("long", "A long story")],
            ))
            .await),
            "beat" => {
                sleep(THINKING * 3).await;
                turn.presence.beat();
                sleep(THINKING * 4).await;
                Ok(Reply::text("I searched, took a breath, and found it."))
            }
            _ => Ok(say(Reply::text(answer(turn))).await),
        }
    }
}

/// How many seconds a word asks for.
fn number(word: Option<&str>) -> Option<u64> {
    Some(word?.parse::<u64>().ok()?.min(SLOWEST))
}

/// What the customer wants: a button of ours is named after the words that it stands for.
fn asked(turn: &Turn) -> String {
    match turn.newest().map(|newest| &newest.content) {
        Some(Content::Choice { id, .. }) => id.clone(),
        _ => turn.text(),
    }
}

/// Gives a reply after as long as a person would have taken to write it.
async fn say(reply: Reply) -> Reply {
    let length = match &reply {
        Reply::Send(parts) | Reply::Fallback { parts, .. } => {
            parts.iter().filter_map(|part| part.payload.words()).map(str::len).sum()
        }
        Reply::Silence | Reply::Handover { .. } => 0,
    };
    let writing = EACH_CHARACTER * u32::try_from(length).unwrap_or(u32::MAX / 1000);
    sleep((THINKING + writing).min(LONGEST)).await;
    reply
}

fn answer(turn: &Turn) -> String {
    let name = turn.contact.name.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    let Some(newest) = turn.newest() else { return "Hello!".into() };
    match &newest.content {
        Content::Choice { title, .. } => format!("You chose \u{201c}{title}\u{201d}."),
        Content::Media(_) | Content::Location { .. } | Content::Contacts { .. } => {
            format!("Thank you{name}, I have your {}.", newest.content.kind().as_str())
        }
        _ if turn.messages.len() > 1 => {
            format!(
                "You wrote {} messages, and this is one answer to all of them:\n{}",
                turn.messages.len(),
                turn.text()
            )
        }
        _ if is_greeting(&turn.text()) => {
            format!(
                "Hello{name}! I am the demo bot. Write anything and I say it back, or try: slow 40, fail, panic, hang, \
                 silent, long, format, buttons, beat."
            )
        }
        _ => format!("You said: {}", turn.text()),
    }
}

fn is_greeting(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    matches!(first.as_str(), "hello" | "hi" | "hey" | "help" | "hallo" | "hola")
}

/// Some 6,000 characters: more than one message takes.
fn long_story() -> String {
    let paragraph = |number: usize| {
        format!(
            "{number}. Once upon a time there was a bot that showed three dots and then fell over. The dots stayed on, \
             and somebody sat in front of them and waited. So its makers gave it a guard, which lit the dots when work \
             began and saw to it that they went off when work ended, however it ended. Nobody has waited for nobody \
             since."
        )
    };
    (1..=18).map(paragraph).collect::<Vec<_>>().join("\n\n")
}
