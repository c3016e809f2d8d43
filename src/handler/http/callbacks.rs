//! What handlers come back for while a turn goes on: to answer later, to steer the dots, to fetch a medium.
//!
//! All of it is in memory: a turn that a crash cuts short is held again, under the same identifier and with a new
//! token.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::wire;
use crate::handler::{FetchMedia, Fits, Presence, Turn};
use crate::message::clock::{Clock, Timestamp};
use crate::message::json;
use crate::message::secret::{Guesses, random, same_token};
use crate::message::{MediaRef, Reply};

/// How long after its turn began a medium can be had: a handler may work on after it has answered.
const LENT_FOR: Duration = Duration::from_secs(15 * 60);
/// So many wrong tokens for one turn are looked at in one second.
const GUESSES: usize = 10;
/// So many media are lent at the same time; the oldest go first.
const MOST_LENT: usize = 100_000;

/// What handlers come back for, of all turns that go on.
pub struct Callbacks {
    /// What the addresses begin with.
    base: String,
    clock: Clock,
    state: Mutex<CallbackState>,
}

#[derive(Default)]
struct CallbackState {
    turns: HashMap<String, Expected>,
    media: HashMap<String, Lent>,
    /// The names of the media by the times at which they end.
    ends: BTreeMap<(Timestamp, u64), String>,
    last: u64,
}

/// A turn whose handler may answer later.
struct Expected {
    token: String,
    answers: mpsc::Sender<Reply>,
    fits: Arc<dyn Fits>,
    presence: Presence,
    guesses: Guesses,
}

/// A medium that a handler may fetch.
#[derive(Clone)]
struct Lent {
    fetch: Arc<dyn FetchMedia>,
    media: MediaRef,
    until: Timestamp,
}

/// Why a handler's call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackError {
    /// No such turn waits for an answer: it never did, or it has one, or its time is up.
    Unknown,
    /// The token is missing, or another's.
    WrongToken,
    /// Too many tokens for this turn were wrong: no more are looked at in this second.
    Guessing,
    /// The body is not of the form that `openapi.json` says, or breaks a limit of the provider's. Why.
    Invalid(String),
}

impl Callbacks {
    /// None yet. `base` is how handlers reach this process, such as `http://127.0.0.1:8082`.
    pub fn new(base: impl Into<String>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { base: base.into(), clock, state: Mutex::default() })
    }

    /// Expects an answer to a turn, for as long as what is returned is held.
    pub(super) fn expect(self: &Arc<Self>, turn: &Turn) -> Expectation {
        // One is enough: whoever answers a second time is too late.
        let (sender, answers) = mpsc::channel(1);
        let token = random();
        let (fits, presence) = (Arc::clone(&turn.fits), turn.presence.clone());
        let expected =
            Expected { token: token.clone(), answers: sender, fits, presence, guesses: Guesses::in_a_second(GUESSES) };
        self.state().turns.insert(turn.id.clone(), expected);
        Expectation { callbacks: Arc::clone(self), turn: turn.id.clone(), token, answers }
    }

    /// Lends out a medium of a turn's: its address, and until when it can be had there.
    pub(super) fn lend(&self, turn: &Turn, media: &MediaRef) -> (String, Timestamp) {
        let (now, name) = (self.clock.now(), random());
        let until = now.plus(LENT_FOR);
        let mut state = self.state();
        let CallbackState { media: all, ends, last, .. } = &mut *state;
        while let Some(first) = ends.first_entry()
            && (first.key().0 <= now || all.len() >= MOST_LENT)
        {
            all.remove(&first.remove());
        }
        *last += 1;
        ends.insert((until, *last), name.clone());
        all.insert(name.clone(), Lent { fetch: Arc::clone(&turn.media), media: media.clone(), until });
        (format!("{}/v1/media/{name}", self.base), until)
    }

    /// Whether a turn waits for an answer, and this is its token.
    ///
    /// # Errors
    /// When it is refused.
    pub fn admit(&self, turn: &str, token: Option<&str>) -> Result<(), CallbackError> {
        self.find(turn, token, |_| ())
    }

    /// Takes an answer in.
    ///
    /// # Errors
    /// When it is refused; then the turn goes on waiting.
    pub fn answer(&self, turn: &str, token: Option<&str>, body: &[u8]) -> Result<(), CallbackError> {
        let (answers, fits) =
            self.find(turn, token, |expected| (expected.answers.clone(), Arc::clone(&expected.fits)))?;
        let reply = wire::reply(body).map_err(CallbackError::Invalid)?;
        fits.fits(&reply).map_err(CallbackError::Invalid)?;
        answers.try_send(reply).map_err(|_| CallbackError::Unknown)
    }

    /// Steers the dots of a turn.
    ///
    /// # Errors
    /// When it is refused.
    pub fn steer(&self, turn: &str, token: Option<&str>, body: &[u8]) -> Result<(), CallbackError> {
        let presence = self.find(turn, token, |expected| expected.presence.clone())?;
        let show: Option<ShowBody> = json::from_slice(body).ok();
        let Some(ShowBody { show }) = show else {
            return Err(CallbackError::Invalid("send {\"show\": \"typing\"}, or recording, beat, pause".into()));
        };
        if steer(&presence, &show) {
            Ok(())
        } else {
            Err(CallbackError::Invalid("there are: typing, recording, beat, pause".into()))
        }
    }

    /// Where a medium can be fetched, if it is lent under this name.
    pub fn medium(&self, name: &str) -> Option<(Arc<dyn FetchMedia>, MediaRef)> {
        let lent = self.state().media.get(name).cloned()?;
        (self.clock.now() < lent.until).then_some((lent.fetch, lent.media))
    }

    fn find<T>(&self, turn: &str, token: Option<&str>, take: impl FnOnce(&Expected) -> T) -> Result<T, CallbackError> {
        let mut state = self.state();
        let expected = state.turns.get_mut(turn).ok_or(CallbackError::Unknown)?;
        if !expected.guesses.may() {
            return Err(CallbackError::Guessing);
        }
        if token.is_some_and(|token| same_token(token, &expected.token)) {
            Ok(take(expected))
        } else {
            expected.guesses.wrong();
            Err(CallbackError::WrongToken)
        }
    }

    fn state(&self) -> MutexGuard<'_, CallbackState> {
        // Nothing in there panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowBody {
    show: String,
}

/// Does to the dots what a handler names. Whether there is such a thing.
pub(super) fn steer(presence: &Presence, show: &str) -> bool {
    match show {
        "typing" => presence.typing(),
        "recording" => presence.recording(),
        "beat" => presence.beat(),
        "pause" => presence.pause(),
        _ => return false,
    }
    true
}

/// An answer that may come later. Dropped, it is expected no longer.
pub(super) struct Expectation {
    callbacks: Arc<Callbacks>,
    turn: String,
    token: String,
    answers: mpsc::Receiver<Reply>,
}

impl Expectation {
    /// Where, and with which token, it is posted.
    pub(super) fn callback(&self) -> wire::Callback<'_> {
        let Self { callbacks, turn, token, .. } = self;
        wire::Callback { url: format!("{}/v1/turns/{turn}/reply", callbacks.base), token }
    }

    /// Waits for it.
    pub(super) async fn answer(&mut self) -> Reply {
        match self.answers.recv().await {
            Some(reply) => reply,
            // Another go at the same turn has taken its place, and will be answered instead.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        let mut state = self.callbacks.state();
        // Not if another go at the same turn has taken its place.
        if state.turns.get(&self.turn).is_some_and(|expected| expected.token == self.token) {
            state.turns.remove(&self.turn);
        }
    }
}
