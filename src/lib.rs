//! threedots puts an AI, or any reply handler, behind a WhatsApp number and gets the three dots right.
#![doc = ""]

pub mod clock;
pub mod failure;
pub mod gate;
pub mod handler;
pub mod http;
pub mod message;
pub mod outbox;
pub mod provider;
pub mod secret;
pub mod store;
pub mod templates;
pub mod turn;
pub mod typing;
pub mod webhook;
pub mod worker;

pub use handler::{Handler, HandlerError, Turn};
pub use message::{Inbound, Part, Payload, Reply};
