//! What stands beside an answer's words and calls, and goes back with them: signatures, and what a model has thought.

use serde_json::{Map, Value};

/// So many bytes of it are kept. What is longer is left out field by field: half a signature is none.
pub(super) const LONGEST: usize = 128 << 10;

/// Adds a piece: text that is thought goes on, lists go on, objects are merged, and anything else takes the place of
/// what was there. `room` is how many bytes there are left.
pub(super) fn merge(all: &mut Map<String, Value>, piece: Map<String, Value>, room: &mut usize) {
    for (name, value) in piece.into_iter().filter(|(_, value)| !value.is_null()) {
        if let (Some(Value::Object(known)), Value::Object(more)) = (all.get_mut(&name), &value) {
            merge(known, more.clone(), room);
            continue;
        }
        let goes_on = match (all.get(&name), &value) {
            (Some(Value::String(_)), Value::String(_)) => goes_on(&name),
            (Some(Value::Array(_)), Value::Array(_)) => true,
            _ => false,
        };
        // What takes another's place takes its room, too.
        let freed = all.get(&name).filter(|_| !goes_on).map_or(0, |known| name.len() + size(known));
        let Some(left) = (*room + freed).checked_sub(name.len() + size(&value)) else { continue };
        *room = left;
        match (all.get_mut(&name), value) {
            (Some(Value::String(known)), Value::String(more)) if goes_on => known.push_str(&more),
            (Some(Value::Array(known)), Value::Array(more)) => more.into_iter().for_each(|more| add(known, more)),
            (_, value) => drop(all.insert(name, value)),
        }
    }
}

/// The thoughts among it, for whoever counts them.
pub(super) fn thoughts(all: &Map<String, Value>) -> String {
    let texts = all.iter().filter(|(name, _)| goes_on(name)).filter_map(|(_, value)| value.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// Whether a field's text comes in pieces.
fn goes_on(name: &str) -> bool {
    let is_thought = ["reason", "think", "thought"].iter().any(|part| name.contains(part));
    (is_thought && !name.contains("signature")) || ["text", "summary", "data"].contains(&name)
}

/// Adds an entry of a list: pieces of one have its number and its type.
fn add(known: &mut Vec<Value>, more: Value) {
    let same = |one: &Value, name: &str| one.get(name) == more.get(name);
    let last = known.last_mut().filter(|last| more.get("index").is_some() && same(last, "index") && same(last, "type"));
    match (last, more) {
        (Some(Value::Object(last)), Value::Object(more)) => merge(last, more, &mut (usize::MAX / 2)),
        (_, more) => known.push(more),
    }
}

/// About how long a value is.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(values) => values.iter().map(|value| size(value) + 1).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value) + 4).sum::<usize>() + 2,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(pieces: &[Value], mut room: usize) -> Value {
        let mut all = Map::new();
        for piece in pieces {
            merge(&mut all, piece.as_object().expect("an object").clone(), &mut room);
        }
        Value::Object(all)
    }

    #[test]
    fn thoughts_go_on_and_signatures_are_the_last() {
        let pieces = [
            json!({ "reasoning_content": "One ", "thought_signature": "A", "extra_content": { "google": { "a": 1 } } }),
            json!({ "reasoning_content": "two", "thought_signature": "B", "x": null,
                "extra_content": { "google": { "b": 2 } } }),
        ];
        let expected = json!({ "reasoning_content": "One two", "thought_signature": "B",
            "extra_content": { "google": { "a": 1, "b": 2 } } });
        assert_eq!(merged(&pieces, LONGEST), expected);
        let entry = |index: u64, text: &str| json!({ "type": "reasoning.text", "index": index, "text": text });
        let detail = |index: u64, text: &str| json!({ "reasoning_details": [entry(index, text)] });
        let pieces = [detail(0, "One "), detail(0, "two"), detail(1, "three")];
        let expected = json!({ "reasoning_details": [entry(0, "One two"), entry(1, "three")] });
        assert_eq!(merged(&pieces, LONGEST), expected);
    }

    #[test]
    fn what_is_too_long_is_left_out_and_nothing_is_cut() {
        let pieces = [json!({ "a": "x".repeat(60) }), json!({ "b": "y".repeat(60) }), json!({ "c": "z" })];
        assert_eq!(merged(&pieces, 100), json!({ "a": "x".repeat(60), "c": "z" }));
        // What comes with each piece takes its room once.
        let pieces = vec![json!({ "a": "x".repeat(60), "b": { "c": "y".repeat(20) } }); 100];
        assert_eq!(merged(&pieces, 100), pieces[0]);
    }
}
