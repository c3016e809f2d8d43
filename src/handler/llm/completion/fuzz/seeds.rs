//! What servers write when nothing is wrong: the streams that are changed, each in the manner of one server.

use serde_json::{Value, json};

/// One thing in a stream.
#[derive(Clone, Debug)]
pub(super) enum SeedEvent {
    /// `data:` and JSON.
    Chunk(Value),
    /// `data:` and text.
    Data(String),
    /// A line of another kind.
    Line(String),
}

/// A stream, with what it says.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) name: &'static str,
    pub(super) events: Vec<SeedEvent>,
    /// Whether it is one JSON document and no stream.
    pub(super) whole: bool,
    /// Whether its words rightly hold what looks like thoughts or calls.
    pub(super) holds_marks: bool,
    pub(super) words: String,
    pub(super) calls: Vec<(String, Value)>,
}

const HOURS: &str = "We are open from nine to six. On Saturdays, from ten to two!";
const UMLAUTS: &str = "Ja, wir haben geöffnet: 9–18 Uhr, samstags bis 14 Uhr. 😀\n\nBis dann, Grüße!";
const LIST: &str = "Here is what we have:\n\n- *Rye bread*, 4.50 €\n- Rolls, 3 < 5 for 2 €\n\nWhich would you like?";
const CODE: &str = "Models write `<think>` before they think. The tag <think> stays, and so does this:

\
                    ```xml
<think>an example</think>
<tool_call>{}</tool_call>
```

That was all.";

/// Text in pieces of a few letters.
fn tokens(words: &str, size: usize) -> Vec<String> {
    let letters: Vec<char> = words.chars().collect();
    letters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

/// Chunks with a delta each, and the last one without: `frame` is what stands around each choice.
fn deltas(
    frame: impl Fn(Value) -> Value,
    choice: &Value,
    deltas: impl IntoIterator<Item = Value>,
    reason: &str,
) -> Vec<SeedEvent> {
    let one = |delta: Value, reason: Value| {
        let mut choice = choice.clone();
        choice["delta"] = delta;
        choice["finish_reason"] = reason;
        SeedEvent::Chunk(frame(json!([choice])))
    };
    let mut events: Vec<SeedEvent> = deltas.into_iter().map(|delta| one(delta, Value::Null)).collect();
    events.push(one(json!({}), reason.into()));
    events
}

fn said(words: &str, size: usize) -> impl Iterator<Item = Value> {
    tokens(words, size).into_iter().map(|piece| json!({ "content": piece }))
}

fn stream(name: &'static str, mut events: Vec<SeedEvent>, words: &str, calls: &[(&str, Value)]) -> Stream {
    events.push(SeedEvent::Data("[DONE]".into()));
    let calls = calls.iter().map(|(name, arguments)| ((*name).to_owned(), arguments.clone())).collect();
    Stream { name, events, whole: false, holds_marks: false, words: words.into(), calls }
}

fn call(index: usize, id: &str, name: &str, arguments: &str) -> Value {
    let function = json!({ "name": name, "arguments": arguments });
    json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] })
}

fn more(index: usize, arguments: &str) -> Value {
    json!({ "tool_calls": [{ "index": index, "function": { "arguments": arguments } }] })
}

/// All of them.
pub(super) fn all() -> Vec<Stream> {
    let mut all = texts();
    all.extend(tools());
    all.extend(whole());
    all
}

fn texts() -> Vec<Stream> {
    let plain = json!({ "index": 0 });
    let openai = |choices: Value| {
        json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_764_550_000,
            "model": "gpt-4o-mini",
            "service_tier": "default", "system_fingerprint": "fp_1", "choices": choices, "usage": null,
                "obfuscation": "xK" })
    };
    let role = json!({ "role": "assistant", "content": "", "refusal": null });
    let mut one =
        deltas(openai, &json!({ "index": 0, "logprobs": null }), [role].into_iter().chain(said(HOURS, 4)), "stop");
    let usage = json!({ "prompt_tokens": 30, "completion_tokens": 17, "total_tokens": 47,
        "prompt_tokens_details": { "cached_tokens": 0 }, "completion_tokens_details": { "reasoning_tokens": 0 } });
    one.push(SeedEvent::Chunk(
        json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage }),
    ));

    let llama = |choices: Value| {
        json!({ "choices": choices, "created": 1_764_550_001, "id": "chatcmpl-a", "model": "local",
            "system_fingerprint": "b7210-1", "object": "chat.completion.chunk" })
    };
    let role = json!({ "role": "assistant", "content": null });
    let mut native = deltas(llama, &plain, [role.clone()].into_iter().chain(said(UMLAUTS, 3)), "stop");
    if let Some(SeedEvent::Chunk(last)) = native.last_mut() {
        last["timings"] = json!({ "prompt_n": 30, "prompt_ms": 71.5, "predicted_n": 17,
            "predicted_per_second": 41.2 });
    }

    let python = |choices: Value| {
        json!({ "id": "chatcmpl-b", "model": "/models/a.gguf", "created": 1_764_550_002,
            "object": "chat.completion.chunk", "choices": choices })
    };
    let role_alone = json!({ "role": "assistant" });
    let python = deltas(
        python,
        &json!({ "index": 0,
            "logprobs": null }),
        [role_alone].into_iter().chain(said(LIST, 5)),
        "stop",
    );

    let litellm = |choices: Value| {
        json!({ "id": "chatcmpl-c", "created": 1_764_550_003, "model": "small", "object": "chat.completion.chunk",
            "choices": choices, "citations": null, "provider_specific_fields": null,
                "stream_options": { "include_usage": true } })
    };
    let mut proxied = deltas(litellm, &plain, said(HOURS, 6), "stop");
    proxied.push(SeedEvent::Chunk(
        json!({ "id": "chatcmpl-c", "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": {} }],
        "usage": { "completion_tokens": 17, "prompt_tokens": 30, "total_tokens": 47 } }),
    ));

    let vllm = |choices: Value| {
        json!({ "id": "chatcmpl-d", "object": "chat.completion.chunk", "created": 1_764_550_004, "model": "qwen",
            "choices": choices, "usage": { "prompt_tokens": 30, "total_tokens": 33, "completion_tokens": 3 } })
    };
    let choice = json!({ "index": 0, "logprobs": null, "stop_reason": null, "token_ids": null });
    let vllm = deltas(
        vllm,
        &choice,
        [json!({ "role": "assistant", "content": "" })].into_iter().chain(said(UMLAUTS, 7)),
        "stop",
    );

    // The reason comes with the last words.
    let pieces = tokens(HOURS, 20);
    let gemini = pieces.iter().enumerate().map(|(number, piece)| {
        let reason = (number + 1 == pieces.len()).then_some("stop");
        SeedEvent::Chunk(json!({ "choices": [{ "delta": { "content": piece, "role": "assistant" },
            "finish_reason": reason, "index": 0 }],
            "created": 1_764_550_005, "id": "Ab1", "model": "gemini-3-flash", "object": "chat.completion.chunk",
            "usage": { "completion_tokens": 17, "prompt_tokens": 30, "total_tokens": 47 } }))
    });
    let gemini: Vec<SeedEvent> = gemini.collect();

    let deepseek = |choices: Value| {
        json!({ "id": "e", "object": "chat.completion.chunk", "created": 1_764_550_006,
            "model": "deepseek-reasoner",
            "system_fingerprint": "fp_e", "choices": choices, "usage": null })
    };
    let thoughts = tokens("zqTHOUGHTqz They want to know when.", 6).into_iter();
    let thoughts = thoughts.map(|piece| json!({ "content": null, "reasoning_content": piece }));
    let words = tokens(LIST, 4).into_iter().map(|piece| json!({ "content": piece, "reasoning_content": null }));
    let mut deepseek = deltas(deepseek, &json!({ "index": 0, "logprobs": null }), thoughts.chain(words), "stop");
    if let Some(SeedEvent::Chunk(last)) = deepseek.last_mut() {
        last["usage"] = json!({ "prompt_tokens": 30, "completion_tokens": 40, "total_tokens": 70,
            "prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 30 });
    }

    let mistral = |choices: Value| {
        json!({ "id": "f", "object": "chat.completion.chunk", "created": 1_764_550_007, "model": "magistral-small",
            "choices": choices, "p": "abcdef" })
    };
    let thinking =
        json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "zqTHOUGHTqz" }] }] });
    let parts = tokens(UMLAUTS, 9).into_iter().map(|piece| {
        json!({ "content": [{ "type": "text",
        "text": piece }] })
    });
    let mistral = deltas(
        mistral,
        &plain,
        [json!({ "role": "assistant", "content": "" }), thinking].into_iter().chain(parts),
        "stop",
    );

    let groq = |choices: Value| {
        json!({ "id": "chatcmpl-g", "object": "chat.completion.chunk", "created": 1_764_550_008,
            "model": "gpt-oss-20b",
            "system_fingerprint": "fp_g", "choices": choices, "x_groq": { "id": "req_1" } })
    };
    let thought = json!({ "channel": "analysis", "reasoning": "zqTHOUGHTqz" });
    let mut groq =
        deltas(groq, &json!({ "index": 0, "logprobs": null }), [thought].into_iter().chain(said(HOURS, 5)), "stop");
    if let Some(SeedEvent::Chunk(last)) = groq.last_mut() {
        last["x_groq"] =
            json!({ "id": "req_1", "usage": { "queue_time": 0.1, "prompt_tokens": 30, "completion_tokens": 17 } });
    }

    let azure = |choices: Value| {
        json!({ "choices": choices, "created": 1_764_550_009, "id": "chatcmpl-h", "model": "gpt-4o",
            "object": "chat.completion.chunk",
            "system_fingerprint": "fp_h" })
    };
    let choice = json!({ "index": 0, "logprobs": null, "content_filter_results": { "hate": { "filtered": false,
        "severity": "safe" } } });
    let mut azure = deltas(
        azure,
        &choice,
        [json!({ "content": "", "role": "assistant" })].into_iter().chain(said(LIST, 8)),
        "stop",
    );
    azure.insert(
        0,
        SeedEvent::Chunk(json!({ "choices": [], "created": 0, "id": "", "model": "", "object": "",
        "prompt_filter_results": [{ "prompt_index": 0,
            "content_filter_results": { "violence": { "filtered": false } } }] })),
    );

    let studio = |choices: Value| {
        json!({ "id": "chatcmpl-i", "object": "chat.completion.chunk", "created": 1_764_550_010, "model": "local",
            "system_fingerprint": "local", "choices": choices, "stats": {} })
    };
    let each = tokens(UMLAUTS, 2).into_iter().map(|piece| json!({ "role": "assistant", "content": piece }));
    let studio = deltas(studio, &json!({ "index": 0, "logprobs": null }), each, "stop");

    let router = |choices: Value| {
        json!({ "id": "gen-1", "provider": "Some", "model": "a/b", "object": "chat.completion.chunk",
            "created": 1_764_550_011,
            "choices": choices })
    };
    let thought = json!({ "role": "assistant", "content": "", "reasoning": "zqTHOUGHTqz",
        "reasoning_details": [{ "type": "reasoning.text", "text": "zqTHOUGHTqz", "index": 0,
            "format": "unknown" }] });
    let choice = json!({ "index": 0, "native_finish_reason": null, "logprobs": null });
    let mut router = deltas(router, &choice, [thought].into_iter().chain(said(HOURS, 3)), "stop");
    router.insert(0, SeedEvent::Line(": OPENROUTER PROCESSING".into()));
    router.insert(1, SeedEvent::Line(String::new()));

    // It says all of it again beside each piece.
    let mut so_far = String::new();
    let searching = tokens(LIST, 11).into_iter().map(|piece| {
        so_far.push_str(&piece);
        let choice = json!({ "index": 0, "finish_reason": null, "message": { "role": "assistant",
            "content": so_far },
            "delta": { "role": "assistant", "content": piece } });
        SeedEvent::Chunk(json!({ "id": "j", "model": "sonar", "object": "chat.completion.chunk",
                "citations": ["https://a.example/"],
            "choices": [choice] }))
    });
    let mut searching: Vec<SeedEvent> = searching.collect();
    searching.push(SeedEvent::Chunk(json!({ "id": "j", "choices": [{ "index": 0, "finish_reason": "stop",
            "delta": {} }] })));

    let marked = deltas(openai, &plain, said(CODE, 6), "stop");
    let marked = Stream { holds_marks: true, ..stream("words with marks in them", marked, CODE, &[]) };
    vec![
        stream("OpenAI", one, HOURS, &[]),
        stream("llama.cpp", native, UMLAUTS, &[]),
        stream("llama-cpp-python", python, LIST, &[]),
        stream("LiteLLM", proxied, HOURS, &[]),
        stream("vLLM", vllm, UMLAUTS, &[]),
        stream("Gemini", gemini, HOURS, &[]),
        stream("DeepSeek", deepseek, LIST, &[]),
        stream("Mistral", mistral, UMLAUTS, &[]),
        stream("Groq", groq, HOURS, &[]),
        stream("Azure", azure, LIST, &[]),
        stream("LM Studio", studio, UMLAUTS, &[]),
        stream("OpenRouter", router, HOURS, &[]),
        stream("Perplexity", searching, LIST, &[]),
        marked,
    ]
}

fn tools() -> Vec<Stream> {
    let plain = json!({ "index": 0 });
    let frame = |choices: Value| {
        json!({ "id": "chatcmpl-k", "object": "chat.completion.chunk",
        "created": 1_764_550_012, "model": "some", "choices": choices })
    };
    let (sunday, order) = (json!({ "day": "sun" }), json!({ "order": "17", "note": "größe {\"a\": 1}" }));
    let both = [("opening_hours", sunday.clone()), ("order_status", order.clone())];
    let role = json!({ "role": "assistant", "content": null });
    let pieces = tokens(&order.to_string(), 5).into_iter().map(|piece| more(1, &piece));
    let two = [role.clone(), call(0, "call_a", "opening_hours", ""), more(0, "{\"day\":"), more(0, "\"sun\"}")];
    let two = two.into_iter().chain([call(1, "call_b", "order_status", "")]).chain(pieces);
    let openai = deltas(frame, &json!({ "index": 0, "logprobs": null }), two, "tool_calls");

    let vllm = [role.clone(), call(0, "chatcmpl-tool-1", "opening_hours", "{\"day\": \"sun\"}")];
    let vllm = deltas(frame, &json!({ "index": 0, "stop_reason": null }), vllm, "tool_calls");

    let gemini = json!({ "role": "assistant", "tool_calls": [
        { "extra_content": { "google": { "thought_signature": "zqSIGNATUREqz" } },
            "function": { "arguments": "{\"day\":\"sun\"}",
          "name": "opening_hours" }, "id": "function-call-1", "type": "function", "index": 0 },
        { "function": { "arguments": order.to_string(), "name": "order_status" }, "id": "function-call-2",
            "type": "function", "index": 1 }] });
    let gemini = deltas(frame, &plain, [gemini], "tool_calls");

    let thought = json!({ "role": "assistant", "content": "", "reasoning_content": "zqTHOUGHTqz" });
    let deepseek = [thought, call(0, "call_00_x", "order_status", "{\"order\": \"17\", ")];
    let rest = "\"note\": \"größe {\\\"a\\\": 1}\"}";
    let deepseek = deepseek.into_iter().chain(tokens(rest, 6).into_iter().map(|piece| more(0, &piece)));
    let deepseek = deltas(frame, &plain, deepseek, "tool_calls");

    let mistral = json!({ "content": "A moment, please.", "tool_calls": [
        { "id": "D681PevKs", "function": { "name": "opening_hours", "arguments": "{\"day\": \"sun\"}" },
            "index": 0 }] });
    let mistral = deltas(frame, &plain, [mistral], "tool_calls");
    let former = ["{\"day\":", "\"sun\"}"].map(|piece| json!({ "function_call": { "arguments": piece } }));
    let former = [json!({ "function_call": { "name": "opening_hours",
        "arguments": "" } })]
    .into_iter()
    .chain(former);
    let former = deltas(frame, &plain, former, "function_call");
    vec![
        stream("calls in their former form", former, "", &both[..1]),
        stream("OpenAI, tools", openai, "", &both),
        stream("vLLM, a tool", vllm, "", &both[..1]),
        stream("Gemini, tools", gemini, "", &both),
        stream("DeepSeek, a tool", deepseek, "", &both[1..]),
        stream("Mistral, words and a tool", mistral, "A moment, please.", &both[..1]),
    ]
}

/// Answers of servers that cannot stream.
fn whole() -> Vec<Stream> {
    let usage = json!({ "prompt_tokens": 30, "completion_tokens": 17, "total_tokens": 47 });
    let answer = |message: Value, reason: &str| {
        SeedEvent::Chunk(
            json!({ "id": "chatcmpl-l", "object": "chat.completion", "created": 1_764_550_013, "model": "some",
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": reason }],
                "usage": usage }),
        )
    };
    let words = answer(json!({ "role": "assistant", "content": LIST, "refusal": null, "annotations": [] }), "stop");
    let wanted = json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "call_a", "type": "function",
        "function": { "name": "opening_hours", "arguments": "{\"day\":\"sun\"}" } }] });
    let wanted = answer(wanted, "tool_calls");
    let one = [("opening_hours", json!({ "day": "sun" }))];
    [stream("whole", vec![words], LIST, &[]), stream("whole, a tool", vec![wanted], "", &one)]
        .map(|stream| Stream { whole: true, events: stream.events[..1].to_vec(), ..stream })
        .into()
}
