//! What every room above it needs to run: HTTP calls, bounded bodies and memory, meters, the registry of bots, and the
//! texts that are shipped.
//!
//! Nothing in here knows a provider, a store, a handler or a turn.

pub(crate) mod body;
pub mod budget;
pub mod hosting;
pub mod http;
pub mod meters;
pub mod templates;
