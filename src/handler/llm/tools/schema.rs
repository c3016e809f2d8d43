//! The form of a tool's arguments: nothing that does not fit it is called.

mod strangers;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::message::json;

/// So many mistakes are told of at once.
const MOST_TOLD: usize = 5;
/// How much of one is told, in characters.
const LONGEST_TOLD: usize = 300;

/// A JSON schema, compiled.
pub(super) struct Schema {
    json: Value,
    validator: Validator,
}

impl Schema {
    /// One as the configuration has it: a table, JSON text, or "file:PATH".
    pub(super) fn written(written: &Value) -> Result<Self, String> {
        let json = match written {
            Value::String(text) => {
                let text = match text.strip_prefix("file:") {
                    Some(path) => {
                        let read = std::fs::read_to_string(path);
                        read.map_err(|error| format!("the file {path} cannot be read: {}", error.kind()))?
                    }
                    None => text.clone(),
                };
                json::from_str(&text).map_err(|error| format!("is no JSON (line {})", error.line()))?
            }
            other => other.clone(),
        };
        Self::new(json)
    }

    /// A schema of an object's.
    pub(super) fn new(json: Value) -> Result<Self, String> {
        if json.get("type").and_then(Value::as_str) != Some("object") {
            return Err("must be the JSON schema of an object: begin with type = \"object\"".into());
        }
        let validator = options().build(&json).map_err(|error| {
            let problem: String = error.to_string().chars().take(LONGEST_TOLD).collect();
            format!("is no JSON schema that can be used: {problem}")
        })?;
        Ok(Self { json, validator })
    }

    /// The schema.
    pub(super) fn json(&self) -> &Value {
        &self.json
    }

    /// Reads a model's arguments.
    ///
    /// # Errors
    /// What is wrong with them, for the model, which may mend it.
    pub(super) fn read(&self, arguments: &str) -> Result<Map<String, Value>, String> {
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        let arguments: Value = json::from_str(arguments)
            .map_err(|error| format!("They are no JSON (line {}, column {}).", error.line(), error.column()))?;
        let mistakes: Vec<String> = self.validator.iter_errors(&arguments).take(MOST_TOLD).map(told).collect();
        match arguments {
            Value::Object(arguments) if mistakes.is_empty() => Ok(arguments),
            _ => Err(mistakes.join(" ")),
        }
    }
}

/// An engine whose time grows with the text alone: what is matched comes from a model, and perhaps the pattern from a
/// stranger's server. No reference leaves the schema: nothing here can fetch one.
fn options() -> jsonschema::ValidationOptions<'static> {
    jsonschema::options().with_pattern_options(PatternOptions::regex())
}

fn told(error: jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place = if place.is_empty() { "The arguments".to_owned() } else { place };
    format!("{place}: {error}.").chars().take(LONGEST_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::new(json!({
            "type": "object",
            "properties": { "order": { "type": "string", "pattern": "^[0-9]+$" }, "days": { "type": "integer" } },
            "required": ["order"],
            "additionalProperties": false,
        }))
        .expect("a schema")
    }

    #[test]
    fn arguments_that_do_not_fit_are_told_with_their_place() {
        assert!(schema().read("{\"order\": \"17\", \"days\": 3}").is_ok());
        for (wrong, word) in [
            ("", "order"),
            ("{\"order\": ", "no JSON"),
            ("[\"17\"]", "object"),
            ("{\"order\": 17}", "/order"),
            ("{\"order\": \"17; drop\"}", "/order"),
            ("{\"order\": \"17\", \"chat\": \"another\"}", "chat"),
            ("{\"order\": \"17\", \"days\": 1.5}", "/days"),
        ] {
            let told = schema().read(wrong).expect_err(wrong);
            assert!(told.contains(word) && told.chars().count() < 2000, "{wrong}: {told}");
        }
    }

    #[test]
    fn what_is_no_schema_of_an_object_is_refused() {
        for wrong in [
            json!({}),
            json!("type = object"),
            json!("file:/no/such/file"),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": { "a": { "type": "wrong" } } }),
            json!({ "type": "object", "properties": { "a": { "$ref": "https://example.com/a.json" } } }),
            json!({ "type": "object", "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
        ] {
            assert!(Schema::written(&wrong).is_err(), "{wrong}");
        }
        assert!(Schema::written(&json!("{\"type\": \"object\"}")).is_ok());
    }
}
