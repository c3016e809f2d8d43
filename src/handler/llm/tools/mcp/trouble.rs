//! Why nothing could be had of a server.

use std::process::ExitStatus;

use rmcp::service::ClientInitializeError;
use rmcp::transport::DynamicTransportError;
use tokio::time::Instant;

use super::wire::Failed;
use crate::handler::llm::tools::Failure;
use crate::runtime::http::CallError;

/// Why nothing could be had of a server, for the log: nothing of its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it took too long")]
    TimedOut,
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it answered with HTTP {0}{hint}", hint = hint(*.0))]
    Status(u16),
    #[error("its answer is too long")]
    TooLong,
    #[error("it cannot be started ({0})")]
    NotStarted(std::io::ErrorKind),
    #[error("it has ended ({0})")]
    Ended(ExitStatus),
    #[error("it has ended its session")]
    SessionEnded,
    #[error("its answer was not understood")]
    NotUnderstood,
    #[error("it answered with an error of the protocol's ({0})")]
    Refused(i32),
    #[error(
        "it speaks only the older transport, HTTP with server-sent events: give the address of its streamable HTTP \
         transport, which often ends in /mcp, or run it as a process"
    )]
    OnlyEvents,
    #[error("it is left alone for a while, since it could not be had")]
    Resting(Instant),
}

/// What may be wrong, where a status says it.
fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => {
            ": give the address that it leads to as its `url`, which often ends in a slash; no redirect is followed"
        }
        401 | 403 => ": its `token` is missing, or does not let us in",
        404 | 405 => ": look at the path of its `url`, which often ends in /mcp",
        _ => "",
    }
}

impl Trouble {
    /// Of a session that has not begun.
    pub(super) fn of_beginning(error: ClientInitializeError) -> Self {
        match error {
            ClientInitializeError::TransportError { error, .. } => Self::of_transport(&error),
            ClientInitializeError::JsonRpcError(error) => Self::Refused(error.code.0),
            ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::Cancelled => Self::Unreachable,
            _ => Self::NotUnderstood,
        }
    }

    /// Of a message that has not arrived.
    pub(super) fn of_transport(error: &DynamicTransportError) -> Self {
        match error.error.downcast_ref::<Failed>() {
            Some(Failed::HttpStatus(error)) => Self::Status(error.status),
            Some(Failed::Client(CallError::Unanswered(_))) => Self::TimedOut,
            Some(Failed::Client(CallError::TooLarge)) => Self::TooLong,
            Some(Failed::Client(_)) | None => Self::Unreachable,
            Some(Failed::SessionExpired | Failed::SessionRecoveryTimeout | Failed::ReinitializationFailed(_)) => {
                Self::SessionEnded
            }
            Some(_) => Self::NotUnderstood,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(why: Trouble) -> Self {
        match why {
            Trouble::TimedOut => Self::TimedOut,
            Trouble::Status(status) => Self::Status(status),
            Trouble::TooLong => Self::TooLong,
            Trouble::NotUnderstood => Self::NotUnderstood,
            Trouble::Refused(_) => Self::Refused,
            _ => Self::Unreachable,
        }
    }
}
