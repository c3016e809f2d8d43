//! Trouble to order: what goes wrong with the next calls and the next webhooks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::phone::Call;

/// The trouble that is in force. Faults add up: their delays are summed, and the first failure among them counts.
#[derive(Debug, Default)]
pub struct Faults {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    given: u64,
    calls: Vec<(FaultId, Fault)>,
    webhooks: Vec<(FaultId, WebhookFault)>,
}

/// Names a fault, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

impl Faults {
    /// Puts a fault on calls into force.
    pub fn add(&self, fault: Fault) -> FaultId {
        let mut list = self.open();
        let id = list.next_id();
        list.calls.push((id, fault));
        id
    }

    /// Puts a fault on webhooks into force.
    pub fn add_to_webhooks(&self, fault: WebhookFault) -> FaultId {
        let mut list = self.open();
        let id = list.next_id();
        list.webhooks.push((id, fault));
        id
    }

    /// Takes a fault back.
    pub fn remove(&self, id: FaultId) {
        let mut list = self.open();
        list.calls.retain(|(known, _)| *known != id);
        list.webhooks.retain(|(known, _)| *known != id);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        let mut list = self.open();
        list.calls.clear();
        list.webhooks.clear();
    }

    /// Whether a fault is still in force: not taken back, and not used up.
    pub fn is_active(&self, id: FaultId) -> bool {
        let list = self.open();
        list.calls.iter().any(|(known, _)| *known == id) || list.webhooks.iter().any(|(known, _)| *known == id)
    }

    /// What goes wrong with this call. Uses up what was ordered for a number of calls.
    pub(super) fn for_call(&self, call: Call) -> Trouble {
        let mut trouble = Trouble::default();
        self.open().calls.retain_mut(|(_, fault)| {
            if !fault.calls.include(call) {
                return true;
            }
            trouble.before += fault.before;
            trouble.after += fault.after;
            if trouble.failure.is_none() {
                trouble.failure = fault.failure.clone();
                trouble.takes_effect = fault.takes_effect;
            }
            use_up(&mut fault.times)
        });
        trouble
    }

    /// Whether `mischief` is done to a webhook that carries a customer's message, or a status.
    pub(super) fn for_webhook(&self, mischief: Mischief, is_message: bool) -> bool {
        let mut done = false;
        self.open().webhooks.retain_mut(|(_, fault)| {
            if done || fault.mischief != mischief || fault.messages_only && !is_message {
                return true;
            }
            done = true;
            use_up(&mut fault.times)
        });
        done
    }

    fn open(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn next_id(&mut self) -> FaultId {
        self.given += 1;
        FaultId(self.given)
    }
}

/// Counts one use. Whether any is left.
fn use_up(times: &mut Option<u32>) -> bool {
    let Some(left) = times else { return true };
    *left = left.saturating_sub(1);
    *left > 0
}

/// Something that goes wrong with calls to the upstream.
#[derive(Clone, Debug)]
pub struct Fault {
    calls: Calls,
    times: Option<u32>,
    before: Duration,
    after: Duration,
    failure: Option<Failure>,
    takes_effect: bool,
}

impl Fault {
    /// A fault on every call of these, that as yet changes nothing.
    pub fn on(calls: Calls) -> Self {
        let none = Duration::ZERO;
        Self { calls, times: None, before: none, after: none, failure: None, takes_effect: false }
    }

    /// For the next call alone.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// For the next `times` calls alone.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times.max(1));
        self
    }

    /// The call takes effect only after `delay`.
    pub fn slow_to_act(mut self, delay: Duration) -> Self {
        self.before = delay;
        self
    }

    /// The answer leaves only `delay` after the effect.
    pub fn slow_to_answer(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// The call fails in this way, and has no effect.
    pub fn fail(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// The call takes effect first, and the caller is told of a failure all the same.
    pub fn after_effect(mut self) -> Self {
        self.takes_effect = true;
        self
    }
}

/// Which calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All.
    Any,
    /// Read receipts, with or without typing.
    Typing,
    /// Sends.
    Send,
    /// Media, up and down.
    Media,
}

impl Calls {
    fn include(self, call: Call) -> bool {
        match self {
            Self::Any => true,
            Self::Typing => matches!(call, Call::Read | Call::Typing),
            Self::Send => call == Call::Send,
            Self::Media => matches!(call, Call::Upload | Call::Resolve | Call::Download | Call::Delete),
        }
    }
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 429, code 130429: the number sends too much. With a `Retry-After` in seconds, or without.
    TooMany {
        /// The header's value.
        retry_after: Option<u64>,
    },
    /// 400, code 131056: too much to this one customer.
    TooManyToOne,
    /// 500 with a page of HTML instead of an error.
    Broken,
    /// 500, code 131000: something went wrong.
    Unknown,
    /// 401, code 190: the token is not valid any more.
    Token,
    /// 200, and a `failed` status later: the message never reaches the phone. For calls other than sends, nothing.
    Undeliverable,
    /// The connection breaks.
    Reset,
    /// No answer, ever.
    Hang,
}

/// Something that goes wrong with webhooks.
#[derive(Clone, Copy, Debug)]
pub struct WebhookFault {
    mischief: Mischief,
    messages_only: bool,
    times: Option<u32>,
}

impl WebhookFault {
    /// Done to the webhooks of customers' messages.
    pub fn new(mischief: Mischief) -> Self {
        Self { mischief, messages_only: true, times: None }
    }

    /// Done to the webhooks of statuses too.
    pub fn statuses_too(mut self) -> Self {
        self.messages_only = false;
        self
    }

    /// Done to the next webhook alone.
    pub fn once(mut self) -> Self {
        self.times = Some(1);
        self
    }
}

/// What is done to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// It is delivered twice, at the same time.
    Duplicate,
    /// It is held back until the next one has gone.
    HoldBack,
}

/// What goes wrong with one call.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) before: Duration,
    pub(super) after: Duration,
    pub(super) failure: Option<Failure>,
    pub(super) takes_effect: bool,
}
