//! The operator's hand, for a command: on the store itself, or through the threedots that has it open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{App, StartError, assemble, environment, open, overlay};
use crate::admin::{Admin, LocalAdmin, RemoteAdmin};
use crate::host::config::{Config, Problem, Problems};
use crate::message::BotName;
use crate::message::clock::Clock;
use crate::provider::health::Health;
use crate::runtime::http::{Client, ClientError};
use crate::runtime::meters::Meters;
use crate::store::StoreKind;

impl App {
    /// What an operator can do to the store of a configuration. If no threedots is running, the store is opened, and
    /// is to be closed again; else everything goes through the running one's API.
    ///
    /// # Errors
    /// What stands in the way, and what to do.
    pub async fn hand(path: &Path) -> Result<Box<dyn Admin>, HandError> {
        let env = environment();
        let (config, problems) = Config::load(path, overlay(&env), &[]);
        // How the bots are configured, and where their secrets are, is nothing to this.
        let problems: Vec<Problem> = problems.into_iter().filter(|found| !found.key.starts_with("bots")).collect();
        if !problems.is_empty() {
            return Err(Problems(problems).into());
        }
        if config.store.kind != StoreKind::Memory {
            if !config.store.path.is_dir() {
                return Err(HandError::NoStore(config.store.path));
            }
            match open(config.store.clone(), Clock::System, Duration::ZERO, Meters::default()).await {
                Ok(store) => {
                    let known = |name: &String| {
                        let bot = BotName::new(name.as_str());
                        (bot.clone(), Arc::new(Health::new(bot, Clock::System)))
                    };
                    return Ok(Box::new(LocalAdmin::new(
                        store,
                        config.bots.keys().map(known).collect(),
                        Clock::System,
                    )));
                }
                Err(StartError::InUse(_)) => {}
                Err(error) => return Err(HandError::Store(error.to_string())),
            }
        }
        let token = assemble::operator_token(&config, &|name| env.get(name).cloned())?;
        let token = token.ok_or_else(|| HandError::NoToken(path.to_owned()))?;
        let address = config.operator.address().filter(|address| address.port() != 0).ok_or(HandError::NoPort)?;
        Ok(Box::new(RemoteAdmin::new(Client::new()? as Arc<_>, address, token)))
    }
}

/// Why an operator's command cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] Problems),
    /// TLS.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no store.
    #[error(
        "there is no store in {}: run this in the directory in which threedots runs, or name the configuration that it \
         runs with (--config)",
        .0.display()
    )]
    NoStore(PathBuf),
    /// The store cannot be opened, and nobody else has it open.
    #[error("{0}")]
    Store(String),
    /// The server runs, and cannot be asked.
    #[error(
        "threedots is running and has the store open, and there is no token to ask it with: set `operator.token` in {} \
         (for example token = \"env:OPERATOR_TOKEN\", 32 bytes or more) and start threedots again; or stop threedots \
         while you do this",
        .0.display()
    )]
    NoToken(PathBuf),
    /// The server runs, and nobody knows where.
    #[error("threedots is running and has the store open, and `operator.listen` does not say where: give it a port")]
    NoPort,
}
