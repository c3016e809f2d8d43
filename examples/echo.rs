//! `cargo run --example echo`: a bot that says everything back, on a phone in the browser.

use threedots::{App, Reply, Turn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let echo = |turn: &Turn| Reply::text(format!("You said: {}", turn.text()));
    Ok(App::from_env()?.handler(echo).run().await?)
}
