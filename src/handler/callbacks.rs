//! Where handlers come back to while a turn goes on, on a listener of its own, apart from the webhooks'. It exists if a
//! bot has a handler over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/turns/{turn}/reply` with what a whole answer would be | 204: it is sent |
//! | `POST /v1/turns/{turn}/presence` with `{"show": "typing"}`, or `recording`, `beat`, `pause` | 204 |
//! | `GET /v1/media/{name}` | the medium: an address that a turn's message names, for a quarter of an hour |
//!
//! The first two carry `authorization: Bearer TOKEN`, with the token that came along with the turn. What is refused is
//! answered with `{"error": "…"}`:
//!
//! | status | why |
//! |---|---|
//! | 401 | no token, or another turn's |
//! | 404 | no such turn waits for an answer (any longer), or there is no such medium (any longer) |
//! | 405 | another method's route |
//! | 429 | too many wrong tokens for the turn, or too many wrong requests from the same address, in this second |
//! | 408, 413 | a body that takes over 30 s, or is larger than 24 MiB |
//! | 422 | it is not of the form that `openapi.json` says, or breaks a limit of the provider's; it may be mended and posted again |
//! | 502 | the upstream does not hand the medium over |

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Handle;
use tracing::{info, warn};

use crate::handler::http::callbacks::{CallbackError, Callbacks};
use crate::message::secret::{Guesses, bearer};
use crate::runtime::body;

/// Where handlers come back to. The `callbacks` table of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallbacksConfig {
    /// Address and port to listen on. TLS ends in front of threedots, if the address is not this machine's own.
    pub listen: String,
    /// How handlers reach it, if not as `listen` says: `https://callbacks.example`, say, without a slash at the end.
    pub url: String,
}

impl Default for CallbacksConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8082".into(), url: String::new() }
    }
}

impl CallbacksConfig {
    /// The address to listen on, if it is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }

    /// Whether `url` is one, or nothing.
    pub fn has_usable_url(&self) -> bool {
        let parsed = url::Url::parse(&self.url);
        self.url.is_empty() || (parsed.is_ok_and(|url| url.has_host()) && !self.url.ends_with('/'))
    }

    /// What addresses for handlers begin with, once it listens at `address`.
    pub fn base(&self, address: SocketAddr) -> String {
        if self.url.is_empty() { format!("http://{address}") } else { self.url.clone() }
    }
}

/// The largest body, in bytes: media in base64 have room in it.
const BODY_LIMIT: usize = 24 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// So many wrong requests from one address are looked at in one second: wrong tokens, and turns and media that are not
/// there.
const WRONG: usize = 1000;
/// So many addresses are told apart; the others count as one.
const MOST_PEERS: usize = 1000;

struct CallbackServer {
    callbacks: Arc<Callbacks>,
    /// Who has asked for something wrong lately.
    strangers: Mutex<HashMap<Option<IpAddr>, Guesses>>,
    /// Where calls to an upstream are made: not on a worker of the server's.
    runtime: Handle,
}

/// Adds the routes to a server, which should serve nothing else. Call it on the runtime that is to do the work.
pub fn routes(callbacks: Arc<Callbacks>) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let desk = web::Data::new(CallbackServer { callbacks, strangers: Mutex::default(), runtime: Handle::current() });
    move |server| {
        server.app_data(desk.clone()).default_service(web::to(handle));
    }
}

impl CallbackServer {
    /// Whether a request of this peer's is looked at. None is a peer whose address nobody knows.
    fn may_ask(&self, peer: Option<IpAddr>) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = if strangers.contains_key(&peer) { peer } else { None };
        strangers.get_mut(&known).is_none_or(Guesses::may)
    }

    /// A request of this peer's was wrong.
    fn was_wrong(&self, peer: Option<IpAddr>) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= MOST_PEERS && !strangers.contains_key(&peer) {
            strangers.retain(|_, guesses| !guesses.is_calm());
        }
        let is_one_of_many = strangers.len() >= MOST_PEERS && !strangers.contains_key(&peer);
        let peer = if is_one_of_many { None } else { peer };
        strangers.entry(peer).or_insert_with(|| Guesses::in_a_second(WRONG)).wrong();
    }
}

/// What a path leads to.
enum CallbackRoute<'a> {
    Reply(&'a str),
    Presence(&'a str),
    Medium(&'a str),
}

impl<'a> CallbackRoute<'a> {
    fn find(path: &'a str) -> Option<Self> {
        // With a slash at its end it is the same address.
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.strip_prefix("/v1/")?.split('/');
        match (segments.next()?, segments.next()?, segments.next(), segments.next()) {
            ("turns", turn, Some("reply"), None) => Some(Self::Reply(turn)),
            ("turns", turn, Some("presence"), None) => Some(Self::Presence(turn)),
            ("media", name, None, None) => Some(Self::Medium(name)),
            _ => None,
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Reply(_) | Self::Presence(_) => "POST",
            Self::Medium(_) => "GET",
        }
    }

    /// What is logged of it: nothing that somebody has put in.
    fn template(&self) -> &'static str {
        match self {
            Self::Reply(_) => "POST /v1/turns/{turn}/reply",
            Self::Presence(_) => "POST /v1/turns/{turn}/presence",
            Self::Medium(_) => "GET /v1/media/{name}",
        }
    }
}

async fn handle(desk: web::Data<CallbackServer>, http: HttpRequest, body: Payload) -> HttpResponse {
    let peer = http.peer_addr().map(|peer| peer.ip());
    if !desk.may_ask(peer) {
        // Without a line of the log: there are a thousand of this second.
        return refuse(429, "too many wrong requests from this address: wait a second");
    }
    let Some(place) = CallbackRoute::find(http.path()) else {
        desk.was_wrong(peer);
        return refuse(404, "there is nothing here");
    };
    let response = if http.method().as_str() == place.method() {
        serve(&desk, &place, &http, body).await
    } else {
        let mut response = refuse(405, "this takes another method");
        response.headers_mut().insert(ALLOW, place.method().parse().expect("a method is a header's value"));
        response
    };
    let (request, status) = (place.template(), response.status().as_u16());
    if response.status().is_success() {
        info!(callback.request = request, callback.status = status, "callback");
    } else {
        if matches!(status, 401 | 404) {
            desk.was_wrong(peer);
        }
        warn!(callback.request = request, callback.status = status, "a handler's call was refused");
    }
    response
}

async fn serve(desk: &CallbackServer, place: &CallbackRoute<'_>, http: &HttpRequest, body: Payload) -> HttpResponse {
    let turn = match place {
        CallbackRoute::Medium(name) => return medium(desk, name).await,
        CallbackRoute::Reply(turn) | CallbackRoute::Presence(turn) => turn,
    };
    let header = http.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let token = header.and_then(bearer);
    // Whoever may not answer has no body read.
    let taken = match desk.callbacks.admit(turn, token) {
        Ok(()) => match body::whole(body, BODY_LIMIT, BODY_TIMEOUT).await {
            Ok(body) if matches!(place, CallbackRoute::Presence(_)) => desk.callbacks.steer(turn, token, &body),
            Ok(body) => desk.callbacks.answer(turn, token, &body),
            Err((status, why)) => return refuse(status, why),
        },
        Err(refused) => Err(refused),
    };
    match taken {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(CallbackError::Unknown) => refuse(404, "no such turn waits for an answer"),
        Err(CallbackError::Guessing) => refuse(429, "too many wrong tokens for this turn: wait a second"),
        Err(CallbackError::WrongToken) => refuse(401, "show the turn's token: `authorization: Bearer …`"),
        Err(CallbackError::Invalid(why)) => refuse(422, &why),
    }
}

async fn medium(desk: &CallbackServer, name: &str) -> HttpResponse {
    let Some((fetch, media)) = desk.callbacks.medium(name) else { return refuse(404, "there is no such medium") };
    let fetched = desk.runtime.spawn(async move { fetch.fetch(&media).await }).await;
    match fetched {
        Ok(Ok(fetched)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, fetched.mime))
            // Whatever a customer sends, no browser is to run it here.
            .insert_header((CONTENT_DISPOSITION, "attachment"))
            .insert_header(("x-content-type-options", "nosniff"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(fetched.data),
        Ok(Err(error)) => refuse(502, &error.to_string()),
        Err(_) => refuse(502, "it broke off: see the log"),
    }
}

fn refuse(status: u16, why: &str) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap_or_default());
    response.insert_header((CACHE_CONTROL, "no-store"));
    if status == 429 {
        response.insert_header((RETRY_AFTER, "1"));
    }
    if matches!(status, 401 | 404 | 405 | 408 | 413 | 429) {
        // There may be a body on its way, which nobody will read.
        response.force_close();
    }
    response.json(json!({ "error": why }))
}
