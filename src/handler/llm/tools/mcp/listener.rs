//! What a server may ask of us: nothing but a sign of life.

use std::sync::Arc;

use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientResult, ErrorCode, Implementation, ProtocolVersion, ServerNotification,
    ServerRequest,
};
use rmcp::service::{NotificationContext, RequestContext, Service};
use rmcp::{ErrorData, RoleClient};
use tokio::sync::Notify;

/// Hears that a server's tools have changed, and passes over what else it tells. Its requests (roots, sampling,
/// elicitation) are refused: nobody is there whom it could ask, and a model is not its to use.
pub(super) struct Listener {
    stale: Arc<Notify>,
    version: ProtocolVersion,
}

impl Listener {
    /// One that tells `stale` of changes, and speaks this version first.
    pub(super) fn new(stale: Arc<Notify>, version: ProtocolVersion) -> Self {
        Self { stale, version }
    }
}

impl Service<RoleClient> for Listener {
    async fn handle_request(
        &self,
        request: ServerRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        match request {
            ServerRequest::PingRequest(_) => Ok(ClientResult::empty(())),
            _ => Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "this client offers nothing of its own", None)),
        }
    }

    async fn handle_notification(
        &self,
        notification: ServerNotification,
        _: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        if let ServerNotification::ToolListChangedNotification(_) = notification {
            self.stale.notify_one();
        }
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        let ourselves = Implementation::new("threedots", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), ourselves).with_protocol_version(self.version.clone())
    }
}
