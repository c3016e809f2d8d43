//! Interactive messages: buttons, lists, links, and the rest.

use std::collections::HashSet;

use super::check::Fields;
use crate::sandbox::meta::error::Refusal;
use crate::sandbox::phone::{Body, Choice, Frame, Row, Section};

/// Reads and checks the `interactive` object.
pub(super) fn body(fields: &Fields<'_>) -> Result<Body, Refusal> {
    let kind = fields.required("interactive.type", 64)?;
    let frame = frame(fields, if kind == "list" { 4096 } else { 1024 })?;
    match kind {
        "button" => Ok(Body::Buttons { buttons: buttons(fields)?, frame }),
        "list" => list(fields, frame),
        "cta_url" => Ok(Body::Link {
            title: fields.required("interactive.action.parameters.display_text", 20)?.to_owned(),
            url: fields.required("interactive.action.parameters.url", 4096)?.to_owned(),
            frame,
        }),
        other => {
            let expected = match other {
                "location_request_message" => Some("send_location"),
                "contact_request" => Some("request_contact_info"),
                "flow" => Some("flow"),
                "product"
                | "product_list"
                | "carousel"
                | "address_message"
                | "voice_call"
                | "call_permission_request" => None,
                _ => return Err(Refusal::unsupported_type()),
            };
            if let Some(expected) = expected
                && fields.required("interactive.action.name", 64)? != expected
            {
                return Err(Refusal::out_of_bounds(format!("`interactive.action.name` has to be `{expected}`")));
            }
            Ok(Body::Other { frame, kind: other.to_owned() })
        }
    }
}

fn frame(fields: &Fields<'_>, limit: usize) -> Result<Frame, Refusal> {
    let header = &fields.value()["interactive"]["header"];
    if fields.value()["interactive"]["type"] == "list" && !header.is_null() && header["type"] != "text" {
        return Err(Refusal::invalid("the header of a list has to be text"));
    }
    Ok(Frame {
        header: fields.owned("interactive.header.text", 60)?,
        body: fields.required("interactive.body.text", limit)?.to_owned(),
        footer: fields.owned("interactive.footer.text", 60)?,
    })
}

fn buttons(fields: &Fields<'_>) -> Result<Vec<Choice>, Refusal> {
    let mut buttons: Vec<Choice> = Vec::new();
    for button in fields.list("interactive.action.buttons", 3)? {
        let button = Fields::new(button);
        if button.required("type", 64)? != "reply" {
            return Err(Refusal::out_of_bounds("the type of a button has to be `reply`"));
        }
        let title = button.required("reply.title", 20)?.to_owned();
        buttons.push(Choice { id: button.required("reply.id", 256)?.to_owned(), title });
    }
    let titles: HashSet<&str> = buttons.iter().map(|button| button.title.as_str()).collect();
    let ids: HashSet<&str> = buttons.iter().map(|button| button.id.as_str()).collect();
    if titles.len() < buttons.len() || ids.len() < buttons.len() {
        return Err(Refusal::out_of_bounds("two buttons have the same title or the same id"));
    }
    Ok(buttons)
}

fn list(fields: &Fields<'_>, frame: Frame) -> Result<Body, Refusal> {
    let mut sections = Vec::new();
    let mut ids = HashSet::new();
    let values = fields.list("interactive.action.sections", 10)?;
    for section in values {
        let section = Fields::new(section);
        let title = section.optional("title", 24)?.unwrap_or_default();
        if title.is_empty() && values.len() > 1 {
            return Err(Refusal::missing("interactive.action.sections.title"));
        }
        let mut rows = Vec::new();
        for row in section.list("rows", 10)? {
            let row = Fields::new(row);
            let (id, title) = (row.required("id", 200)?, row.required("title", 24)?);
            if !ids.insert(id) {
                return Err(Refusal::out_of_bounds("two rows have the same id"));
            }
            let choice = Choice { id: id.to_owned(), title: title.to_owned() };
            rows.push(Row { choice, description: row.owned("description", 72)? });
        }
        sections.push(Section { title: title.to_owned(), rows });
    }
    if ids.len() > 10 {
        return Err(Refusal::out_of_bounds("a list takes at most 10 rows in all its sections"));
    }
    Ok(Body::List { frame, open: fields.required("interactive.action.button", 20)?.to_owned(), sections })
}
