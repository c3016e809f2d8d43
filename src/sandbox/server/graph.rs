//! The upstream's API on a socket.

use std::any::Any;

use actix_web::dev::Extensions;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::Shell;
use crate::sandbox::{UpstreamAnswer, UpstreamRequest};

/// The largest upload that the upstream takes is 100 MB; the form around it is small.
pub(super) const LARGEST_BODY: usize = 101 * 1024 * 1024;

pub(super) async fn handle(request: HttpRequest, body: Bytes, shell: Data<Shell>) -> HttpResponse {
    let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let headers = request.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
    let headers = headers.collect();
    let call = UpstreamRequest { method: request.method().to_string(), path_and_query, headers, body };
    match shell.sandbox.handle(call).await {
        UpstreamAnswer::Whole { status, headers, body } => {
            let status = actix_web::http::StatusCode::from_u16(status).unwrap_or_default();
            let mut answer = HttpResponse::build(status);
            for header in headers {
                answer.insert_header(header);
            }
            answer.body(body)
        }
        UpstreamAnswer::Reset => break_off(&request),
    }
}

/// Ends the connection without an answer; where [`on_connect`] was not given to the server, in the middle of one.
fn break_off(request: &HttpRequest) -> HttpResponse {
    #[cfg(unix)]
    if let Some(Connection(socket)) = request.conn_data::<Connection>() {
        // If that fails, the connection has gone already.
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
    let broken: Result<Bytes, std::io::Error> = Err(std::io::ErrorKind::ConnectionReset.into());
    HttpResponse::Ok().streaming(stream::iter([broken]))
}

/// A second hold on a connection's socket, to break it off with.
#[cfg(unix)]
struct Connection(std::net::TcpStream);

/// For [`HttpServer::on_connect`](actix_web::HttpServer::on_connect): lets the sandbox break connections off without
/// an answer, as an upstream in trouble does.
pub fn on_connect(connection: &dyn Any, extensions: &mut Extensions) {
    #[cfg(unix)]
    if let Some(connection) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() {
        use std::os::fd::AsFd;
        if let Ok(socket) = connection.as_fd().try_clone_to_owned() {
            extensions.insert(Connection(socket.into()));
        }
    }
    #[cfg(not(unix))]
    let _ = (connection, extensions);
}
