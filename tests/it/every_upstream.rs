//! What holds for every upstream alike, on its own wire.

mod contract;
mod flow;
mod table;
