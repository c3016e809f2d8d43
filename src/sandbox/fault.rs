//! Trouble to order: what goes wrong with the next calls and the next webhooks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ids::mix;
use super::phone::Call;

/// The trouble that is in force. Faults add up: their delays are summed, and the first failure among them counts.
#[derive(Debug, Default)]
pub struct Faults {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    given: u64,
    /// How many calls there were, each with a throw of the dice.
    calls: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: FaultId,
    label: Option<&'static str>,
    what: AnyFault,
}

/// Names a fault, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FaultId(u64);

/// A fault of either kind.
#[derive(Clone, Debug)]
pub enum AnyFault {
    /// On calls.
    Calls(Fault),
    /// On webhooks.
    Webhooks(WebhookFault),
}

impl From<Fault> for AnyFault {
    fn from(fault: Fault) -> Self {
        Self::Calls(fault)
    }
}

impl From<WebhookFault> for AnyFault {
    fn from(fault: WebhookFault) -> Self {
        Self::Webhooks(fault)
    }
}

impl Faults {
    /// Puts a fault into force.
    pub fn add(&self, fault: impl Into<AnyFault>) -> FaultId {
        self.open().push(None, fault.into())
    }

    /// Puts a fault into force under a label, in place of any other of that label.
    pub fn switch_on(&self, label: &'static str, fault: impl Into<AnyFault>) {
        let mut list = self.open();
        list.entries.retain(|entry| entry.label != Some(label));
        list.push(Some(label), fault.into());
    }

    /// Takes the fault of this label back.
    pub fn switch_off(&self, label: &str) {
        self.open().entries.retain(|entry| entry.label != Some(label));
    }

    /// The labels of the faults in force.
    pub fn switched_on(&self) -> Vec<&'static str> {
        self.open().entries.iter().filter_map(|entry| entry.label).collect()
    }

    /// Takes a fault back.
    pub fn remove(&self, id: FaultId) {
        self.open().entries.retain(|entry| entry.id != id);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.open().entries.clear();
    }

    /// Whether a fault is still in force: not taken back, and not used up.
    pub fn is_active(&self, id: FaultId) -> bool {
        self.open().entries.iter().any(|entry| entry.id == id)
    }

    /// What goes wrong with this call. Uses up what was ordered for a number of calls.
    pub(super) fn for_call(&self, call: Call) -> Trouble {
        let mut trouble = Trouble::default();
        let mut list = self.open();
        list.calls += 1;
        let mut throw = mix(list.calls) % 100;
        list.entries.retain_mut(|entry| match &mut entry.what {
            AnyFault::Calls(fault) if fault.calls.include(call) && fault.strikes(&mut throw) => {
                trouble.before += fault.before;
                trouble.after += fault.after;
                if trouble.failure.is_none() {
                    trouble.failure = fault.failure;
                    trouble.takes_effect = fault.takes_effect;
                }
                use_up(&mut fault.times)
            }
            AnyFault::Calls(_) | AnyFault::Webhooks(_) => true,
        });
        trouble
    }

    /// Whether `mischief` is done to a webhook that carries a customer's message, or a status.
    pub(super) fn for_webhook(&self, mischief: Mischief, is_message: bool) -> bool {
        let mut done = false;
        self.open().entries.retain_mut(|entry| match &mut entry.what {
            AnyFault::Webhooks(fault)
                if !done && fault.mischief == mischief && (is_message || !fault.messages_only) =>
            {
                done = true;
                use_up(&mut fault.times)
            }
            AnyFault::Calls(_) | AnyFault::Webhooks(_) => true,
        });
        done
    }

    fn open(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn push(&mut self, label: Option<&'static str>, what: AnyFault) -> FaultId {
        self.given += 1;
        let id = FaultId(self.given);
        self.entries.push(Entry { id, label, what });
        id
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
    /// In percent; none is all.
    share: Option<u8>,
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
        Self { calls, share: None, times: None, before: none, after: none, failure: None, takes_effect: false }
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

    /// For so many calls in a hundred, picked as if by chance. Of all faults with a share one at most strikes a call,
    /// as long as their shares are a hundred together.
    pub fn share(mut self, percent: u8) -> Self {
        self.share = Some(percent);
        self
    }

    /// Whether a call with this throw of the dice is one of its share. The shares lie end to end: what is left of the
    /// throw is for the next.
    fn strikes(&self, throw: &mut u64) -> bool {
        let Some(share) = self.share else { return true };
        let left = throw.checked_sub(u64::from(share));
        *throw = left.unwrap_or(u64::MAX);
        left.is_none()
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
    /// Read receipts and typing.
    Typing,
    /// Calls that take the dots off.
    Stop,
    /// Sends.
    Send,
    /// Media, up and down.
    Media,
}

impl Calls {
    fn include(self, call: Call) -> bool {
        match self {
            Self::Any => true,
            Self::Typing => {
                matches!(call, Call::Read | Call::ReadAndTyping | Call::Typing | Call::Recording)
            }
            Self::Stop => call == Call::Stop,
            Self::Send => call == Call::Send,
            Self::Media => matches!(call, Call::Upload | Call::Resolve | Call::Download | Call::Delete),
        }
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The number sends too much (Meta: 429, code 130429). With how long to wait, in seconds, or without.
    TooMany {
        /// The header's value.
        retry_after: Option<u64>,
    },
    /// Too much to this one customer (Meta: 400, code 131056).
    TooManyToOne,
    /// 500 with a page of HTML instead of an error.
    Broken,
    /// Something went wrong, and nobody knows what (Meta: 500, code 131000).
    Unknown,
    /// The token is not valid any more (Meta: 401, code 190).
    Token,
    /// Refused for good, for what it says (Meta: 400, code 131009).
    Refused,
    /// The upstream has lost its own connection for this number, where it can.
    SessionDown,
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
