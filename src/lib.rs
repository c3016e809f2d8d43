//! threedots puts an AI, or any reply handler, behind a WhatsApp number and gets the three dots right.
//!
//! ```text
//!        │ webhook                                            ▲ read, typing, reply
//! ┌──────▼─────────┐   accept    ┌───────┐   claim   ┌────────┴───────┐   ask   ┌─────────┐
//! │ webhook::      │────────────▶│ store │──────────▶│ turn, in the   │────────▶│ handler │
//! │ verify, parse, │  durable,   └───────┘◀──────────│ typing guard   │◀────────└─────────┘
//! │ store, 200     │  then 200       intend, settle  └────────────────┘  reply
//! └────────────────┘
//! ```
//!
//! The two files to read are [`turn`] (what happens to a message) and [`typing`] (when the dots are on). Around
//! them, in reading order:
//!
//! - [`message`]: the values that everything speaks
//! - [`webhook`]: the way in
//! - [`store`]: the durable side; [`worker`]: claims turns and runs them
//! - [`gate`]: who is answered; [`handler`]: what answers; [`failure`]: what is said when nothing does
//! - [`transcription`]: what is said in voice notes
//! - [`people`]: when a person takes over, and the bot keeps silent; [`quiet`]: the hours in which it answers nobody
//! - [`outbox`]: the way out, each part once; [`pace`]: how fast; [`provider`]: the upstreams; [`http`]: how calls
//!   leave
//! - [`proactive`]: what a bot says unasked
//! - [`health`]: whether an upstream lets a bot work; [`housekeeping`]: what has been kept for long enough goes
//! - [`operator`]: dead letters, replay and erasure, for whoever runs it
//! - [`sandbox`]: the upstreams' other side and a phone, for a first evening, for tests, and for yours
//! - [`json`]: what others write, read leniently in one respect
//! - [`config`], [`secret`], [`templates`], [`telemetry`], [`clock`]: what a deployer sets, and what they see;
//!   [`meters`]: what is counted
//! - [`budget`]: why the memory has a ceiling; [`hosting`]: many bots in one process
//! - [`app`]: puts it all together
//!
//! A bot of your own is a closure away:
//!
//! ```no_run
//! use threedots::{App, Reply, Turn};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! App::from_env()?.handler(|turn: &Turn| Reply::text(format!("You said {}", turn.text()))).run().await?;
//! # Ok(())
//! # }
//! ```

pub mod app;
mod body;
pub mod budget;
pub mod callbacks;
pub mod clock;
pub mod config;
pub mod control;
pub mod failure;
pub mod gate;
pub mod handler;
pub mod health;
pub mod hosting;
pub mod housekeeping;
pub mod http;
pub mod json;
pub mod message;
pub mod meters;
pub mod operator;
pub mod outbox;
pub mod pace;
pub mod people;
pub mod proactive;
pub mod provider;
pub mod quiet;
pub mod sandbox;
pub mod secret;
pub mod store;
pub mod telemetry;
pub mod templates;
pub mod testing;
pub mod transcription;
pub mod turn;
pub mod typing;
pub mod webhook;
pub mod worker;

pub use app::App;
pub use handler::{Handler, HandlerError, Turn};
pub use message::{Content, Inbound, Part, Payload, Reply};
