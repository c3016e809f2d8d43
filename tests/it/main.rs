//! All integration tests, in one binary.

mod flow;
mod meta;
mod sandbox;
mod world;
