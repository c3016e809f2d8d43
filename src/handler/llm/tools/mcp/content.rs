//! A tool's result in words: what a model is told of it.

use serde_json::Value;

/// The longest name, title or address that is told, in characters.
const LONGEST_LABEL: usize = 200;
/// The longest description of a linked resource, in characters.
const LONGEST_DESCRIPTION: usize = 500;

/// The words of a result: its texts; what is no text by its kind and name; and its structured content where it has no
/// text.
pub(super) fn words(result: &Value) -> String {
    let blocks: Vec<Block> = match result.get("content") {
        Some(Value::Array(blocks)) => blocks.iter().map(block).collect(),
        None | Some(Value::Null) => Vec::new(),
        Some(other) => vec![block(other)],
    };
    let has_text = blocks.iter().any(|block| matches!(block, Block::Text(text) if !text.trim().is_empty()));
    let structured = result.get("structuredContent").filter(|structured| !structured.is_null() && !has_text);
    let mut words: Vec<String> = blocks.into_iter().map(|(Block::Text(words) | Block::Other(words))| words).collect();
    words.extend(structured.map(|structured| without_bytes(structured).to_string()));
    words.join("\n")
}

/// The same value, with the length of what is no text in its place: some servers repeat their content in there.
fn without_bytes(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let has_kind = fields.contains_key("mimeType");
            let of = |(key, value): (&String, &Value)| match value.as_str() {
                Some(bytes) if has_kind && (key == "blob" || key == "data") => {
                    (key.clone(), format!("[{} bytes]", decoded_length(bytes)).into())
                }
                _ => (key.clone(), without_bytes(value)),
            };
            Value::Object(fields.iter().map(of).collect())
        }
        Value::Array(values) => values.iter().map(without_bytes).collect(),
        value => value.clone(),
    }
}

enum Block {
    Text(String),
    Other(String),
}

fn block(block: &Value) -> Block {
    if let Value::String(text) = block {
        return Block::Text(text.clone());
    }
    let kind = block.get("type").and_then(Value::as_str);
    match kind {
        Some("image" | "audio") => Block::Other(format!("[{}]", kind.unwrap_or_default())),
        Some("resource") => resource(block.get("resource").unwrap_or(block)),
        Some("resource_link") => Block::Other(link(block)),
        Some("text") | None => match block.get("text") {
            Some(Value::String(text)) => Block::Text(text.clone()),
            Some(Value::Null) | None if kind.is_some() => Block::Text(String::new()),
            Some(Value::Null) | None => Block::Other(unknown("of no kind")),
            Some(other) => Block::Text(other.to_string()),
        },
        Some(other) => Block::Other(unknown(&format!("of the kind \"{}\"", label(other)))),
    }
}

fn unknown(kind: &str) -> String {
    format!("[content {kind}, which cannot be shown]")
}

/// A resource that came along.
fn resource(resource: &Value) -> Block {
    if let Some(text) = field(resource, "text") {
        return Block::Text(text.to_owned());
    }
    let uri = field(resource, "uri").unwrap_or_default();
    let name = ["name", "title"].iter().find_map(|key| field(resource, key)).unwrap_or_else(|| last_segment(uri));
    let mut told = format!("[file {}", label(if name.is_empty() { "without a name" } else { name }));
    if let Some(kind) = field(resource, "mimeType") {
        told += &format!(", {}", label(kind));
    }
    if let Some(blob) = field(resource, "blob") {
        told += &format!(", {} bytes", decoded_length(blob));
    }
    Block::Other(told + "]")
}

/// A resource that is only named.
fn link(link: &Value) -> String {
    let uri = field(link, "uri").unwrap_or_default();
    let name = field(link, "name").unwrap_or_else(|| last_segment(uri));
    let mut told = format!("[link to {}", label(name));
    if let Some(title) = field(link, "title").filter(|title| *title != name) {
        told += &format!(", \"{}\"", label(title));
    }
    told += &format!(": {}", label(uri));
    if let Some(description) = field(link, "description") {
        told += &format!(" ({})", cut(description, LONGEST_DESCRIPTION));
    }
    told + "]"
}

fn field<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn last_segment(uri: &str) -> &str {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

fn label(text: &str) -> String {
    cut(text, LONGEST_LABEL)
}

/// One line, cut.
fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How many bytes this base64 holds.
fn decoded_length(base64: &str) -> usize {
    let digits = base64.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
    digits * 3 / 4
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_content_is_told() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let resource = |resource: Value| json!([{ "type": "resource", "resource": resource }]);
        for (content, told) in [
            (json!([text("a"), text("b")]), "a\nb"),
            (json!("as it is"), "as it is"),
            (json!(["one", text("two")]), "one\ntwo"),
            (text("alone"), "alone"),
            (json!([{ "text": "without a kind" }]), "without a kind"),
            (json!([{ "type": "text", "text": 17 }]), "17"),
            (json!([{ "type": "text" }]), ""),
            (json!([]), ""),
            (Value::Null, ""),
            (json!([{ "type": "image", "data": "aGk=", "mimeType": "image/png" }, text("A map")]), "[image]\nA map"),
            (json!([{ "type": "audio", "data": "aGk=" }]), "[audio]"),
            (json!([{ "type": "resource", "resource": { "uri": "file:///a.txt", "text": "in Graz" } }]), "in Graz"),
            (
                resource(json!({ "uri": "demo://x/data.gz", "mimeType": "a/gzip", "blob": "aGVsbG8=" })),
                "[file data.gz, a/gzip, 5 bytes]",
            ),
            (json!([{ "type": "resource", "resource": {} }]), "[file without a name]"),
            (json!([{ "type": "resource" }]), "[file without a name]"),
            (
                json!([{ "type": "resource_link", "uri": "https://x.example/a?b", "name": "a", "title": "The A",
                    "description": "All of it" }]),
                "[link to a, \"The A\": https://x.example/a?b (All of it)]",
            ),
            (json!([{ "type": "resource_link", "uri": "https://x.example/a/" }]), "[link to a: https://x.example/a/]"),
            (json!([{ "type": "video", "data": "aGk=" }]), "[content of the kind \"video\", which cannot be shown]"),
            (json!([{ "data": 1 }]), "[content of no kind, which cannot be shown]"),
            (json!([7]), "[content of no kind, which cannot be shown]"),
        ] {
            assert_eq!(words(&json!({ "content": content })), told, "{content}");
        }
    }

    #[test]
    fn structured_content_is_told_where_there_is_no_text() {
        let structured = json!({ "count": 7 });
        let with = |content: Value| words(&json!({ "content": content, "structuredContent": structured }));
        assert_eq!(with(json!([])), "{\"count\":7}");
        assert_eq!(with(json!([{ "type": "text", "text": "" }])), "\n{\"count\":7}");
        assert_eq!(with(json!([{ "type": "image" }])), "[image]\n{\"count\":7}");
        assert_eq!(with(json!([{ "type": "text", "text": "seven" }])), "seven");
        assert_eq!(words(&json!({ "structuredContent": [1] })), "[1]");
        let repeated =
            json!({ "content": [{ "mimeType": "image/png", "data": "aGVsbG8=", "n": { "data": "aGVsbG8=" } }] });
        let told = words(&json!({ "structuredContent": repeated }));
        assert_eq!(
            told,
            "{\"content\":[{\"data\":\"[5 bytes]\",\"mimeType\":\"image/png\",\"n\":{\"data\":\"aGVsbG8=\"}}]}"
        );
        assert_eq!(words(&json!({ "structuredContent": null })), "");
    }
}
