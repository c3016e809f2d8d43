//! Calls on their way through the sandbox: entered, troubled, performed, answered.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::fault::{Failure, Trouble};
use super::phone::What;
use super::upstream::{Asked, Denial, UpstreamAnswer, UpstreamRequest};
use super::{Sandbox, pause};

impl Sandbox {
    /// Answers a call. Once it has come in it takes its course, even if the caller gives up and drops this future.
    pub async fn handle(self: &Arc<Self>, request: UpstreamRequest) -> UpstreamAnswer {
        let Asked { call: what, about } = self.settings.upstream.wire().asks(self, &request);
        let call = self.phone.called(about.as_ref(), what);
        let trouble = self.faults.for_call(what);
        let (mut answer, answered) = oneshot::channel();
        let sandbox = Arc::clone(self);
        self.spawn(async move {
            let result = sandbox.take_its_course(&request, &trouble).await;
            if let (Some(Failure::Hang), Ok(UpstreamAnswer::Reset)) = (&trouble.failure, &result) {
                answer.closed().await;
            }
            let moment = match &result {
                _ if answer.is_closed() => What::CallUnanswered { call, what },
                Ok(UpstreamAnswer::Whole { .. }) => What::Answered { call, what },
                Ok(UpstreamAnswer::Reset) => What::CallUnanswered { call, what },
                Err(denial) => What::CallRefused { call, what, status: denial.status, code: denial.code },
            };
            sandbox.phone.enter(about.as_ref(), moment);
            // A caller who is gone wants no answer.
            let _ = answer.send(result.unwrap_or_else(|denial| denial.answer));
        });
        answered.await.unwrap_or(UpstreamAnswer::Reset)
    }

    /// First the effect, then the delay, then the answer.
    async fn take_its_course(
        self: &Arc<Self>,
        request: &UpstreamRequest,
        trouble: &Trouble,
    ) -> Result<UpstreamAnswer, Denial> {
        let wire = self.settings.upstream.wire();
        pause(trouble.before).await;
        let result = match &trouble.failure {
            None | Some(Failure::Undeliverable) => wire.perform(self, request, trouble.failure.is_none()),
            Some(failure) => {
                let refused = if trouble.takes_effect { wire.perform(self, request, true).err() } else { None };
                match (refused, failure) {
                    (Some(denial), _) => Err(denial),
                    (None, Failure::Reset | Failure::Hang) => Ok(UpstreamAnswer::Reset),
                    (None, failure) => Err(wire.trouble(self, *failure)),
                }
            }
        };
        pause(trouble.after).await;
        result
    }
}
