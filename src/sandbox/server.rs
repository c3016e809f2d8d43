//! The sandbox on a socket of this machine: the upstream's API under `/graph`, and the phones' pages.
//!
//! For this machine alone. All of it answers only to who asks for this machine by name, and takes posts only from
//! its own pages: another web site, open in the same browser, can reach the port too.

mod actions;
mod feed;
mod graph;
mod guard;
mod switches;

use std::sync::Arc;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::header::{self, ContentType};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
pub use graph::on_connect;
pub(super) use switches::switches;

use super::page::{Page, PageError};
use super::phone::{Customer, CustomerId};
use super::{Sandbox, Upstream};

/// What every route works with.
struct Shell {
    sandbox: Arc<Sandbox>,
    page: Page,
    home: String,
}

impl Shell {
    fn customer(&self, digits: &str) -> Option<Customer> {
        self.sandbox.phone().customer(&CustomerId::new(digits))
    }
}

/// The routes of sandboxes, each of another upstream, for [`App::configure`](actix_web::App::configure). The first is
/// at `/`, the others at the names of their upstreams, such as `/linq`; each has its API below its `graph`. So that a
/// connection can be broken off without an answer, give [`on_connect`] to the server too.
pub fn configure(sandboxes: &[Arc<Sandbox>], page: &Page) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let home = |(number, sandbox): (usize, &Arc<Sandbox>)| {
        let upstream = sandbox.settings().upstream;
        (upstream, if number == 0 { String::new() } else { format!("/{}", upstream.name()) })
    };
    let beside: Arc<[(Upstream, String)]> = sandboxes.iter().enumerate().map(home).collect();
    let shell = |(sandbox, (_, home)): (&Arc<Sandbox>, &(Upstream, String))| {
        let sandbox = Arc::clone(sandbox);
        (home.clone(), Data::new(Shell { sandbox, page: page.at(home, &beside), home: home.clone() }))
    };
    let shells: Vec<(String, Data<Shell>)> = sandboxes.iter().zip(beside.iter()).map(shell).collect();
    move |config| {
        // The first takes every path that nobody has taken before it.
        for (home, shell) in shells.iter().rev() {
            let graph = web::scope(&format!("{home}/graph"))
                .wrap(from_fn(guard::only_ours))
                .app_data(shell.clone())
                .app_data(web::PayloadConfig::new(graph::LARGEST_BODY))
                .default_service(web::to(graph::handle));
            config.service(graph).service(pages(home, shell));
        }
    }
}

fn pages(home: &str, shell: &Data<Shell>) -> impl HttpServiceFactory + use<> {
    web::scope(home)
        .wrap(from_fn(guard::only_ours))
        .app_data(shell.clone())
        .app_data(web::PayloadConfig::new(64 * 1024))
        .route("", web::get().to(first_phone))
        .route("/", web::get().to(first_phone))
        .route("/phone.css", web::get().to(css))
        .route("/phone.js", web::get().to(script))
        .route("/logo.svg", web::get().to(logo))
        .route("/phone/{customer}", web::get().to(phone))
        .route("/phone/{customer}/events", web::get().to(feed::events))
        .route("/phone/{customer}/send", web::post().to(actions::send))
        .route("/phone/{customer}/person", web::post().to(actions::person))
        .route("/phone/{customer}/answers", web::post().to(actions::answers))
        .route("/media/{id}", web::get().to(medium))
        .route("/customers", web::post().to(actions::new_customer))
        .route("/faults", web::post().to(actions::switch))
        .default_service(web::to(|| async { HttpResponse::NotFound().finish() }))
}

async fn first_phone(shell: Data<Shell>) -> HttpResponse {
    let first = shell.sandbox.phone().customers().into_iter().next();
    html(shell.page.phone(&shell.sandbox, first.as_ref()))
}

async fn phone(shell: Data<Shell>, digits: web::Path<String>) -> HttpResponse {
    match shell.customer(&digits) {
        Some(customer) => html(shell.page.phone(&shell.sandbox, Some(&customer))),
        None => HttpResponse::NotFound().body("The sandbox knows no such customer."),
    }
}

/// A file of the page's that goes out as it is.
fn asset(shell: &Shell, name: &str, mime: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    protect(&mut answer).insert_header((header::CONTENT_TYPE, mime)).body(shell.page.asset(name))
}

async fn css(shell: Data<Shell>) -> HttpResponse {
    asset(&shell, "phone.css", "text/css; charset=utf-8")
}

async fn script(shell: Data<Shell>) -> HttpResponse {
    asset(&shell, "phone.js", "text/javascript; charset=utf-8")
}

async fn logo(shell: Data<Shell>) -> HttpResponse {
    asset(&shell, "logo.svg", "image/svg+xml")
}

/// A picture or a sound, for the page. The upstream's own way to it needs the token, which a page has no business with.
async fn medium(shell: Data<Shell>, id: web::Path<String>) -> HttpResponse {
    let Some(medium) = shell.sandbox.media.get(&id, shell.sandbox.clock.now()) else {
        return HttpResponse::NotFound().finish();
    };
    // What a bot uploads is not to be trusted with a page of ours.
    let mime = match medium.mime.split(';').next().unwrap_or_default() {
        safe @ ("image/png" | "image/jpeg" | "image/webp" | "audio/ogg" | "audio/mpeg" | "audio/mp4" | "video/mp4") => {
            safe.to_owned()
        }
        _ => "application/octet-stream".to_owned(),
    };
    let mut answer = HttpResponse::Ok();
    protect(&mut answer).insert_header((header::CONTENT_TYPE, mime)).body(medium.data)
}

fn html(page: Result<String, PageError>) -> HttpResponse {
    match page {
        Ok(page) => {
            let mut answer = HttpResponse::Ok();
            protect(&mut answer).insert_header(ContentType::html()).body(page)
        }
        // Only a replaced template can fail, and whoever replaced it is the one who reads this.
        Err(error) => {
            HttpResponse::InternalServerError().insert_header(ContentType::plaintext()).body(error.to_string())
        }
    }
}

/// Everything comes from here, nothing is kept, nobody frames it.
fn protect(answer: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                  media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    answer
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
}
