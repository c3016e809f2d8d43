//! The words of a part, in the upstream's way of writing.

use crate::message::reply::{Choice, Media, Row, Section};
use crate::message::{Format, Part, Payload};
use crate::provider::Abilities;

/// A part as it is sent: its words with WhatsApp's marks, or without any where the upstream does not show them. Nowhere
/// are they shown in labels and in small print.
pub(super) fn written(part: Part, abilities: &Abilities) -> Part {
    let format = part.format;
    if format.is_plain() {
        return part;
    }
    let words = |text: String| format.written(&text, abilities.marks).into_owned();
    let label = |text: String| format.written(&text, false).into_owned();
    let payload = match part.payload {
        Payload::Text { body } => Payload::Text { body: words(body) },
        Payload::Media(media) => Payload::Media(Media { caption: media.caption.map(words), ..media }),
        Payload::Buttons { body, footer, buttons } => {
            let buttons = buttons.into_iter().map(|button| Choice { title: label(button.title), ..button });
            Payload::Buttons { body: words(body), footer: footer.map(label), buttons: buttons.collect() }
        }
        Payload::List { body, button, footer, sections } => {
            let row = |row: Row| Row { title: label(row.title), description: row.description.map(label), ..row };
            let section = |Section { title, rows }: Section| Section {
                title: label(title),
                rows: rows.into_iter().map(row).collect(),
            };
            let sections = sections.into_iter().map(section).collect();
            Payload::List { body: words(body), button: label(button), footer: footer.map(label), sections }
        }
        payload @ (Payload::Location { .. } | Payload::Reaction { .. } | Payload::ApprovedTemplate { .. }) => payload,
    };
    Part { payload, format: Format::Plain, ..part }
}
