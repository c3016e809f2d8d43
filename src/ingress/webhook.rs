//! The way in: verify and parse, store, answer 200.
//!
//! | what arrives | answer |
//! |---|---|
//! | a delivery that is durable, or was before | 200 |
//! | an authentic delivery with nothing in it for this bot | 200; if it is for another number, a line of the log once a minute |
//! | a handshake with our token | 200 and the challenge |
//! | not JSON, not UTF-8, not of the provider's form | 400 |
//! | no signature, or not ours | 401 |
//! | a handshake with another token | 403 |
//! | no such bot | 404, and a line of the log once a minute |
//! | a method that the provider does not use | 405 |
//! | a body that takes longer than the configured time, stands still for 5 s, or is slow where others need its room | 408 |
//! | a body over 4 MiB | 413 |
//! | a compressed body: none of the providers sends one, and unpacking is how small bodies become large | 415 |
//! | the store cannot make it durable, or not in time | 503, and the upstream delivers it again |
//! | as many bodies are being read and handled as there is memory for | 503, and the upstream delivers it again |

mod astray;
mod intake;
mod unread;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use crate::message::clock::{Clock, in_words};
use crate::message::{BotName, Conversation, Echo, Inbound, MarketingPreference};
use crate::policy::control::Controls;
use crate::policy::takeover::PeopleConfig;
use crate::provider::{Events, Method, Provider, Received, WebhookError, WebhookRequest};
use crate::runtime::hosting::BotRegistry;
use crate::runtime::http::Headers;
use crate::runtime::meters::{Fact, Meters};
use crate::store::{Accepted, ContactChange, ContactRef, Echoed, Opted, OptedBy, StatusOutcome, Store, StoreError};
use astray::UnknownPaths;
pub use intake::Bodies;
use intake::{BodyAllowance, Intake, IntakeError};

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
    /// How many more the system keeps until they are taken in, on this port and on those of handlers and the operator;
    /// it may have a limit of its own (on Linux, `net.core.somaxconn`).
    pub backlog: u32,
    /// How many bytes of bodies are being read or handled at the same time: the largest of what deliveries take memory
    /// for. Past that, they wait for two seconds, and are turned back.
    pub body_memory: u64,
    /// How long a delivery may wait for the store to make it durable, before it is turned back. What the store does
    /// with it afterwards does no harm: it comes again, and is known.
    #[serde(with = "in_words")]
    pub store_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            body_timeout: Duration::from_secs(10),
            connections: 25_000,
            backlog: 4096,
            body_memory: 32 << 20,
            store_timeout: Duration::from_secs(10),
        }
    }
}

/// The largest body: Meta's are 3 MB at most.
pub const BODY_LIMIT: usize = 4 << 20;

/// What the way in has to know of a bot.
pub struct WebhookEndpoint {
    /// Who verifies and parses.
    pub provider: Arc<dyn Provider>,
    /// The words that do not queue.
    pub controls: Arc<Controls>,
    /// What follows when a person writes from the business's own phone.
    pub people: PeopleConfig,
    /// How much memory what comes in for it takes.
    pub bodies: Bodies,
}

/// Takes webhooks in.
pub struct Webhooks {
    bots: BotRegistry<WebhookEndpoint>,
    store: Arc<dyn Store>,
    clock: Clock,
    intake: Intake,
    body_timeout: Duration,
    store_timeout: Duration,
    meters: Meters,
    astray: UnknownPaths,
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

    fn no_such_bot() -> Self {
        Self::new(404, "no such bot")
    }

    /// The word for it in metrics.
    fn word(&self) -> &'static str {
        match self.status {
            200 => "ok",
            400 => "not_understood",
            401 | 403 => "not_authentic",
            405 => "wrong_method",
            408 => "too_slow",
            413 => "too_large",
            415 => "compressed",
            // 503: the upstream delivers it again.
            _ => "turned_back",
        }
    }
}

impl Webhooks {
    /// How much memory what comes in for a bot has taken, where there are others.
    fn bodies(&self, bot: &str) -> Result<Option<Bodies>, WebhookAnswer> {
        // What nobody will look at is not read.
        let inlet = self.bots.get(&BotName::new(bot)).ok_or_else(WebhookAnswer::no_such_bot)?;
        Ok(self.bots.has_several().then(|| inlet.bodies.clone()))
    }

    /// Takes webhooks in for these bots.
    pub fn new(
        bots: BotRegistry<WebhookEndpoint>,
        store: Arc<dyn Store>,
        clock: Clock,
        config: &ServerConfig,
        meters: Meters,
    ) -> Self {
        let ServerConfig { body_timeout, store_timeout, .. } = *config;
        let (intake, astray) = (Intake::new(config.body_memory), UnknownPaths::default());
        Self { bots, store, clock, intake, body_timeout, store_timeout, meters, astray }
    }

    /// Answers one request. When the answer is 200, everything in it is durable.
    pub async fn receive(&self, bot: &str, request: &WebhookRequest) -> WebhookAnswer {
        let bot = BotName::new(bot);
        let Some(inlet) = self.bots.get(&bot) else {
            self.astray.nobody(Some(bot.as_str()));
            return WebhookAnswer::no_such_bot();
        };
        let answer = match inlet.provider.receive(request) {
            Ok(Received::Challenge(challenge)) => WebhookAnswer::new(200, challenge),
            Ok(Received::Events(events)) => self.accept(&bot, &inlet, events, request.body.len()).await,
            Err(refusal) => self.refuse(&bot, refusal),
        };
        self.count(&inlet, &answer);
        answer
    }

    fn count(&self, inlet: &WebhookEndpoint, answer: &WebhookAnswer) {
        self.meters.tell(Fact::Webhook { provider: inlet.provider.name(), answer: answer.word() });
    }

    /// A webhook that was not even read is for its operator to know.
    fn note_unread(&self, bot: &str, answer: &WebhookAnswer) {
        let bot = BotName::new(bot);
        if let Some(inlet) = self.bots.get(&bot) {
            self.count(&inlet, answer);
            self.astray.refused(&bot, answer.status, &answer.body);
        } else {
            self.astray.nobody(Some(bot.as_str()));
        }
    }

    fn refuse(&self, bot: &BotName, refusal: WebhookError) -> WebhookAnswer {
        let answer = match refusal {
            WebhookError::Unsigned | WebhookError::WrongSignature | WebhookError::Stale => {
                WebhookAnswer::new(401, "not authentic")
            }
            WebhookError::WrongToken => WebhookAnswer::new(403, "not authentic"),
            WebhookError::Malformed => WebhookAnswer::new(400, "not understood"),
            WebhookError::WrongMethod => WebhookAnswer::new(405, "wrong method"),
        };
        self.astray.refused(bot, answer.status, &refusal.to_string());
        answer
    }

    async fn accept(&self, bot: &BotName, inlet: &WebhookEndpoint, events: Events, bytes: usize) -> WebhookAnswer {
        let began = Instant::now();
        let Events { messages, statuses, echoes, wishes, renamed, ignored, unread, elsewhere } = events;
        let now = self.clock.now();
        let unread: Vec<_> = unread.into_iter().map(|unread| unread::letter(bot, unread, now)).collect();
        let orders = messages.iter().filter(|message| inlet.controls.order(message).is_some());
        let ordered: Vec<Conversation> = orders.map(|message| message.at.conversation()).collect();
        let reported = statuses.len();
        let stored = async {
            let noted = self.store.apply_statuses(statuses).await?;
            let taken_over = self.apply_echoes(inlet, &echoes).await?;
            let wished = self.apply_preferences(&wishes).await?;
            // Before the messages: who wrote them may be met under the new name already.
            for renamed in &renamed {
                self.store.rename(renamed).await?;
            }
            let (accepted, unkept) = self.store_messages(&messages).await?;
            let letters: Vec<_> =
                unread.into_iter().chain(unkept.iter().map(|message| unread::remains(message))).collect();
            let buried = if letters.is_empty() { Vec::new() } else { self.store.bury(&letters).await? };
            Ok::<_, StoreError>((noted, taken_over, wished, (accepted, unkept.len()), buried))
        };
        let (noted, taken_over, wished, (accepted, unkept), buried) = match timeout(self.store_timeout, stored).await {
            Ok(Ok(stored)) => stored,
            // The store has told that, once.
            Ok(Err(StoreError::OutOfSpace { .. })) => return try_again(),
            Ok(Err(refused)) => return turned_back(bot, &refused),
            Err(_) => return turned_back(bot, "the store is too slow"),
        };
        ordered.iter().for_each(|conversation| self.store.make_ready(conversation));
        let new = accepted.iter().filter(|accepted| matches!(accepted, Accepted::New(_))).count();
        let provider = inlet.provider.name();
        for (what, count) in [("new", new), ("duplicate", accepted.len() - new), ("unkept", unkept)] {
            if count > 0 {
                self.meters.tell(Fact::Messages { provider, what, count });
            }
        }
        self.tell_buried(bot, provider, &buried);
        let came_out = |what| Some(noted.iter().filter(|noted| **noted == what).count()).filter(|count| *count > 0);
        info!(
            webhook.bot = %bot,
            webhook.bytes = bytes,
            webhook.new = new,
            webhook.duplicate = accepted.len() - new,
            webhook.statuses = reported,
            webhook.settled = came_out(StatusOutcome::Settled),
            webhook.failed = came_out(StatusOutcome::Failed),
            webhook.echoes = echoes.len(),
            webhook.taken_over = (taken_over > 0).then_some(taken_over),
            webhook.wishes = (wished > 0).then_some(wished),
            webhook.renamed = (!renamed.is_empty()).then_some(renamed.len()),
            webhook.not_ours = ignored.not_ours,
            webhook.other = ignored.other,
            webhook.malformed = ignored.malformed,
            webhook.unkept = unkept,
            webhook.store_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            "webhook"
        );
        if let Some(elsewhere) = elsewhere {
            self.astray.other_number(bot, elsewhere);
        }
        WebhookAnswer::new(200, &*inlet.provider.abilities().acknowledgement)
    }

    /// Has an operator know of messages that could not be read: nobody else ever would.
    fn tell_buried(&self, bot: &BotName, provider: &'static str, buried: &[Accepted]) {
        let new: Vec<_> =
            buried.iter().filter_map(|letter| if let Accepted::New(seq) = letter { Some(seq) } else { None }).collect();
        if new.is_empty() {
            return;
        }
        self.meters.tell(Fact::Messages { provider, what: "unread", count: new.len() });
        self.meters.tell(Fact::Died { bot, count: new.len() });
        warn!(
            webhook.bot = %bot,
            webhook.unread = new.len(),
            webhook.letters = new.iter().map(|seq| seq.to_string()).collect::<Vec<_>>().join(" "),
            "a customer's message could not be read and nobody has answered it: it is kept as a dead letter; look at it with \
             `threedots dead show NUMBER`, write to its sender, and drop it"
        );
    }

    /// Takes in what was written from the business's own phone. Says how often a person has taken over by it.
    async fn apply_echoes(&self, inlet: &WebhookEndpoint, echoes: &[Echo]) -> Result<usize, StoreError> {
        let mut taken_over = 0;
        for echo in echoes.iter().filter(|_| inlet.people.echoes) {
            let echoed = self.store.echo(echo, inlet.people.pause.duration()).await?;
            taken_over += usize::from(echoed == Echoed::TakenOver);
        }
        Ok(taken_over)
    }

    /// Takes in what people have told the upstream about being sent things unasked. Says how often somebody has.
    async fn apply_preferences(&self, wishes: &[MarketingPreference]) -> Result<usize, StoreError> {
        let mut told = 0;
        for wish in wishes {
            let Some(peer) = ContactRef::of_wish(wish) else { continue };
            let by = if wish.by_rule { OptedBy::Upstream } else { OptedBy::Person };
            // Most messages end what was never begun: that needs no write.
            if wish.by_rule && !wish.opts_out && self.store.contact_state(&peer).await?.opted_out().is_none() {
                continue;
            }
            let opted = Opted { out: wish.opts_out, since: wish.time, by };
            self.store.update_contact(&peer, ContactChange::Opt(opted)).await?;
            told += 1;
        }
        Ok(told)
    }

    /// Makes messages durable: all of them, but for those that are too large to be kept, or could not be read again,
    /// which are left over. Delivered again they would be just as they are, and their neighbours must not wait for
    /// that.
    async fn store_messages<'a>(
        &self,
        messages: &'a [Inbound],
    ) -> Result<(Vec<Accepted>, Vec<&'a Inbound>), StoreError> {
        // Three of four deliveries are statuses: they have nothing to wait for.
        if messages.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        match self.store.accept(messages).await {
            Err(StoreError::TooLarge { .. } | StoreError::Invalid(_)) => {}
            accepted => return accepted.map(|accepted| (accepted, Vec::new())),
        }
        let (mut accepted, mut unkept) = (Vec::new(), Vec::new());
        for message in messages.chunks(1) {
            match self.store.accept(message).await {
                Ok(one) => accepted.extend(one),
                Err(StoreError::TooLarge { .. } | StoreError::Invalid(_)) => unkept.extend(message),
                Err(refused) => return Err(refused),
            }
        }
        Ok((accepted, unkept))
    }
}

fn turned_back(bot: &BotName, why: impl Display) -> WebhookAnswer {
    error!(webhook.bot = %bot, error = %why, "a webhook was turned back: the provider will deliver it again");
    try_again()
}

fn try_again() -> WebhookAnswer {
    WebhookAnswer::new(503, "try again")
}

/// Adds `GET` and `POST /webhooks/{bot}` to a server. With a slash at its end it is the same address.
pub fn routes(webhooks: Arc<Webhooks>) -> impl FnOnce(&mut ServiceConfig) {
    move |server| {
        let webhooks = web::Data::from(webhooks);
        server
            .app_data(webhooks)
            .service(web::resource(["/webhooks/{bot}", "/webhooks/{bot}/"]).route(web::route().to(handle)))
            .service(web::resource(["/webhooks", "/webhooks/{rest:.*}"]).route(web::route().to(nowhere)));
    }
}

/// Answers a webhook whose address names no bot at all.
async fn nowhere(webhooks: web::Data<Webhooks>) -> HttpResponse {
    webhooks.astray.nobody(None);
    respond(WebhookAnswer::no_such_bot(), true)
}

async fn handle(
    webhooks: web::Data<Webhooks>,
    bot: web::Path<String>,
    http: HttpRequest,
    body: Payload,
) -> HttpResponse {
    let mut unread = false;
    let answer = match read(&webhooks, &bot, &http, body).await {
        // The room is kept until what was made of the body is gone as well.
        Ok((request, _room)) => webhooks.receive(&bot, &request).await,
        Err(answer) => {
            webhooks.note_unread(&bot, &answer);
            unread = true;
            answer
        }
    };
    respond(answer, unread)
}

/// The answer, on the wire. `unread`: the body has not been read, or not to its end.
fn respond(answer: WebhookAnswer, unread: bool) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status).unwrap_or_default();
    let mut response = HttpResponse::build(status);
    // The challenge is whatever the caller sent: as plain text it can do no harm in a browser.
    response.content_type("text/plain; charset=utf-8").insert_header(("x-content-type-options", "nosniff"));
    match answer.status {
        405 => drop(response.insert_header((ALLOW, "GET, POST"))),
        503 => drop(response.insert_header((RETRY_AFTER, "5"))),
        _ => {}
    }
    if unread && matches!(answer.status, 404 | 408 | 413 | 415 | 503) {
        // The rest of the body is still on its way: nobody will read it.
        response.force_close();
    }
    response.body(answer.body)
}

async fn read<'a>(
    webhooks: &'a Webhooks,
    bot: &str,
    http: &HttpRequest,
    body: Payload,
) -> Result<(WebhookRequest, BodyAllowance<'a>), WebhookAnswer> {
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
    let declared = headers.get(CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    if declared.is_some_and(|length| length > BODY_LIMIT) {
        return Err(WebhookAnswer::new(413, "too large"));
    }
    let peer = http.peer_addr().map(|peer| peer.ip());
    let mut room = webhooks.intake.enter(peer, webhooks.bodies(bot)?);
    let body = timeout(webhooks.body_timeout, room.fill(body, declared)).await.unwrap_or(Err(IntakeError::Slow))?;
    let query = http.query_string().to_owned();
    Ok((WebhookRequest { method, query, headers, body, received: webhooks.clock.now() }, room))
}

impl From<IntakeError> for WebhookAnswer {
    fn from(unread: IntakeError) -> Self {
        match unread {
            IntakeError::Crowded => Self::new(503, "too much at once"),
            IntakeError::Slow => Self::new(408, "too slow"),
            IntakeError::TooLong => Self::new(413, "too large"),
            IntakeError::BrokeOff => Self::new(400, "the body broke off"),
        }
    }
}
