//! The page's live feed: server-sent events, each with what is new since the last.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Shell, protect};
use crate::message::MessageId;
use crate::sandbox::page::{PageError, Wire};
use crate::sandbox::phone::Customer;

/// A sign of life, so that a page that has gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What happens within this time goes out as one event.
const GATHERED: Duration = Duration::from_millis(20);

pub(super) async fn events(shell: Data<Shell>, digits: Path<String>, request: HttpRequest) -> HttpResponse {
    let Some(customer) = shell.customer(&digits) else { return HttpResponse::NotFound().finish() };
    // A stream would keep a HEAD request's connection busy for ever.
    if request.method() != actix_web::http::Method::GET {
        return HttpResponse::MethodNotAllowed().finish();
    }
    let feed = Feed {
        changes: shell.sandbox.phone().changes(),
        stopping: Box::pin(shell.sandbox.stopping()),
        wire: Wire::new(customer.clone()),
        sent: HashMap::new(),
        last: Value::Null,
        begun: false,
        shell,
        customer,
    };
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    protect(&mut HttpResponse::Ok()).insert_header((header::CONTENT_TYPE, "text/event-stream")).streaming(events)
}

struct Feed {
    shell: Data<Shell>,
    customer: Customer,
    changes: watch::Receiver<u64>,
    stopping: Pin<Box<dyn Future<Output = ()>>>,
    wire: Wire,
    /// The revision of each message that the page has.
    sent: HashMap<MessageId, u64>,
    /// What the page was last told of everything else.
    last: Value,
    begun: bool,
}

impl Feed {
    /// The next event; none when the sandbox ends or the page cannot be rendered.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.begun {
                tokio::select! {
                    () = &mut self.stopping => return None,
                    changed = self.changes.changed() => changed.ok()?,
                    () = tokio::time::sleep(HEARTBEAT) => return Some(Bytes::from_static(b":\n\n")),
                }
                tokio::time::sleep(GATHERED).await;
            }
            self.begun = true;
            self.changes.mark_unchanged();
            match self.news() {
                // JSON has no line breaks of its own, so it is one line of the event.
                Ok(Some(news)) => return Some(Bytes::from(format!("data: {news}\n\n"))),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "the sandbox's page cannot be rendered");
                    return None;
                }
            }
        }
    }

    fn news(&mut self) -> Result<Option<Value>, PageError> {
        let (sandbox, page) = (&self.shell.sandbox, &self.shell.page);
        let mut messages = Vec::new();
        for message in sandbox.phone().messages(&self.customer.id) {
            if self.sent.get(&message.id) != Some(&message.revision) {
                let html = page.message(sandbox, &self.customer, &message)?;
                messages.push(json!({ "number": message.number, "revision": message.revision, "html": html }));
                self.sent.insert(message.id, message.revision);
            }
        }
        let mut rows = Vec::new();
        for row in self.wire.read(sandbox.phone()) {
            rows.push(json!({ "id": row.id, "html": page.row(&row)? }));
        }
        let dots = page.dots(sandbox, &self.customer.id)?;
        // The dots' own text changes as time runs out; only that they are there, and what they say, is news.
        let recording = sandbox.phone().recording_showing(&self.customer.id);
        let rest =
            json!({ "dots": dots.is_some(), "recording": recording, "switches": sandbox.faults().switched_on() });
        if messages.is_empty() && rows.is_empty() && rest == self.last {
            return Ok(None);
        }
        let news = json!({ "messages": messages, "rows": rows, "dots": dots, "switches": rest["switches"] });
        self.last = rest;
        Ok(Some(news))
    }
}
