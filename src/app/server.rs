//! The HTTP server around the routes of others, and two questions an orchestrator asks.
//!
//! `GET /healthz`: the process is alive. `GET /readyz`: it takes messages in; 503 while it does not.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse, HttpResponseBuilder, HttpServer};

use crate::store::Store;
use crate::webhook::{self, ServerConfig, Webhooks};

/// How long a request's head may take, and how long a connection is kept without a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// At a shutdown, how long requests that have begun may take to end. Whole seconds.
const DRAIN_SECONDS: u64 = 5;

/// A server that is listening.
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    pub(super) server: Server,
    pub(super) handle: ServerHandle,
}

/// Serves webhooks and health on `listener`.
pub(super) fn webhooks(
    listener: TcpListener,
    config: &ServerConfig,
    webhooks: Arc<Webhooks>,
    store: Arc<dyn Store>,
) -> std::io::Result<Listening> {
    let routes = move |server: &mut ServiceConfig| {
        let store = Arc::clone(&store);
        let alive = || std::future::ready(say(HttpResponse::Ok(), "alive"));
        let ready = move || std::future::ready(readiness(&*store));
        server
            .service(web::resource("/healthz").get(alive).route(web::head().to(alive)))
            .service(web::resource("/readyz").get(ready.clone()).route(web::head().to(ready)))
            .configure(webhook::routes(Arc::clone(&webhooks)));
    };
    serve(listener, config.connections, |_, _| {}, routes)
}

fn readiness(store: &dyn Store) -> HttpResponse {
    // Why not is for the log: anybody may ask this.
    match store.failure() {
        None => say(HttpResponse::Ok(), "ready"),
        Some(_) => say(HttpResponse::ServiceUnavailable(), "not ready"),
    }
}

fn say(mut answer: HttpResponseBuilder, words: &'static str) -> HttpResponse {
    answer.content_type("text/plain; charset=utf-8").insert_header(("cache-control", "no-store")).body(words)
}

/// Sees a connection before its first request.
type OnConnect = fn(&dyn Any, &mut Extensions);

/// Serves `routes` on `listener`.
pub(super) fn serve<F>(
    listener: TcpListener,
    connections: usize,
    on_connect: OnConnect,
    routes: F,
) -> std::io::Result<Listening>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let address = listener.local_addr()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let server = HttpServer::new(move || App::new().configure(|server| routes(server)))
        .on_connect(on_connect)
        // Signals are the app's: it has more to end than a server.
        .disable_signals()
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .workers(threads)
        // It counts them for each of its threads.
        .max_connections(connections.div_ceil(threads))
        .backlog(4096)
        .shutdown_timeout(DRAIN_SECONDS)
        .listen(listener)?
        .run();
    let handle = server.handle();
    Ok(Listening { address, server, handle })
}
