//! Read receipts and the typing indicator.

use serde_json::{Value, json};

use super::{Desk, Refusal, success, text};
use crate::message::MessageId;
use crate::sandbox::phone::NotInbound;
use crate::sandbox::upstream::UpstreamAnswer;

impl Desk<'_> {
    /// Marks a message as read, and shows the dots if that is what the call is for.
    pub(super) fn read(self, body: &Value, typing: bool) -> Result<UpstreamAnswer, Refusal> {
        if text(body, "status")? != "read" {
            return Err(Refusal::parameter("status must be 'read'"));
        }
        let id = MessageId::new(text(body, "message_id")?);
        if !typing {
            self.phone.mark_read(&id).map_err(not_inbound)?;
            return Ok(success(&Value::Null));
        }
        self.check_appkey(body)?;
        if body["typing_indicator"]["type"] != "text" {
            return Err(Refusal::parameter("typing_indicator.type must be 'text'"));
        }
        self.phone.mark_read(&id).map_err(not_inbound)?;
        if let Some(until) = self.phone.start_typing(&id).map_err(not_inbound)? {
            self.watch_lapse(until);
        }
        Ok(success(&json!({ "success": true })))
    }
}

/// Meta's refusal, in which NXCloud sees a success.
fn not_inbound(why: NotInbound) -> Refusal {
    let details = match why {
        NotInbound::Unknown => "check the message ID: there is no such message",
        NotInbound::Outgoing => "the message ID is that of an outgoing message",
    };
    Refusal::in_success(100, "(#100) Invalid parameter", details.to_owned())
}
