//! All integration tests, in one binary.

mod architecture;
mod concurrency;
mod crash;
mod flow;
mod interleavings;
mod llm;
mod meta;
mod real;
mod sandbox;
mod shutdown;
mod store;
mod world;
