//! What belongs to no words: thoughts, calls that are written out, tokens of a template; and calls in other forms.

use serde_json::{Value, json};

use super::mutate::{Meaning, MutatedStream, SeededRandom, chunk, content, says};
use super::seeds::SeedEvent;

impl MutatedStream {
    pub(super) fn thought(&mut self, chance: &mut SeededRandom) -> bool {
        let forms = [
            ("<think>", "</think>"),
            ("<think>\n", "\n</think>\n\n"),
            ("<THINK>", "</THINK>\n"),
            ("<thinking>", "</thinking>"),
            ("<thought>\n", "\n</thought>\n"),
            ("<reasoning>", "</reasoning>"),
            ("◁think▷", "◁/think▷"),
            ("[THINK]", "[/THINK]"),
            ("<seed:think>", "</seed:think>"),
            ("<think >", "</think >"),
            ("", "</think>\n\n"),
            ("\n", "\n</think>"),
            ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
        ];
        let (open, close) = *chance.one(&forms);
        let thought =
            *chance.one(&["zqTHOUGHTqz They ask.", "zqTHOUGHTqz\n\n1. A list\n- of \"thoughts\"", "Ok, `zqTHOUGHTqz`"]);
        let inside = chance.below(4) == 0
            && !self.had("a thought without end")
            && !open.trim().is_empty()
            && !open.starts_with("<|")
            && !self.stream.holds_marks;
        if inside {
            return self.thought_inside(chance, &format!("\n{open}{thought}{close}\n"));
        }
        self.prepend(chance, &format!("{open}{thought}{close}"))
    }

    /// Where there is a blank anyway.
    pub(super) fn thought_inside(&mut self, chance: &mut SeededRandom, thought: &str) -> bool {
        let Some((at, words)) = self.pick(chance) else { return false };
        let Some(blank) = words.find(' ') else { return false };
        let words = format!("{}{thought}{}", &words[..blank], &words[blank..]);
        *content(&mut self.stream.events[at]).expect("picked") = words.into();
        true
    }

    pub(super) fn endless_thought(&mut self, chance: &mut SeededRandom) -> bool {
        let open = *chance.one(&[
            "<think>",
            "<think>\n",
            "<thinking>",
            "[THINK]",
            "◁think▷",
            "<|channel|>analysis<|message|>",
        ]);
        // Another thought's end would be taken for its own.
        let had = ["a thought", "a thought without end", "a call as words"].iter().any(|name| self.had(name));
        if had || self.stream.holds_marks || !self.prepend(chance, &format!("{open}zqTHOUGHTqz ")) {
            return false;
        }
        self.stream.words.clear();
        if self.stream.calls.is_empty() {
            self.meaning = Meaning::Nothing;
        }
        true
    }

    pub(super) fn call_as_words(&mut self, chance: &mut SeededRandom) -> bool {
        if !self.stream.calls.is_empty() || self.had("a thought without end") || self.had("a call as words") {
            return false;
        }
        let offered = chance.below(2) == 0;
        let name = if offered { "opening_hours" } else { "delete_all" };
        let (arguments, json) =
            (json!({ "day": "zqCALLqz" }), json!({ "name": name, "arguments": { "day": "zqCALLqz" } }));
        let call = match chance.below(12) {
            0 => format!("<tool_call>\n{json}\n</tool_call>"),
            1 => format!("<tool_call>{json}"),
            2 => format!("<function={name}>{arguments}</function>"),
            3 => format!("[TOOL_CALLS] [{json}]"),
            4 => format!("[TOOL_CALLS]{name}[ARGS]{arguments}"),
            5 => format!("<|tool_call|>[{json}]"),
            6 => format!("<|python_tag|>{json}"),
            7 => format!(
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n```json\n{arguments}\n```\
                 <｜tool▁call▁end｜><｜tool▁calls▁end｜>"
            ),
            8 => format!(
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.{name}:0\
                 <|tool_call_argument_begin|>{arguments}\
                 <|tool_call_end|><|tool_calls_section_end|>"
            ),
            9 => format!(
                "<tool_call>\n<function={name}>\n<parameter=day>\nzqCALLqz\n</parameter>\n</function>\n</tool_call>"
            ),
            10 => format!(
                "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"{name}\">\n\
                 <｜DSML｜parameter name=\"day\" string=\"true\">zqCALLqz\
                 </｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>"
            ),
            _ => format!("<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"),
        };
        let alone = chance.below(2) == 0;
        if alone {
            let mut instead = Some(call);
            let before = self.stream.events.clone();
            for event in self.stream.events.iter_mut().filter(|event| says(event)) {
                let Some(words) = content(event) else {
                    self.stream.events = before;
                    return false;
                };
                *words = instead.take().unwrap_or_default().into();
            }
            if instead.is_some() {
                return false;
            }
            self.stream.words.clear();
            if !offered && self.meaning == Meaning::Known {
                self.meaning = Meaning::Nothing;
            }
        } else if !self.append(&format!("\n{call}")) {
            return false;
        }
        if offered {
            self.stream.calls.push((name.to_owned(), arguments));
        }
        true
    }

    pub(super) fn leak(&mut self, chance: &mut SeededRandom) -> bool {
        let token = *chance.one(&[
            "<|im_end|>",
            "<|eot_id|>",
            "</s>",
            "<end_of_turn>",
            "\n<|im_end|>\n",
            "<｜end▁of▁sentence｜>",
            "<|end|>",
        ]);
        !self.stream.words.is_empty() && self.append(token)
    }

    /// Calls of tools, in the forms that servers give them.
    pub(super) fn calls(&mut self, chance: &mut SeededRandom) -> bool {
        let form = chance.below(8);
        if self.stream.whole || self.stream.calls.is_empty() {
            return false;
        }
        let several = self.stream.calls.len() > 1;
        let events = self.stream.events.clone();
        // With its identifier in each piece, a call is told from the next by that alone.
        let mut identifiers: Vec<(Value, Value)> = Vec::new();
        for chunk in self.stream.events.iter_mut().filter_map(chunk) {
            let Some(Value::Array(pieces)) = chunk.pointer_mut("/choices/0/delta/tool_calls") else { continue };
            for piece in pieces.iter_mut().filter_map(Value::as_object_mut) {
                let Some(number) = piece.get("index").and_then(Value::as_u64) else { continue };
                let place = usize::try_from(number).unwrap_or(usize::MAX);
                let named = piece["function"]["name"].clone();
                if !named.is_null() && identifiers.len() == place {
                    identifiers.push((piece.get("id").cloned().unwrap_or_default(), named));
                }
                let Some((id, name)) = identifiers.get(place) else { continue };
                match form {
                    0 => drop(piece.insert("index".into(), 0.into())),
                    1 => drop(piece.insert("index".into(), (number + 1).into())),
                    2 => drop(piece.insert("index".into(), number.to_string().into())),
                    3 => drop(piece.remove("index")),
                    4 => {
                        piece["function"]["name"] = name.clone();
                        piece.insert("id".into(), id.clone());
                    }
                    5 => drop(piece.remove("id")),
                    6 => drop(piece.insert("id".into(), "same".into())),
                    _ => {
                        let whole = piece["function"]["arguments"]
                            .as_str()
                            .and_then(|text| crate::message::json::from_str(text).ok());
                        let Some(whole @ Value::Object(_)) = whole else {
                            self.stream.events = events;
                            return false;
                        };
                        piece["function"]["arguments"] = whole;
                    }
                }
            }
        }
        if several && form == 6 {
            // Told apart by their numbers.
            return true;
        }
        !identifiers.is_empty()
    }

    /// Words before all others.
    pub(super) fn prepend(&mut self, chance: &mut SeededRandom, words: &str) -> bool {
        if self.stream.whole {
            let Some(Value::String(known)) = content(&mut self.stream.events[0]) else { return false };
            known.insert_str(0, words);
            return true;
        }
        let Some(first) = self.stream.events.iter().position(says) else { return false };
        let mut rest = words;
        let mut at = first;
        while !rest.is_empty() {
            let length = rest.ceil_char_boundary((1 + chance.below(24)).min(rest.len()));
            let (piece, others) = rest.split_at(length);
            self.stream
                .events
                .insert(at, SeedEvent::Chunk(json!({ "choices": [{ "index": 0, "delta": { "content": piece } }] })));
            (rest, at) = (others, at + 1);
        }
        true
    }

    /// Words behind all others.
    pub(super) fn append(&mut self, words: &str) -> bool {
        let Some(last) = self.stream.events.iter().rposition(|event| {
            content(&mut event.clone()).is_some_and(|words| words.as_str().is_some_and(|words| !words.is_empty()))
        }) else {
            return false;
        };
        // Nothing that says something may stand behind it.
        if self.stream.events.iter().rposition(says) != Some(last) {
            return false;
        }
        let Some(Value::String(known)) = content(&mut self.stream.events[last]) else { return false };
        known.push_str(words);
        true
    }
}
