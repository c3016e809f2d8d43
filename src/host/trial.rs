//! A chat with one handler in a terminal: the product around it, a sandbox for its upstream, no browser and no account.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::callbacks::CallbackListener;
use super::{StartError, playground};
use crate::handler::callbacks::CallbacksConfig;
use crate::handler::http::{Egress, Http, HttpConfig};
use crate::host::config::{Problem, Problems};
use crate::message::clock::Clock;
use crate::sandbox::Upstream;
use crate::sandbox::phone::{Moment, What, Why};
use crate::testing::{Setup, World};

/// How often it is looked for answers that will not come.
const GLANCE: Duration = Duration::from_millis(200);

/// Talks with the handler at `url` until `lines` end and nothing is left to be said: what stands on them the customer
/// writes, and what the customer sees is written to `screen`. Turns are signed with `secret`, if there is one.
///
/// # Errors
/// When the handler's address or secret cannot be used, or the screen is gone.
pub(super) async fn talk(
    url: &str,
    secret: Option<String>,
    lines: impl BufRead + Send + 'static,
    mut screen: impl Write,
) -> Result<(), StartError> {
    let ways_out = Egress::open()?;
    let comeback = CallbackListener::at(playground::listen(playground::CALLBACKS_PORT)?, &CallbacksConfig::default())?;
    let config = HttpConfig { url: url.to_owned(), private: true, ..HttpConfig::default() };
    let secret = secret.map(Into::into);
    let callbacks = Arc::clone(&comeback.callbacks);
    let http = Http::new(config, secret.as_ref(), &ways_out, callbacks, Clock::System).map_err(unusable)?;
    let server = comeback.serve()?.map(|listening| (listening.handle, tokio::spawn(listening.server)));
    // Its dots can be taken off by a call, and have to precede nothing.
    let world = Setup::on(Upstream::Gateway, http).start();

    let (sender, mut written) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let mut view = View::default();
    let (mut wrote, mut more) = (0, true);
    while more || view.taken < wrote || is_busy(&world) {
        tokio::select! {
            line = written.recv(), if more => match line {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => {
                    world.write(line.trim());
                    wrote += 1;
                }
                None => more = false,
            },
            () = world.phone().wait_for(|phone| !phone.timeline_after(view.shown).is_empty()) => {}
            // Why there is no answer stands on no phone.
            () = tokio::time::sleep(GLANCE) => {}
        }
        view.show(&world, &mut screen).await?;
    }
    view.show(&world, &mut screen).await?;
    world.worker.stop().await;
    if let Some((handle, _)) = server {
        handle.stop(true).await;
    }
    Ok(())
}

fn unusable(problems: Vec<(&'static str, String)>) -> StartError {
    let problem = |(key, text): (&str, String)| {
        let (key, place) = match key {
            "secret" => ("HANDLER_SECRET", "environment"),
            _ => ("--handler", "command line"),
        };
        Problem { key: key.to_owned(), place: place.to_owned(), text }
    };
    StartError::Config(Problems(problems.into_iter().map(problem).collect()))
}

/// Whether something is still being done, or seen to be.
fn is_busy(world: &World) -> bool {
    world.store.backlog().conversations > 0 || world.phone().dots_showing(&world.customer)
}

/// How far the customer's screen has come.
#[derive(Default)]
struct View {
    /// So many moments have been looked at.
    shown: usize,
    /// So many of the customer's messages have been taken.
    taken: usize,
    /// So many have no answer, and will have none.
    dead: usize,
    /// What is seen of the dots.
    dots: Option<TrialDots>,
}

/// What the dots say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TrialDots {
    Typing,
    Recording,
}

impl View {
    /// Shows what is new.
    async fn show(&mut self, world: &World, screen: &mut impl Write) -> Result<(), StartError> {
        let new = world.phone().timeline_after(self.shown);
        self.shown += new.len();
        let is_taken = |what: &What| matches!(what, What::WebhookAnswered { event: "message", status: Some(200), .. });
        self.taken += new.iter().filter(|moment| is_taken(&moment.what)).count();
        let mut text: String = new.iter().filter_map(|Moment { what, .. }| self.line(what)).collect();
        for letter in world.dead().await.iter().skip(self.dead) {
            self.dead += 1;
            text.push_str(&format!("     (no answer: {})\n", letter.reason));
        }
        screen.write_all(text.as_bytes()).and_then(|()| screen.flush()).map_err(StartError::Listen)
    }

    fn line(&mut self, what: &What) -> Option<String> {
        let dots = match what {
            What::DotsOn { recording: false, .. } => Some(TrialDots::Typing),
            What::DotsOn { recording: true, .. } => Some(TrialDots::Recording),
            What::DotsOff { .. } => None,
            What::Reply { kind, text, .. } => {
                let kind = if kind == "text" { String::new() } else { format!("[{kind}] ") };
                return Some(format!("bot: {kind}{}\n", text.replace('\n', "\n     ")));
            }
            _ => return None,
        };
        // Lit again while they are on they look the same.
        if std::mem::replace(&mut self.dots, dots) == dots {
            return None;
        }
        match (dots, what) {
            (Some(TrialDots::Typing), _) => Some("     · · ·\n".into()),
            (Some(TrialDots::Recording), _) => Some("     · · · (recording)\n".into()),
            (None, What::DotsOff { why: Why::Lapsed | Why::Stopped, .. }) => Some("     (dots off)\n".into()),
            (None, _) => None,
        }
    }
}
