//! Calls of tools that a model has written into its words, in the forms that templates teach.

use serde_json::{Map, Value, json};

use super::marks::{self, Tag, code, is_in};
use crate::handler::llm::wire::Offer;
use crate::message::json as of_others;

/// A call: a tool's name, and its arguments as JSON.
pub(super) type SpokenCall = (String, String);

/// Tags that hold calls.
const TAGS: [&str; 12] = [
    "tool_call",
    "tool_calls",
    "toolcall",
    "tool",
    "function_call",
    "function_calls",
    "functioncall",
    "function",
    "tool_use",
    "tool_code",
    "invoke",
    "tool_request",
];
/// Special tokens that begin calls, and what ends them.
const TOKENS: [(&str, &str); 9] = [
    ("tool_calls_begin", "tool_calls_end"),
    ("tool_call_begin", "tool_call_end"),
    ("tool_calls_section_begin", "tool_calls_section_end"),
    ("tool_call_start", "tool_call_end"),
    ("start_action", "end_action"),
    ("tool_call", "/tool_call"),
    ("action_start", "action_end"),
    ("tool_calls", "/tool_calls"),
    ("python_tag", ""),
];
/// The same as text.
const WRITTEN: [(&str, &str); 2] = [("[TOOL_CALLS]", ""), ("[TOOL_REQUEST]", "[END_TOOL_REQUEST]")];
/// So much of a text may be calls; what follows is none that anybody meant.
const MOST_REGIONS: usize = 64;
/// So many places of a text are looked at for JSON.
const MOST_PLACES: usize = 64;

/// The tool that is meant by a name.
pub(super) fn named(offers: &[Offer], name: &str) -> Option<String> {
    let is_offered = |name: &str| offers.iter().any(|Offer::Function { name: offered, .. }| offered == name);
    let name = name.trim();
    if is_offered(name) {
        return Some(name.to_owned());
    }
    let name = name.split("<|").next().unwrap_or(name).trim();
    let name =
        ["functions.", "default_api.", "tools."].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let name = match name.rsplit_once(':') {
        Some((name, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    };
    is_offered(name).then(|| name.to_owned())
}

/// The words without calls. Those of a tool that is offered, and that can be read, are added to `calls`.
pub(super) fn without(text: &str, offers: &[Offer], calls: &mut Vec<SpokenCall>) -> String {
    if let Some(found) = all_of_it(text, offers) {
        calls.extend(found);
        return String::new();
    }
    let fenced = code(text);
    let (mut kept, mut at, mut regions) = (String::new(), 0, 0);
    while let Some(region) = region(text, at, &fenced) {
        kept.push_str(&text[at..region.start]);
        regions += 1;
        if regions > MOST_REGIONS {
            at = text.len();
            break;
        }
        calls.extend(read(&text[region.start..region.end], offers));
        at = region.end;
    }
    kept.push_str(&text[at..]);
    without_fences(&kept, offers, calls)
}

/// Where calls stand.
struct Region {
    start: usize,
    end: usize,
}

fn region(text: &str, from: usize, code: &[std::ops::Range<usize>]) -> Option<Region> {
    let mut found: Option<Region> = None;
    let mut nearer = |start: usize, end: usize| {
        if found.as_ref().is_none_or(|found| start < found.start) {
            found = Some(Region { start, end });
        }
    };
    let mut at = from;
    while let Some(tag) = marks::tag(text, at) {
        at = tag.place.start + 1;
        if is_of_calls(&tag) && !tag.closes && !is_in(code, tag.place.start) {
            nearer(tag.place.start, end_of(text, &tag));
            break;
        }
    }
    at = from;
    while let Some(token) = marks::token(text, at) {
        at = token.place.end;
        if let Some((_, close)) = TOKENS.iter().find(|(open, _)| *open == token.name) {
            let mut end = at;
            let close = std::iter::from_fn(|| {
                let token = marks::token(text, end)?;
                end = token.place.end;
                Some(token)
            })
            .find(|token| !close.is_empty() && token.name == *close);
            nearer(token.place.start, close.map_or(text.len(), |close| close.place.end));
            break;
        }
    }
    for (open, close) in WRITTEN {
        let start = text[from..].match_indices(open).map(|(start, _)| from + start).find(|start| !is_in(code, *start));
        if let Some(start) = start {
            let end = if close.is_empty() { None } else { text[start..].find(close) };
            nearer(start, end.map_or(text.len(), |end| start + end + close.len()));
        }
    }
    found
}

/// `<tool>` alone may be anything; `<function=name>` and `<invoke name="name">` name what they call.
fn is_of_calls(tag: &Tag<'_>) -> bool {
    let name = tag.name.to_ascii_lowercase();
    let names = tag.rest.contains('=');
    TAGS.contains(&&*name) && (names || !["function", "tool", "invoke"].contains(&&*name))
}

/// Behind the tag that ends what `tag` begins, or at the end of the text.
fn end_of(text: &str, tag: &Tag<'_>) -> usize {
    let mut at = tag.place.end;
    while let Some(next) = marks::tag(text, at) {
        if next.closes && next.name.eq_ignore_ascii_case(tag.name) {
            return next.place.end;
        }
        at = next.place.start + 1;
    }
    text.len()
}

/// The calls in what holds nothing else.
fn read(text: &str, offers: &[Offer]) -> Vec<SpokenCall> {
    let in_tags = in_tags(text, offers);
    if in_tags.is_empty() { in_json(text, offers) } else { in_tags }
}

/// Calls whose name, or whose parameters, stand in tags.
fn in_tags(text: &str, offers: &[Offer]) -> Vec<SpokenCall> {
    let (mut calls, mut at) = (Vec::new(), 0);
    while let Some(tag) = marks::tag(text, at) {
        at = tag.place.start + 1;
        let named_here = tag.rest.contains('=').then(|| value_of(tag.rest));
        match named_here {
            Some(name) if !tag.closes && ["function", "invoke", "tool"].contains(&tag.name) => {
                let end = end_of(text, &tag);
                let inside = &text[tag.place.end..end];
                let arguments = object_in(inside).unwrap_or_else(|| parameters(inside, named(offers, name), offers));
                calls.extend(named(offers, name).map(|name| (name, Value::Object(arguments).to_string())));
                at = end;
            }
            // The name is text, and its arguments are pairs of tags.
            None if !tag.closes && tag.name == "arg_key" => {
                let start = text[..tag.place.start].rfind('>').map_or(0, |end| end + 1);
                let Some(name) = named(offers, &text[start..tag.place.start]) else { continue };
                let end = text[at..].find("</tool_call>").map_or(text.len(), |end| at + end);
                let arguments = pairs(&text[tag.place.start..end], Some(&name), offers);
                calls.push((name, Value::Object(arguments).to_string()));
                at = end;
            }
            _ => {}
        }
    }
    calls
}

/// What stands behind the first `=`, quoted or not.
fn value_of(rest: &str) -> &str {
    let value = rest.split_once('=').map_or("", |(_, value)| value).trim();
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => value.split_whitespace().next().unwrap_or_default(),
    }
}

fn object_in(text: &str) -> Option<Map<String, Value>> {
    let text = text[..text.rfind('}').map_or(0, |end| end + 1)].trim_start();
    text.starts_with('{').then(|| of_others::from_str(text).ok()).flatten()
}

/// `<parameter=key>value</parameter>`, and the same with the key as an attribute.
fn parameters(text: &str, name: Option<String>, offers: &[Offer]) -> Map<String, Value> {
    let (mut all, mut at) = (Map::new(), 0);
    while let Some(tag) = marks::tag(text, at) {
        at = tag.place.end;
        if tag.closes || tag.name != "parameter" || !tag.rest.contains('=') {
            continue;
        }
        let end = end_of(text, &tag);
        let inside = &text[at..end];
        let inside = inside[..inside.rfind('<').unwrap_or(inside.len())].trim_matches('\n');
        let is_text = tag.rest.contains("string=\"true\"");
        let key = value_of(tag.rest);
        let value = if is_text { inside.into() } else { typed(inside, key, name.as_deref(), offers) };
        all.insert(key.to_owned(), value);
        at = end;
    }
    all
}

/// `<arg_key>key</arg_key><arg_value>value</arg_value>`.
fn pairs(text: &str, name: Option<&str>, offers: &[Offer]) -> Map<String, Value> {
    let between = |text: &str, open: &str, close: &str| {
        let (_, text) = text.split_once(open)?;
        let (inside, _) = text.split_once(close)?;
        Some(inside.to_owned())
    };
    let pairs = text.split("<arg_key>").skip(1).filter_map(|pair| {
        let key = pair.split("</arg_key>").next()?.trim().to_owned();
        let value = between(pair, "<arg_value>", "</arg_value>")?;
        Some((key.clone(), typed(value.trim(), &key, name, offers)))
    });
    pairs.collect()
}

/// A value that is written as text: text, where the tool's schema says so, and else what it can be read as.
fn typed(text: &str, key: &str, name: Option<&str>, offers: &[Offer]) -> Value {
    let schema = offers.iter().find_map(|Offer::Function { name: offered, parameters, .. }| {
        (Some(&**offered) == name).then(|| &parameters["properties"][key]["type"])
    });
    let is_text = schema.is_some_and(|kind| kind == "string");
    let read = if is_text { None } else { of_others::from_str(text.trim()).ok() };
    read.unwrap_or_else(|| text.into())
}

/// Calls in JSON: alone, in lists, or behind a name.
fn in_json(text: &str, offers: &[Offer]) -> Vec<SpokenCall> {
    let (mut calls, mut at, mut behind, mut places) = (Vec::new(), 0, 0, 0);
    while let Some(start) = text[at..].find(['{', '[']).map(|start| at + start) {
        places += 1;
        if places > MOST_PLACES {
            break;
        }
        let Some((value, length)) = first_value(&text[start..]) else {
            at = start + 1;
            continue;
        };
        let found = in_value(&value, offers);
        match value {
            Value::Object(_) if found.is_empty() => {
                let is_of_name = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
                let words = text[behind..start].split(|c| !is_of_name(c)).filter(|word| !word.is_empty());
                let name = words.filter_map(|word| named(offers, word)).next_back();
                calls.extend(name.map(|name| (name, value.to_string())));
            }
            _ => calls.extend(found),
        }
        at = start + length;
        behind = at;
    }
    calls
}

/// The value that a text begins with, and how long that is.
fn first_value(text: &str) -> Option<(Value, usize)> {
    let whole = of_others::whole(text);
    of_others::first(&whole)
}

/// The calls of tools that are offered.
fn in_value(value: &Value, offers: &[Offer]) -> Vec<SpokenCall> {
    match value {
        Value::Array(values) => values.iter().flat_map(|value| in_value(value, offers)).collect(),
        Value::Object(_) => {
            written(value).and_then(|(name, arguments)| Some((named(offers, &name)?, arguments))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// A call in an object, whichever tool it is of.
fn written(value: &Value) -> Option<SpokenCall> {
    let fields = match value.get("function") {
        Some(function @ Value::Object(_)) => function,
        _ => value,
    };
    let name = ["name", "tool_name", "tool", "function"].iter().find_map(|name| fields.get(*name)?.as_str())?;
    let arguments =
        ["arguments", "parameters", "args", "input", "tool_input"].iter().find_map(|name| fields.get(*name));
    let arguments = match arguments {
        Some(Value::String(arguments)) => arguments.clone(),
        Some(arguments @ Value::Object(_)) => arguments.to_string(),
        Some(_) => return None,
        None => json!({}).to_string(),
    };
    Some((name.to_owned(), arguments))
}

/// The calls, if a text is nothing but JSON of them, perhaps in a fence; none of them, if no such tool is offered.
fn all_of_it(text: &str, offers: &[Offer]) -> Option<Vec<SpokenCall>> {
    /// What nothing but a call has.
    const KEYS: [&str; 8] = ["name", "arguments", "parameters", "type", "id", "function", "tool_name", "index"];
    let text = text.trim();
    let inside = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    let text =
        inside.map_or(text, |inside| inside.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_')).trim();
    let value: Value = text.starts_with(['{', '[']).then(|| of_others::from_str(text).ok()).flatten()?;
    let values = match &value {
        Value::Array(values) => &values[..],
        value => std::slice::from_ref(value),
    };
    let is_call = |value: &Value| {
        let Some(fields) = value.as_object() else { return false };
        let function = fields.get("function").and_then(Value::as_object).unwrap_or(fields);
        let has_arguments = ["arguments", "parameters"].iter().any(|name| function.contains_key(*name));
        has_arguments && written(value).is_some() && fields.keys().all(|key| KEYS.contains(&&**key))
    };
    (!values.is_empty() && values.iter().all(is_call)).then(|| in_value(&value, offers))
}

/// A fence in the middle of words that holds nothing but a call of a tool that is offered is one.
fn without_fences(text: &str, offers: &[Offer], calls: &mut Vec<SpokenCall>) -> String {
    let (mut kept, mut at) = (String::new(), 0);
    for range in code(text).into_iter().filter(|range| text[range.clone()].starts_with("```")) {
        let found = all_of_it(&text[range.clone()], offers).unwrap_or_default();
        if !found.is_empty() {
            kept.push_str(&text[at..range.start]);
            at = range.end;
            calls.extend(found);
        }
    }
    kept.push_str(&text[at..]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offers() -> Vec<Offer> {
        let parameters =
            json!({ "type": "object", "properties": { "day": { "type": "string" }, "from": { "type": "integer" } } });
        vec![Offer::Function { name: "opening_hours".into(), description: String::new(), parameters }]
    }

    #[test]
    fn calls_are_read_in_the_forms_that_templates_teach() {
        let json = r#"{"name": "opening_hours", "arguments": {"day": "7", "from": 9}}"#;
        let arguments = r#"{"day": "7", "from": 9}"#;
        for text in [
            format!("<tool_call>\n{json}\n</tool_call>"),
            format!("<tool_call>{json}"),
            format!("<tool_calls><tool_call>[{json}]</tool_call></tool_calls>"),
            format!("<functioncall> {json} </functioncall>"),
            format!("<function=opening_hours>{arguments}</function>"),
            format!("[TOOL_CALLS] [{json}]"),
            format!("[TOOL_CALLS]opening_hours{arguments}"),
            format!("[TOOL_CALLS]opening_hours[CALL_ID]abc123456[ARGS]{arguments}"),
            format!("[TOOL_REQUEST]{json}[END_TOOL_REQUEST]"),
            format!("<|tool_call|>[{json}]<|/tool_call|>"),
            format!("<|python_tag|>{}", json.replace("arguments", "parameters")),
            format!(
                "<|START_ACTION|>[{{\"tool_name\": \"opening_hours\", \"parameters\": {arguments}}}]\
             <|END_ACTION|>"
            ),
            format!(
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function\
             <｜tool▁sep｜>opening_hours\n```json\n{arguments}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
            ),
            format!(
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>opening_hours<｜tool▁sep｜>{arguments}\
             <｜tool▁call▁end｜><｜tool▁calls▁end｜>"
            ),
            format!(
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.opening_hours:0\
             <|tool_call_argument_begin|>{arguments}<|tool_call_end|><|tool_calls_section_end|>"
            ),
            "<tool_call>\n<function=opening_hours>\n<parameter=day>\n7\n</parameter>\n<parameter=from>\n9\n\
             </parameter>\n</function>\n</tool_call>"
                .into(),
            "<tool_call>opening_hours\n<arg_key>day</arg_key>\n<arg_value>7</arg_value>\n<arg_key>from\
             </arg_key>\n<arg_value>9</arg_value>\n</tool_call>"
                .into(),
            "<minimax:tool_call><invoke name=\"opening_hours\"><parameter name=\"day\">7</parameter>\
             <parameter name=\"from\">9</parameter></invoke></minimax:tool_call>"
                .into(),
            "<｜DSML｜function_calls><｜DSML｜invoke name=\"opening_hours\">\
             <｜DSML｜parameter name=\"day\" string=\"true\">7</｜DSML｜parameter>\
              <｜DSML｜parameter name=\"from\" string=\"false\">9</｜DSML｜parameter></｜DSML｜invoke>\
               </｜DSML｜function_calls>"
                .into(),
            format!("```json\n{json}\n```"),
            format!("```tool_call\n{json}\n```"),
            json.to_owned(),
            format!("[{json}]"),
            format!("{{\"type\": \"function\", \"function\": {json}}}"),
        ] {
            for (words, expected) in [(text.clone(), ""), (format!("A moment.\n\n{text}"), "A moment.")] {
                // In the middle of words, JSON is JSON.
                if !expected.is_empty() && text.starts_with(['{', '[']) && !text.starts_with("[TOOL") {
                    continue;
                }
                let mut calls = Vec::new();
                assert_eq!(without(&words, &offers(), &mut calls).trim(), expected, "{words}");
                let read: Vec<(&str, Value)> =
                    calls.iter().map(|(name, text)| (&**name, of_others::from_str(text).expect("JSON"))).collect();
                assert_eq!(read, [("opening_hours", json!({ "day": "7", "from": 9 }))], "{words}");
            }
            let mut calls = Vec::new();
            assert_eq!(without(&text, &[], &mut calls).trim(), "", "nothing is offered: {text}");
            assert_eq!(calls, []);
        }
    }

    #[test]
    fn what_is_no_call_stays() {
        for text in [
            "Prices: {\"bread\": 4}",
            "{\"name\": \"Ada\", \"age\": 7}",
            "A function <of> sorts, and a <tool> too.",
            "So:\n```\n<tool_call>{}</tool_call>\n```\nThat is all.",
            "```json\n{\"name\": \"x\"}\n```",
        ] {
            let mut calls = Vec::new();
            assert_eq!(without(text, &offers(), &mut calls), text);
            assert_eq!(calls, []);
        }
    }

    #[test]
    fn names_are_found_in_what_stands_around_them() {
        for name in ["opening_hours", " functions.opening_hours:0", "opening_hours<|channel|>commentary"] {
            assert_eq!(named(&offers(), name).as_deref(), Some("opening_hours"), "{name}");
        }
        assert_eq!(named(&offers(), "opening"), None);
    }
}
