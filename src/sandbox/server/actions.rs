//! What the page's buttons do. All of them take JSON, which no other site's form can send.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::Deserialize;
use serde_json::json;

use super::switches::{Turned, turn};
use super::{Shell, protect};
use crate::message::MessageId;
use crate::sandbox::Draft;
use crate::sandbox::phone::Customer;
use crate::sandbox::takeover::Answers;

/// The longest text that WhatsApp's own apps send.
const LONGEST_TEXT: usize = 65_536;
const LONGEST_NAME: usize = 60;

/// What the customer does.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Act {
    Text {
        text: String,
        #[serde(default)]
        quote: Option<String>,
    },
    Image {
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        quote: Option<String>,
    },
    Voice,
    Location,
    Choice {
        message: String,
        choice: String,
    },
    Reaction {
        message: String,
        emoji: String,
    },
}

pub(super) async fn send(shell: Data<Shell>, digits: Path<String>, act: Json<Act>) -> HttpResponse {
    let Some(customer) = shell.customer(&digits) else { return refused("there is no such customer") };
    let sent = draft(&shell, &customer, act.into_inner())
        .and_then(|draft| shell.sandbox.write(&customer.id, draft).map_err(|_| "there is no such customer"));
    match sent {
        Ok(_) => done(),
        Err(why) => refused(why),
    }
}

fn draft(shell: &Shell, customer: &Customer, act: Act) -> Result<Draft, &'static str> {
    // A message of another chat's is nobody's business here.
    let here = |id: String| {
        let id = MessageId::new(id);
        let phone = shell.sandbox.phone();
        phone
            .message(&id)
            .filter(|_| phone.chat_of(&id).as_ref() == Some(&customer.id))
            .ok_or("there is no such message")
    };
    let quoting = |draft: Draft, quote: Option<String>| match quote {
        Some(quote) => here(quote).map(|quoted| draft.quoting(&quoted.id)),
        None => Ok(draft),
    };
    match act {
        Act::Text { text, .. } if text.trim().is_empty() => Err("there is nothing to send"),
        Act::Text { text, .. } if text.chars().count() > LONGEST_TEXT => Err("that is too long"),
        Act::Text { text, quote } => quoting(Draft::text(text), quote),
        Act::Image { text, quote } => quoting(Draft::image(text.as_deref().filter(|text| !text.is_empty())), quote),
        Act::Voice => Ok(Draft::voice()),
        Act::Location => Ok(Draft::location(59.325, 18.071, Some("Old Town"), Some("Stockholm"))),
        Act::Choice { message, choice } => Draft::choice(&here(message)?, &choice).ok_or("there is no such choice"),
        Act::Reaction { message, emoji } if emoji.chars().count() <= 8 => {
            here(message).map(|message| Draft::reaction(&message.id, &emoji))
        }
        Act::Reaction { .. } => Err("that is no emoji"),
    }
}

/// What a person writes on the business's own phone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    text: String,
}

pub(super) async fn person(shell: Data<Shell>, digits: Path<String>, words: Json<Words>) -> HttpResponse {
    let Some(customer) = shell.customer(&digits) else { return refused("there is no such customer") };
    let text = words.text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_TEXT {
        return refused("a message has 1 to 65,536 characters");
    }
    match shell.sandbox.write_as_person(&customer.id, text) {
        Ok(_) => done(),
        Err(_) => refused("there is no such customer"),
    }
}

/// Who is to answer a customer.
#[derive(Deserialize)]
#[serde(tag = "who", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Who {
    Person,
    Bot,
}

pub(super) async fn answers(shell: Data<Shell>, digits: Path<String>, who: Json<Who>) -> HttpResponse {
    let Some(customer) = shell.customer(&digits) else { return refused("there is no such customer") };
    let who = match *who {
        Who::Person => Answers::Person,
        Who::Bot => Answers::Bot,
    };
    match shell.sandbox.set_answers(&customer.id, who).await {
        Ok(()) => done(),
        Err(_) => refused("the bot could not be told"),
    }
}

/// Somebody new.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCustomer {
    name: String,
}

pub(super) async fn new_customer(shell: Data<Shell>, new: Json<NewCustomer>) -> HttpResponse {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return refused("a name has 1 to 60 characters");
    }
    let id = shell.sandbox.new_customer(name);
    protect(&mut HttpResponse::Created()).json(json!({ "page": format!("{}/phone/{}", shell.home, id.as_str()) }))
}

pub(super) async fn switch(shell: Data<Shell>, turned: Json<Turned>) -> HttpResponse {
    if turn(&shell.sandbox, &turned) { done() } else { refused("there is no such switch") }
}

fn done() -> HttpResponse {
    protect(&mut HttpResponse::NoContent()).finish()
}

fn refused(why: &str) -> HttpResponse {
    protect(&mut HttpResponse::BadRequest()).json(json!({ "error": why }))
}
