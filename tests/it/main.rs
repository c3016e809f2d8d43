//! All integration tests, in one binary.

mod flow;
mod interleavings;
mod meta;
mod sandbox;
mod world;
