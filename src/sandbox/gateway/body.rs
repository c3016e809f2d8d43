//! Reading a JSON body against the gateway's schema: a field that it does not know is an error, as is one of a type
//! that it is not.

use serde_json::{Map, Value};

use super::error::Refusal;
use crate::sandbox::upstream::UpstreamRequest;

/// An object.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// The body of a call.
    pub(super) fn read(request: &UpstreamRequest) -> Result<Self, Refusal> {
        match request.json() {
            Some(Value::Object(fields)) => Ok(Self(fields)),
            Some(_) => Err(Refusal::schema("expected object (body)")),
            None => Err(Refusal::validation("the body is not JSON")),
        }
    }

    /// The same, if it has no other fields than these.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Refusal> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Refusal::schema(format!("unexpected property (body.{key})"))),
            None => Ok(self),
        }
    }

    /// A text. An empty one is none.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Refusal::schema(format!("expected string (body.{key})"))),
        }
    }

    /// The same, to keep.
    pub(super) fn owned(&self, key: &str) -> Result<Option<String>, Refusal> {
        Ok(self.text(key)?.map(str::to_owned))
    }

    /// A text that has to be there.
    pub(super) fn required(&self, key: &str) -> Result<&str, Refusal> {
        self.text(key)?.ok_or_else(|| Refusal::validation(format!("{key} is required")))
    }

    /// A number; nothing is zero.
    pub(super) fn number(&self, key: &str) -> Result<f64, Refusal> {
        match self.0.get(key) {
            None => Ok(0.0),
            Some(number) => number.as_f64().ok_or_else(|| Refusal::schema(format!("expected number (body.{key})"))),
        }
    }

    /// An object that has to be there, with no other fields than these.
    pub(super) fn object(&self, key: &str, known: &[&str]) -> Result<Self, Refusal> {
        match self.0.get(key) {
            Some(Value::Object(fields)) => Self(fields.clone()).only(known),
            Some(_) => Err(Refusal::schema(format!("expected object (body.{key})"))),
            None => Err(Refusal::validation(format!("{key} is required"))),
        }
    }
}
