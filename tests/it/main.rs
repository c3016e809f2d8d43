//! All integration tests, in one binary.

mod architecture;
mod canaries;
mod configuration;
mod floods;
mod flow;
mod foreign_words;
mod hostile;
mod interleavings;
mod llm;
mod logs;
mod meta;
mod product;
mod replays;
mod sandbox;
mod store;
mod upstream_identity;
mod world;
