//! The operator's API as a server of its own, where there is a token for it.

use std::net::TcpListener;
use std::sync::Arc;

use secrecy::SecretString;
use tracing::{info, warn};

use super::playground::{self, Playground};
use super::server::{self, Listening};
use super::{StartError, assemble, bind};
use crate::admin::telemetry::metrics::Metrics;
use crate::admin::{self, Api};
use crate::host::config::Config;
use crate::ingress::proactive::{OutboundChannel, ProactiveIntake};
use crate::message::clock::Clock;
use crate::message::secret::random;
use crate::provider::health::Health;
use crate::runtime::hosting::BotRegistry;
use crate::runtime::meters::Meters;
use crate::store::Store;

/// So many connections at the same time: more than whoever opens them and says nothing can hold, before each is closed
/// for that.
const CONNECTIONS: usize = 10_000;

/// A port, and the token that opens it.
pub(super) struct Operator {
    listener: TcpListener,
    token: SecretString,
    metrics: Arc<Metrics>,
}

impl Operator {
    /// Takes the port, if there is a token.
    pub(super) fn bind(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, StartError> {
        let Some(token) = assemble::operator_token(config, env)? else { return Ok(None) };
        let listener = bind("operator.listen", &config.operator.listen, config.server.backlog)?;
        Ok(Some(Self { listener, token, metrics: Arc::default() }))
    }

    /// The same, with a token that nobody knows if there is none: for the page of the playground.
    pub(super) fn bind_for(ground: &Playground, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let operator = match Self::bind(&ground.config, env)? {
            Some(operator) => operator,
            None => {
                let listener = playground::listen(playground::OPERATOR_PORT)?;
                Self { listener, token: random().into(), metrics: Arc::default() }
            }
        };
        ground.give_operator(operator.listener.local_addr().map_err(StartError::Listen)?, &operator.token);
        Ok(operator)
    }

    /// Where what happens is told. Without a listener nobody could ask for it, and nothing is counted.
    pub(super) fn meters(operator: Option<&Self>) -> Meters {
        operator.map_or_else(Meters::default, |operator| Meters::new(Arc::clone(&operator.metrics) as _))
    }

    /// Begins to listen.
    pub(super) fn serve(
        self,
        store: Arc<dyn Store>,
        bots: BotRegistry<Health>,
        voices: BotRegistry<OutboundChannel>,
        host: Arc<dyn admin::BotHosting>,
    ) -> Result<(Arc<Api>, Listening), StartError> {
        let proactive_messages = ProactiveIntake::new(voices, Arc::clone(&store), Clock::System);
        let api = Api::new(store, bots, host, self.token, self.metrics, Clock::System);
        let api = Arc::new(api.with_proactive(proactive_messages));
        let routes = admin::routes(Arc::clone(&api));
        let listening = server::serve(self.listener, CONNECTIONS, |_, _| {}, routes).map_err(StartError::Listen)?;
        let address = listening.address;
        info!(%address, "listening for the operator");
        if !address.ip().is_loopback() {
            warn!(%address, "the operator's API can be reached from elsewhere: put TLS in front of it");
        }
        Ok((api, listening))
    }
}
