//! Lines as strict templates want them: the roles take turns, and what follows `system` is the customer's.
//!
//! Templates of Mistral's and Gemma's refuse everything else, and a refused line would stand in the history for ever.
//! So what one role says in a row is one line, whatever the model is: none is the worse for it.

use std::borrow::Cow;

use super::wire::{ChatMessage, ContentPiece, MessageWords};

/// What stands before a conversation that the bot has begun.
const BEGUN_BY_THE_BOT: &str = "[The conversation begins with what you wrote.]";

/// The lines, with neighbours of one role in one line. What belongs to calls of tools stays as it is.
pub(super) fn joined(lines: Vec<ChatMessage<'_>>) -> Vec<ChatMessage<'_>> {
    let mut joined: Vec<ChatMessage<'_>> = Vec::with_capacity(lines.len());
    for line in lines {
        if line.role == "assistant" && joined.last().is_none_or(|last| last.role == "system") {
            joined.push(ChatMessage::user(BEGUN_BY_THE_BOT));
        }
        match joined.last_mut() {
            Some(last) if last.goes_on_with(&line) => last.content.append(line.content),
            _ => joined.push(line),
        }
    }
    joined
}

impl ChatMessage<'_> {
    fn goes_on_with(&self, next: &Self) -> bool {
        let is_plain = |line: &Self| line.tool_calls.is_empty() && line.tool_call_id.is_none();
        self.role == next.role && is_plain(self) && is_plain(next)
    }
}

impl<'a> MessageWords<'a> {
    /// Adds what is said next, beginning with a new line.
    pub(super) fn append(&mut self, next: Self) {
        if let (Self::Text(words), Self::Text(next)) = (&mut *self, &next) {
            return add_line(words, next);
        }
        let mut pieces = std::mem::take(self).into_pieces();
        for piece in next.into_pieces() {
            match (pieces.last_mut(), piece) {
                (Some(ContentPiece::Text { text }), ContentPiece::Text { text: next }) => add_line(text, &next),
                (_, piece) => pieces.push(piece),
            }
        }
        *self = Self::Parts(pieces);
    }

    fn into_pieces(self) -> Vec<ContentPiece<'a>> {
        match self {
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => vec![ContentPiece::Text { text }],
            Self::Parts(pieces) => pieces,
        }
    }
}

impl Default for MessageWords<'_> {
    fn default() -> Self {
        Self::Text(Cow::Borrowed(""))
    }
}

fn add_line(words: &mut Cow<'_, str>, next: &str) {
    let words = words.to_mut();
    if !words.is_empty() && !next.is_empty() {
        words.push('\n');
    }
    words.push_str(next);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::super::wire::{Beside, Wanted};
    use super::*;

    fn image(words: &str) -> ChatMessage<'static> {
        ChatMessage::image(words.into(), "data:image/png;base64,AA==".into(), Bytes::new())
    }

    /// Role and content of each line, once joined.
    fn told(lines: Vec<ChatMessage<'_>>) -> Vec<Value> {
        let told = serde_json::to_value(joined(lines)).expect("lines are JSON");
        let told = told.as_array().expect("lines").iter();
        told.map(|line| json!([line["role"], line["content"]])).collect()
    }

    #[test]
    fn what_one_role_says_in_a_row_is_one_line() {
        let lines = vec![
            ChatMessage::system("s"),
            ChatMessage::user("[summary]"),
            ChatMessage::user("one"),
            ChatMessage::assistant("a"),
        ];
        let more = [ChatMessage::assistant("b"), ChatMessage::user("two"), ChatMessage::user("")];
        let told = told(lines.into_iter().chain(more).collect());
        let expected = [
            json!(["system", "s"]),
            json!(["user", "[summary]\none"]),
            json!(["assistant", "a\nb"]),
            json!(["user", "two"]),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn images_keep_their_place_among_the_words() {
        let told = told(vec![
            ChatMessage::user("see"),
            image("[image] x"),
            ChatMessage::user("and"),
            ChatMessage::user("so"),
            image("[image] y"),
        ]);
        let picture = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } });
        let words = |words: &str| json!({ "type": "text", "text": words });
        let content = json!([words("see\n[image] x"), picture, words("and\nso\n[image] y"), picture]);
        assert_eq!(told, [json!(["user", content])]);
    }

    #[test]
    fn what_follows_the_system_is_the_customers() {
        let said = told(vec![ChatMessage::system("s"), ChatMessage::assistant("hi"), ChatMessage::user("yes")]);
        let expected = [
            json!(["system", "s"]),
            json!(["user", BEGUN_BY_THE_BOT]),
            json!(["assistant", "hi"]),
            json!(["user", "yes"]),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn the_lines_of_calls_stay_apart() {
        let wants = |id: &str| {
            ChatMessage::wants(String::new(), vec![Wanted { id: id.into(), ..Wanted::default() }], Beside::default())
        };
        let result = |id: &str| ChatMessage::result(id.into(), "42".into());
        let lines = vec![ChatMessage::user("q"), wants("1"), result("1"), result("1b"), wants("2"), result("2")];
        let roles: Vec<Value> = told(lines).into_iter().map(|line| line[0].clone()).collect();
        assert_eq!(roles, ["user", "assistant", "tool", "tool", "assistant", "tool"]);
        assert_eq!(told(vec![ChatMessage::user("q"), wants("1")])[1], json!(["assistant", ""]), "a string in any case");
    }
}
