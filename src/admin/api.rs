//! The operator's API on HTTP: who asks, for what, and in which form the answer goes out.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::door::Door;
use super::host::{BotHosting, Bots, HostError, Hosted, Put, Removed};
use super::route::{self, ApiRoute, RouteError};
use super::views::{ApiError, BotState, EnqueuedView, NO_BOT, StatusView};
use super::{Admin, LocalAdmin};
use crate::admin::telemetry::metrics::{self, Metrics};
use crate::ingress::proactive::ProactiveIntake;
use crate::message::BotName;
use crate::message::clock::Clock;
use crate::provider::health::Health;
use crate::runtime::body;
use crate::runtime::budget::MemoryBudget;
use crate::runtime::hosting::BotRegistry;
use crate::runtime::http::Headers;
use crate::store::{Backlog, Store};

/// The largest body, in bytes: a thousand numbers have room in it, and a bot with its tools.
const BODY_LIMIT: usize = 256 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest message that a bot is to send, in bytes: media in base64 have room in it.
const MESSAGE_LIMIT: usize = 24 << 20;
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// What all messages may take that are read or taken in, in bytes.
const MESSAGE_MEMORY: u64 = 48 << 20;
/// By what a message is known when it is sent again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The operator's API.
pub struct Api {
    desk: Arc<LocalAdmin>,
    bots: BotRegistry<Health>,
    host: Arc<dyn BotHosting>,
    /// What bots say unasked; none if nobody can have them do so.
    proactive_messages: Option<Arc<ProactiveIntake>>,
    memory: MemoryBudget,
    door: Door,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// What has been begun is ended, whether or not the caller still listens.
    changes: TaskTracker,
    /// Where it is: not on a worker of the server's.
    runtime: Handle,
}

/// Said of settings that are wrong. What is wrong speaks of files, as `threedots check` does.
const WRONG: &str = "these settings are wrong, and nothing was changed: see `problems` (a secret goes in as {\"$secret\": \"…\"}; \"env:NAME\" needs an entry in hosting.env)";

/// What a request is answered with.
struct ApiResponse {
    status: u16,
    body: ResponseBody,
    allow: Option<&'static str>,
}

enum ResponseBody {
    Json(Value),
    /// In the text format of OpenMetrics.
    Metrics(String),
}

impl ApiResponse {
    fn new(status: u16, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_value(body).map_err(|_| ApiError::new(503, "this has no form in JSON"))?;
        Ok(Self { status, body: ResponseBody::Json(body), allow: None })
    }
}

impl From<ApiError> for ApiResponse {
    fn from(refusal: ApiError) -> Self {
        Self { status: refusal.status, body: ResponseBody::Json(json!({ "error": refusal.text })), allow: None }
    }
}

impl From<HostError> for ApiResponse {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Refused(refusal) => refusal.into(),
            HostError::Wrong(problems) => {
                let body = json!({ "error": WRONG, "problems": problems });
                Self { status: 422, body: ResponseBody::Json(body), allow: None }
            }
        }
    }
}

impl Api {
    /// The API for this store and these bots, which `host` changes, behind `token`, with what is
    /// counted in `metrics`. Call it on the runtime that is to do the work.
    pub fn new(
        store: Arc<dyn Store>,
        bots: BotRegistry<Health>,
        host: Arc<dyn BotHosting>,
        token: SecretString,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let desk = Arc::new(LocalAdmin::new(store, bots.clone(), clock));
        Self {
            desk,
            bots,
            host,
            proactive_messages: None,
            memory: MemoryBudget::new(MESSAGE_MEMORY),
            door: Door::new(token),
            metrics,
            clock,
            changes: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// The same, and bots can be had to say things unasked.
    #[must_use]
    pub fn with_proactive(self, proactive_messages: ProactiveIntake) -> Self {
        Self { proactive_messages: Some(Arc::new(proactive_messages)), ..self }
    }

    /// Waits until everything that was begun is done. Call it when no more requests come.
    pub async fn end(&self) {
        self.changes.close();
        self.changes.wait().await;
    }

    async fn answer(
        &self,
        place: ApiRoute<'_>,
        query: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<ApiResponse, ApiError> {
        let body = match place {
            ApiRoute::Messages(bot) => return ApiResponse::new(202, &self.send(bot, key, body).await?),
            _ => &*body,
        };
        match place {
            ApiRoute::Invite(bot) => {
                let (bot, lasts) = (bot.to_owned(), route::pause_for(body)?);
                let change = |desk: Arc<LocalAdmin>| async move { desk.invite(&bot, lasts).await };
                ApiResponse::new(200, &self.see_through(change).await?)
            }
            ApiRoute::Members(bot) => {
                let (after, words) = route::members(query)?;
                ApiResponse::new(200, &self.desk.list_members(bot, after, words).await?)
            }
            ApiRoute::Revoke(bot) => {
                let (bot, what) = (bot.to_owned(), route::revoked(body)?);
                let change = |desk: Arc<LocalAdmin>| async move { desk.revoke(&bot, &what).await };
                ApiResponse::new(200, &self.see_through(change).await?)
            }
            ApiRoute::Messages(_) => Err(ApiError::new(404, "there is nothing here")),
            ApiRoute::Dead => ApiResponse::new(200, &self.desk.dead(&route::page(query)?).await?),
            ApiRoute::Letter(number) => ApiResponse::new(200, &self.desk.letter(route::letter(number)?).await?),
            ApiRoute::Part(key) => {
                let words = route::shows_words(query)?;
                ApiResponse::new(200, &self.desk.part(&route::key(key), words).await?)
            }
            ApiRoute::State => ApiResponse::new(200, &self.state()),
            ApiRoute::Metrics => {
                Ok(ApiResponse { status: 200, body: ResponseBody::Metrics(self.measured()), allow: None })
            }
            ApiRoute::Bots => ApiResponse::new(200, &self.page_of_bots(route::bots(query)?)),
            ApiRoute::Bot(_) | ApiRoute::PutBot(_) | ApiRoute::RemoveBot(_) | ApiRoute::Reload => {
                Ok(self.host(place, body).await.unwrap_or_else(ApiResponse::from))
            }
            ApiRoute::Replay | ApiRoute::Discard => {
                let (letters, replay) = (route::letters(body)?, matches!(place, ApiRoute::Replay));
                let change = |desk: Arc<LocalAdmin>| async move {
                    if replay { desk.replay(&letters).await } else { desk.discard(&letters).await }
                };
                let changed = self.see_through(change).await?;
                ApiResponse::new(if changed.error.is_some() { 503 } else { 200 }, &changed)
            }
            ApiRoute::Forget => {
                let whom = route::whom(body)?;
                let forget = |desk: Arc<LocalAdmin>| async move { desk.forget(&whom).await };
                ApiResponse::new(200, &self.see_through(forget).await?)
            }
            ApiRoute::Pause => {
                let (whom, pause) = route::pause(body)?;
                let change = |desk: Arc<LocalAdmin>| async move { desk.pause(&whom, pause).await };
                ApiResponse::new(200, &self.see_through(change).await?)
            }
            ApiRoute::Resume => {
                let whom = route::whom(body)?;
                let change = |desk: Arc<LocalAdmin>| async move { desk.resume(&whom).await };
                ApiResponse::new(200, &self.see_through(change).await?)
            }
            ApiRoute::PauseAt(number) => {
                let (letter, pause) = (route::letter(number)?, route::pause_for(body)?);
                let change = |desk: Arc<LocalAdmin>| async move { desk.pause_at(letter, pause).await };
                ApiResponse::new(200, &self.see_through(change).await?)
            }
            ApiRoute::ResumeAt(number) => {
                let letter = route::letter(number)?;
                let change = |desk: Arc<LocalAdmin>| async move { desk.resume_at(letter).await };
                ApiResponse::new(200, &self.see_through(change).await?)
            }
        }
    }

    /// Takes in what a bot is to say.
    async fn send(&self, bot: &str, key: Option<&str>, body: Bytes) -> Result<EnqueuedView, ApiError> {
        let proactive_messages = self.proactive_messages.clone().ok_or(NO_BOT)?;
        let (bot, key) = (bot.to_owned(), key.map(str::to_owned));
        self.see_through(|desk| async move { desk.take_in(&proactive_messages, &bot, key.as_deref(), &body).await })
            .await
    }

    /// Does something that must come to its end, and to its line in the log, although the caller may hang up.
    async fn see_through<T, F>(&self, change: impl FnOnce(Arc<LocalAdmin>) -> F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        self.see_to_it(change(Arc::clone(&self.desk))).await?
    }

    /// The same with something that is not the desk's.
    async fn see_to_it<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let done = self.changes.spawn_on(change, &self.runtime).await;
        done.map_err(|_| ApiError::new(503, "it broke off: see the log"))
    }

    fn page_of_bots(&self, (after, most): (Option<BotName>, usize)) -> Bots {
        let all = self.bots.all().into_iter().filter(|(bot, _)| after.as_ref().is_none_or(|after| bot > after));
        let mut bots: Vec<_> = all.take(most + 1).map(|(bot, health)| self.hosted(bot, &health)).collect();
        let has_more = bots.len() > most;
        bots.truncate(most);
        let next = bots.last().filter(|_| has_more).map(|last| last.bot.clone());
        Bots { bots, next }
    }

    fn hosted(&self, bot: BotName, health: &Health) -> Hosted {
        Hosted { down: health.is_down(), waiting: self.desk.waiting(&bot), settings: None, bot }
    }

    /// What is about which bots there are.
    async fn host(&self, place: ApiRoute<'_>, body: &[u8]) -> Result<ApiResponse, HostError> {
        let host = Arc::clone(&self.host);
        let answer = match place {
            ApiRoute::PutBot(bot) => {
                let (bot, settings) = (BotName::new(bot), route::settings(body)?);
                let name = bot.clone();
                let new = self.see_to_it(async move { host.put(&name, settings).await }).await??;
                ApiResponse::new(if new { 201 } else { 200 }, &Put { bot, new })
            }
            ApiRoute::RemoveBot(bot) => {
                let bot = BotName::new(bot);
                let name = bot.clone();
                if !self.see_to_it(async move { host.remove(&name).await }).await?? {
                    return Err(NO_BOT.into());
                }
                ApiResponse::new(200, &Removed { waiting: self.desk.waiting(&bot), bot })
            }
            ApiRoute::Bot(bot) => {
                let bot = BotName::new(bot);
                let health = self.bots.get(&bot).ok_or(NO_BOT)?;
                let settings = host.settings(&bot).await?;
                ApiResponse::new(200, &Hosted { settings, ..self.hosted(bot, &health) })
            }
            _ => ApiResponse::new(200, &self.see_to_it(async move { host.reload().await }).await??),
        };
        Ok(answer?)
    }

    fn measured(&self) -> String {
        let Backlog { messages, conversations, oldest } = self.desk.backlog();
        self.metrics.text(metrics::Gauges {
            messages,
            conversations,
            oldest: oldest.map(|oldest| self.clock.now().since(oldest)).unwrap_or_default(),
            bots: self.bots.all().into_iter().map(|(bot, health)| (bot, health.is_down())).collect(),
            store_failed: self.desk.failure().is_some(),
            out_of_space: self.desk.is_out_of_space(),
        })
    }

    fn state(&self) -> StatusView {
        StatusView {
            waiting: self.desk.backlog().into(),
            bots: self.bots.all().into_iter().map(|(bot, health)| BotState { bot, down: health.is_down() }).collect(),
            store_failure: self.desk.failure(),
        }
    }
}

/// Adds the API to a server, which should serve nothing else: whoever shows no token gets the same answer everywhere.
pub fn routes(api: Arc<Api>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    move |server| {
        server.app_data(web::Data::from(Arc::clone(&api))).default_service(web::to(handle));
    }
}

async fn handle(api: web::Data<Api>, http: HttpRequest, body: Payload) -> HttpResponse {
    let place = ApiRoute::find(http.method().as_str(), http.path());
    let request = place.as_ref().map_or("other", |place| place.template());
    let answer = serve(&api, place, &http, body).await.unwrap_or_else(ApiResponse::from);
    let status = answer.status;
    match status {
        401 => warn!(operator.request = request, operator.status = status, "the operator's token was not shown"),
        // Each was a line of its own already, as many as there may be in a second.
        429 => {}
        // Several times a minute, for ever.
        200 if matches!(answer.body, ResponseBody::Metrics(_)) => {
            debug!(operator.request = request, operator.status = status, "operator");
        }
        _ => info!(operator.request = request, operator.status = status, "operator"),
    }
    respond(answer)
}

async fn serve(
    api: &Api,
    place: Result<ApiRoute<'_>, RouteError>,
    http: &HttpRequest,
    body: Payload,
) -> Result<ApiResponse, ApiError> {
    let mut headers = Headers::default();
    let is_read = |name: &HeaderName| *name == AUTHORIZATION || *name == IDEMPOTENCY_KEY;
    for (name, value) in http.headers().iter().filter(|(name, _)| is_read(name)) {
        headers.push(name.as_str(), value.as_bytes());
    }
    api.door.admit(headers.get(AUTHORIZATION.as_str()))?;
    let place = match place {
        Ok(place) => place,
        Err(RouteError::Nothing) => return Err(ApiError::new(404, "there is nothing here")),
        Err(RouteError::Takes(methods)) => {
            let refusal = ApiError::new(405, "this takes another method");
            return Ok(ApiResponse { allow: Some(methods), ..refusal.into() });
        }
    };
    let (limit, patience) = match place {
        ApiRoute::Messages(_) => (MESSAGE_LIMIT, MESSAGE_TIMEOUT),
        _ => (BODY_LIMIT, BODY_TIMEOUT),
    };
    // Until the answer is there: what is read is held for as long.
    let (mut _room, mut bytes) = (None, Bytes::new());
    if matches!(place.method(), "POST" | "PUT") {
        let announced = http.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let most = announced.unwrap_or(limit).min(limit);
        if let ApiRoute::Messages(_) = place {
            _room = Some(api.memory.take(most as u64).await);
        }
        let limit = if announced.is_some_and(|length| length > limit) { 0 } else { most };
        let read = body::whole(body, limit, patience).await;
        bytes = read.map_err(|(status, text)| ApiError::new(status, text))?;
    }
    api.answer(place, http.query_string(), headers.get(IDEMPOTENCY_KEY), bytes).await
}

fn respond(answer: ApiResponse) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(answer.status).unwrap_or_default());
    response.insert_header((CACHE_CONTROL, "no-store")).insert_header(("x-content-type-options", "nosniff"));
    if let Some(allow) = answer.allow {
        response.insert_header((ALLOW, allow));
    }
    match answer.status {
        401 => drop(response.insert_header((WWW_AUTHENTICATE, "Bearer"))),
        429 => drop(response.insert_header((RETRY_AFTER, "1"))),
        _ => {}
    }
    if matches!(answer.status, 401 | 405 | 408 | 413 | 429) {
        // There may be a body on its way, which nobody will read.
        response.force_close();
    }
    match answer.body {
        ResponseBody::Json(body) => response.json(body),
        ResponseBody::Metrics(text) => response.content_type(OPEN_METRICS).body(text),
    }
}
