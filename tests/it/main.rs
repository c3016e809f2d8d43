//! All integration tests, in one binary.

mod architecture;
mod configuration;
mod floods;
mod concurrency;
mod crash;
mod flow;
mod foreign_words;
mod hostile;
mod interleavings;
mod llm;
mod meta;
mod product;
mod replays;
mod real;
mod sandbox;
mod shutdown;
mod store;
mod upstream_identity;
mod world;
