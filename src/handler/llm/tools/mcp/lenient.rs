//! A server's messages, made into what the SDK takes: it refuses a whole list for one tool, and a whole result for one
//! part of it, that it does not know. Only what is used stays.

use serde_json::{Map, Value, json};

use super::content;

/// The version that a server speaks which does not say.
const VERSION: &str = "2025-03-26";
/// Where a tool that can only be called as a task is marked.
pub(super) const TASK_ONLY: &str = "threedots/task-only";

/// The code of an error of our own making: an answer was too long to be read. None of the protocol's.
pub(super) const TOO_LONG: i32 = -31_999;

/// The answer in the place of one that is too long.
pub(super) fn too_long(request: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request, "error": { "code": TOO_LONG, "message": "its answer is too long" } })
}

/// Which request a message answers, by its beginning alone, if it says so there: by a number, as our requests have
/// them.
pub(super) fn answered(beginning: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(beginning);
    let (before, behind) = text.split_once("\"id\"")?;
    // Behind the result it may be anything's.
    if before.contains("\"result\"") || before.contains("\"params\"") || before.contains("\"method\"") {
        return None;
    }
    let digits = behind.trim_start().strip_prefix(':')?.trim_start();
    let length = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..length].parse::<u64>().ok().map(Value::from)
}

/// The messages in a line or a body: one, or several at once.
pub(super) fn messages(json: Value) -> Vec<Value> {
    match json {
        Value::Array(messages) => messages.into_iter().map(mended).collect(),
        message => vec![mended(message)],
    }
}

/// Gives an answer the identifier of the only request that it can belong to, if it can.
///
/// A number may have become a text on its way; an answer without an identifier belongs to the request that it answers.
pub(super) fn fitted(mut message: Value, request: &Value) -> Option<Value> {
    let fields = message.as_object_mut()?;
    if !fields.contains_key("result") && !fields.contains_key("error") {
        return None;
    }
    let fits = match fields.get("id") {
        None | Some(Value::Null) => true,
        Some(id) => is_same(id, request),
    };
    fields.insert("id".into(), request.clone());
    fits.then_some(message)
}

/// Whether two identifiers are one.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    let plain = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    plain(one) == plain(other)
}

fn mended(mut message: Value) -> Value {
    let Some(fields) = message.as_object_mut() else { return message };
    fields.insert("jsonrpc".into(), "2.0".into());
    if fields.get("error").is_some_and(Value::is_null) {
        fields.remove("error");
    }
    if let Some(error) = fields.remove("error") {
        fields.remove("result");
        let words = error.as_str().or_else(|| error.get("message").and_then(Value::as_str)).unwrap_or_default();
        let code = error.get("code").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
        let mut mended = json!({ "code": code.unwrap_or(-32603), "message": words });
        if let Some(supported) = error.pointer("/data/supported") {
            mended["data"] = json!({ "supported": supported });
        }
        fields.insert("error".into(), mended);
    } else if let Some(result) = fields.remove("result") {
        fields.insert("result".into(), mended_result(result));
    }
    message
}

fn mended_result(result: Value) -> Value {
    let has = |key: &str| result.get(key).is_some();
    let unfinished = result.get("resultType").is_some_and(|kind| kind != "complete");
    if unfinished {
        result
    } else if has("supportedVersions") {
        discovered(&result)
    } else if has("protocolVersion") || has("serverInfo") {
        beginning(&result)
    } else if has("tools") {
        list(&result)
    } else {
        let is_error = result.get("isError").is_some_and(|is_error| *is_error == true || *is_error == "true");
        let mut called = json!({
            "content": [{ "type": "text", "text": match &result {
                Value::Object(_) => content::words(&result),
                other => content::words(&json!({ "content": other })),
            } }],
            "isError": is_error,
        });
        if let Some(meta) = result.get("_meta").filter(|meta| meta.is_object()) {
            called["_meta"] = meta.clone();
        }
        called
    }
}

/// What a server says when it is connected to.
fn beginning(result: &Value) -> Value {
    let text = |place: &str| result.pointer(place).and_then(Value::as_str);
    json!({
        "protocolVersion": text("/protocolVersion").unwrap_or(VERSION),
        "capabilities": { "tools": {} },
        "serverInfo": {
            "name": text("/serverInfo/name").unwrap_or_default(),
            "version": text("/serverInfo/version").unwrap_or_default(),
        },
    })
}

/// What a server without a handshake says of itself.
fn discovered(result: &Value) -> Value {
    let versions = result["supportedVersions"].as_array().map(Vec::as_slice).unwrap_or_default();
    json!({
        "resultType": "complete",
        "supportedVersions": versions.iter().filter(|version| version.is_string()).collect::<Vec<_>>(),
        "capabilities": { "tools": {} },
        "ttlMs": 0,
        "cacheScope": "private",
    })
}

fn list(result: &Value) -> Value {
    let tools = result["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut listed = json!({ "tools": tools.iter().filter_map(tool).collect::<Vec<_>>() });
    if let Some(cursor) = result["nextCursor"].as_str().filter(|cursor| !cursor.is_empty()) {
        listed["nextCursor"] = cursor.into();
    }
    listed
}

/// A tool, as far as it is used. One without a name cannot be called.
fn tool(tool: &Value) -> Option<Value> {
    let name = tool["name"].as_str()?;
    let description =
        ["description", "title"].iter().find_map(|key| tool[*key].as_str().filter(|text| !text.is_empty()));
    let mut meta = Map::new();
    if tool.pointer("/execution/taskSupport").is_some_and(|support| support == "required") {
        meta.insert(TASK_ONLY.into(), true.into());
    }
    let schema = match &tool["inputSchema"] {
        Value::Object(schema) => schema.clone(),
        Value::Null | Value::Bool(true) => Map::new(),
        // It is told of with its name.
        _ => Map::from_iter([("type".to_owned(), "none".into())]),
    };
    Some(json!({
        "name": name,
        "description": description.unwrap_or_default(),
        "inputSchema": schema,
        "_meta": meta,
    }))
}

#[cfg(test)]
mod tests {
    use rmcp::model::{JsonRpcMessage, ServerJsonRpcMessage, ServerResult};

    use super::*;

    fn read(result: Value) -> ServerResult {
        let message = messages(json!({ "id": 1, "result": result })).pop().expect("a message");
        match crate::message::json::from_value::<ServerJsonRpcMessage>(message.clone()) {
            Ok(JsonRpcMessage::Response(response)) => response.result,
            other => panic!("{message}: {other:?}"),
        }
    }

    #[test]
    fn one_tool_takes_no_others_out() {
        let good = json!({ "name": "good", "description": "It works.", "inputSchema": { "type": "object" } });
        for bad in [
            json!({ "name": "bad" }),
            json!({ "name": "bad", "inputSchema": null, "description": null }),
            json!({ "name": "bad", "inputSchema": "text", "description": 7 }),
            json!({ "name": "bad", "inputSchema": {}, "annotations": "strange", "icons": {}, "outputSchema": [] }),
            json!({ "name": 7 }),
            json!("no tool"),
            Value::Null,
        ] {
            let list = json!({ "tools": [bad, good], "nextCursor": 7, "ttlMs": "long", "_meta": [] });
            let ServerResult::ListToolsResult(list) = read(list) else { panic!("{bad} is no list") };
            assert_eq!(list.tools.last().map(|tool| &*tool.name), Some("good"), "{bad}");
            assert_eq!(list.next_cursor, None);
        }
        let ServerResult::ListToolsResult(list) = read(json!({ "tools": null, "nextCursor": "x" })) else { panic!() };
        assert_eq!((list.tools.len(), list.next_cursor.as_deref()), (0, Some("x")));
    }

    #[test]
    fn a_server_may_say_little_of_itself() {
        for result in [
            json!({ "protocolVersion": "2024-11-05" }),
            json!({ "protocolVersion": "2025-06-18", "capabilities": [], "serverInfo": "me", "instructions": 7 }),
            json!({ "serverInfo": { "name": "me" } }),
            json!({ "protocolVersion": "1999-01-01", "capabilities": { "tools": null }, "serverInfo": null }),
        ] {
            assert!(matches!(read(result.clone()), ServerResult::InitializeResult(_)), "{result}");
        }
    }

    #[test]
    fn whatever_a_call_brings_is_a_result() {
        for (result, words) in [
            (json!({}), ""),
            (json!("done"), "done"),
            (json!([]), ""),
            (
                json!({ "content": [{ "type": "hologram", "data": {} }] }),
                "[content of the kind \"hologram\", which cannot be shown]",
            ),
            (json!({ "content": [{ "type": "text", "text": "x", "annotations": "strange" }], "isError": null }), "x"),
        ] {
            let ServerResult::CallToolResult(called) = read(result.clone()) else { panic!("{result}") };
            assert_eq!(called.content[0].as_text().map(|text| text.text.as_str()), Some(words), "{result}");
            assert_eq!(called.is_error, Some(false));
        }
    }

    #[test]
    fn an_error_is_one_in_any_form_and_belongs_to_its_request() {
        for error in [json!("no"), json!({ "message": "no" }), json!({ "code": "E1", "message": "no" }), json!(7)] {
            let message = messages(json!({ "id": null, "error": error })).pop().expect("a message");
            let message = fitted(message, &json!(4)).expect("it fits");
            let read = crate::message::json::from_value::<ServerJsonRpcMessage>(message);
            assert!(matches!(read, Ok(JsonRpcMessage::Error(_))), "{error}");
        }
        let answer = |id: Value| fitted(json!({ "id": id, "result": {} }), &json!(4)).is_some();
        assert!(answer(json!(4)) && answer(json!("4")) && answer(Value::Null));
        assert!(!answer(json!(5)) && !answer(json!("server-error")));
        assert_eq!(fitted(json!({ "method": "ping", "id": 4 }), &json!(4)), None);
        let beginning = |text: &str| answered(text.as_bytes());
        assert_eq!(beginning("{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"con"), Some(json!(17)));
        assert_eq!(beginning("{ \"id\" : 3, \"jsonrpc\""), Some(json!(3)));
        for other in ["{\"result\":{\"id\":3,", "{\"id\":\"x\",", "{\"id\":3", "xxxx", "{\"method\":\"a\",\"id\":3,"] {
            assert_eq!(beginning(other), None, "{other}");
        }
        let both = messages(json!({ "id": 1, "error": null, "result": { "content": [] } }));
        assert!(both[0].get("error").is_none() && both[0].get("result").is_some());
    }
}
