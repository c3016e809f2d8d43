//! What an upstream has no form for, as words.

use crate::message::reply::{Choice, Section};
use crate::message::{Part, Payload};
use crate::provider::Abilities;

/// The same part, written out where the upstream has no form for it.
pub(super) fn written_out(part: Part, abilities: &Abilities) -> Part {
    let words = match &part.payload {
        Payload::Buttons { body, footer, buttons } if !abilities.choices => {
            paragraphs([Some(body.clone()), Some(numbered(buttons)), footer.clone()])
        }
        Payload::List { body, footer, sections, .. } if !abilities.choices => {
            paragraphs([Some(body.clone()), Some(listed(sections)), footer.clone()])
        }
        Payload::Location { latitude, longitude, name, address } if !abilities.places => {
            let map = format!("https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}");
            let lines = [name.clone(), address.clone(), Some(map)];
            lines.into_iter().flatten().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
        }
        _ => return part,
    };
    Part { payload: Payload::Text { body: words }, quote: part.quote }
}

fn numbered(choices: &[Choice]) -> String {
    let lines = choices.iter().enumerate().map(|(number, choice)| format!("{}. {}", number + 1, choice.title));
    lines.collect::<Vec<_>>().join("\n")
}

fn listed(sections: &[Section]) -> String {
    let mut number = 0;
    let mut lines = Vec::new();
    for section in sections {
        if !section.title.is_empty() {
            lines.push(section.title.clone());
        }
        for row in &section.rows {
            number += 1;
            let more = row.description.as_deref().filter(|more| !more.is_empty());
            lines.push(match more {
                Some(more) => format!("{number}. {}: {more}", row.title),
                None => format!("{number}. {}", row.title),
            });
        }
    }
    lines.join("\n")
}

fn paragraphs(all: [Option<String>; 3]) -> String {
    all.into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}
