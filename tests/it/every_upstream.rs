//! What holds for every upstream alike, on its own wire.

mod astray;
mod configuration;
mod contract;
mod flow;
mod halves;
mod lease;
mod leftover;
mod stops;
mod table;
mod unread;
