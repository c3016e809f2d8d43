//! A handler's reply, made ready for its upstream.
//!
//! One limit does not take the whole reply along: what the upstream does not take as it is gets another form (see
//! [`shape`]). What has no other form is left out, if what is left still says something in words; who can be told of
//! that at once, a caller of the API, has nothing sent instead.

use std::time::Duration;

use tokio::time::timeout;
use tracing::info;

use super::changes::ShapeChanges;
use super::choices::ChoiceQuestion;
use super::format::written;
use super::shorten::is_long;
use super::{plain, split};
use crate::message::reply::Media;
use crate::message::{MediaKind, MediaSource, Part, Payload};
use crate::provider::{InvalidPart, Provider, ProviderError, files};

/// A reply in the form that the upstream takes.
#[derive(Debug, Default)]
pub struct Shaped {
    /// Its parts, each with the place of the handler's own part that it is of, counted from 1.
    parts: Vec<(usize, Part)>,
    /// What was changed.
    pub changes: ShapeChanges,
    /// What the upstream does not take in any form.
    left_out: Vec<LeftOut>,
}

/// A part of a handler's that is not sent.
#[derive(Debug)]
struct LeftOut {
    number: usize,
    what: &'static str,
    why: String,
}

/// A reply that is ready to be sent.
#[derive(Debug)]
pub struct Prepared {
    /// Its parts.
    pub parts: Vec<Part>,
    /// What was left out of it and why, for the operator; none if nothing was. Nothing of what it says.
    pub left_out: Option<String>,
}

impl Prepared {
    /// All of a reply; none of it, if something was left out.
    ///
    /// # Errors
    /// What would be left out.
    pub fn whole(self) -> Result<Vec<Part>, Unsendable> {
        match self.left_out {
            None => Ok(self.parts),
            Some(why) => Err(Unsendable::Invalid(InvalidPart(why))),
        }
    }
}

/// Turns a handler's parts into ones that the upstream takes: [shaped](shape), and media in hand uploaded. `opener`
/// opens a list that the handler has not asked for.
///
/// # Errors
/// When nothing is left that could be sent, or a medium cannot be uploaded for now.
pub async fn prepare(
    provider: &dyn Provider,
    parts: Vec<Part>,
    opener: &str,
    patience: Duration,
) -> Result<Prepared, Unsendable> {
    let mut shaped = shape(provider, parts, opener);
    for (number, part) in std::mem::take(&mut shaped.parts) {
        if let Payload::Media(media) = &part.payload
            && let MediaSource::Bytes { data, mime } = &media.source
        {
            let uploaded = timeout(patience, provider.upload_media(data.clone(), mime)).await;
            match uploaded.map_err(|_| Unsendable::UploadTimedOut)? {
                Ok(name) => {
                    let media = Media { source: MediaSource::Uploaded(name), ..media.clone() };
                    shaped.parts.push((number, Part { payload: Payload::Media(media), ..part }));
                }
                // The upstream does not take this medium. The rest is none of the worse for it.
                Err(error @ (ProviderError::Rejected { .. } | ProviderError::Unsupported { .. })) => {
                    shaped.leave_out(provider, number, part, error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            shaped.parts.push((number, part));
        }
    }
    if !shaped.changes.is_nothing() {
        info!(changes = %shaped.changes, "a reply was given another form, for the provider takes it in no other");
    }
    shaped.end().map_err(Unsendable::Invalid)
}

/// Gives a handler's parts the form that the upstream takes.
///
/// Long texts and captions are split, too many buttons become a list, labels that are too long are shortened and stand
/// in full above, and what the upstream has no form for at all is written out.
pub fn shape(provider: &dyn Provider, parts: Vec<Part>, opener: &str) -> Shaped {
    let mut shaped = Shaped::default();
    for (number, part) in parts.into_iter().enumerate() {
        shaped.add(provider, number + 1, part, opener);
    }
    shaped
}

impl Shaped {
    /// All of it; or what is left, if that still says something in words.
    ///
    /// # Errors
    /// When nothing is left to be sent, or nothing that would say much without what was left out.
    pub fn end(self) -> Result<Prepared, InvalidPart> {
        let parts: Vec<Part> = self.parts.into_iter().map(|(_, part)| part).collect();
        let why = |left_out: &LeftOut| {
            let LeftOut { number, what, why } = left_out;
            format!("part {number} ({what}): {why}")
        };
        let left_out: Vec<String> = self.left_out.iter().map(why).collect();
        let left_out = Some(left_out.join("; ")).filter(|why| !why.is_empty());
        let says_something = parts.iter().any(|part| says_something(&part.payload));
        match left_out {
            Some(why) if !says_something => Err(InvalidPart(why)),
            None if parts.is_empty() => Err(InvalidPart("the reply is empty".into())),
            left_out => Ok(Prepared { parts, left_out }),
        }
    }

    fn add(&mut self, provider: &dyn Provider, number: usize, part: Part, opener: &str) {
        let abilities = provider.abilities();
        let part = written(part, abilities);
        let first = self.parts.len();
        let quote = part.quote;
        if let Some(question) = ChoiceQuestion::of(&part.payload) {
            self.ask(provider, number, &question, opener);
        } else if let Some(words) = plain::place(&part.payload).filter(|_| !abilities.places) {
            self.say(provider, number, &words);
        } else {
            match part.payload {
                Payload::Text { body } => self.say(provider, number, &body),
                Payload::Media(media) => self.show(provider, number, media),
                payload => self.take(provider, number, payload.into()),
            }
        }
        if let Some((_, part)) = self.parts.get_mut(first) {
            part.quote = quote;
        }
    }

    /// Words, in as many messages as they need.
    fn say(&mut self, provider: &dyn Provider, number: usize, words: &str) {
        let pieces = split::split(words, provider.abilities().text_limit);
        self.changes.empty_parts += usize::from(pieces.is_empty());
        for piece in pieces {
            self.take(provider, number, Part::text(piece));
        }
    }

    /// A medium; what is too long to stand under it follows.
    fn show(&mut self, provider: &dyn Provider, number: usize, mut media: Media) {
        if media.kind == MediaKind::Document {
            media.filename = Some(files::document_name(&media));
        }
        let caption = media.caption.take().unwrap_or_default();
        let longest = provider.abilities().captions.on(media.kind);
        let (under, rest) = if is_long(&caption, longest) {
            split::split_first(&caption, longest, provider.abilities().text_limit)
        } else {
            (caption.clone(), Vec::new())
        };
        media.caption = Some(under).filter(|under| !under.is_empty());
        let shown = Part::from(Payload::Media(media.clone()));
        if let Err(InvalidPart(why)) = provider.check(&shown) {
            // All of what was to stand under it.
            let caption = Some(caption).filter(|caption| !caption.is_empty());
            let whole = Part::from(Payload::Media(Media { caption, ..media }));
            return self.leave_out(provider, number, whole, why);
        }
        self.parts.push((number, shown));
        if !rest.is_empty() {
            self.changes.captions_continued += 1;
            for piece in rest {
                self.take(provider, number, Part::text(piece));
            }
        }
    }

    /// A question, in the upstream's own form or in words.
    fn ask(&mut self, provider: &dyn Provider, number: usize, question: &ChoiceQuestion, opener: &str) {
        let abilities = provider.abilities();
        let mut changes = self.changes;
        let native = question.has_choices().then(|| question.native(abilities, opener, &mut changes)).flatten();
        // A provider of one's own may have limits that it says nothing of.
        let native = native.map(|native| (native.before, Part::from(native.payload)));
        if let Some((before, part)) = native.filter(|(_, part)| provider.check(part).is_ok()) {
            self.changes = changes;
            for piece in before {
                self.take(provider, number, Part::text(piece));
            }
            self.parts.push((number, part));
            return;
        }
        // Where there are no buttons at all, that is nothing to be told of.
        self.changes.questions_written_out += usize::from(abilities.choices.is_some());
        self.say(provider, number, &question.written_out());
        // They stand at the end of what was said.
        if let Some((_, part)) = self.parts.last_mut().filter(|(asking, _)| *asking == number) {
            part.offers = question.choices();
        }
    }

    /// A part that has this form or none.
    fn take(&mut self, provider: &dyn Provider, number: usize, part: Part) {
        match provider.check(&part) {
            Ok(()) => self.parts.push((number, part)),
            Err(InvalidPart(why)) => self.left_out.push(LeftOut { number, what: part.payload.name(), why }),
        }
    }

    /// What the customer gets of a medium that the upstream does not take: its address, or what was to stand under it.
    fn leave_out(&mut self, provider: &dyn Provider, number: usize, part: Part, why: String) {
        let first = self.parts.len();
        let (what, quote) = (part.payload.name(), part.quote);
        let Payload::Media(media) = part.payload else {
            self.left_out.push(LeftOut { number, what, why });
            return;
        };
        if let Some(words) = plain::link(&media) {
            self.changes.media_as_links += 1;
            self.say(provider, number, &words);
        } else {
            self.left_out.push(LeftOut { number, what, why });
            if let Some(caption) = media.caption {
                self.changes.captions_alone += 1;
                self.say(provider, number, &caption);
            }
        }
        if let Some((_, part)) = self.parts.get_mut(first) {
            part.quote = quote;
        }
    }
}

/// Whether a part says something by itself. An emoji on a message, a sticker or a place does not.
fn says_something(payload: &Payload) -> bool {
    match payload {
        Payload::Text { .. } | Payload::Buttons { .. } | Payload::List { .. } | Payload::ApprovedTemplate { .. } => {
            true
        }
        Payload::Media(media) => media.kind != MediaKind::Sticker,
        Payload::Location { .. } | Payload::Reaction { .. } => false,
    }
}

/// Why a handler's reply cannot be sent as it is.
#[derive(Debug, thiserror::Error)]
pub enum Unsendable {
    /// The handler's doing.
    #[error("the reply breaks a limit of the provider's: {0}")]
    Invalid(#[from] InvalidPart),
    /// The upstream's doing.
    #[error("a medium could not be uploaded: {0}")]
    Upload(#[from] ProviderError),
    /// Nobody knows whose doing.
    #[error("a medium could not be uploaded in time")]
    UploadTimedOut,
}
