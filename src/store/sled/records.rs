//! Where a record stands in the tree, and how a long one is laid out.
//!
//! | key | record |
//! |---|---|
//! | `l` | the number given to a message last |
//! | `m` conversation, number | a waiting message |
//! | `o` conversation | what is outgoing |
//! | `c` conversation | what else is known of a conversation |
//! | `h` conversation, count | something that was said |
//! | `x` number | a dead letter |
//! | `d` mark | a message that was accepted: its number, and when |
//! | `e` hour, mark | the same by the hour, so that old marks are found without a walk |
//!
//! Conversations and marks stand as hashes of 16 bytes, numbers with their highest byte first. The records of `m`,
//! `o`, `c`, `h` and `x` are cut into chunks. For a leaf of sled's tree holds up to 17 values, and one of 128 KiB or
//! more goes to a file of its own which sled never syncs: with values of 12 kB, a power cut leaves a tree that cannot
//! be opened. The first chunk that is shorter than [`CHUNK`] is a record's last, so that one that was cut off shows.

use sha2::{Digest, Sha256};
use sled::{Batch, IVec, Tree};

use super::fault::Fault;
use crate::clock::Timestamp;
use crate::message::{BotName, Conversation, MessageId};
use crate::store::Seq;

/// The length of a chunk that is not the last, in bytes. No value is longer.
pub(super) const CHUNK: usize = 4_000;

/// What sled writes for a change besides it, in bytes: every tenth change of a leaf writes the leaf anew.
const OVERHEAD: usize = 1_000;

/// The key of the number given last. It stands in every tree, so that an emptied one shows.
pub(super) const LAST: &[u8] = b"l";

/// Stands for a conversation or a message in keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash(pub(super) [u8; 16]);

impl Hash {
    pub(super) fn of_conversation(conversation: &Conversation) -> Self {
        Self::of(&conversation.bot, conversation.chat.as_str())
    }

    pub(super) fn of_message(bot: &BotName, message: &MessageId) -> Self {
        Self::of(bot, message.as_str())
    }

    fn of(bot: &BotName, id: &str) -> Self {
        // The length keeps apart what would be the same once joined.
        let length = (bot.as_str().len() as u64).to_be_bytes();
        let digest = Sha256::new().chain_update(length).chain_update(bot.as_str()).chain_update(id).finalize();
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

/// The hour of a time.
pub(super) fn hour(time: Timestamp) -> u32 {
    u32::try_from(time.0 / 3_600_000).unwrap_or(u32::MAX)
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

/// Changes that take effect together, or not at all. Of two to one key, the later counts.
#[derive(Default)]
pub(super) struct Changes {
    batch: Batch,
    weight: usize,
}

impl Changes {
    /// Sets a value.
    pub(super) fn insert(&mut self, key: Vec<u8>, value: &[u8]) {
        self.weight += OVERHEAD + key.len() + value.len();
        self.batch.insert(key, value);
    }

    /// Removes a value, if it is there.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.weight += OVERHEAD + key.len();
        self.batch.remove(key);
    }

    /// Writes a record where there is none.
    pub(super) fn put(&mut self, key: &[u8], record: &[u8]) {
        let mut chunks = record.chunks_exact(CHUNK);
        let mut number = 0;
        for chunk in &mut chunks {
            self.insert(chunk_key(key, number), chunk);
            number += 1;
        }
        // Empty, if the record is a whole number of chunks.
        self.insert(chunk_key(key, number), chunks.remainder());
    }

    /// Writes a record, whatever was there.
    pub(super) fn replace(&mut self, tree: &Tree, key: &[u8], record: &[u8]) -> Result<(), Fault> {
        self.take_out(tree, key)?;
        self.put(key, record);
        Ok(())
    }

    /// Removes a record, if there is one.
    pub(super) fn take_out(&mut self, tree: &Tree, key: &[u8]) -> Result<(), Fault> {
        for number in 0.. {
            let key = chunk_key(key, number);
            let Some(chunk) = tree.get(&key)? else { break };
            self.remove(key);
            if chunk.len() < CHUNK {
                break;
            }
        }
        Ok(())
    }

    /// Applies the changes. Says about how many bytes sled writes for them.
    pub(super) fn apply(self, tree: &Tree) -> Result<usize, Fault> {
        if self.weight > 0 {
            tree.apply_batch(self.batch)?;
        }
        Ok(self.weight)
    }
}

/// Whether there is a record.
pub(super) fn exists(tree: &Tree, key: &[u8]) -> Result<bool, Fault> {
    Ok(tree.contains_key(chunk_key(key, 0))?)
}

/// Reads a record.
pub(super) fn get(tree: &Tree, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut record = Vec::new();
    for number in 0.. {
        match tree.get(chunk_key(key, number))? {
            Some(chunk) => {
                record.extend_from_slice(&chunk);
                if chunk.len() < CHUNK {
                    break;
                }
            }
            None if number == 0 => return Ok(None),
            None => return Err(Fault::damaged("a chunk is missing")),
        }
    }
    Ok(Some(record))
}

/// The key of a record, from the key of one of its chunks.
pub(super) fn without_chunk(key: &[u8]) -> Result<&[u8], Fault> {
    match key.split_last_chunk::<2>() {
        Some((key, _)) => Ok(key),
        None => Err(Fault::damaged("a key is too short")),
    }
}

/// A record under its key, which is without a chunk's number.
pub(super) type Entry = (Vec<u8>, Vec<u8>);

/// Records in the order of their keys.
pub(super) struct Records(sled::Iter);

impl Records {
    /// All whose keys begin with `prefix`.
    pub(super) fn under(tree: &Tree, prefix: &[u8]) -> Self {
        Self(tree.scan_prefix(prefix))
    }

    /// All from the key `first` up to, and without, `end`.
    pub(super) fn between(tree: &Tree, first: &[u8], end: &[u8]) -> Self {
        Self(tree.range(first..end))
    }

    fn chunk(&mut self) -> Result<Option<(IVec, IVec)>, Fault> {
        Ok(self.0.next().transpose()?)
    }

    fn read(&mut self) -> Result<Option<Entry>, Fault> {
        let Some((mut at, mut chunk)) = self.chunk()? else { return Ok(None) };
        let key = without_chunk(&at)?.to_vec();
        let mut record = Vec::new();
        for number in 0.. {
            if *at != chunk_key(&key, number) {
                return Err(Fault::damaged("a chunk is missing"));
            }
            record.extend_from_slice(&chunk);
            if chunk.len() < CHUNK {
                break;
            }
            (at, chunk) = self.chunk()?.ok_or_else(|| Fault::damaged("a chunk is missing"))?;
        }
        Ok(Some((key, record)))
    }
}

impl Iterator for Records {
    type Item = Result<Entry, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn chunk_key(key: &[u8], number: u16) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}
