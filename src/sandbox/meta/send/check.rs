//! Reading a JSON body field by field, with Meta's errors where a field is missing or out of bounds.

use serde_json::Value;

use crate::sandbox::meta::error::Refusal;

/// A JSON object, read by paths such as `text.body`.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// All of it.
    pub(super) fn value(&self) -> &'a Value {
        self.0
    }

    /// A text of at most `limit` characters, if it is there.
    pub(super) fn optional(&self, path: &str, limit: usize) -> Result<Option<&'a str>, Refusal> {
        match self.at(path) {
            Value::Null => Ok(None),
            Value::String(text) if text.chars().count() <= limit => Ok(Some(text)),
            Value::String(_) => Err(Refusal::out_of_bounds(format!("`{path}` is longer than {limit} characters"))),
            _ => Err(Refusal::invalid(format!("`{path}` has to be a string"))),
        }
    }

    /// The same, to keep.
    pub(super) fn owned(&self, path: &str, limit: usize) -> Result<Option<String>, Refusal> {
        Ok(self.optional(path, limit)?.map(str::to_owned))
    }

    /// A text of 1 to `limit` characters.
    pub(super) fn required(&self, path: &str, limit: usize) -> Result<&'a str, Refusal> {
        match self.optional(path, limit)? {
            Some("") => Err(Refusal::out_of_bounds(format!("`{path}` is empty"))),
            Some(text) => Ok(text),
            None => Err(Refusal::missing(path)),
        }
    }

    /// A number. Meta takes one that is written as text too.
    pub(super) fn number(&self, path: &str) -> Result<f64, Refusal> {
        match self.at(path) {
            Value::Null => Err(Refusal::missing(path)),
            Value::Number(number) => number.as_f64().ok_or_else(|| Refusal::out_of_bounds(path)),
            Value::String(text) => text.parse().map_err(|_| Refusal::invalid(format!("`{path}` has to be a number"))),
            _ => Err(Refusal::invalid(format!("`{path}` has to be a number"))),
        }
    }

    /// A list of 1 to `limit` entries.
    pub(super) fn list(&self, path: &str, limit: usize) -> Result<&'a [Value], Refusal> {
        let list = self.at(path).as_array().ok_or_else(|| Refusal::missing(path))?;
        if list.is_empty() || list.len() > limit {
            return Err(Refusal::out_of_bounds(format!("`{path}` takes 1 to {limit} entries")));
        }
        Ok(list)
    }

    fn at(&self, path: &str) -> &'a Value {
        path.split('.').fold(self.0, |value, key| value.get(key).unwrap_or(&Value::Null))
    }
}
