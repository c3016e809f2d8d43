//! Linq's Partner API V3, from Linq's side: the calls that a bot makes, answered as Linq answers them.
//!
//! Source: Linq's stop-typing page, its guides, and the comments of its Python SDK. Where those leave a question open,
//! the stricter answer is taken, so that what works here works there.

mod error;
mod files;
mod names;
mod parts;
mod reaction;
mod send;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use error::Refusal;
use serde_json::Value;
pub(super) use webhook::signing_secret;

use super::Sandbox;
use super::fault::Failure;
use super::ids::Ids;
use super::phone::{Call, Customer, CustomerId, DotsRules, Side, What};
use super::settings::SandboxSettings;
use super::upstream::{
    ACCESS_TOKEN, Asked, Denial, Echoed, News, SIGNING_SECRET, UpstreamAnswer, UpstreamRequest, Wire, Written,
};
use crate::message::MessageId;

/// For how long after the last message of a chat a typing call shows anything.
const TYPING_WINDOW: Duration = Duration::from_secs(5 * 60);

/// Where a call goes.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// A chat that begins with a message.
    Chats,
    Messages {
        chat: &'a str,
    },
    Memo {
        chat: &'a str,
    },
    Read {
        chat: &'a str,
    },
    Typing {
        chat: &'a str,
    },
    Message {
        id: &'a str,
    },
    Reactions {
        message: &'a str,
    },
    Attachments,
    Attachment {
        id: &'a str,
    },
    /// In the store of files, which is none of the API's.
    Put {
        id: &'a str,
    },
    File {
        ticket: &'a str,
    },
    Nowhere,
}

impl<'a> Target<'a> {
    fn of(request: &'a UpstreamRequest) -> Self {
        let (path, _) = request.target();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (request.method.as_str(), &segments[..]) {
            ("POST", ["v3", "chats"]) => Self::Chats,
            ("POST", ["v3", "chats", chat, "messages"]) => Self::Messages { chat },
            ("POST", ["v3", "chats", chat, "voicememo"]) => Self::Memo { chat },
            ("POST", ["v3", "chats", chat, "read"]) => Self::Read { chat },
            ("POST" | "DELETE", ["v3", "chats", chat, "typing"]) => Self::Typing { chat },
            ("GET", ["v3", "messages", id]) => Self::Message { id },
            ("POST", ["v3", "messages", message, "reactions"]) => Self::Reactions { message },
            ("POST", ["v3", "attachments"]) => Self::Attachments,
            ("GET", ["v3", "attachments", id]) => Self::Attachment { id },
            ("PUT", ["upload", id]) => Self::Put { id },
            ("GET", ["files", ticket]) => Self::File { ticket },
            _ => Self::Nowhere,
        }
    }

    fn call(self, method: &str) -> Call {
        match self {
            Self::Chats | Self::Messages { .. } | Self::Memo { .. } | Self::Reactions { .. } => Call::Send,
            Self::Read { .. } => Call::Read,
            Self::Typing { .. } if method == "DELETE" => Call::Stop,
            Self::Typing { .. } => Call::Typing,
            Self::Message { .. } => Call::Look,
            Self::Attachments | Self::Put { .. } => Call::Upload,
            Self::Attachment { .. } => Call::Resolve,
            Self::File { .. } => Call::Download,
            Self::Nowhere => Call::Unknown,
        }
    }

    fn about(self, sandbox: &Sandbox) -> Option<CustomerId> {
        match self {
            Self::Messages { chat } | Self::Memo { chat } | Self::Read { chat } | Self::Typing { chat } => {
                names::customer(sandbox, chat).map(|customer| customer.id)
            }
            Self::Message { id } | Self::Reactions { message: id } => sandbox.phone.chat_of(&MessageId::new(id)),
            _ => None,
        }
    }
}

/// Linq's Partner API V3.
pub(super) struct Linq;

impl Wire for Linq {
    fn name(&self) -> &'static str {
        "linq"
    }

    fn title(&self) -> &'static str {
        "Linq Partner API"
    }

    fn habits(&self) -> &'static str {
        "Read receipts and dots belong to the chat, each by a call of its own. The dots stay for a minute, or until the \
         reply, and a call takes them off. Groups have none."
    }

    fn dots(&self) -> DotsRules {
        DotsRules { lifetime: Duration::from_secs(60), cooldown: Duration::ZERO }
    }

    fn message_id(&self, ids: &Ids, _: &Customer, _: Side) -> MessageId {
        MessageId::new(ids.uuid())
    }

    fn asks(&self, sandbox: &Sandbox, request: &UpstreamRequest) -> Asked {
        let target = Target::of(request);
        Asked { call: target.call(&request.method), about: target.about(sandbox) }
    }

    fn perform(
        &self,
        sandbox: &Arc<Sandbox>,
        request: &UpstreamRequest,
        deliverable: bool,
    ) -> Result<UpstreamAnswer, Denial> {
        Desk(sandbox).perform(request, deliverable)
    }

    fn trouble(&self, sandbox: &Sandbox, failure: Failure) -> Denial {
        Refusal::injected(failure).map_or_else(|| Denial::page(502), |refusal| refusal.denial(sandbox))
    }

    fn message(&self, sandbox: &Sandbox, written: &Written<'_>) -> Bytes {
        webhook::message(sandbox, written).to_string().into()
    }

    fn echo(&self, sandbox: &Sandbox, echoed: &Echoed<'_>) -> Option<Bytes> {
        Some(webhook::echo(sandbox, echoed).to_string().into())
    }

    fn status(&self, sandbox: &Sandbox, news: &News<'_>) -> Option<Bytes> {
        Some(webhook::status(sandbox, news).to_string().into())
    }

    fn headers(&self, sandbox: &Sandbox, body: &[u8]) -> Vec<(String, String)> {
        webhook::headers(sandbox, body)
    }

    fn on_arrival(&self, _: &Arc<Sandbox>, _: &CustomerId, _: &MessageId) {}

    fn provider_table(&self, settings: &SandboxSettings, base_url: &str) -> String {
        format!(
            r#"kind = "linq"
            api_key = "env:{ACCESS_TOKEN}"
            webhook_secret = "env:{SIGNING_SECRET}"
            number = "+{}"
            base_url = "{base_url}""#,
            settings.display_phone_number
        )
    }
}

/// Where Linq's answers are made, with everything of the sandbox's at hand.
#[derive(Clone, Copy)]
struct Desk<'a>(&'a Arc<Sandbox>);

impl Deref for Desk<'_> {
    type Target = Arc<Sandbox>;

    fn deref(&self) -> &Arc<Sandbox> {
        self.0
    }
}

impl Desk<'_> {
    fn perform(self, request: &UpstreamRequest, deliverable: bool) -> Result<UpstreamAnswer, Denial> {
        match Target::of(request) {
            Target::Put { id } => return self.put(request, id),
            Target::File { ticket } => return self.download(ticket),
            _ => self.check_key(request).map_err(|refusal| refusal.denial(self.0))?,
        }
        let done = match Target::of(request) {
            Target::Chats => return self.begin(request, deliverable),
            Target::Messages { chat } => return self.send(chat, request, deliverable),
            Target::Memo { chat } => self.memo(chat, request, deliverable),
            Target::Read { chat } => self.read(chat),
            Target::Typing { chat } => self.typing(chat, &request.method),
            Target::Message { id } => self.show(id),
            Target::Reactions { message } => self.react(message, request),
            Target::Attachments => self.announce(request),
            Target::Attachment { id } => self.attachment(request, id),
            Target::Put { .. } | Target::File { .. } | Target::Nowhere => Err(Refusal::not_found(2001)),
        };
        done.map_err(|refusal| refusal.denial(self.0))
    }

    fn check_key(self, request: &UpstreamRequest) -> Result<(), Refusal> {
        let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if key == Some(self.settings.access_token.as_str()) { Ok(()) } else { Err(Refusal::unauthorized()) }
    }

    /// Whose chat it is.
    fn chat(self, chat: &str) -> Result<Customer, Refusal> {
        if !names::is_uuid(chat) {
            return Err(Refusal::invalid("chatId"));
        }
        names::customer(self.0, chat).ok_or(Refusal::not_found(2001))
    }

    fn read(self, chat: &str) -> Result<UpstreamAnswer, Refusal> {
        let customer = self.chat(chat)?;
        self.phone.mark_chat_read(&customer.id);
        Ok(UpstreamAnswer::empty(204))
    }

    /// The page has one body for all that is forbidden.
    fn typing(self, chat: &str, method: &str) -> Result<UpstreamAnswer, Refusal> {
        let customer = self.chat(chat)?;
        if customer.group.is_some() {
            return Err(Refusal::forbidden());
        }
        let last = self.phone.messages(&customer.id).last().map(|message| message.at);
        if method == "DELETE" {
            self.phone.stop_typing(&customer.id);
        } else if last.is_some_and(|last| self.clock.now().since(last) <= TYPING_WINDOW) {
            self.light(&customer.id, false);
        } else {
            let note = "no message in this chat for five minutes: the typing call is taken, and nothing shows";
            self.phone.enter(Some(&customer.id), What::Noted { note });
        }
        Ok(UpstreamAnswer::empty(204))
    }

    /// The body of a call, which has to be a JSON object.
    fn body(self, request: &UpstreamRequest) -> Result<Value, Refusal> {
        let is_json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        request.json().filter(|body| is_json && body.is_object()).ok_or(Refusal::bad_body())
    }
}
