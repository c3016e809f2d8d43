//! The operator's API on HTTP: who asks, for what, and in which form the answer goes out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::door::Door;
use super::route::{self, Place};
use super::views::{BotState, Refusal, State};
use super::{Desk, Hand};
use crate::body;
use crate::clock::Clock;
use crate::health::Health;
use crate::http::Headers;
use crate::message::BotName;
use crate::store::Store;

/// The largest body, in bytes: a thousand numbers have room in it.
const BODY_LIMIT: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The operator's API.
pub struct Api {
    desk: Arc<Desk>,
    bots: BTreeMap<BotName, Arc<Health>>,
    door: Door,
    /// What has been begun is ended, whether or not the caller still listens.
    changes: TaskTracker,
    /// Where it is: not on a worker of the server's.
    runtime: Handle,
}

/// What a request is answered with.
struct Answer {
    status: u16,
    body: Value,
    allow: Option<&'static str>,
}

impl Answer {
    fn new(status: u16, body: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_value(body).map_err(|_| Refusal::new(503, "this has no form in JSON"))?;
        Ok(Self { status, body, allow: None })
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status, body: json!({ "error": refusal.text }), allow: None }
    }
}

impl Api {
    /// The API for this store and these bots, behind `token`. Call it on the runtime that is to do the work.
    pub fn new(store: Arc<dyn Store>, bots: BTreeMap<BotName, Arc<Health>>, token: SecretString, clock: Clock) -> Self {
        let desk = Arc::new(Desk::new(store, bots.keys().cloned(), clock));
        Self { desk, bots, door: Door::new(token), changes: TaskTracker::new(), runtime: Handle::current() }
    }

    /// Waits until everything that was begun is done. Call it when no more requests come.
    pub async fn end(&self) {
        self.changes.close();
        self.changes.wait().await;
    }

    async fn answer(&self, place: Place<'_>, query: &str, body: &[u8]) -> Result<Answer, Refusal> {
        match place {
            Place::Dead => Answer::new(200, &self.desk.dead(&route::page(query)?).await?),
            Place::Letter(number) => Answer::new(200, &self.desk.letter(route::letter(number)?).await?),
            Place::Part(key) => {
                let words = route::shows_words(query)?;
                Answer::new(200, &self.desk.part(&route::key(key), words).await?)
            }
            Place::State => Answer::new(200, &self.state()),
            Place::Replay | Place::Discard => {
                let (letters, replay) = (route::letters(body)?, matches!(place, Place::Replay));
                let change = |desk: Arc<Desk>| async move {
                    if replay { desk.replay(&letters).await } else { desk.discard(&letters).await }
                };
                let changed = self.see_through(change).await?;
                Answer::new(if changed.error.is_some() { 503 } else { 200 }, &changed)
            }
            Place::Forget => {
                let whom = route::whom(body)?;
                let forget = |desk: Arc<Desk>| async move { desk.forget(&whom).await };
                Answer::new(200, &self.see_through(forget).await?)
            }
            Place::Pause => {
                let (whom, pause) = route::pause(body)?;
                let change = |desk: Arc<Desk>| async move { desk.pause(&whom, pause).await };
                Answer::new(200, &self.see_through(change).await?)
            }
            Place::Resume => {
                let whom = route::whom(body)?;
                let change = |desk: Arc<Desk>| async move { desk.resume(&whom).await };
                Answer::new(200, &self.see_through(change).await?)
            }
            Place::PauseAt(number) => {
                let (letter, pause) = (route::letter(number)?, route::pause_for(body)?);
                let change = |desk: Arc<Desk>| async move { desk.pause_at(letter, pause).await };
                Answer::new(200, &self.see_through(change).await?)
            }
            Place::ResumeAt(number) => {
                let letter = route::letter(number)?;
                let change = |desk: Arc<Desk>| async move { desk.resume_at(letter).await };
                Answer::new(200, &self.see_through(change).await?)
            }
        }
    }

    /// Does something that must come to its end, and to its line in the log, although the caller may hang up.
    async fn see_through<T, F>(&self, change: impl FnOnce(Arc<Desk>) -> F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let done = self.changes.spawn_on(change(Arc::clone(&self.desk)), &self.runtime).await;
        done.map_err(|_| Refusal::new(503, "it broke off: see the log"))?
    }

    fn state(&self) -> State {
        State {
            waiting: self.desk.backlog().into(),
            bots: self.bots.iter().map(|(bot, health)| BotState { bot: bot.clone(), down: health.is_down() }).collect(),
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
    let place = Place::find(http.path());
    let (request, answer) = match serve(&api, place, &http, body).await {
        Ok(answer) => (place.map(Place::template), answer),
        Err(refusal) => (place.map(Place::template), Answer::from(refusal)),
    };
    let (request, status) = (request.unwrap_or("other"), answer.status);
    match status {
        401 => warn!(operator.request = request, operator.status = status, "the operator's token was not shown"),
        // Each was a line of its own already, as many as there may be in a second.
        429 => {}
        _ => info!(operator.request = request, operator.status = status, "operator"),
    }
    respond(answer)
}

async fn serve(api: &Api, place: Option<Place<'_>>, http: &HttpRequest, body: Payload) -> Result<Answer, Refusal> {
    let mut headers = Headers::default();
    for (name, value) in http.headers().iter().filter(|(name, _)| *name == AUTHORIZATION) {
        headers.push(name.as_str(), value.as_bytes());
    }
    api.door.admit(headers.get(AUTHORIZATION.as_str()))?;
    let place = place.ok_or(Refusal::new(404, "there is nothing here"))?;
    if http.method().as_str() != place.method() {
        let refusal = Refusal::new(405, "this takes another method");
        return Ok(Answer { allow: Some(place.method()), ..refusal.into() });
    }
    let body = if place.method() == "POST" {
        let body = body::whole(body, BODY_LIMIT, BODY_TIMEOUT).await;
        body.map_err(|(status, text)| Refusal::new(status, text))?
    } else {
        Bytes::new()
    };
    api.answer(place, http.query_string(), &body).await
}

fn respond(answer: Answer) -> HttpResponse {
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
    response.json(answer.body)
}
