//! Calls out of their pieces, however a server numbers and names them.

use serde_json::{Map, Value};

use super::beside;
use super::chunk::CallPiece;
use crate::handler::llm::wire::Wanted;

/// The calls of an answer, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<PartialCall>);

#[derive(Debug, Default)]
struct PartialCall {
    number: Option<u64>,
    id: Option<String>,
    name: String,
    arguments: String,
    braces: Braces,
    beside: Map<String, Value>,
    function_beside: Map<String, Value>,
}

/// How far an object has come, looked at once however small its pieces are.
#[derive(Debug, Default)]
struct Braces {
    depth: usize,
    in_text: bool,
    escaped: bool,
    ended: bool,
}

impl Braces {
    fn take_in(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                b'{' if !self.in_text => self.depth += 1,
                b'}' if !self.in_text => {
                    self.ended |= self.depth == 1;
                    self.depth = self.depth.saturating_sub(1);
                }
                _ => {}
            }
        }
    }
}

impl PartialCall {
    fn is_complete(&self) -> bool {
        self.braces.ended
    }

    /// Whether a piece is of another call than this one, to which its number or its identifier leads.
    fn is_followed_by(&self, piece: &CallPiece) -> bool {
        let Some(name) = piece.name.as_deref() else { return false };
        if self.name.is_empty() {
            return false;
        }
        let is_other = piece.id.is_some() && self.id.is_some() && piece.id != self.id;
        let begins = piece.arguments.trim_start().starts_with('{');
        if name != self.name {
            // A name that comes in pieces itself is of one call, and has no arguments yet.
            let goes_on =
                !is_other && piece.number.is_some() && piece.number == self.number && self.arguments.is_empty();
            return !goes_on || begins;
        }
        match is_other {
            true => self.arguments.is_empty() || begins || self.is_complete(),
            false => begins && self.is_complete() && piece.arguments != self.arguments,
        }
    }
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes in a piece, and says how long that was, in bytes.
    pub(super) fn take_in(&mut self, piece: CallPiece, room: &mut usize) -> usize {
        let numbered = piece.number.and_then(|number| self.0.iter().rposition(|call| call.number == Some(number)));
        let identified =
            || piece.id.as_ref().and_then(|id| self.0.iter().rposition(|call| call.id.as_ref() == Some(id)));
        let last = self.0.len().checked_sub(1);
        let place = match numbered {
            Some(place) if piece.id.is_none() || self.0[place].id == piece.id => Some(place),
            Some(place) => identified().or(Some(place)),
            // A new number begins a call, unless the piece is plainly of one that has begun.
            None if piece.number.is_some() && piece.name.is_some() => {
                identified().filter(|place| !self.0[*place].is_complete())
            }
            None => identified().or(last),
        };
        let place = place.filter(|place| !self.0[*place].is_followed_by(&piece)).unwrap_or_else(|| {
            self.0.push(PartialCall { number: piece.number, id: piece.id.clone(), ..PartialCall::default() });
            self.0.len() - 1
        });
        let call = &mut self.0[place];
        call.id = call.id.take().or(piece.id);
        let name = piece.name.unwrap_or_default();
        if name != call.name {
            call.name.push_str(&name);
        }
        // What is complete and comes again is no second half.
        let again = !call.arguments.is_empty() && piece.arguments == call.arguments && call.is_complete();
        if !again {
            call.arguments.push_str(&piece.arguments);
            call.braces.take_in(&piece.arguments);
        }
        beside::merge(&mut call.beside, piece.beside, room);
        beside::merge(&mut call.function_beside, piece.function_beside, room);
        name.len() + piece.arguments.len()
    }

    /// The calls, each with an identifier of its own. `named` says what a tool is called that is meant by a name.
    pub(super) fn finish(self, named: impl Fn(&str) -> Option<String>) -> Vec<Wanted> {
        let mut finished: Vec<Wanted> = Vec::new();
        for call in self.0.into_iter().filter(|call| !call.name.is_empty()) {
            let is_own = |id: &String| !finished.iter().any(|other| other.id == *id);
            let id = call.id.filter(is_own).unwrap_or_else(|| identifier(finished.len()));
            finished.push(Wanted {
                id,
                name: named(&call.name).unwrap_or(call.name),
                arguments: call.arguments,
                beside: call.beside,
                function_beside: call.function_beside,
            });
        }
        finished
    }
}

/// An identifier for a call that has none: Mistral takes nine letters and digits, and nothing else.
pub(super) fn identifier(number: usize) -> String {
    format!("call{number:05}")
}
