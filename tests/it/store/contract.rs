//! What holds of every store.

mod claims;
mod intake;
mod records;

pub(super) use claims::*;
pub(super) use intake::*;
pub(super) use records::*;
