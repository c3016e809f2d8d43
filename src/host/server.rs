//! The HTTP server around the routes of others, and two questions an orchestrator asks.
//!
//! `GET /healthz`: the process is alive. `GET /readyz`: it takes messages in; 503 while it does not.

use std::any::Any;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpResponse, HttpResponseBuilder, HttpServer};
use tokio::net::TcpSocket;

use crate::ingress::webhook::{self, ServerConfig, Webhooks};
use crate::store::{Maintenance, Store};

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

/// Listens at the first of these addresses that can be had, with room for so many connections that nobody has taken
/// in yet. The
/// server's own setting for that reaches no listener that is handed to it. Call it on a runtime.
pub(super) fn listen(addresses: impl ToSocketAddrs, backlog: u32) -> std::io::Result<TcpListener> {
    let mut failure = std::io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses.to_socket_addrs()? {
        let listening = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A port whose last connections have not been forgotten yet can be had, as with the standard library.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(backlog)?.into_std()
        };
        match listening() {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
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

fn readiness(store: &dyn Maintenance) -> HttpResponse {
    // Why not is for the log: anybody may ask this.
    if store.failure().is_some() || store.is_out_of_space() {
        say(HttpResponse::ServiceUnavailable(), "not ready")
    } else {
        say(HttpResponse::Ok(), "ready")
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
        .shutdown_timeout(DRAIN_SECONDS)
        .listen(listener)?
        .run();
    let handle = server.handle();
    Ok(Listening { address, server, handle })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::*;

    /// How many connections the system keeps for a listener that takes none in.
    async fn kept(backlog: u32) -> usize {
        let listener = listen("127.0.0.1:0", backlog).expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut connections = Vec::new();
        while connections.len() < 100 {
            match timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
                Ok(connection) => connections.push(connection.expect("it is kept")),
                Err(_) => break,
            }
        }
        connections.len()
    }

    #[tokio::test]
    async fn so_many_connections_wait_as_the_setting_says() {
        // Linux keeps one more.
        assert!((7..=8).contains(&kept(7).await));
        assert_eq!(kept(200).await, 100);
    }
}
