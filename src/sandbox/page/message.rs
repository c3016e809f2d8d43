//! A message, as its template gets it.

use minijinja::{Value, context};

use super::{person, writing};
use crate::message::MessageId;
use crate::sandbox::phone::{Body, Choice, Customer, Frame, Message, Refused, Side, Source};
use crate::sandbox::{Sandbox, Upstream};

/// How much of a quoted message shows.
const QUOTED: usize = 140;

/// Fills `message.html`.
pub(super) fn view(sandbox: &Sandbox, customer: &Customer, message: &Message) -> Value {
    let refused = message.refused.map(|refused| match refused {
        Refused::Status(status) => format!("The webhook answered {status}"),
        Refused::Unanswered => "The webhook did not answer".to_owned(),
    });
    let seconds = message.at.0 / 1000;
    context! {
        id => message.id.as_str(),
        number => message.number,
        revision => message.revision,
        customer => person(customer),
        bot => &sandbox.settings().bot_name,
        out => message.from == Side::Customer,
        person => message.from == Side::Person,
        at_ms => message.at.0,
        time => format!("{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60),
        tick => message.tick.as_str(),
        refused,
        reaction => &message.reaction,
        quote => message.quotes.as_ref().and_then(|quoted| quote(sandbox, customer, quoted)),
        kind => message.body.kind(),
        ..body(&message.body, sandbox.settings().upstream != Upstream::Linq)
    }
}

/// `marks` says whether this phone shows bold words and the like.
fn body(body: &Body, marks: bool) -> Value {
    let frame = |words: &Frame| frame(words, marks);
    match body {
        Body::Text(text) => context! { shape => "text", text, lines => lines(text, marks) },
        Body::Media { kind, source, caption, filename } => {
            let (stored, link) = match source {
                Source::Stored(id) => (Some(id), None),
                Source::Link(url) => (None, Some(url)),
            };
            let lines = caption.as_deref().map(|caption| lines(caption, marks));
            context! { shape => "media", media => *kind, stored, link => link, filename, text => caption, lines }
        }
        Body::Location { latitude, longitude, name, address } => {
            context! { shape => "location", place => format!("{latitude:.5}, {longitude:.5}"), name, address }
        }
        Body::Contacts(names) => context! { shape => "contacts", names },
        Body::Buttons { frame: words, buttons } => {
            let buttons: Vec<Value> = buttons.iter().map(choice).collect();
            context! { shape => "buttons", buttons, ..frame(words) }
        }
        Body::List { frame: words, open, sections } => {
            let rows = |section: &crate::sandbox::phone::Section| -> Vec<Value> {
                let row = |row: &crate::sandbox::phone::Row| {
                    context! { description => &row.description, ..choice(&row.choice) }
                };
                section.rows.iter().map(row).collect()
            };
            let sections = sections.iter().map(|section| context! { title => &section.title, rows => rows(section) });
            context! { shape => "list", open, sections => sections.collect::<Vec<Value>>(), ..frame(words) }
        }
        Body::Link { frame: words, title, url } => {
            context! { shape => "link", title, url, web => is_web(url), ..frame(words) }
        }
        Body::Other { frame: words, .. } => context! { shape => "other", ..frame(words) },
        Body::Choice { choice, description, .. } => {
            context! { shape => "choice", text => &choice.title, lines => lines(&choice.title, false), description }
        }
        Body::Template { name, language, values } => context! { shape => "template", name, language, values },
    }
}

fn frame(frame: &Frame, marks: bool) -> Value {
    context! { header => &frame.header, text => &frame.body, lines => lines(&frame.body, marks), footer => &frame.footer }
}

/// The lines of a text, each with how it and its words look.
fn lines(text: &str, marks: bool) -> Vec<Value> {
    let lines = if marks { writing::shown(text) } else { writing::plain(text) };
    let run = |run: &writing::Run<'_>| context! { words => run.words, looks => &run.looks };
    let line = |line: &writing::Line<'_>| {
        context! { looks => line.looks, runs => line.runs.iter().map(run).collect::<Vec<Value>>(), end => line.end }
    };
    lines.iter().map(line).collect()
}

fn choice(choice: &Choice) -> Value {
    context! { id => &choice.id, title => &choice.title }
}

fn quote(sandbox: &Sandbox, customer: &Customer, id: &MessageId) -> Option<Value> {
    let quoted = sandbox.phone().message(id)?;
    let who = if quoted.from == Side::Customer { &customer.name } else { &sandbox.settings().bot_name };
    let words = quoted.body.words();
    let cut: String = words.chars().take(QUOTED).collect();
    let ellipsis = if cut.len() < words.len() { "…" } else { "" };
    let kind = quoted.body.kind();
    Some(context! { number => quoted.number, who, words => format!("{cut}{ellipsis}"), kind })
}

/// Whether a link may be made of it: anything else, such as `javascript:`, stays text.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
