//! Turns without a worker, for handlers that are asked by themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use threedots::handler::{FetchMedia, Fetched, Fits, MediaError, Presence, Turn};
use threedots::message::clock::Timestamp;
use threedots::message::{
    BotName, ChatId, Contact, ContactId, Content, HistoryEntry, Inbound, MediaRef, MessageId, MessageRef, Product,
    Quoted, Referral, Reply, Speaker,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Whatever a handler may ask of the upstream: nothing is asked here.
pub(crate) struct Nothing;

#[async_trait]
impl FetchMedia for Nothing {
    async fn fetch(&self, _: &MediaRef) -> Result<Fetched, MediaError> {
        Err(MediaError("there is none".into()))
    }

    async fn fetch_to(&self, _: &MediaRef, _: &Path) -> Result<u64, MediaError> {
        Err(MediaError("there is none".into()))
    }
}

impl Fits for Nothing {
    fn fits(&self, _: &Reply) -> Result<(), String> {
        Ok(())
    }
}

/// A turn that answers messages with these contents; every second one has all that a message can have.
pub(crate) fn turn(contents: Vec<Content>) -> Turn {
    let text = |text: &str| Some(text.to_owned());
    let messages = contents.into_iter().enumerate().map(|(number, content)| Inbound {
        at: MessageRef {
            bot: BotName::new("shop"),
            chat: ChatId::new("chat"),
            group: number % 2 == 0,
            sender: ContactId::new("sender"),
            phone: (number % 2 == 0).then(|| ContactId::new("15550100001")),
            aliases: Vec::new(),
            message: MessageId::new(format!("message {number}")),
            time: Timestamp::from_secs(1_700_000_000),
        },
        contact: Contact { name: text("Ada"), username: None },
        content,
        quotes: (number % 2 == 0).then(|| MessageId::new("earlier")),
        forwarded: false,
        referral: (number % 2 == 0).then(Referral::default),
        quoted: (number % 2 == 0).then(Quoted::default),
        product: (number % 2 == 0).then(Product::default),
    });
    let said = |by, who| HistoryEntry {
        by,
        words: "words".into(),
        time: Timestamp::from_secs(1_600_000_000),
        who,
        transcript: false,
        told: None,
        name: None,
        message: None,
    };
    Turn {
        id: "3d-1-1".into(),
        bot: BotName::new("shop"),
        contact: Contact { name: None, username: text("ada") },
        messages: messages.collect(),
        history: vec![said(Speaker::Customer, Some(ContactId::new("sender"))), said(Speaker::Bot, None)],
        now: Timestamp::from_secs(1_700_000_001),
        deadline: Instant::now() + Duration::from_secs(90),
        cancelled: CancellationToken::new(),
        presence: Presence::channel().0,
        media: Arc::new(Nothing),
        fits: Arc::new(Nothing),
    }
}
