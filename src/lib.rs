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
//! The two files to read are [`turn`] (what happens to a message) and [`delivery::typing`] (when the dots are on). A
//! room imports only what stands below it:
//!
//! | room | what is in it |
//! |---|---|
//! | [`host`] | puts everything together: configuration, bots, start and shutdown |
//! | [`admin`] | for whoever runs it: the API, the command line, metrics and logs |
//! | [`ingress`] | the ways in: webhooks and proactive messages become durable |
//! | [`turn`] | what happens to a message, and who runs it |
//! | [`policy`] | gates, control words, takeover, quiet hours, the failure reply |
//! | [`delivery`] | the typing guard, the outbox, the pace |
//! | [`handler`] | what answers: an LLM, your service over HTTP, your Rust |
//! | [`provider`] | the upstreams, one folder each |
//! | [`store`] | the durable side |
//! | [`runtime`] | HTTP calls, memory budgets, meters, the registry of bots |
//! | [`message`] | the values that everything speaks; clock and secrets |
//!
//! Beside them stand [`sandbox`], the upstreams' other side with a phone, and [`testing`], the kit for tests.
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

pub mod admin;
pub mod delivery;
pub mod handler;
pub mod host;
pub mod ingress;
pub mod message;
pub mod policy;
pub mod provider;
pub mod runtime;
pub mod sandbox;
pub mod store;
pub mod testing;
pub mod turn;

pub use handler::{Handler, HandlerError, Turn};
pub use host::App;
pub use message::{Content, Inbound, Part, Payload, Reply};
