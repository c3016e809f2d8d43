//! The timeline in plain words, row by row, as one customer's page shows it.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::KEPT;
use crate::message::MessageId;
use crate::message::clock::Timestamp;
use crate::sandbox::phone::{Call, Customer, Moment, Phone, What, Why};

/// Reads the timeline as it grows, and remembers which calls still wait for their answers.
pub(in crate::sandbox) struct Wire {
    customer: Customer,
    read: usize,
    open: HashMap<u64, Row>,
}

/// A row. A later row of the same id takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::sandbox) struct Row {
    pub(in crate::sandbox) id: String,
    /// `out` for a webhook, `in` for a call, `phone` for what the customer sees, `note` for a remark.
    way: &'static str,
    /// Seconds since the start.
    at: String,
    words: String,
    /// How it went, in a word or a number.
    result: Option<String>,
    /// Whether that is `good`, `bad`, or not known yet.
    tone: &'static str,
}

impl Wire {
    pub(in crate::sandbox) fn new(customer: Customer) -> Self {
        Self { customer, read: 0, open: HashMap::new() }
    }

    /// The rows that are new or have changed since the last reading; the last few hundred of them at most.
    pub(in crate::sandbox) fn read(&mut self, phone: &Phone) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for moment in phone.timeline_after(self.read) {
            let index = self.read;
            self.read += 1;
            if moment.customer.as_ref().is_some_and(|customer| *customer != self.customer.id) {
                continue;
            }
            let Some(row) = self.row(phone, index, &moment) else { continue };
            match rows.iter_mut().rev().find(|known| known.id == row.id) {
                Some(known) => *known = row,
                None => rows.push(row),
            }
        }
        rows.split_off(rows.len().saturating_sub(KEPT))
    }

    fn row(&mut self, phone: &Phone, index: usize, moment: &Moment) -> Option<Row> {
        let number = |id: &MessageId| {
            phone.message(id).map_or_else(|| "a reaction".to_owned(), |message| format!("#{}", message.number))
        };
        let plain = |way: &'static str, words: String| Row {
            id: format!("moment-{index}"),
            way,
            at: clock(moment.at, phone.started()),
            words,
            result: None,
            tone: "",
        };
        let name = &self.customer.name;
        Some(match &moment.what {
            What::CustomerWrote { message } => plain("phone", format!("{name} sends {}", number(message))),
            What::WebhookAnswered { message, event, status, took } => {
                let words = match (*event, message) {
                    ("message", Some(message)) => format!("webhook: message {}", number(message)),
                    ("injected", _) => "webhook: made by hand".to_owned(),
                    (event, Some(message)) => format!("webhook: {} {event}", number(message)),
                    (event, None) => format!("webhook: {event}"),
                };
                let result = status.map_or("no answer".to_owned(), |status| format!("{status}, {}", length(*took)));
                let tone = if *status == Some(200) { "good" } else { "bad" };
                Row { result: Some(result), tone, ..plain("out", words) }
            }
            What::Called { call, what } => {
                let row = Row { id: format!("call-{call}"), tone: "open", ..plain("in", asked(*what).to_owned()) };
                self.open.insert(*call, row.clone());
                row
            }
            What::Answered { call, .. } => self.answered(*call, "ok".to_owned(), "good")?,
            What::CallRefused { call, status, code: Some(code), .. } => {
                self.answered(*call, format!("{status}, code {code}"), "bad")?
            }
            What::CallRefused { call, status, code: None, .. } => self.answered(*call, status.to_string(), "bad")?,
            What::CallUnanswered { call, .. } => self.answered(*call, "no answer".to_owned(), "bad")?,
            What::MarkedRead { message } => plain("phone", format!("blue ticks up to {}", number(message))),
            What::DotsOn { message, recording: false } => plain("phone", format!("dots on, for {}", number(message))),
            What::DotsOn { message, recording: true } => plain("phone", format!("recording, for {}", number(message))),
            What::DotsOff { why: Why::Reply, .. } => plain("phone", "dots off: the reply is here".to_owned()),
            What::DotsOff { why: Why::Lapsed, .. } => plain("phone", "dots off: their time is over".to_owned()),
            What::DotsOff { why: Why::Stopped, .. } => plain("phone", "dots off: taken off".to_owned()),
            What::TypingIgnored { .. } => plain("note", "too early to show the dots again: nothing happens".to_owned()),
            What::Reply { message, kind, .. } => plain("phone", format!("reply {} arrives ({kind})", number(message))),
            What::PersonWrote { message } => plain("phone", format!("a person writes {}", number(message))),
            What::Reacted { message, .. } => plain("phone", format!("a reaction to {}", number(message))),
            What::Noted { note } => plain("note", (*note).to_owned()),
        })
    }

    fn answered(&mut self, call: u64, result: String, tone: &'static str) -> Option<Row> {
        Some(Row { result: Some(result), tone, ..self.open.remove(&call)? })
    }
}

fn asked(call: Call) -> &'static str {
    match call {
        Call::Read => "read",
        Call::ReadAndTyping => "read + typing",
        Call::Typing => "typing",
        Call::Recording => "recording",
        Call::Stop => "stop typing",
        Call::Send => "send",
        Call::Upload => "upload a medium",
        Call::Look => "look at a message",
        Call::Resolve => "where is this medium?",
        Call::Download => "download a medium",
        Call::Delete => "delete a medium",
        Call::Unknown => "something unknown",
    }
}

/// Minutes, seconds and milliseconds since the start.
fn clock(at: Timestamp, started: Timestamp) -> String {
    let since = at.since(started);
    let seconds = since.as_secs();
    format!("{}:{:02}.{:03}", seconds / 60, seconds % 60, since.subsec_millis())
}

fn length(took: Duration) -> String {
    if took >= Duration::from_secs(1) {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} ms", took.as_millis())
    }
}
