//! WhatsApp Web over HTTP: Wawp, a hosted service, and WAHA, the engine behind it, which anybody can run.
//!
//! | module | what it knows |
//! |---|---|
//! | `hosted` | Wawp: what a number is configured with, its calls, and how they carry credentials |
//! | `waha` | WAHA: likewise |
//! | `line` | a number on either: the provider itself |
//! | `verifier` | who is calling |
//! | `inbound`, `content` | what a delivery carries |
//! | `chat`, `message_id` | how chats, people and messages are named |
//! | `file` | what a medium looks like that is sent |
//! | `answer` | what an answer means |
//! | `limits` | what may be sent |
//!
//! Wawp's events are WAHA's, and so are its names and its messages: everything is shared but the calls. The indicator
//! belongs to a chat, lapses by itself after 10 to 20 s, and any message of ours takes it off, so that a call to stop
//! it is for what ends without one (Wawp's page "Stop Typing").

mod answer;
mod chat;
mod content;
mod file;
mod hosted;
mod inbound;
mod limits;
mod line;
mod message_id;
mod verifier;
mod waha;

pub use hosted::{CredentialsIn, MediaStyle, TextField, WawpConfig};
pub use line::Seen;
pub use verifier::{Algorithm, Encoding, Signature};
pub use waha::WahaConfig;
