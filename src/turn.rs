//! One turn, from the claim to the settled record.
//!
//! ```text
//! claim ──▶ facts ──▶ decide ──▶ a step ──▶ settle
//!                                  └─ ask: read + typing ──▶ handler, in the guard ──▶ intent ──▶ send
//! ```

mod batch;
mod bot;
mod choice;
mod decide;
mod history;
mod interrupt;
mod leftover;
mod listen;
mod pairing;
mod preferences;
mod replayed;
mod report;
mod settings;
mod steps;
mod takeover;
pub mod transcription;
mod turn_run;
mod upstream;
mod window;
pub mod worker;

use crate::runtime::budget::Share;
use crate::store::{Claim, StoreError};
use batch::{Batch, answered, endings};
pub use bot::{Bot, Tools};
use decide::{Step, decide};
pub use report::{GiveBackReason, TurnOutcome, TurnReport};
pub use settings::{MergeConfig, OnNewMessage, TurnConfig};
use turn_run::TurnRun;

/// Holds one turn: answers everything that is claimed of what the conversation has waiting. `room` is the memory that
/// it takes, with [`MOST_RECALLED_BYTES`](crate::store::MOST_RECALLED_BYTES) for what was said before: it is given back
/// as far as it turns out not to be needed, and at the end.
///
/// # Errors
/// When the store fails, or the claim's lease has ended. Nothing is lost by it: what was not settled is claimed again.
pub async fn run(bot: &Bot, tools: &Tools, mut claim: Claim, room: Share) -> Result<TurnReport, StoreError> {
    let mut turn = TurnRun::begin(bot, tools, &mut claim, room).await?;
    let mut facts = turn.facts(&mut claim).await?;
    loop {
        // What takes the handler's place is boxed: thousands of turns may wait for their handlers.
        return match decide(&claim, &facts) {
            Step::Learn(lookup) => {
                Box::pin(turn.learn(lookup, &mut claim, &mut facts)).await?;
                continue;
            }
            Step::StandAside => Box::pin(turn.stand_aside(claim)).await,
            Step::GiveBack(until, why) => turn.give_back(claim, until, why).await,
            Step::CallOff(command) => Box::pin(turn.call_off_by(claim, command)).await,
            Step::Resume => Box::pin(turn.resume(claim)).await,
            Step::Redeliver => Box::pin(turn.redeliver(claim)).await,
            Step::Welcome(by) => Box::pin(turn.welcome(claim, by)).await,
            Step::Obey(command) => Box::pin(turn.obey(claim, command)).await,
            Step::SendProactive => Box::pin(turn.send_proactive(claim)).await,
            Step::KeepSilent => Box::pin(turn.keep_silent(claim, None)).await,
            Step::WindowClosed => Box::pin(turn.window_closed(claim)).await,
            Step::KeepQuiet(period) => Box::pin(turn.keep_quiet(claim, period)).await,
            Step::Ask => turn.ask_and_answer(claim).await,
        };
    }
}
