//! An upstream whose calls are counted, whoever makes them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Abilities, Activity, InvalidPart, Provider, ProviderError, Received, WebhookError, WebhookRequest};
use crate::message::{Address, MediaRef, MessageId, MessageRef, Part, PartKey};
use crate::runtime::http::Download;
use crate::runtime::meters::{Fact, Meters};

/// A provider, and where it is told what came of its calls.
pub struct Metered {
    provider: Arc<dyn Provider>,
    meters: Meters,
}

impl Metered {
    /// Tells `meters` of every call of this provider's that a customer notices: read, typing, stop, send.
    pub fn new(provider: Arc<dyn Provider>, meters: Meters) -> Self {
        Self { provider, meters }
    }

    fn begin(&self, call: &'static str) -> Pending<'_> {
        let provider = self.provider.name();
        Pending { meters: &self.meters, provider, call, result: "unanswered" }
    }
}

/// A call that is being made. Whoever stops waiting for it drops it: nobody knows what came of it then.
struct Pending<'a> {
    meters: &'a Meters,
    provider: &'static str,
    call: &'static str,
    result: &'static str,
}

impl Pending<'_> {
    fn end<T>(mut self, outcome: Result<T, ProviderError>) -> Result<T, ProviderError> {
        self.result = match &outcome {
            Ok(_) => "ok",
            Err(error) => word(error),
        };
        outcome
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let Self { provider, call, result, .. } = *self;
        self.meters.tell(Fact::Call { provider, call, result });
    }
}

fn word(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::RateLimited { .. } => "rate_limited",
        ProviderError::Transient { .. } => "failed",
        ProviderError::Ambiguous { .. } => "ambiguous",
        ProviderError::Rejected { .. } => "rejected",
        ProviderError::WindowClosed { .. } => "window_closed",
        ProviderError::OptedOut { .. } => "opted_out",
        ProviderError::Unauthorized { .. } => "unauthorized",
        ProviderError::SessionDown { .. } => "session_down",
        ProviderError::Unsupported { .. } => "unsupported",
    }
}

#[async_trait]
impl Provider for Metered {
    fn name(&self) -> &'static str {
        self.provider.name()
    }

    fn abilities(&self) -> &Abilities {
        self.provider.abilities()
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        self.provider.receive(request)
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.begin("read").end(self.provider.mark_read(message).await)
    }

    async fn start_typing(&self, message: &MessageRef, activity: Activity) -> Result<(), ProviderError> {
        self.begin("typing").end(self.provider.start_typing(message, activity).await)
    }

    async fn stop_typing(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.begin("stop").end(self.provider.stop_typing(message).await)
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        self.provider.check(part)
    }

    fn address(&self, contact: &str) -> Option<Address> {
        self.provider.address(contact)
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.begin("send").end(self.provider.send(to, part, key).await)
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.begin("send").end(self.provider.confirm_opt_out(to, part, key).await)
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        self.provider.reported(code)
    }

    async fn fetch_media(&self, media: &MediaRef, limit: u64) -> Result<Download, ProviderError> {
        self.provider.fetch_media(media, limit).await
    }

    async fn upload_media(&self, data: Bytes, mime: &str) -> Result<String, ProviderError> {
        self.provider.upload_media(data, mime).await
    }
}
