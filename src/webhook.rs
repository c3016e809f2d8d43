//! The way in: verify and parse, store, answer 200.
//!
//! | what arrives | answer |
//! |---|---|
//! | a delivery that is durable, or was before | 200 |
//! | an authentic delivery with nothing in it for this bot | 200 |
//! | a handshake with our token | 200 and the challenge |
//! | not JSON, not UTF-8, not of the provider's form | 400 |
//! | no signature, or not ours | 401 |
//! | a handshake with another token | 403 |
//! | no such bot | 404 |
//! | a method that the provider does not use | 405 |
//! | a body that takes longer than the configured time | 408 |
//! | a body over 4 MiB | 413 |
//! | a compressed body: none of the providers sends one, and unpacking is how small bodies become large | 415 |
//! | the store cannot make it durable | 503, and the upstream delivers it again |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER};
use actix_web::web::{self, Bytes, BytesMut, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use crate::clock::{Clock, in_words};
use crate::control::Controls;
use crate::http::Headers;
use crate::message::{BotName, Conversation, DeliveryStatus, Echo, Inbound, Wish};
use crate::people::PeopleConfig;
use crate::provider::{Events, Method, Provider, Received, WebhookError, WebhookRequest};
use crate::store::{Accepted, Change, Echoed, Noted, Opted, Peer, Store, StoreError};

/// Where webhooks arrive. The `server` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on. TLS ends in front of threedots.
    pub listen: String,
    /// How long a request's body may take to arrive.
    #[serde(with = "in_words")]
    pub body_timeout: Duration,
    /// How many connections are open at the same time.
    pub connections: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8080".into(), body_timeout: Duration::from_secs(10), connections: 25_000 }
    }
}

/// The largest body: Meta's are 3 MB at most.
pub const BODY_LIMIT: usize = 4 << 20;

/// What the way in has to know of a bot.
pub struct Inlet {
    /// Who verifies and parses.
    pub provider: Arc<dyn Provider>,
    /// The words that do not queue.
    pub controls: Arc<Controls>,
    /// What follows when a person writes from the business's own phone.
    pub people: PeopleConfig,
}

/// Takes webhooks in.
pub struct Webhooks {
    bots: HashMap<BotName, Inlet>,
    store: Arc<dyn Store>,
    clock: Clock,
    body_timeout: Duration,
}

/// What a webhook request is answered with.
#[derive(Debug)]
pub struct WebhookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body: a handshake's challenge, or a short text.
    pub body: String,
}

impl WebhookAnswer {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into() }
    }
}

impl Webhooks {
    /// Takes webhooks in for these bots.
    pub fn new(bots: HashMap<BotName, Inlet>, store: Arc<dyn Store>, clock: Clock, config: &ServerConfig) -> Self {
        Self { bots, store, clock, body_timeout: config.body_timeout }
    }

    /// Answers one request. When the answer is 200, everything in it is durable.
    pub async fn receive(&self, bot: &str, request: &WebhookRequest) -> WebhookAnswer {
        let bot = BotName::new(bot);
        let Some(inlet) = self.bots.get(&bot) else { return WebhookAnswer::new(404, "no such bot") };
        match inlet.provider.receive(request) {
            Ok(Received::Challenge(challenge)) => WebhookAnswer::new(200, challenge),
            Ok(Received::Events(events)) => self.accept(&bot, inlet, events, request.body.len()).await,
            Err(refusal) => refuse(&bot, refusal),
        }
    }

    /// A bot's webhook that was not even read is for its operator to know; the addresses that strangers try are not.
    fn note_unread(&self, bot: &str, answer: &WebhookAnswer) {
        let bot = BotName::new(bot);
        if self.bots.contains_key(&bot) {
            warn!(webhook.bot = %bot, webhook.status = answer.status, webhook.refused = answer.body, "a webhook was refused");
        }
    }

    async fn accept(&self, bot: &BotName, inlet: &Inlet, events: Events, bytes: usize) -> WebhookAnswer {
        let began = Instant::now();
        let Events { messages, statuses, echoes, wishes, ignored } = events;
        let noted = match self.note(&statuses).await {
            Ok(noted) => noted,
            Err(refused) => return turned_back(bot, &refused),
        };
        let taken_over = match self.hear(inlet, &echoes).await {
            Ok(taken_over) => taken_over,
            Err(refused) => return turned_back(bot, &refused),
        };
        if let Err(refused) = self.heed(&wishes).await {
            return turned_back(bot, &refused);
        }
        let orders = messages.iter().filter(|message| inlet.controls.order(message).is_some());
        let ordered: Vec<Conversation> = orders.map(|message| message.at.conversation()).collect();
        let (accepted, unkept) = match self.keep(messages).await {
            Ok(kept) => kept,
            Err(refused) => return turned_back(bot, &refused),
        };
        ordered.iter().for_each(|conversation| self.store.hurry(conversation));
        let new = accepted.iter().filter(|accepted| matches!(accepted, Accepted::New(_))).count();
        info!(
            webhook.bot = %bot,
            webhook.bytes = bytes,
            webhook.new = new,
            webhook.duplicate = accepted.len() - new,
            webhook.statuses = statuses.len(),
            webhook.settled = (noted.settled > 0).then_some(noted.settled),
            webhook.failed = (noted.failed > 0).then_some(noted.failed),
            webhook.echoes = echoes.len(),
            webhook.taken_over = (taken_over > 0).then_some(taken_over),
            webhook.wishes = (!wishes.is_empty()).then_some(wishes.len()),
            webhook.not_ours = ignored.not_ours,
            webhook.other = ignored.other,
            webhook.malformed = ignored.malformed,
            webhook.unkept = unkept,
            webhook.store_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "webhook"
        );
        WebhookAnswer::new(200, &*inlet.provider.abilities().acknowledgement)
    }

    /// Takes in what the upstream reports about messages of ours.
    async fn note(&self, statuses: &[DeliveryStatus]) -> Result<Reports, StoreError> {
        let mut reports = Reports::default();
        for status in statuses {
            match self.store.note(status).await? {
                Noted::Settled => reports.settled += 1,
                Noted::Failed => reports.failed += 1,
                Noted::Unknown | Noted::Known | Noted::Moved => {}
            }
        }
        Ok(reports)
    }

    /// Takes in what was written from the business's own phone. Says how often a person has taken over by it.
    async fn hear(&self, inlet: &Inlet, echoes: &[Echo]) -> Result<usize, StoreError> {
        let mut taken_over = 0;
        for echo in echoes.iter().filter(|_| inlet.people.echoes) {
            let echoed = self.store.echo(echo, inlet.people.pause.duration()).await?;
            taken_over += usize::from(echoed == Echoed::TakenOver);
        }
        Ok(taken_over)
    }

    /// Takes in what people have told the upstream about being sent things unasked.
    async fn heed(&self, wishes: &[Wish]) -> Result<(), StoreError> {
        for wish in wishes {
            if let Some(peer) = Peer::of_wish(wish) {
                let opted = Opted { out: wish.opts_out, since: wish.time };
                self.store.stand(&peer, Change::Opt(opted)).await?;
            }
        }
        Ok(())
    }

    /// Makes messages durable: all of them, but for those that are too large to be kept, or could not be read again,
    /// which are counted. Delivered again they would be just as they are, and their neighbours must not wait for that.
    async fn keep(&self, messages: Vec<Inbound>) -> Result<(Vec<Accepted>, usize), StoreError> {
        // Three of four deliveries are statuses: they have nothing to wait for.
        if messages.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let all = messages.clone();
        match self.store.accept(messages).await {
            Err(StoreError::TooLarge { .. } | StoreError::Invalid(_)) => {}
            accepted => return accepted.map(|accepted| (accepted, 0)),
        }
        let (mut accepted, mut unkept) = (Vec::new(), 0);
        for message in all {
            match self.store.accept(vec![message]).await {
                Ok(one) => accepted.extend(one),
                Err(StoreError::TooLarge { .. } | StoreError::Invalid(_)) => unkept += 1,
                Err(refused) => return Err(refused),
            }
        }
        Ok((accepted, unkept))
    }
}

fn refuse(bot: &BotName, refusal: WebhookError) -> WebhookAnswer {
    warn!(webhook.bot = %bot, webhook.refused = %refusal, "a webhook was refused");
    match refusal {
        WebhookError::Unsigned | WebhookError::WrongSignature | WebhookError::Stale => {
            WebhookAnswer::new(401, "not authentic")
        }
        WebhookError::WrongToken => WebhookAnswer::new(403, "not authentic"),
        WebhookError::Malformed => WebhookAnswer::new(400, "not understood"),
        WebhookError::WrongMethod => WebhookAnswer::new(405, "wrong method"),
    }
}

fn turned_back(bot: &BotName, refused: &StoreError) -> WebhookAnswer {
    error!(webhook.bot = %bot, error = %refused, "a webhook was turned back: the provider will deliver it again");
    WebhookAnswer::new(503, "try again")
}

/// What came of the reports in a delivery.
#[derive(Default)]
struct Reports {
    /// Parts of which nobody knew whether they had been delivered, and which have been.
    settled: usize,
    /// Parts that have failed.
    failed: usize,
}

/// Adds `GET` and `POST /webhooks/{bot}` to a server.
pub fn routes(webhooks: Arc<Webhooks>) -> impl FnOnce(&mut ServiceConfig) {
    move |server| {
        let webhooks = web::Data::from(webhooks);
        server.app_data(webhooks).service(web::resource("/webhooks/{bot}").route(web::route().to(handle)));
    }
}

async fn handle(
    webhooks: web::Data<Webhooks>,
    bot: web::Path<String>,
    http: HttpRequest,
    body: Payload,
) -> HttpResponse {
    let answer = match read(&webhooks, &http, body).await {
        Ok(request) => webhooks.receive(&bot, &request).await,
        Err(answer) => {
            webhooks.note_unread(&bot, &answer);
            answer
        }
    };
    let status = actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    // The challenge is whatever the caller sent: as plain text it can do no harm in a browser.
    response.content_type("text/plain; charset=utf-8").insert_header(("x-content-type-options", "nosniff"));
    match answer.status {
        405 => drop(response.insert_header((ALLOW, "GET, POST"))),
        503 => drop(response.insert_header((RETRY_AFTER, "5"))),
        _ => {}
    }
    if matches!(answer.status, 408 | 413 | 415) {
        // The rest of the body is still on its way: nobody will read it.
        response.force_close();
    }
    response.body(answer.body)
}

async fn read(webhooks: &Webhooks, http: &HttpRequest, body: Payload) -> Result<WebhookRequest, WebhookAnswer> {
    let method = match *http.method() {
        actix_web::http::Method::GET => Method::Get,
        actix_web::http::Method::POST => Method::Post,
        _ => return Err(WebhookAnswer::new(405, "wrong method")),
    };
    let mut headers = Headers::default();
    for (name, value) in http.headers() {
        headers.push(name.as_str(), value.as_bytes());
    }
    if headers.get(CONTENT_ENCODING.as_str()).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(WebhookAnswer::new(415, "send it uncompressed"));
    }
    let declared = headers.get(CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<u64>().ok());
    if declared.is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(WebhookAnswer::new(413, "too large"));
    }
    let body = timeout(webhooks.body_timeout, collect(body)).await;
    let body = body.map_err(|_| WebhookAnswer::new(408, "too slow"))??;
    let query = http.query_string().to_owned();
    Ok(WebhookRequest { method, query, headers, body, received: webhooks.clock.now() })
}

async fn collect(mut body: Payload) -> Result<Bytes, WebhookAnswer> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| WebhookAnswer::new(400, "the body broke off"))?;
        if whole.len() + chunk.len() > BODY_LIMIT {
            return Err(WebhookAnswer::new(413, "too large"));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
