//! What the command does besides serving.

pub(crate) mod store;
