//! The schema of a tool that a stranger's server has: what our validator cannot take of it is left unchecked, and the
//! rest holds. The server checks its arguments itself.

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::Schema;

/// Whose values are schemas, each under a name.
const NAMED: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
/// Whose values are data, and no schemas.
const DATA: [&str; 6] = ["enum", "const", "default", "examples", "example", "required"];

/// A schema with what is left unchecked of it, in words for the log.
pub(in crate::handler::llm::tools) struct Lenient {
    pub(in crate::handler::llm::tools) schema: Schema,
    pub(in crate::handler::llm::tools) unchecked: Option<&'static str>,
}

impl Schema {
    /// The schema of a stranger's tool. It is offered as it is; only its outermost level is completed to what models
    /// take, an object with properties.
    ///
    /// # Errors
    /// Why it cannot be used even so, for the log: a model's server may refuse all tools for the sake of it.
    pub(in crate::handler::llm::tools) fn of_stranger(json: Value) -> Result<Lenient, &'static str> {
        let json = outermost(json)?;
        let mut checked = json.clone();
        if let Some(validator) = validator(&checked) {
            return Ok(Lenient { schema: Self { json, validator }, unchecked: None });
        }
        type Step = fn(&mut Value) -> Option<Validator>;
        let steps: [(&'static str, Step); 4] = [
            ("the dialect that it names is not known", |checked| {
                for key in ["$schema", "$id", "id"] {
                    checked.as_object_mut()?.remove(key);
                }
                validator(checked)
            }),
            ("a pattern that is not understood is left unchecked", |checked| {
                leave_unchecked(checked, &|key, value| {
                    key == "pattern" && value.as_str().is_some_and(|pattern| !is_pattern(pattern))
                });
                validator(checked)
            }),
            ("a reference that leads nowhere is left unchecked", |checked| {
                let root = checked.clone();
                leave_unchecked(checked, &|key, value| {
                    matches!(key, "$ref" | "$dynamicRef" | "$recursiveRef")
                        && value.as_str().is_none_or(|to| !leads_somewhere(&root, to))
                });
                validator(checked)
            }),
            // Many servers write one without saying so.
            ("it is written in an older dialect", |checked| {
                let mut older = [Draft::Draft7, Draft::Draft4].into_iter();
                older.find_map(|draft| super::options().with_draft(draft).build(checked).ok())
            }),
        ];
        for (unchecked, step) in steps {
            if let Some(validator) = step(&mut checked) {
                return Ok(Lenient { schema: Self { json, validator }, unchecked: Some(unchecked) });
            }
        }
        Err("its schema is broken")
    }
}

/// The schema of an object with properties.
fn outermost(json: Value) -> Result<Value, &'static str> {
    let mut schema = match json {
        Value::Null | Value::Bool(true) => Map::new(),
        Value::Object(schema) => schema,
        _ => return Err("its schema is none"),
    };
    let is_of_object = match schema.get("type") {
        None | Some(Value::Null) => true,
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) => false,
    };
    if !is_of_object {
        return Err("its schema is not one of an object");
    }
    schema.insert("type".into(), "object".into());
    if schema.get("properties").is_none_or(Value::is_null) {
        schema.insert("properties".into(), json!({}));
    }
    Ok(Value::Object(schema))
}

fn validator(schema: &Value) -> Option<Validator> {
    super::options().build(schema).ok()
}

fn is_pattern(pattern: &str) -> bool {
    validator(&json!({ "pattern": pattern })).is_some()
}

/// Whether a reference leads to a place in this document, as far as that can be told.
fn leads_somewhere(root: &Value, to: &str) -> bool {
    match to.strip_prefix('#') {
        None => false,
        Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => root.pointer(pointer).is_some(),
        Some(anchor) => has_anchor(root, anchor),
    }
}

fn has_anchor(value: &Value, anchor: &str) -> bool {
    match value {
        Value::Object(fields) => {
            ["$anchor", "$dynamicAnchor"].iter().any(|key| fields.get(*key).is_some_and(|name| name == anchor))
                || fields.values().any(|value| has_anchor(value, anchor))
        }
        Value::Array(values) => values.iter().any(|value| has_anchor(value, anchor)),
        _ => false,
    }
}

/// Takes out what is not understood, and what would mean the opposite without it.
fn leave_unchecked(schema: &mut Value, is_unknown: &dyn Fn(&str, &Value) -> bool) {
    if walk(schema, is_unknown, false) {
        // What stands in a definition stands wherever it is referred to, as in a `not`.
        walk(schema, is_unknown, true);
    }
}

/// Whether something in there is less strict now than it was.
fn walk(schema: &mut Value, is_unknown: &dyn Fn(&str, &Value) -> bool, referred: bool) -> bool {
    let Value::Object(fields) = schema else { return false };
    let mut looser = false;
    fields.retain(|key, value| {
        let unknown = is_unknown(key, value);
        looser |= unknown;
        !unknown
    });
    looser |= referred && fields.contains_key("$ref");
    if let Some(Value::Object(patterns)) = fields.get_mut("patternProperties") {
        let before = patterns.len();
        patterns.retain(|pattern, _| is_pattern(pattern));
        if patterns.len() < before {
            // What such a pattern lets through would be too much now.
            looser = true;
            fields.remove("additionalProperties");
            fields.remove("unevaluatedProperties");
        }
    }
    let keys: Vec<String> = fields.keys().cloned().collect();
    for key in keys.iter().map(String::as_str).filter(|key| !DATA.contains(key)) {
        let Some(value) = fields.get_mut(key) else { continue };
        let within = match value {
            Value::Object(named) if NAMED.contains(&key) => {
                named.values_mut().fold(false, |looser, schema| walk(schema, is_unknown, referred) | looser)
            }
            Value::Array(schemas) => {
                schemas.iter_mut().fold(false, |looser, schema| walk(schema, is_unknown, referred) | looser)
            }
            value => walk(value, is_unknown, referred),
        };
        if !within {
            continue;
        }
        match key {
            "not" => drop(fields.remove("not")),
            "if" => ["if", "then", "else"].iter().for_each(|key| drop(fields.remove(*key))),
            "contains" => drop(fields.remove("maxContains")),
            "oneOf" => {
                // More of them may hold now than one.
                let any = json!({ "anyOf": fields.remove("oneOf") });
                match fields.get_mut("allOf") {
                    Some(Value::Array(all)) => all.push(any),
                    _ => drop(fields.insert("allOf".into(), json!([any]))),
                }
            }
            _ => {}
        }
        looser = true;
    }
    looser
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: &str = "^(?!\\.)[a-z.]+@[a-z.]+$";

    fn lenient(json: Value) -> Lenient {
        Schema::of_stranger(json.clone()).unwrap_or_else(|why| panic!("{why}: {json}"))
    }

    fn object(properties: Value, more: Value) -> Value {
        let mut schema = json!({ "type": "object", "properties": properties });
        let fields = schema.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        schema
    }

    /// The schema, arguments that fit it, and such that do not.
    type Row = (Value, Vec<Value>, Vec<Value>);

    #[test]
    fn only_what_is_not_understood_is_left_unchecked_wherever_it_stands() {
        let email = json!({ "type": "string", "pattern": AHEAD, "maxLength": 20 });
        let rows: Vec<Row> = vec![
            (
                object(json!({ "a": email, "b": { "type": "string", "pattern": "^[0-9]+$" } }), json!({})),
                vec![json!({ "a": "x@y.z", "b": "17" })],
                vec![json!({ "a": 1 }), json!({ "a": "x".repeat(21) }), json!({ "b": "x" })],
            ),
            (
                object(json!({ "a": { "$ref": "#/$defs/email" } }), json!({ "$defs": { "email": email } })),
                vec![json!({ "a": "x@y.z" })],
                vec![json!({ "a": 1 })],
            ),
            (
                object(json!({ "a": { "type": "array", "items": [email], "prefixItems": [email] } }), json!({})),
                vec![json!({ "a": ["x@y.z"] })],
                vec![json!({ "a": "x" })],
            ),
            (
                object(
                    json!({}),
                    json!({ "patternProperties": { "^(?=x)": { "type": "string" }, "^y": { "type": "integer" } },
                    "additionalProperties": false }),
                ),
                vec![json!({ "x": 1 }), json!({ "y": 1 })],
                vec![json!({ "y": "1" })],
            ),
            // Without their pattern these would refuse everything.
            (
                object(json!({ "a": { "type": "string", "not": { "pattern": AHEAD } } }), json!({})),
                vec![json!({ "a": "x" })],
                vec![json!({ "a": 1 })],
            ),
            (
                object(
                    json!({ "a": { "not": { "$ref": "#/definitions/email" } } }),
                    json!({ "definitions": { "email": { "pattern": AHEAD } } }),
                ),
                vec![json!({ "a": "x" })],
                vec![],
            ),
            (
                object(
                    json!({ "a": { "oneOf": [{ "pattern": AHEAD }, { "pattern": "(?<=a)" }, { "type": "integer" }] } }),
                    json!({}),
                ),
                vec![json!({ "a": "x" }), json!({ "a": 1 })],
                vec![],
            ),
            (
                object(json!({ "a": { "if": { "pattern": AHEAD }, "then": false } }), json!({})),
                vec![json!({ "a": "x" })],
                vec![],
            ),
            // What looks like a schema and is none.
            (
                object(json!({ "a": { "enum": [{ "pattern": AHEAD }] }, "pattern": email }), json!({})),
                vec![json!({ "a": { "pattern": AHEAD }, "pattern": "x" })],
                vec![json!({ "a": {} }), json!({ "pattern": 1 })],
            ),
            (
                object(
                    json!({ "a": { "$ref": "https://example.com/a" }, "b": { "$ref": "#/$defs/no" }, "c": { "type": "integer" } }),
                    json!({}),
                ),
                vec![json!({ "a": 1, "b": 1, "c": 1 })],
                vec![json!({ "c": "1" })],
            ),
        ];
        for (schema, right, wrong) in rows {
            let read = lenient(schema.clone());
            assert!(read.unchecked.is_some(), "{schema}");
            assert_eq!(read.schema.json(), &schema, "it is offered as it is");
            for arguments in right {
                let found = read.schema.read(&arguments.to_string());
                assert!(found.is_ok(), "{schema}: {arguments}: {found:?}");
            }
            for arguments in wrong {
                assert!(read.schema.read(&arguments.to_string()).is_err(), "{schema}: {arguments}");
            }
        }
    }

    #[test]
    fn unknown_formats_keywords_and_dialects_are_no_reason_to_leave_a_tool_out() {
        for more in [
            json!({ "$schema": "https://example.com/my-own-dialect" }),
            json!({ "$schema": "http://json-schema.org/draft-04/schema#" }),
            json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
            json!({ "$schema": "https://json-schema.org/draft/2019-09/schema" }),
            json!({ "x-order": 3, "nullable": true }),
            json!({ "$id": "%%% no address" }),
        ] {
            let schema = object(json!({ "a": { "type": "integer", "format": "int53", "x-unit": "kg" } }), more);
            let read = lenient(schema.clone());
            assert_eq!(read.schema.json(), &schema);
            assert!(read.schema.read("{\"a\": 1}").is_ok(), "{schema}");
            assert!(read.schema.read("{\"a\": \"x\"}").is_err(), "{schema}");
        }
        // Draft 4, as some generators write it without saying so.
        let old = object(json!({ "a": { "type": "integer", "minimum": 0, "exclusiveMinimum": true } }), json!({}));
        let read = lenient(old);
        assert!(read.schema.read("{\"a\": 1}").is_ok() && read.schema.read("{\"a\": 0}").is_err());
    }

    #[test]
    fn what_models_do_not_take_is_completed_or_left_out() {
        for (given, offered) in [
            (json!({}), json!({ "type": "object", "properties": {} })),
            (Value::Null, json!({ "type": "object", "properties": {} })),
            (json!({ "type": "object" }), json!({ "type": "object", "properties": {} })),
            (json!({ "type": ["object", "null"] }), json!({ "type": "object", "properties": {} })),
        ] {
            assert_eq!(lenient(given).schema.json(), &offered);
        }
        for broken in [
            json!("object"),
            json!({ "type": "array" }),
            json!({ "type": "object", "properties": { "a": { "type": "wrong" } } }),
            json!({ "type": "object", "properties": ["a"] }),
        ] {
            assert!(Schema::of_stranger(broken.clone()).is_err(), "{broken}");
        }
    }
}
