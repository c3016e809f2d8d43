//! All integration tests, in one binary.

mod architecture;
mod crash;
mod flow;
mod interleavings;
mod llm;
mod meta;
mod real;
mod sandbox;
mod store;
mod world;
