//! Customers who write and write, each message with its number.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use threedots::message::MessageId;
use threedots::message::clock::Timestamp;
use threedots::provider::{Method, WebhookRequest};
use threedots::sandbox::phone::Body;
use threedots::sandbox::{CustomerId, Draft, Sandbox};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Dice;
use super::account::Word;
use super::upstream::Upstream;
use crate::product::signature;

/// So many messages go into one webhook of a load's own, at the most.
const LONGEST_BATCH: u64 = 3;

/// Customers at work.
pub(crate) struct Load {
    pub(crate) customers: Vec<CustomerId>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Load {
    /// `steady` customers whose webhooks are repeated until they are taken, as the upstream does; and `once` who are
    /// posted for by us, several in one webhook, and never again. Each goes on when its last message has been answered
    /// (`once`: or has not), after `pause` milliseconds at the most. What the steady send is made by `says`.
    pub(crate) fn start(
        upstream: &Upstream,
        dice: &mut Dice,
        steady: usize,
        once: usize,
        pause: u64,
        says: fn(Word) -> Draft,
    ) -> Self {
        let mut load = Self {
            customers: (0..steady + once).map(|who| upstream.customer(who)).collect(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        for (who, customer) in load.customers.iter().take(steady).enumerate() {
            let (sandbox, customer, stop) = (Arc::clone(&upstream.sandbox), customer.clone(), load.stop.clone());
            let taken = upstream.taken();
            let mut dice = Dice::new(dice.up_to(u64::MAX - 1));
            load.tasks.spawn(async move {
                for number in 1.. {
                    let id = sandbox.write(&customer, says(Word { who, number })).unwrap();
                    // Not its tick: it can be read before it is durable, and so before its webhook is answered.
                    while !taken(&id) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    tokio::time::sleep(dice.millis(0, pause)).await;
                    if stop.is_cancelled() {
                        return;
                    }
                }
            });
        }
        if once > 0 {
            let customers = load.customers.iter().cloned().enumerate().skip(steady).collect();
            let poster = Poster {
                sandbox: Arc::clone(&upstream.sandbox),
                customers,
                numbers: HashMap::new(),
                dice: Dice::new(dice.up_to(u64::MAX - 1)),
            };
            load.tasks.spawn(poster.post(load.stop.clone(), pause));
        }
        load
    }

    /// Ends when everybody has written their last message.
    pub(crate) async fn end(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

/// Says which message it is, and no more.
pub(crate) fn plainly(word: Word) -> Draft {
    Draft::text(word.to_string())
}

/// Posts several customers' messages in one webhook, once.
struct Poster {
    sandbox: Arc<Sandbox>,
    customers: Vec<(usize, CustomerId)>,
    numbers: HashMap<usize, u64>,
    dice: Dice,
}

impl Poster {
    async fn post(mut self, stop: CancellationToken, pause: u64) {
        while !stop.is_cancelled() {
            let messages: Vec<_> = (0..=self.dice.up_to(LONGEST_BATCH - 1)).map(|_| self.message()).collect();
            // Whether it is taken or not.
            self.sandbox.inject(batch(&self.sandbox, &messages).to_string()).await;
            tokio::time::sleep(self.dice.millis(0, pause)).await;
        }
    }

    /// Somebody writes: it stands on the phone, and is on no webhook yet.
    fn message(&mut self) -> Value {
        let most = self.customers.len() as u64 - 1;
        let (who, customer) = &self.customers[usize::try_from(self.dice.up_to(most)).unwrap()];
        let number = self.numbers.entry(*who).or_default();
        *number += 1;
        let word = Word { who: *who, number: *number };
        write(&self.sandbox, customer, &word.to_string(), &format!("wamid.once-{who}-{number}"))
    }
}

/// A customer's text message under `id`: on the phone, and as it stands in a webhook.
pub(crate) fn write(sandbox: &Sandbox, customer: &CustomerId, words: &str, id: &str) -> Value {
    let body = Body::Text(words.to_owned());
    let at = sandbox.phone().customer_writes(customer, &MessageId::new(id), body, None).unwrap();
    let user_id = sandbox.phone().customer(customer).unwrap().user_id;
    json!({
        "from": customer.as_str(),
        "from_user_id": user_id,
        "id": id,
        "timestamp": (at.0 / 1000).to_string(),
        "type": "text",
        "text": { "body": words },
    })
}

/// A webhook with this body, as it comes in: signed, at `received`.
pub(crate) fn signed(sandbox: &Sandbox, body: &str, received: Timestamp) -> WebhookRequest {
    let signature = signature(&sandbox.settings().app_secret, body.as_bytes());
    WebhookRequest {
        method: Method::Post,
        query: String::new(),
        headers: [("x-hub-signature-256", signature.as_str())].into_iter().collect(),
        body: body.to_owned().into(),
        received,
    }
}

/// A webhook with these messages.
pub(crate) fn batch(sandbox: &Sandbox, messages: &[Value]) -> Value {
    let contact = |message: &Value| {
        let (digits, user_id) = (&message["from"], &message["from_user_id"]);
        json!({ "profile": { "name": "Somebody" }, "wa_id": digits, "user_id": user_id })
    };
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": sandbox.settings().display_phone_number,
            "phone_number_id": sandbox.settings().phone_number_id,
        },
        "contacts": messages.iter().map(contact).collect::<Vec<_>>(),
        "messages": messages,
    });
    let change = json!({ "field": "messages", "value": value });
    let entry = json!({ "id": sandbox.settings().account_id, "changes": [change] });
    json!({ "object": "whatsapp_business_account", "entry": [entry] })
}
