//! Lines between events, ends of streams, and what is broken in them.

use serde_json::json;

use super::mutate::{Meaning, MutatedStream, SeededRandom, is_done, reasons};
use super::seeds::SeedEvent;

impl MutatedStream {
    pub(super) fn add_lines(&mut self, chance: &mut SeededRandom) -> bool {
        let mut added = false;
        for _ in 0..=chance.below(5) {
            let line = *chance.one(&[
                ": ping",
                ":",
                ": zqJUNKqz - 2026-12-01",
                "event: message",
                "event: completion",
                "id: 17",
                "id",
                "retry: 3000",
                "data",
                "data:",
                "data: ",
                "unknown: zqJUNKqz",
                "",
                "event: keepalive",
                "data: ping",
                "data: null",
            ]);
            added |= self.insert(chance, SeedEvent::Line(line.into()));
        }
        added
    }

    pub(super) fn other_done(&mut self, chance: &mut SeededRandom) -> bool {
        let done = self.stream.events.iter().position(|event| matches!(event, SeedEvent::Data(data) if is_done(data)));
        let Some(done) = done else { return false };
        match chance.below(4) {
            0 => drop(self.stream.events.remove(done)),
            1 => self.stream.events.push(SeedEvent::Data("zqJUNKqz".into())),
            _ => {
                let data = *chance.one(&["[DONE] ", " [DONE]", "[done]", "[Done]\t", "[DONE]  "]);
                self.stream.events[done] = SeedEvent::Data(data.into());
            }
        }
        true
    }

    pub(super) fn junk(&mut self, chance: &mut SeededRandom) -> bool {
        let Some(reason) = self.stream.events.iter().rposition(reasons) else { return false };
        if self.stream.whole {
            return false;
        }
        let junk = match chance.below(9) {
            0 => SeedEvent::Data("{\"choices\":[{\"delta\":{\"content\":".into()),
            1 => SeedEvent::Data("zqJUNKqz".into()),
            2 => SeedEvent::Chunk(json!({ "error": { "message": "zqERRORqz", "code": 500 } })),
            3 => SeedEvent::Chunk(json!({ "error": "zqERRORqz" })),
            4 => SeedEvent::Line("<html>zqJUNKqz</html>".into()),
            5 => SeedEvent::Chunk(json!({ "choices": null, "usage": { "prompt_tokens": null } })),
            6 => SeedEvent::Data("{".repeat(300)),
            7 => SeedEvent::Line("event: error".into()),
            _ => SeedEvent::Data("\u{fffd}\u{1}\u{0}".into()),
        };
        let at = reason + 1 + chance.below(self.stream.events.len() - reason);
        self.stream.events.insert(at, junk);
        true
    }

    pub(super) fn damage(&mut self, chance: &mut SeededRandom) -> bool {
        let Some((at, _)) = self.pick(chance) else { return false };
        let SeedEvent::Chunk(chunk) = &self.stream.events[at] else { return false };
        let text = chunk.to_string();
        let kept = text.floor_char_boundary(1 + chance.below(text.len() - 1));
        if self.stream.whole {
            return false;
        }
        self.stream.events[at] = SeedEvent::Data(text[..kept.max(1)].to_owned());
        self.meaning = Meaning::Nothing;
        true
    }
}
