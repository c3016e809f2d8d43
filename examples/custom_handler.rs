//! `cargo run --example custom_handler`: a handler with state of its own, which takes a breath between looking and
//! answering.
//!
//! It runs against the sandbox; with `THREEDOTS_CONFIG=threedots.toml` and `handler.kind = "custom"`, behind a number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use threedots::{App, Handler, HandlerError, Reply, Turn};
use tokio::time::sleep;

/// Takes orders for tea, and remembers how many cups each person has had.
#[derive(Default)]
struct TeaHouse {
    cups: Mutex<HashMap<String, u32>>,
}

#[async_trait]
impl Handler for TeaHouse {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let Some(newest) = turn.newest() else { return Ok(Reply::silence()) };
        if !turn.text().to_lowercase().contains("tea") {
            return Ok(Reply::buttons("What would you like?", [("green", "Green tea"), ("black", "Black tea")]));
        }
        // Looking for the pot. However this ends, even by a panic, the dots will go off.
        sleep(Duration::from_secs(2)).await;
        turn.presence.beat();
        sleep(Duration::from_secs(2)).await;
        let cups = {
            let mut cups = self.cups.lock().unwrap_or_else(PoisonError::into_inner);
            let cups = cups.entry(newest.at.sender.as_str().to_owned()).or_default();
            *cups += 1;
            *cups
        };
        if cups > 3 {
            return Err(HandlerError::new("out of tea"));
        }
        Ok(Reply::text(format!("Here is your cup number {cups}.")).quoting())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(App::from_env()?.handler(TeaHouse::default()).run().await?)
}
