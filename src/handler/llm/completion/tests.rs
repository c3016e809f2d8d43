//! Each field and each level of an answer in the forms that servers give them, one by one.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn offers() -> Vec<Offer> {
    let offer = |name: &str| Offer::Function { name: name.into(), description: String::new(), parameters: json!({}) };
    vec![offer("opening_hours"), offer("order_status")]
}

async fn heard(body: String) -> Result<Said, Unanswered> {
    let answer = crate::runtime::http::answer_of("text/event-stream", vec![Ok(body.into())]);
    listen(answer, &offers(), Duration::from_secs(5)).await
}

/// What is heard of these events.
async fn of(events: &[Value]) -> Result<Said, Unanswered> {
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    heard(events + "data: [DONE]\n\n").await
}

fn choice(choice: Value) -> Value {
    json!({ "choices": [choice] })
}

fn delta(delta: Value) -> Value {
    choice(json!({ "delta": delta }))
}

#[tokio::test]
async fn words_are_heard_in_each_form() {
    for event in [
        delta(json!({ "content": "Six." })),
        delta(json!({ "content": ["Si", "x."] })),
        delta(json!({ "content": [{ "type": "text", "text": "Six." }, { "type": "thinking", "thinking": "hm" }] })),
        delta(json!({ "content": { "type": "text", "text": { "value": "Six." } } })),
        delta(json!({ "content": [[{ "text": "Six." }]], "refusal": null, "tool_calls": null, "function_call": null })),
        delta(json!({ "content": "Six.", "tool_calls": "none", "role": 7, "reasoning": ["hm"] })),
        delta(json!([{ "content": "Six." }])),
        delta(json!("Six.")),
        json!({ "choices": { "delta": { "content": "Six." } }, "usage": "none", "error": {} }),
        choice(json!({ "message": { "content": "Six." }, "delta": null })),
        choice(json!({ "message": { "content": "Six." }, "delta": {} })),
        choice(json!({ "text": "Six." })),
        json!([{ "choices": [null, { "delta": { "content": "Six." } }] }]),
    ] {
        assert_eq!(of(std::slice::from_ref(&event)).await.expect("words").words, "Six.", "{event}");
    }
    let pieces = [json!("It is "), json!(4.5), json!(" €")].map(|content| delta(json!({ "content": content })));
    assert_eq!(of(&pieces).await.expect("words").words, "It is 4.5 €");
}

#[tokio::test]
async fn what_it_cost_is_known_if_it_is_said_in_full() {
    let known = Some(Usage { read: 3, written: 4 });
    for (usage, expected) in [
        (json!({ "prompt_tokens": 3, "completion_tokens": 4 }), known),
        (json!({ "prompt_tokens": 3.0, "completion_tokens": "4" }), known),
        (json!({ "prompt_tokens": 3 }), None),
        (json!({ "prompt_tokens": 3, "completion_tokens": 4.5 }), None),
        (json!({ "prompt_tokens": -3, "completion_tokens": 4 }), None),
        (json!({ "prompt_tokens": 1e300, "completion_tokens": 4 }), None),
        (json!({}), None),
        (json!([3, 4]), None),
    ] {
        let said = of(&[delta(json!({ "content": "Six." })), json!({ "choices": [], "usage": usage })]).await;
        assert_eq!(said.expect("words").usage, expected, "{usage}");
    }
    let early = json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 4 } });
    let said = of(&[early, delta(json!({ "content": "Six." })), json!({ "choices": [], "usage": {} })]).await;
    assert_eq!(said.expect("words").usage, known, "what is nothing takes nothing's place");
}

#[tokio::test]
async fn calls_are_told_apart_however_they_are_numbered() {
    let piece = |index: Value, id: Value, name: Value, arguments: Value| {
        let function = json!({ "name": name, "arguments": arguments });
        json!({ "index": index, "id": id, "function": function })
    };
    let (one, two) = (json!("opening_hours"), json!("order_status"));
    let none = Value::Null;
    let both = [("opening_hours", "{\"a\":1}"), ("order_status", "{}")];
    for (what, pieces, expected) in [
        (
            "one number",
            vec![
                piece(json!(0), json!("a"), one.clone(), json!("{\"a\":1}")),
                piece(json!(0), json!("b"), two.clone(), json!("{}")),
            ],
            &both[..],
        ),
        (
            "no number",
            vec![
                piece(none.clone(), json!("a"), one.clone(), json!("{\"a\"")),
                piece(none.clone(), none.clone(), none.clone(), json!(":1}")),
                piece(none.clone(), json!("b"), two.clone(), json!("{}")),
            ],
            &both,
        ),
        (
            "nothing but names",
            vec![
                piece(none.clone(), none.clone(), one.clone(), json!({ "a": 1 })),
                piece(none.clone(), none.clone(), two.clone(), json!({})),
            ],
            &both,
        ),
        (
            "one identifier",
            vec![
                piece(json!(1), json!("a"), one.clone(), json!("{\"a\":1}")),
                piece(json!(2), json!("a"), two.clone(), json!("{}")),
            ],
            &both,
        ),
        (
            "a name in each piece",
            vec![
                piece(json!(0), json!("a"), one.clone(), json!("{\"a\"")),
                piece(json!(0), json!("a"), one.clone(), json!(":1}")),
            ],
            &both[..1],
        ),
        (
            "an identifier for each piece",
            vec![
                piece(json!(0), json!("a"), one.clone(), json!("{\"a\"")),
                piece(json!(0), json!("b"), none.clone(), json!(":1}")),
            ],
            &both[..1],
        ),
        (
            "a name in pieces",
            vec![
                piece(json!(0), json!("a"), json!("opening_"), none.clone()),
                piece(json!(0), none.clone(), json!("hours"), none.clone()),
                piece(json!(0), none.clone(), none.clone(), json!("{\"a\":1}")),
            ],
            &both[..1],
        ),
        (
            "all of it twice",
            vec![
                piece(json!(0), json!("a"), one.clone(), json!("{\"a\":1}")),
                piece(json!(0), json!("a"), one.clone(), json!("{\"a\":1}")),
            ],
            &both[..1],
        ),
        (
            "a prefix",
            vec![piece(json!("0"), json!(7), json!("functions.opening_hours"), json!("{\"a\":1}"))],
            &both[..1],
        ),
        (
            "the same tool twice",
            vec![
                piece(json!(0), json!("a"), one.clone(), json!("{\"a\":1}")),
                piece(json!(0), json!("b"), one.clone(), json!("{\"a\":1}")),
            ],
            &[both[0], both[0]],
        ),
        ("no level", vec![json!({ "name": "opening_hours", "parameters": { "a": 1 } })], &both[..1]),
    ] {
        let events: Vec<Value> = pieces.iter().map(|piece| delta(json!({ "tool_calls": [piece] }))).collect();
        let at_once = vec![delta(json!({ "content": null, "tool_calls": pieces }))];
        let in_both_forms = pieces.iter().map(|piece| {
            let function = piece.get("function").unwrap_or(piece);
            delta(json!({ "function_call": function, "tool_calls": [piece] }))
        });
        for events in [events, at_once, in_both_forms.collect()] {
            let calls = of(&events).await.expect("calls").calls;
            let heard: Vec<(&str, &str)> = calls.iter().map(|call| (&*call.name, &*call.arguments)).collect();
            assert_eq!(heard, expected, "{what}");
            assert!(
                calls
                    .iter()
                    .all(|call| !call.id.is_empty() && calls.iter().filter(|other| other.id == call.id).count() == 1)
            );
        }
    }
    let one =
        of(&[delta(json!({ "tool_calls": { "function": { "name": "opening_hours" } } }))]).await.expect("a call").calls;
    assert!(
        one[0].id.len() == 9 && one[0].id.chars().all(|c| c.is_ascii_alphanumeric()),
        "as Mistral takes them: {}",
        one[0].id
    );
}

#[tokio::test]
async fn what_ends_an_answer_is_told_from_what_breaks_it_off() {
    let words = "data: {\"choices\":[{\"delta\":{\"content\":\"Six.\"}}]}\n\n";
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (body, expected) in [
        (format!("{words}{end}"), Ok("Six.")),
        (format!("{words}{end}data: {{\"error\":{{\"code\":500}}}}\n\n"), Ok("Six.")),
        (format!("{words}{end}data: {{\"choi"), Ok("Six.")),
        (format!("\u{feff}{words}data: [done] \n\n"), Ok("Six.")),
        (format!("{words}data: ping\n\n: ping\n\n{end}"), Ok("Six.")),
        (words.replace("\n\n", "\n") + &end.replace("\n\n", "\n"), Ok("Six.")),
        (words.replace("Six.", "Si\tx.").replace("}}]}", "},\"logprob\":NaN}]}") + end, Ok("Si\tx.")),
        ("{\"choices\":[{\"message\":{\"content\":\"Six.\"}}]}".into(), Ok("Six.")),
        ("{\n  \"choices\": [\n    {\"message\": {\"content\": \"Six.\"}}\n  ]\n}\n".into(), Ok("Six.")),
        (words.to_owned(), Err(Unanswered::BrokeOff)),
        (String::new(), Err(Unanswered::Silent)),
        (": still here\n\n".into(), Err(Unanswered::Silent)),
        ("<html>Bad gateway</html>".into(), Err(Unanswered::Silent)),
        (format!("{words}data: {{\"error\":\"out of memory\"}}\n\n{end}"), Err(Unanswered::BrokeOff)),
        (format!("{words}event: error\ndata: {{\"detail\":\"x\"}}\n\n{end}"), Err(Unanswered::BrokeOff)),
        (format!("{words}{{\"error\":{{\"code\":502}}}}\n\n{end}"), Err(Unanswered::BrokeOff)),
        ("{\"error\":{\"message\":\"x\"}}".into(), Err(Unanswered::BrokeOff)),
        (format!("{words}data: {{\"choices\":[{{\"delta\":{{\"con\n\n{end}"), Err(Unanswered::NotUnderstood)),
        (format!("data: [DONE]\n\n{words}"), Err(Unanswered::Empty)),
    ] {
        let said = heard(body.clone()).await.map(|said| said.words);
        assert_eq!(said.as_deref().map_err(|why| *why), expected, "{body}");
    }
    for (reason, expected) in [
        (json!("length"), Ok(true)),
        (json!("MAX_TOKENS"), Ok(true)),
        (json!("end_turn"), Ok(false)),
        (json!({ "type": "stop" }), Ok(false)),
        (json!("content_filter"), Err(Unanswered::Filtered)),
        (json!("error"), Err(Unanswered::BrokeOff)),
    ] {
        let said = of(&[choice(json!({ "delta": { "content": "Six." }, "finish_reason": reason }))]).await;
        assert_eq!(said.map(|said| said.is_cut), expected, "{reason}");
    }
    let half = json!({ "tool_calls": [{ "id": "a", "function": { "name": "opening_hours", "arguments": "{\"a\"" } }] });
    let said = of(&[choice(json!({ "delta": half, "finish_reason": "length" }))]).await.map(|said| said.words);
    assert_eq!(said, Err(Unanswered::Cut), "what is called with half of its arguments does something else");
}

/// Four times the length takes less than ten times the work. Work that grew with the square would be sixteen times. It
/// is measured in this thread's time on a CPU, of which what else the machine does is no part, and the best of three
/// counts.
#[cfg(target_os = "linux")]
async fn grows_with_length(what: &str, length: usize, said: impl Fn(usize) -> Vec<Value>) {
    let mut work = [u64::MAX; 2];
    for _ in 0..3 {
        for (least, length) in work.iter_mut().zip([length / 4, length]) {
            let events = said(length);
            let before = cpu_time();
            let _ = of(&events).await;
            *least = (*least).min(cpu_time() - before);
        }
    }
    let [quarter, whole] = work;
    assert!(whole < 10 * quarter, "{what}: {whole} ns, and {quarter} ns for a quarter of it");
}

/// How long this thread has been on a CPU, in nanoseconds.
#[cfg(target_os = "linux")]
fn cpu_time() -> u64 {
    // The kernel counts up as it takes the thread off its CPU.
    std::thread::sleep(Duration::from_millis(1));
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    times.split(' ').next().and_then(|time| time.parse().ok()).expect("a number")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_work_on_words_full_of_marks_grows_with_their_length() {
    for piece in [
        "<think>",
        "</think>",
        "a <think> ",
        "<think></think>",
        "`<",
        "`` ` ",
        "<tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>{",
        "[TOOL_CALLS]",
        "<|tool_call|>",
        "<function=a>",
        "<|im_end|>",
        "</s>",
        "```\n{}\n```\n",
        "{\"a\":",
        "[[",
        "<|channel|>final",
        "<invoke name=\"a\"><parameter name=\"b\">",
        "<arg_key>",
        "◁think▷",
        "[THINK]",
        "<",
        "<a ",
        "analysis assistantfinal",
    ] {
        let said = |length: usize| vec![delta(json!({ "content": piece.repeat(length / piece.len()) }))];
        grows_with_length(piece, LONGEST / 4, said).await;
    }
    // And so do arguments in the smallest pieces.
    let call = |arguments: &str| {
        let function = json!({ "name": "opening_hours", "arguments": arguments });
        json!({ "tool_calls": [{ "index": 0, "function": function }] })
    };
    let said = |count: usize| [call("{\"a\":\"")].into_iter().chain(vec![call("}{"); count]).map(delta).collect();
    grows_with_length("arguments in pieces", 20_000, said).await;
}
