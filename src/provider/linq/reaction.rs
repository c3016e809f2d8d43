//! Reactions: iMessage has six of its own, and any other emoji beside them.

use serde_json::{Map, Value};

use super::content::unknown;
use crate::message::{Content, MessageId};
use crate::provider::lenient::Object;

/// Linq's word for each of iMessage's own reactions, and the emoji that everybody else has for it.
const TAPBACKS: [(&str, &str); 6] =
    [("love", "❤️"), ("like", "👍"), ("dislike", "👎"), ("laugh", "😂"), ("emphasize", "‼️"), ("question", "❓")];

/// What a reaction of a customer's says; none if it names no message.
pub(super) fn read(data: Object<'_>, added: bool) -> Option<Content> {
    let message = MessageId::new(data.text("message_id")?);
    if !added {
        return Some(Content::Reaction { message, emoji: None });
    }
    let kind = data.text("reaction_type")?;
    let emoji = match TAPBACKS.iter().find(|(name, _)| *name == kind) {
        Some((_, emoji)) => (*emoji).to_owned(),
        None => match data.text("custom_emoji").filter(|_| kind == "custom") {
            Some(emoji) => emoji,
            // A sticker: a picture, for which there is no emoji.
            None => return unknown(format!("reaction {kind}"), data),
        },
    };
    Some(Content::Reaction { message, emoji: Some(emoji) })
}

/// The body that puts `emoji` on a message.
pub(super) fn add(emoji: &str, part: Option<u32>) -> Map<String, Value> {
    // What picks the coloured form of a character is left out by some and written by others.
    let plain = |emoji: &str| emoji.replace('\u{fe0f}', "");
    let known = TAPBACKS.iter().find(|(_, known)| plain(known) == plain(emoji));
    operation("add", known.map_or("custom", |(name, _)| *name), known.is_none().then_some(emoji), part)
}

/// The bodies that take our own reactions off `message`, as Linq shows it: off one of its parts, or off all of them.
pub(super) fn removals(message: Object<'_>, part: Option<u32>) -> Vec<Map<String, Value>> {
    let mut removals = Vec::new();
    for (number, wire) in (0_u32..).zip(message.list("parts")) {
        if part.is_some_and(|part| part != number) {
            continue;
        }
        let Some(wire) = wire.as_object().map(Object) else { continue };
        for reaction in wire.objects("reactions").filter(|reaction| reaction.flag("is_me")) {
            let Some(kind) = reaction.text("type").filter(|kind| kind != "sticker") else { continue };
            removals.push(operation("remove", &kind, reaction.text("custom_emoji").as_deref(), Some(number)));
        }
    }
    removals
}

fn operation(operation: &str, kind: &str, emoji: Option<&str>, part: Option<u32>) -> Map<String, Value> {
    let mut body = Map::from_iter([("operation".to_owned(), operation.into()), ("type".to_owned(), kind.into())]);
    if let Some(emoji) = emoji {
        body.insert("custom_emoji".to_owned(), emoji.into());
    }
    if let Some(part) = part {
        body.insert("part_index".to_owned(), part.into());
    }
    body
}
