//! The ways in: a request becomes durable messages.
//!
//! [`webhook`] takes in what upstreams deliver, [`proactive`] what a bot is asked to say of its own accord.

pub mod proactive;
pub mod webhook;
