//! The `threedots` command.

mod cli;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use threedots::App;
use threedots::host::config::default_with;
use threedots::provider::KINDS;

/// Puts an AI, or any reply handler, behind a WhatsApp number, and gets the three dots right.
///
/// Without a command it starts with its own sandbox and a phone in the browser.
#[derive(Parser)]
#[command(name = "threedots", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the bots of a configuration.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "threedots.toml")]
        config: PathBuf,
    },
    /// Prints everything that is wrong with a configuration, and starts nothing.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = "threedots.toml")]
        config: PathBuf,
    },
    /// Writes a first configuration, with every setting and its default.
    Init {
        /// The file to write. An existing one is left alone.
        #[arg(long, value_name = "FILE", default_value = "threedots.toml")]
        config: PathBuf,
        /// The provider of the bot in it.
        #[arg(long, value_name = "KIND", default_value = "meta", value_parser = PossibleValuesParser::new(KINDS.map(|kind| kind.name)))]
        provider: String,
    },
    /// A chat with a handler over HTTP, here in the terminal: you are the customer.
    Try {
        /// The handler's address. What turns are signed with is the environment's HANDLER_SECRET.
        #[arg(long, value_name = "URL")]
        handler: String,
    },
    /// Shows messages that should have had an answer and have none, replays them, or throws them away.
    Dead {
        #[command(subcommand)]
        what: cli::Dead,
        #[command(flatten)]
        common: cli::Common,
    },
    /// Has a person answer a conversation, and the bot keep silent in it.
    Pause {
        #[command(flatten)]
        pause: cli::TakeOver,
        #[command(flatten)]
        common: cli::Common,
    },
    /// Has the bot answer a conversation again.
    Resume {
        #[command(flatten)]
        talk: cli::Talk,
        #[command(flatten)]
        common: cli::Common,
    },
    /// Invites people to a private bot by a code, and shows who is in.
    Pair {
        #[command(subcommand)]
        what: cli::PairCommand,
        #[command(flatten)]
        common: cli::Common,
    },
    /// Has a bot of the threedots that is running say something unasked.
    Send {
        #[command(flatten)]
        saying: cli::Saying,
        #[command(flatten)]
        common: cli::Common,
    },
    /// Erases a person from a bot's data, and says how much there was.
    Forget {
        #[command(flatten)]
        whom: cli::EraseArgs,
        #[command(flatten)]
        common: cli::Common,
    },
    /// Verifies, migrates or salvages the store. Not while it is served.
    Store {
        #[command(subcommand)]
        task: cli::store::StoreCommand,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        None => App::sandbox().run().await.map_err(|error| error.to_string()),
        Some(Command::Serve { config }) => serve(&config).await,
        Some(Command::Check { config }) => check(&config),
        Some(Command::Init { config, provider }) => init(&config, &provider),
        Some(Command::Try { handler }) => App::try_handler(&handler).await.map_err(|error| error.to_string()),
        Some(Command::Dead { what, common }) => cli::dead(what, &common).await.map(|said| say(&said)),
        Some(Command::Pause { pause, common }) => cli::pause(pause, &common).await.map(|said| say(&said)),
        Some(Command::Resume { talk, common }) => cli::resume(talk, &common).await.map(|said| say(&said)),
        Some(Command::Pair { what, common }) => cli::pair(what, &common).await.map(|said| say(&said)),
        Some(Command::Send { saying, common }) => cli::send(saying, &common).await.map(|said| say(&said)),
        Some(Command::Forget { whom, common }) => cli::forget(whom, &common).await.map(|said| say(&said)),
        Some(Command::Store { task }) => cli::store::run(task).map(|said| say(&said)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: &Path) -> Result<(), String> {
    let app = App::load(config).map_err(|problems| problems.to_string())?;
    app.run().await.map_err(|error| error.to_string())
}

fn check(path: &Path) -> Result<(), String> {
    let app = App::load(path).map_err(|problems| problems.to_string())?;
    say(&format!("{}: {} bot(s), no problem", path.display(), app.bots()));
    Ok(())
}

fn init(path: &Path, provider: &str) -> Result<(), String> {
    use std::io::Write;
    let kind = KINDS.iter().find(|kind| kind.name == provider).ok_or("there is no such provider")?;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(default_with(kind).as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            format!("{}: is there already, and stays as it is: name another with --config", path.display())
        }
        kind => format!("{}: cannot be written: {kind}", path.display()),
    })?;
    say(&format!("{} is written: fill in the bot, then `threedots check --config {0}`", path.display()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command's answer")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a command's complaint")]
fn complain(text: &str) {
    eprintln!("{text}");
}
