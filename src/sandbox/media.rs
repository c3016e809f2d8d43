//! The pictures, sounds and files that the upstream keeps.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::message::clock::Timestamp;

/// How long a bot's upload is kept.
const UPLOADED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a medium of a customer's is kept.
const RECEIVED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an address can be fetched from.
const ADDRESS_FOR: Duration = Duration::from_secs(5 * 60);

/// All media, by id.
#[derive(Default)]
pub(super) struct MediaStore {
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    media: HashMap<String, Medium>,
    tickets: HashMap<String, (String, Timestamp)>,
}

/// A medium.
#[derive(Clone)]
pub(super) struct Medium {
    pub(super) mime: String,
    pub(super) data: Bytes,
    gone: Timestamp,
}

/// Where a medium came from.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Customer,
    Bot,
}

impl MediaStore {
    pub(super) fn keep(&self, id: String, mime: &str, data: Bytes, origin: Origin, now: Timestamp) {
        let lifetime = match origin {
            Origin::Customer => RECEIVED_FOR,
            Origin::Bot => UPLOADED_FOR,
        };
        self.open().media.insert(id, Medium { mime: mime.to_owned(), data, gone: now.plus(lifetime) });
    }

    pub(super) fn get(&self, id: &str, now: Timestamp) -> Option<Medium> {
        self.open().media.get(id).filter(|medium| now < medium.gone).cloned()
    }

    /// Whether there was one.
    pub(super) fn forget(&self, id: &str, now: Timestamp) -> bool {
        self.open().media.remove(id).is_some_and(|medium| now < medium.gone)
    }

    /// Makes `ticket` good for fetching the medium, for a while.
    pub(super) fn issue(&self, ticket: String, id: &str, now: Timestamp) {
        self.issue_until(ticket, id, now.plus(ADDRESS_FOR));
    }

    /// The same, until a time of the upstream's own choosing.
    pub(super) fn issue_until(&self, ticket: String, id: &str, until: Timestamp) {
        self.open().tickets.insert(ticket, (id.to_owned(), until));
    }

    /// The medium that `ticket` is good for.
    pub(super) fn redeem(&self, ticket: &str, now: Timestamp) -> Option<Medium> {
        let id = self.open().tickets.get(ticket).filter(|(_, until)| now < *until).map(|(id, _)| id.clone())?;
        self.get(&id, now)
    }

    fn open(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Medium {
    /// The digest, as webhooks and media calls give it.
    pub(super) fn sha256(&self) -> String {
        sha256(&self.data)
    }
}

/// The digest of a medium, as webhooks and media calls give it.
pub(super) fn sha256(data: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(data))
}
