//! What is said in voice notes: a server that speaks OpenAI's transcription API is asked, once for each.
//!
//! `POST {base_url}/audio/transcriptions`, a form with the file, the model, perhaps the language, and
//! `response_format=json`; answered with `{"text": "…"}`. What may pass is tried again, while there is time. Nothing of
//! what is said, and nothing of the server's own words, is in an error.

mod sound;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use crate::message::clock::{Clock, in_words};
use crate::message::json;
use crate::message::secret::SecretRef;
use crate::message::{Content, ContentKind, MediaRef};
use crate::runtime::http::{Body, Call, CallError, Transport, is_private_enough, retry_after};

/// So often is a server asked about one voice note.
const MOST_ATTEMPTS: u32 = 3;
/// How long to wait before it is asked again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: u64 = 64 << 10;
/// The longest transcript that is kept, in bytes: some twenty minutes of a fast speaker.
const LONGEST_TRANSCRIPT: usize = 16 << 10;

/// How voice notes are transcribed. The `transcription` table of a bot's configuration; without it they are not.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscriptionConfig {
    /// The address that `/audio/transcriptions` is added to.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// The key, if the address wants one.
    pub api_key: Option<SecretRef>,
    /// The language that is spoken, in two letters (ISO 639-1); empty: the model finds out.
    pub language: String,
    /// What is transcribed: `voice`, `audio` or both. Not every upstream tells a voice note from a sound file.
    pub kinds: Vec<ContentKind>,
    /// How long transcribing may take in a turn, all of its voice notes together. It is a part of the turn's own time.
    #[serde(with = "in_words")]
    pub timeout: Duration,
    /// How large a voice note may be, in bytes. A larger one is not fetched.
    pub max_bytes: u64,
    /// How long it may last, where it says so itself, as an Ogg file does. A longer one is not transcribed.
    #[serde(with = "in_words")]
    pub longest: Duration,
}

/// The address may hold credentials.
impl fmt::Debug for TranscriptionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TranscriptionConfig({})", self.model)
    }
}

impl Default for TranscriptionConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            model: "gpt-4o-mini-transcribe".into(),
            api_key: None,
            language: String::new(),
            kinds: vec![ContentKind::Voice, ContentKind::Audio],
            timeout: Duration::from_secs(30),
            max_bytes: 8 << 20,
            longest: Duration::from_secs(600),
        }
    }
}

/// What transcribes one bot's voice notes.
pub struct Transcriber {
    config: TranscriptionConfig,
    url: Url,
    api_key: Option<SecretString>,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

/// Why there is no transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranscribed {
    /// It lasts longer than `longest`.
    #[error("it lasts too long")]
    TooLong,
    /// The time was up.
    #[error("it took too long")]
    TimedOut,
    /// Nobody is there, or the way is not allowed.
    #[error("the server cannot be reached")]
    Unreachable,
    /// No request can be made, as this is set up.
    #[error("the server cannot be asked")]
    Unaskable,
    /// The call broke off.
    #[error("the server did not answer")]
    Unanswered,
    /// The server did not want to.
    #[error("the server answered with HTTP {0}")]
    Status(u16),
    /// More was answered than is read.
    #[error("the server's answer is too long")]
    AnswerTooLong,
    /// Something else was answered.
    #[error("the server's answer was not understood")]
    NotUnderstood,
}

impl Untranscribed {
    /// Whether it is worth asking again.
    fn may_pass(self) -> bool {
        match self {
            Self::Unreachable | Self::Unanswered => true,
            Self::Status(status) => matches!(status, 408 | 425 | 429) || status >= 500,
            Self::TooLong | Self::TimedOut | Self::Unaskable | Self::AnswerTooLong | Self::NotUnderstood => false,
        }
    }
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Answered {
    text: String,
}

impl Transcriber {
    /// One that connects to nothing yet. `env` looks up environment variables.
    ///
    /// # Errors
    /// Everything in `config` that cannot be used: its key, and what to do.
    pub fn new(
        config: TranscriptionConfig,
        env: &dyn Fn(&str) -> Option<String>,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Result<Self, Vec<(&'static str, String)>> {
        let mut problems = Vec::new();
        let mut wrong = |key, problem: &str| problems.push((key, problem.to_owned()));
        let base_url = config.base_url.trim_end_matches('/');
        let url = Url::parse(&format!("{base_url}/audio/transcriptions")).ok();
        let url = url.filter(|url| is_private_enough(url) && url.query().is_none() && url.fragment().is_none());
        match url.as_ref().map(|url| transport.refuses(url)) {
            None => {
                wrong("base_url", "must be an https address, or one on this machine: what people say travels there")
            }
            Some(Some(problem)) => wrong("base_url", problem),
            Some(None) => {}
        }
        if config.model.is_empty() {
            wrong("model", "is empty: name the model");
        }
        let language = config.language.as_bytes();
        if !language.is_empty() && (language.len() != 2 || !language.iter().all(u8::is_ascii_lowercase)) {
            wrong("language", "is no language in two letters, such as \"de\"; empty, the model finds out");
        }
        if config.kinds.is_empty()
            || config.kinds.iter().any(|kind| !matches!(kind, ContentKind::Voice | ContentKind::Audio))
        {
            wrong("kinds", "must be voice, audio or both: nothing else is spoken");
        }
        if config.timeout.is_zero() {
            wrong("timeout", "must not be zero: no model answers at once");
        }
        if config.max_bytes == 0 {
            wrong("max_bytes", "must not be zero: nothing would ever be transcribed");
        }
        if config.longest.is_zero() {
            wrong("longest", "must not be zero: nothing would ever be transcribed");
        }
        let api_key = config.api_key.as_ref().map(|key| key.resolve_for_header(env)).transpose();
        let api_key = api_key.unwrap_or_else(|problem| {
            wrong("api_key", &problem);
            None
        });
        match url {
            Some(url) if problems.is_empty() => Ok(Self { config, url, api_key, transport, clock }),
            _ => Err(problems),
        }
    }

    /// The settings.
    pub fn config(&self) -> &TranscriptionConfig {
        &self.config
    }

    /// What there is to transcribe in a message, if that has not been done yet.
    pub fn task<'a>(&self, content: &'a Content) -> Option<&'a MediaRef> {
        match content {
            Content::Media(media) if media.transcript.is_none() && self.config.kinds.contains(&content.kind()) => {
                Some(media)
            }
            _ => None,
        }
    }

    /// What is said in `sound`: nothing but white space around it taken off, and cut where it is longer than is kept.
    /// Asks again while an error may pass, and never after `until`.
    ///
    /// # Errors
    /// Why nobody knows.
    pub async fn transcribe(&self, sound: &Bytes, mime: &str, until: Instant) -> Result<String, Untranscribed> {
        if sound::lasts(sound).is_some_and(|lasts| lasts > self.config.longest) {
            return Err(Untranscribed::TooLong);
        }
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let asked = timeout_at(until, self.ask(sound, mime, until)).await;
            let (why, wanted) = match asked.unwrap_or(Err((Untranscribed::TimedOut, None))) {
                Ok(words) => return Ok(words),
                Err(failed) => failed,
            };
            let wait = wanted.unwrap_or(pause);
            if !why.may_pass() || attempt == MOST_ATTEMPTS || Instant::now() + wait >= until {
                return Err(why);
            }
            sleep(wait).await;
            pause *= 2;
        }
        Err(Untranscribed::TimedOut)
    }

    /// Asks once. Beside an error stands for how long the server wants to be left alone.
    async fn ask(
        &self,
        sound: &Bytes,
        mime: &str,
        until: Instant,
    ) -> Result<String, (Untranscribed, Option<Duration>)> {
        let answer =
            self.transport.call(self.call(sound, mime, until)).await.map_err(|error| (failure(error), None))?;
        if !answer.is_success() {
            let wanted = answer.headers.get("retry-after").and_then(|wanted| retry_after(wanted, self.clock.now()));
            return Err((Untranscribed::Status(answer.status), wanted));
        }
        let body = answer.bytes(LONGEST_ANSWER).await.map_err(|error| (failure(error), None))?;
        let Answered { text } = json::from_slice(&body).map_err(|_| (Untranscribed::NotUnderstood, None))?;
        let mut words = text.trim();
        words = &words[..words.floor_char_boundary(LONGEST_TRANSCRIPT)];
        Ok(words.to_owned())
    }

    fn call(&self, sound: &Bytes, mime: &str, until: Instant) -> Call {
        let mut fields = vec![("model", self.config.model.clone()), ("response_format", "json".to_owned())];
        if !self.config.language.is_empty() {
            fields.push(("language", self.config.language.clone()));
        }
        let (mime, name) = sound::form(mime);
        let headers =
            self.api_key.iter().map(|key| ("authorization".into(), format!("Bearer {}", key.expose_secret())));
        Call {
            method: "POST",
            url: self.url.clone(),
            headers: headers.collect(),
            body: Body::Multipart { fields, file: sound.clone(), mime, name: name.into() },
            timeout: until.saturating_duration_since(Instant::now()),
            in_clear: false,
        }
    }
}

fn failure(error: CallError) -> Untranscribed {
    match error {
        CallError::NotSent(_) => Untranscribed::Unreachable,
        CallError::Unaskable(_) | CallError::Unfit(_) => Untranscribed::Unaskable,
        CallError::Unanswered(_) => Untranscribed::Unanswered,
        CallError::TooLarge => Untranscribed::AnswerTooLong,
    }
}
