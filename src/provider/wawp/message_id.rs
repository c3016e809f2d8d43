//! The names of messages: `{fromMe}_{chat}_{stanza}[_{participant}]` (WAHA's page "Events"), and where an answer or a
//! payload has one. Each engine puts it elsewhere.

use super::chat;
use crate::message::MessageId;
use crate::provider::lenient::Object;

/// What stands between a message's name and that of an event about it: no name has it in it.
const MARK: char = '#';

/// A message's name, taken apart.
#[derive(Clone, Copy)]
pub(super) struct MessageIdParts<'a> {
    /// Whether it is ours.
    pub(super) own: bool,
    pub(super) chat: &'a str,
    pub(super) stanza: &'a str,
    /// Who wrote it, in a group.
    pub(super) participant: Option<&'a str>,
}

impl<'a> MessageIdParts<'a> {
    pub(super) fn of(id: &'a str) -> Option<Self> {
        let (own, rest) = id.split_once('_')?;
        let own = match own {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        let (chat, rest) = rest.split_once('_')?;
        let (stanza, participant) = match rest.split_once('_') {
            Some((stanza, participant)) => (stanza, Some(participant)),
            None => (rest, None),
        };
        Some(Self { own, chat, stanza, participant })
    }

    fn written(self) -> String {
        let Self { own, chat, stanza, participant } = self;
        let participant = participant.map(|participant| format!("_{participant}")).unwrap_or_default();
        format!("{own}_{chat}_{stanza}{participant}")
    }
}

/// A message's name in what names a message: a payload, or the answer to a send. The first that there is.
pub(super) fn find(object: Object<'_>) -> Option<String> {
    let inside = |object: Option<Object<'_>>, key: &str| object.and_then(|object| object.text(key));
    let id = object.object("id");
    let data = || object.object("_data")?.object("id");
    object
        .text("id")
        .or_else(|| inside(id, "_serialized"))
        .or_else(|| inside(id, "id"))
        .or_else(|| inside(data(), "_serialized"))
        .or_else(|| inside(object.object("key"), "id"))
        .or_else(|| object.text("message_id"))
}

/// The whole name of the message that an event about it names by its stanza alone. `event` is the event's own name:
/// its chat and its writer are the message's.
pub(super) fn beside(event: &str, stanza: &str) -> String {
    match MessageIdParts::of(event) {
        Some(parts) if MessageIdParts::of(stanza).is_none() => MessageIdParts { stanza, ..parts }.written(),
        _ => stanza.to_owned(),
    }
}

/// The whole name of a quoted message, where its stanza stands alone and its writer is known.
pub(super) fn quoted(stanza: &str, chat: &str, writer: Option<&str>, own: bool) -> Option<String> {
    let participant = if chat::is_group(chat) { Some(writer?) } else { None };
    (MessageIdParts::of(stanza).is_none() && writer.is_some())
        .then(|| MessageIdParts { own, chat, stanza, participant }.written())
}

/// A name for an event about `message` that some engines give the message's own name. Deliveries are told apart by
/// name: with the message's, the event would be taken for that message come twice.
pub(super) fn apart(id: &str, message: &str, event: Option<&str>) -> MessageId {
    match event {
        Some(event) if id == message => MessageId::new(format!("{id}{MARK}{event}")),
        _ => MessageId::new(id),
    }
}

/// The name that calls take.
pub(super) fn on_the_wire(id: &MessageId) -> &str {
    id.as_str().split(MARK).next().unwrap_or_default()
}
