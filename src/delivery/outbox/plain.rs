//! What an upstream has no form for, as words.

use crate::message::Payload;
use crate::message::reply::{Media, MediaSource, Row, Section};

/// A question with its choices, each under a number.
pub(super) fn question(body: &str, sections: &[Section], footer: Option<&str>) -> String {
    paragraphs(&[body, &listed(sections), footer.unwrap_or_default()])
}

/// A place, with a link to a map; none if it is no place.
pub(super) fn place(payload: &Payload) -> Option<String> {
    let Payload::Location { latitude, longitude, name, address } = payload else { return None };
    let map = format!("https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}");
    let lines = [name.as_deref(), address.as_deref(), Some(&map)];
    Some(lines.into_iter().flatten().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"))
}

/// What is written under a medium, and its address; none if it has no address that a customer can open.
pub(super) fn link(media: &Media) -> Option<String> {
    let MediaSource::Link(link) = &media.source else { return None };
    let caption = media.caption.as_deref().filter(|caption| !caption.is_empty());
    link.starts_with("https://").then(|| caption.into_iter().chain([link.as_str()]).collect::<Vec<_>>().join("\n"))
}

/// A row in one line.
pub(super) fn row(row: &Row) -> String {
    match row.description.as_deref().filter(|more| !more.is_empty()) {
        Some(more) => format!("{}: {more}", row.title),
        None => row.title.clone(),
    }
}

/// What is not empty, each a paragraph.
pub(super) fn paragraphs(all: &[&str]) -> String {
    all.iter().copied().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn listed(sections: &[Section]) -> String {
    let mut number = 0;
    let mut lines = Vec::new();
    for section in sections {
        if !section.title.is_empty() {
            lines.push(section.title.clone());
        }
        for each in &section.rows {
            number += 1;
            lines.push(format!("{number}. {}", row(each)));
        }
    }
    lines.join("\n")
}
