//! What is decided about a message before a handler is asked, and what is said in the place of an answer.
//!
//! - [`gate`]: whose messages are answered
//! - [`control`]: the words that stop the bot, ask for a person, or opt out
//! - [`takeover`]: when a person answers, and the bot keeps silent
//! - [`quiet_hours`]: the hours in which the bot answers nobody
//! - [`failure_reply`]: what is said when nothing answers

pub mod control;
pub mod failure_reply;
pub mod gate;
pub mod quiet_hours;
pub mod takeover;
