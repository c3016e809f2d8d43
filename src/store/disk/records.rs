//! Where a record stands in the tree.
//!
//! | key | record |
//! |---|---|
//! | `l` | the number given to a message last |
//! | `v` | the version of all this |
//! | `t` | how far the clock is by which marks age |
//! | `m` conversation, number | a waiting message |
//! | `o` conversation | what is outgoing |
//! | `c` conversation | what else is known of a conversation |
//! | `h` conversation, count | something that was said |
//! | `s` conversation | what was said, in short |
//! | `x` number | a dead letter |
//! | `p` key | a part of a reply: where it is on its way out, or all of it once it has left |
//! | `f` conversation, count | a part that had left, and failed |
//! | `q` name | what stands about somebody, by one of their names |
//! | `a` name | the direct conversation with somebody, by a name of theirs that is not the chat's |
//! | `w` bot | the bot's invitations |
//! | `i` name | a part's key, by the upstream's name for it, where reports do not carry the key |
//! | `d` mark | a message that was accepted: its number, and since when the mark ages; of a proactive message also what was asked |
//! | `e` hour, mark | the same by the hour, so that old marks are found without a walk |
//! | `n` hour, name | a counter, by the hour in which it ends |
//!
//! Conversations, marks, keys and names of any kind stand as hashes of 16 bytes, numbers with their highest byte first.
//! Each of the keys of `m`, `o`, `c`, `h`, `s`, `x`, `p`, `f`, `q` and `w` goes on with the number of a chunk.

use sha2::{Digest, Sha256};

use super::fault::Fault;
use crate::message::clock::Timestamp;
use crate::message::{BotName, Conversation, MessageId, PartKey};
use crate::store::Seq;

/// The key of the number given last. It stands in every tree, so that an emptied one shows.
pub(super) const LAST: &[u8] = b"l";

/// The key of the clock by which marks age.
pub(super) const AGE: &[u8] = b"t";

/// The key of the version.
pub(super) const FORMAT: &[u8] = b"v";

/// Stands for a conversation, a message or a part in keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash(pub(super) [u8; 16]);

impl Hash {
    pub(super) fn of_conversation(conversation: &Conversation) -> Self {
        Self::of(&conversation.bot, conversation.chat.as_str())
    }

    pub(super) fn of_message(bot: &BotName, message: &MessageId) -> Self {
        Self::of(bot, message.as_str())
    }

    pub(super) fn of_name(bot: &BotName, name: &str) -> Self {
        Self::of(bot, name)
    }

    fn of(bot: &BotName, id: &str) -> Self {
        // The length keeps apart what would be the same once joined.
        let length = (bot.as_str().len() as u64).to_be_bytes();
        Self::from(Sha256::new().chain_update(length).chain_update(bot.as_str()).chain_update(id))
    }

    pub(super) fn of_part(key: &PartKey) -> Self {
        Self::from(Sha256::new().chain_update(key.as_str()))
    }

    pub(super) fn of_counter(name: &str) -> Self {
        Self::from(Sha256::new().chain_update(name))
    }

    fn from(hashed: Sha256) -> Self {
        let digest = hashed.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }
}

/// The records of a kind in a conversation.
pub(super) fn of_conversation(kind: u8, conversation: Hash) -> Vec<u8> {
    [&[kind], &conversation.0[..]].concat()
}

/// A waiting message.
pub(super) fn message(conversation: Hash, seq: Seq) -> Vec<u8> {
    [b"m", &conversation.0[..], &seq.0.to_be_bytes()].concat()
}

/// Something that was said.
pub(super) fn said(conversation: Hash, count: u64) -> Vec<u8> {
    [b"h", &conversation.0[..], &count.to_be_bytes()].concat()
}

/// A dead letter.
pub(super) fn dead(seq: Seq) -> Vec<u8> {
    [b"x", &seq.0.to_be_bytes()[..]].concat()
}

/// A part of a reply.
pub(super) fn part(part: Hash) -> Vec<u8> {
    of_conversation(b'p', part)
}

/// A part that has failed.
pub(super) fn failed(conversation: Hash, count: u64) -> Vec<u8> {
    [b"f", &conversation.0[..], &count.to_be_bytes()].concat()
}

/// The upstream's name for a part.
pub(super) fn name(name: Hash) -> Vec<u8> {
    of_conversation(b'i', name)
}

/// What stands about somebody, by one of their names.
pub(super) fn contact_state(name: Hash) -> Vec<u8> {
    of_conversation(b'q', name)
}

/// Somebody, by one of their names.
pub(super) fn person(name: Hash) -> Vec<u8> {
    of_conversation(b'a', name)
}

/// A bot's invitations.
pub(super) fn invitations(bot: Hash) -> Vec<u8> {
    of_conversation(b'w', bot)
}

/// The mark of an accepted message.
pub(super) fn mark(mark: Hash) -> Vec<u8> {
    [b"d", &mark.0[..]].concat()
}

/// A mark in the order of its hour.
pub(super) fn expiry(hour: u32, mark: Hash) -> Vec<u8> {
    [b"e", &hour.to_be_bytes()[..], &mark.0].concat()
}

/// Where the marks of an hour begin.
pub(super) fn expiry_hour(hour: u32) -> Vec<u8> {
    [b"e", &hour.to_be_bytes()[..]].concat()
}

/// A counter that ends in this hour.
pub(super) fn counter(hour: u32, name: Hash) -> Vec<u8> {
    [b"n", &hour.to_be_bytes()[..], &name.0].concat()
}

/// Where the counters of an hour begin.
pub(super) fn counter_hour(hour: u32) -> Vec<u8> {
    [b"n", &hour.to_be_bytes()[..]].concat()
}

/// The hour of a time.
pub(super) fn hour(time: Timestamp) -> u32 {
    u32::try_from(time.0 / 3_600_000).unwrap_or(u32::MAX)
}

/// When an hour ends.
pub(super) fn end_of_hour(hour: u32) -> Timestamp {
    Timestamp((u64::from(hour) + 1) * 3_600_000)
}

/// Reads the version.
pub(super) fn format(value: &[u8]) -> Result<u8, Fault> {
    match value {
        [format] => Ok(*format),
        _ => Err(Fault::damaged("its version is not a number")),
    }
}

/// The number at the end of a key.
pub(super) fn number(key: &[u8]) -> Result<u64, Fault> {
    match key.last_chunk() {
        Some(number) => Ok(u64::from_be_bytes(*number)),
        None => Err(Fault::damaged("a key is too short")),
    }
}

/// The hash at the beginning of what is left of a key.
pub(super) fn hash(bytes: &[u8]) -> Result<Hash, Fault> {
    match bytes.first_chunk() {
        Some(hash) => Ok(Hash(*hash)),
        None => Err(Fault::damaged("a key is too short")),
    }
}

/// The key of a record, from the key of one of its chunks.
pub(super) fn without_chunk(key: &[u8]) -> Result<&[u8], Fault> {
    match key.split_last_chunk::<2>() {
        Some((key, _)) => Ok(key),
        None => Err(Fault::damaged("a key is too short")),
    }
}

/// What comes behind every chunk of a record.
pub(super) fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0xff; 3]].concat()
}

/// The key of what an entry of the tree belongs to: of its record, or its own.
pub(super) fn stem(key: &[u8]) -> Result<&[u8], Fault> {
    match key.first() {
        Some(kind) if is_chunked(*kind) => without_chunk(key),
        _ => Ok(key),
    }
}

/// Whether what is under a kind is cut up into chunks.
pub(super) fn is_chunked(kind: u8) -> bool {
    matches!(kind, b'm' | b'o' | b'c' | b'h' | b's' | b'x' | b'p' | b'f' | b'q' | b'w')
}

/// The key of a chunk of a record.
pub(super) fn chunk_key(key: &[u8], number: u16) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}
