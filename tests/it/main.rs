//! All integration tests, in one binary.

mod architecture;
mod flow;
mod interleavings;
mod meta;
mod sandbox;
mod world;
