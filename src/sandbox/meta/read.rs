//! Read receipts and the typing indicator.

use std::time::Duration;

use serde_json::Value;

use super::{Desk, Refusal, success};
use crate::message::MessageId;
use crate::sandbox::phone::NotInbound;
use crate::sandbox::upstream::UpstreamAnswer;

/// How long a message can be marked as read.
const READABLE_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

impl Desk<'_> {
    /// Marks a message as read, and shows the dots if the call asks for them.
    pub(super) fn read(self, body: &Value) -> Result<UpstreamAnswer, Refusal> {
        let id = body["message_id"].as_str().ok_or_else(|| Refusal::missing("message_id"))?;
        if body["status"] != "read" {
            return Err(Refusal::invalid("`status` has to be `read`"));
        }
        let typing = match &body["typing_indicator"] {
            Value::Null => false,
            indicator if indicator["type"] == "text" => true,
            _ => return Err(Refusal::invalid("`typing_indicator.type` has to be `text`")),
        };
        let id = MessageId::new(id);
        if self.phone.message(&id).is_some_and(|message| self.clock.now().since(message.at) > READABLE_FOR) {
            return Err(Refusal::out_of_bounds("the message is older than 30 days"));
        }
        self.phone.mark_read(&id).map_err(not_inbound)?;
        if typing && let Some(until) = self.phone.start_typing(&id).map_err(not_inbound)? {
            self.watch_lapse(until);
        }
        Ok(success())
    }
}

fn not_inbound(why: NotInbound) -> Refusal {
    match why {
        NotInbound::Unknown => Refusal::out_of_bounds("check the message ID: there is no such message"),
        NotInbound::Outgoing => Refusal::invalid("the message ID is that of an outgoing message"),
    }
}
