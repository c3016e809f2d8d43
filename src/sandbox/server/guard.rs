//! Who may ask.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};

/// Lets only this machine's user through: who asks by one of this machine's own names and our port (or another site
/// has pointed a name of its own at us), and, if a page makes the request, from a page of ours.
pub(super) async fn only_ours<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    if is_ours(&request) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let refusal = "The sandbox answers to its own pages, at 127.0.0.1, localhost or [::1], alone.";
    Ok(request.into_response(HttpResponse::Forbidden().body(refusal)).map_into_right_body())
}

fn is_ours(request: &ServiceRequest) -> bool {
    if request.peer_addr().is_some_and(|peer| !peer.ip().is_loopback()) {
        return false;
    }
    let Some(host) = text(request.headers(), header::HOST) else { return false };
    if !names_us(host, request.app_config().local_addr().port()) {
        return false;
    }
    match text(request.headers(), header::ORIGIN) {
        Some(origin) => origin.strip_prefix("http://") == Some(host),
        // It may be absent, but not be there and have no one text.
        None => !request.headers().contains_key(header::ORIGIN),
    }
}

/// Whether `host` is one of this machine's names, with our port.
fn names_us(host: &str, port: u16) -> bool {
    let (name, named) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.contains(']') => (name, digits.parse().ok()),
        _ => (host, Some(80)),
    };
    ["127.0.0.1", "localhost", "[::1]"].contains(&name) && named == Some(port)
}

/// A header that stands there once.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name);
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}
