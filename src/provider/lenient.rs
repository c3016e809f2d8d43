//! Reading JSON that others write: what is wrong in one place stays in that place.
//!
//! An empty string and `null` are no value, a number may stand in quotes and text may come as a number, of a key that
//! stands twice the last counts, and an element that cannot be read leaves its neighbours alone. [`Shallow`] takes an
//! object apart without looking into its values, however deep or broken those are; [`Object`] is a view of one that
//! has been read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::message::clock::Timestamp;
use crate::message::json;

/// The text of a delivery, if it is text. What is taken apart into text that is read later has to have been through
/// this: half a character would be found only then.
pub(crate) fn whole(body: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(body).ok().map(json::whole)
}

/// An object whose values are still text.
pub(crate) struct Shallow<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> Shallow<'a> {
    /// Takes `json` apart, if it is an object. It has gone through [`whole`].
    pub(crate) fn read(json: &'a str) -> Option<Self> {
        json::borrowed(json).ok()
    }

    /// The text of a value.
    pub(crate) fn get(&self, key: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rev().find(|(known, _)| is_key(known.get(), key))?;
        Some(value.get()).filter(|value| *value != "null")
    }

    /// A value that is text itself.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        text(&json::from_str(self.get(key)?).ok()?)
    }

    /// A value that is an object, taken apart likewise.
    pub(crate) fn shallow(&self, key: &str) -> Option<Self> {
        Self::read(self.get(key)?)
    }

    /// A value that is an object, read wholly.
    pub(crate) fn object(&self, key: &str) -> Option<Map<String, Value>> {
        object(self.get(key)?)
    }

    /// A value that is a list: the text of each element.
    pub(crate) fn list(&self, key: &str) -> Option<Vec<&'a str>> {
        let elements: Vec<&RawValue> = json::borrowed(self.get(key)?).ok()?;
        Some(elements.into_iter().map(RawValue::get).collect())
    }

    /// The objects of a list, read wholly; other elements are passed over.
    pub(crate) fn objects(&self, key: &str) -> Vec<Map<String, Value>> {
        self.list(key).unwrap_or_default().into_iter().filter_map(object).collect()
    }
}

impl<'de> Deserialize<'de> for Shallow<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Shallow<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Shallow(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Whether a key, as it stands in the text, is `key`.
fn is_key(quoted: &str, key: &str) -> bool {
    if quoted.contains('\\') {
        return json::from_str::<String>(quoted).is_ok_and(|known| known == key);
    }
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(key)
}

/// Reads `json` wholly, if it is an object and no deeper than serde_json goes (128 levels).
pub(crate) fn object(json: &str) -> Option<Map<String, Value>> {
    json::from_str(json).ok()
}

/// Whether `value` is nested no deeper than `levels`. What is kept as it came has to go into records of ours, a few
/// levels down, and be read again there.
pub(crate) fn is_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels > 0 && values.iter().all(|value| is_within(value, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|value| is_within(value, levels - 1)),
        _ => true,
    }
}

/// A view of an object that has been read.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Object<'a> {
    /// A value.
    pub(crate) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Text, or a number as text.
    pub(crate) fn text(self, key: &str) -> Option<String> {
        text(self.get(key)?)
    }

    /// A whole number.
    pub(crate) fn int(self, key: &str) -> Option<i64> {
        let value = self.get(key)?;
        let exact = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        // Some upstreams print a code as 100.0.
        exact.or_else(|| self.float(key).filter(|float| float.fract() == 0.0 && float.abs() < 1e15).map(|f| f as i64))
    }

    /// A number.
    pub(crate) fn float(self, key: &str) -> Option<f64> {
        let value = self.get(key)?;
        value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
    }

    /// Whether something is said to be so.
    pub(crate) fn flag(self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == &Value::Bool(true) || value == "true")
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn seconds(self, key: &str) -> Option<Timestamp> {
        self.int(key).and_then(|seconds| u64::try_from(seconds).ok()).map(Timestamp::from_secs)
    }

    /// An object in it.
    pub(crate) fn object(self, key: &str) -> Option<Object<'a>> {
        self.get(key)?.as_object().map(Object)
    }

    /// The elements of a list in it; none if there is no list.
    pub(crate) fn list(self, key: &str) -> impl Iterator<Item = &'a Value> {
        self.get(key).and_then(Value::as_array).into_iter().flatten()
    }

    /// The options of a poll in a list of it: each text, or an object with a name.
    pub(crate) fn options(self, key: &str) -> Vec<String> {
        let name = |option: &Value| match option {
            Value::Object(option) => ["name", "optionName"].iter().find_map(|key| Object(option).text(key)),
            option => text(option),
        };
        self.list(key).filter_map(name).collect()
    }

    /// The objects of a list in it; other elements are passed over.
    pub(crate) fn objects(self, key: &str) -> impl Iterator<Item = Object<'a>> {
        self.list(key).filter_map(Value::as_object).map(Object)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
