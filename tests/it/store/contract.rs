//! What holds of every store.

mod arrivals;
mod claims;
mod counters;
mod errands;
mod intake;
mod invitations;
mod leases;
mod letters;
mod parts;
mod people;
mod questions;
mod records;
mod reports;
mod sharing;
mod standing;
mod summaries;
mod sweep;
mod transcripts;

pub(super) use arrivals::*;
pub(super) use claims::*;
pub(super) use counters::*;
pub(super) use errands::*;
pub(super) use intake::*;
pub(super) use invitations::*;
pub(super) use leases::*;
pub(super) use letters::*;
pub(super) use parts::*;
pub(super) use people::*;
pub(super) use questions::*;
pub(super) use records::*;
pub(super) use reports::*;
pub(super) use sharing::*;
pub(super) use standing::*;
pub(super) use summaries::*;
pub(super) use sweep::*;
pub(super) use transcripts::*;
