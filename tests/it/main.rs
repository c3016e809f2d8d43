//! All integration tests, in one binary.

mod architecture;
mod browser;
mod canaries;
mod concurrency;
mod configuration;
mod crash;
mod demo;
mod floods;
mod flow;
mod foreign_words;
mod hostile;
mod interleavings;
mod linq;
mod llm;
mod logs;
mod meta;
mod product;
mod real;
mod replays;
mod sandbox;
mod shutdown;
mod store;
mod typing;
mod upstream;
mod upstream_identity;
mod world;
