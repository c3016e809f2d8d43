//! A person takes a chat over, and gives it back: by writing on the business's own phone, or through the API that the
//! product has for whoever runs it, called as anybody would call it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::upstream::Echoed;
use super::{Customer, CustomerId, Sandbox};
use crate::message::MessageId;

/// Where the product's API for its operator is, for the page's buttons.
#[derive(Clone)]
pub struct OperatorAccess {
    /// Its address, such as `http://127.0.0.1:8081`.
    pub url: String,
    /// What it is opened with.
    pub token: String,
    /// What the product calls the bot.
    pub bot: String,
}

/// It holds a token.
impl fmt::Debug for OperatorAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorAccess({})", self.bot)
    }
}

/// Who is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    Person,
    Bot,
}

/// Nobody was told.
#[derive(Debug)]
pub(super) struct NotTold;

impl Sandbox {
    /// Has the page show buttons with which a person takes a chat over and gives it back. Only the first call counts.
    pub fn give_operator(&self, operator: OperatorAccess) {
        // A second one would be another product's.
        let _ = self.operator.set(operator);
    }

    /// Whether there is somebody to tell who answers.
    pub(super) fn has_operator(&self) -> bool {
        self.operator.get().is_some()
    }

    /// Whether this upstream tells of what is written on the business's own phone.
    pub(super) fn tells_of_people(&self, customer: &Customer) -> bool {
        let (id, at) = (MessageId::new("a question"), self.clock.now());
        self.settings.upstream.wire().echo(self, &Echoed { customer, id: &id, words: "", at }).is_some()
    }

    /// Tells the product who answers a customer from now on.
    pub(super) async fn set_answers(self: &Arc<Self>, customer: &CustomerId, who: Answers) -> Result<(), NotTold> {
        let Some(OperatorAccess { url, token, bot }) = self.operator.get() else { return Err(NotTold) };
        let what = match who {
            Answers::Person => "pause",
            Answers::Bot => "resume",
        };
        let url = format!("{url}/v1/conversations/{what}");
        let headers = vec![
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let body = Bytes::from(json!({ "bot": bot, "contact": customer.as_str() }).to_string());
        let courier = Arc::clone(&self.courier);
        let told = self.tasks.spawn_on(async move { courier.post(&url, headers, body).await }, &self.runtime);
        match told.await {
            Ok(Some(200)) => Ok(()),
            _ => Err(NotTold),
        }
    }
}
