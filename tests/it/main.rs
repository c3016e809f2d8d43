//! All integration tests, in one binary.

mod architecture;
mod browser;
mod demo;
mod flow;
mod interleavings;
mod llm;
mod meta;
mod sandbox;
mod store;
mod world;
