//! The examples, started as their first lines say.
