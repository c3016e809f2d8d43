//! Where handlers over HTTP come back to, as a server of its own, where there is such a handler.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tracing::{info, warn};

use super::server::{self, Listening};
use super::{StartError, bind};
use crate::handler::callbacks::{self, CallbacksConfig};
use crate::handler::http::callbacks::Callbacks;
use crate::host::config::{Config, HandlerConfig};
use crate::message::clock::Clock;

/// So many connections at the same time, for each of the server's threads.
const CONNECTIONS: usize = 5_000;

/// What handlers come back for, and the port at which they do.
pub(super) struct CallbackListener {
    pub(super) callbacks: Arc<Callbacks>,
    listener: Option<TcpListener>,
}

impl CallbackListener {
    /// Takes the port, if a bot has a handler that may come back, or may yet get one; `listen` takes it if the
    /// configured one need not be it.
    pub(super) fn bind(
        config: &Config,
        listen: impl FnOnce(&str) -> Result<TcpListener, StartError>,
    ) -> Result<Self, StartError> {
        let mut handlers = config.bots.values().flat_map(|bot| bot.all_handlers());
        if config.bots_dir.is_none() && !handlers.any(|handler| matches!(handler, HandlerConfig::Http(_))) {
            return Ok(Self { callbacks: Self::nowhere(), listener: None });
        }
        Self::at(listen(&config.callbacks.listen)?, &config.callbacks)
    }

    /// At this port.
    pub(super) fn at(listener: TcpListener, config: &CallbacksConfig) -> Result<Self, StartError> {
        let address = listener.local_addr().map_err(StartError::Listen)?;
        let callbacks = Callbacks::new(config.base(address), Clock::System);
        Ok(Self { callbacks, listener: Some(listener) })
    }

    /// The same with the configured port.
    pub(super) fn configured(config: &Config) -> Result<Self, StartError> {
        Self::bind(config, |address| bind("callbacks.listen", address, config.server.backlog))
    }

    /// For a configuration that is only looked at.
    pub(super) fn nowhere() -> Arc<Callbacks> {
        Callbacks::new(String::new(), Clock::System)
    }

    /// Begins to listen, if there is a port.
    pub(super) fn serve(self) -> Result<Option<Listening>, StartError> {
        let Some(listener) = self.listener else { return Ok(None) };
        let routes = callbacks::routes(self.callbacks);
        let listening = server::serve(listener, CONNECTIONS, |_, _| {}, routes).map_err(StartError::Listen)?;
        announce(listening.address);
        Ok(Some(listening))
    }
}

fn announce(address: SocketAddr) {
    info!(%address, "listening for handlers");
    if !address.ip().is_loopback() {
        warn!(%address, "what handlers come back for can be reached from elsewhere: put TLS in front of it");
    }
}
