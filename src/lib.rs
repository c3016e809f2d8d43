//! threedots puts an AI, or any reply handler, behind a WhatsApp number and gets the three dots right.
#![doc = ""]

pub mod clock;
pub mod handler;
pub mod message;
pub mod provider;
pub mod sandbox;
pub mod store;

pub use handler::{Handler, HandlerError, Turn};
pub use message::{Inbound, Part, Payload, Reply};
