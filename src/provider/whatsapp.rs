//! WhatsApp's own objects, as Meta's Cloud API defines them and as those who pass that API through repeat them.
//!
//! A message ([`inbound`]), who wrote it ([`sender`]) and what it says ([`content`]), what we send ([`payload`]), its
//! limits ([`limits`], [`rates`]) and the error codes ([`codes`]) are the same whoever carries them; so is how somebody
//! is addressed ([`address`]). Envelopes, signatures and addresses are each carrier's own.

pub(crate) mod address;
pub(crate) mod codes;
pub(crate) mod content;
pub(crate) mod inbound;
pub(crate) mod limits;
pub(crate) mod payload;
pub(crate) mod rates;
pub(crate) mod sender;
