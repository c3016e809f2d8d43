//! A way out for a bot that somebody else has put: to the public internet, and to what its operator allows besides.

use std::sync::Arc;

use async_trait::async_trait;
use url::{Host, Url};

use super::{Call, CallError, Transport, UpstreamResponse, reach};

/// Whether the operator allows an address that may not be public.
pub type MayCall = Arc<dyn Fn(&Url) -> bool + Send + Sync>;

/// Calls what the operator allows by one way, and everything else by one that reaches public addresses alone.
pub struct Bounded {
    allowed: MayCall,
    anywhere: Arc<dyn Transport>,
    public: Arc<dyn Transport>,
}

impl Bounded {
    /// Goes `anywhere` where `allowed` says so.
    pub fn new(allowed: MayCall, anywhere: Arc<dyn Transport>, public: Arc<dyn Transport>) -> Self {
        Self { allowed, anywhere, public }
    }
}

#[async_trait]
impl Transport for Bounded {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        if (self.allowed)(&call.url) {
            return self.anywhere.call(call).await;
        }
        if !reach::may_be_public(&call.url) {
            return Err(CallError::NotSent("the address is not https, or not public"));
        }
        self.public.call(call).await
    }

    fn refuses(&self, url: &Url) -> Option<&'static str> {
        let is_local = matches!(url.host(), Some(Host::Domain(name)) if reach::is_local_name(name));
        let may_be_public = reach::may_be_public(url) && !is_local;
        let problem = "must be an https address in the public internet, since this bot is put over the API; \
                       for one on this machine or in its network, have its host added to hosting.private in the configuration";
        (!may_be_public && !(self.allowed)(url)).then_some(problem)
    }
}
