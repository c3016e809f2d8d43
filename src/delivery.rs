//! How a reply reaches a customer: the typing guard, the outbox, and the pace of an upstream.
//!
//! [`typing`] says when the dots are on, and gives the permit without which [`outbox`] sends nothing; [`pacing`] says
//! when the next part may leave.

pub mod outbox;
pub mod pacing;
pub mod typing;
