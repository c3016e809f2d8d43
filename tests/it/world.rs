//! The kit that users have for their handlers, for ours.

pub(crate) use threedots::testing::{BOT, Setup, World, inlets, provider, provider_of};
use threedots::{Handler, Reply, Turn};

/// A handler that says everything back, at once.
pub(crate) fn echo() -> impl Handler {
    |turn: &Turn| Reply::text(format!("You said: {}", turn.text()))
}
