//! A language model behind an OpenAI-compatible address.
//!
//! What the model is given: the system prompt (a template), as much of the conversation's history as the token
//! budget allows, and the waiting messages with their images. Models are asked one after the other until one answers;
//! if none does, the customer gets the canned reply, and never a word of what went wrong.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::ReqwestService;
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::tz::TimeZone;
use minijinja::context;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Fetched, Handler, HandlerError, Said, Speaker, Turn};
use crate::clock::{Timestamp, in_words};
use crate::http;
use crate::message::{BotName, Contact, Content, Inbound, MediaKind, MediaRef, Reply};
use crate::secret::SecretRef;
use crate::templates::{TemplateError, Templates};

/// A language model as a handler. The `handler` table of a bot's configuration with `kind = "llm"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// The models, in the order in which they are asked.
    pub models: Vec<ModelConfig>,
    /// The template of the system prompt.
    pub prompt: String,
    /// The template of what the customer is told when no model answers.
    pub canned_reply: String,
    /// How much of the history the model is given, in tokens (counted as four bytes each).
    pub history_tokens: usize,
    /// How long an answer may be, in tokens.
    pub max_tokens: u32,
    /// Whether the model is given the customer's images: the eight newest of a turn.
    pub images: bool,
    /// The time zone of the prompt's date, by its IANA name.
    pub time_zone: String,
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            prompt: "prompts/default.txt".into(),
            canned_reply: "replies/unavailable.txt".into(),
            history_tokens: 2000,
            max_tokens: 800,
            images: true,
            time_zone: "UTC".into(),
        }
    }
}

/// One model behind one address.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// The address that `/chat/completions` is added to.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// The key, if the address wants one.
    pub api_key: Option<SecretRef>,
    /// How long it may take to answer.
    #[serde(with = "in_words")]
    pub timeout: Duration,
}

/// The address may hold credentials.
impl fmt::Debug for ModelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelConfig({})", self.model)
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            model: "gpt-4o-mini".into(),
            api_key: None,
            timeout: Duration::from_secs(40),
        }
    }
}

/// The longest name that a prompt is given, in characters.
const LONGEST_NAME: usize = 40;

/// So many images of a turn, the newest, are given to a model.
const MOST_IMAGES: usize = 8;

/// A model that can be asked.
pub struct Model {
    /// Where and what.
    pub config: ModelConfig,
    /// Its key, fetched.
    pub api_key: Option<SecretString>,
}

/// The handler.
pub struct Llm {
    models: Vec<(ModelConfig, Client<OpenAIConfig>)>,
    config: LlmConfig,
    templates: Arc<Templates>,
    time_zone: TimeZone,
}

impl Llm {
    /// A handler that asks these models; `config.models` is not looked at again.
    ///
    /// # Errors
    /// Everything in `config` that cannot be used, each with its key.
    pub fn new(config: LlmConfig, models: Vec<Model>, templates: Arc<Templates>) -> Result<Self, Vec<Unusable>> {
        let mut problems = Vec::new();
        let time_zone = TimeZone::get(&config.time_zone).unwrap_or_else(|_| {
            let problem =
                format!("`{}` is no time zone: write an IANA name such as \"Europe/Berlin\"", config.time_zone);
            problems.push(Unusable { key: "time_zone", problem });
            TimeZone::UTC
        });
        let http = http::builder().build();
        if http.is_err() {
            problems.push(Unusable { key: "models", problem: http::ClientError.to_string() });
        }
        let http = http.unwrap_or_default();
        let models = models.into_iter().map(|model| {
            let mut openai = OpenAIConfig::new().with_api_base(model.config.base_url.trim_end_matches('/'));
            openai = openai.with_api_key(model.api_key.as_ref().map_or("none", |key| key.expose_secret()));
            // The bare service: async-openai's own would repeat a call that the next model should have.
            let client = Client::build(http.clone(), openai).with_http_service(ReqwestService::new(http.clone()));
            (model.config, client)
        });
        let llm = Self { models: models.collect(), config, templates, time_zone };
        if let Err(error) = llm.prompt(&BotName::new("bot"), &Contact::default(), Timestamp(0)) {
            problems.push(Unusable { key: "prompt", problem: error.to_string() });
        }
        if let Err(error) = llm.canned_reply(&Contact::default()) {
            problems.push(Unusable { key: "canned_reply", problem: error.to_string() });
        }
        if problems.is_empty() { Ok(llm) } else { Err(problems) }
    }

    fn prompt(&self, bot: &BotName, contact: &Contact, now: Timestamp) -> Result<String, TemplateError> {
        let now = i64::try_from(now.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let date = now.unwrap_or_default().to_zoned(self.time_zone.clone()).strftime("%A, %-d %B %Y").to_string();
        let contact = plain_name(contact);
        self.templates.render(&self.config.prompt, context! { bot => bot.as_str(), contact, date })
    }

    fn canned_reply(&self, contact: &Contact) -> Result<String, TemplateError> {
        let contact = contact.name.as_deref().unwrap_or_default();
        self.templates.render(&self.config.canned_reply, context! { contact })
    }

    /// The conversation as the model is to see it.
    async fn messages<'a>(&self, turn: &'a Turn) -> Result<Vec<Line<'a>>, TemplateError> {
        let system = self.prompt(&turn.bot, &turn.contact, turn.now)?;
        let mut messages = vec![Line { role: "system", content: Words::Text(system.into()) }];
        messages.extend(within(self.config.history_tokens, &turn.history).iter().map(|said| {
            let role = match said.by {
                Speaker::Customer => "user",
                Speaker::Bot => "assistant",
            };
            Line { role, content: Words::Text(said.words.as_str().into()) }
        }));
        let images = turn.messages.iter().filter(|message| image_in(message).is_some()).count();
        let mut too_many = if self.config.images { images.saturating_sub(MOST_IMAGES) } else { images };
        for message in &turn.messages {
            let text = describe(message);
            let image = match image_in(message) {
                Some(_) if too_many > 0 => {
                    too_many -= 1;
                    None
                }
                Some(media) => fetch(turn, media).await,
                None => None,
            };
            let content = match image {
                Some(Fetched { data, mime }) => {
                    let text = text.into_owned();
                    let url = format!("data:{mime};base64,{}", BASE64_STANDARD.encode(&data));
                    let image_url = Address { url, _held: data };
                    Words::Parts([ContentPart::Text { text }, ContentPart::ImageUrl { image_url }])
                }
                None => Words::Text(text),
            };
            messages.push(Line { role: "user", content });
        }
        Ok(messages)
    }

    async fn ask(
        &self,
        model: &ModelConfig,
        client: &Client<OpenAIConfig>,
        messages: &[Line<'_>],
    ) -> Result<String, Unanswered> {
        let request = Request { model: &model.model, messages, max_tokens: self.config.max_tokens };
        let asked = timeout(model.timeout, client.chat().create_byot::<_, Completion>(request)).await;
        let completion = asked.map_err(|_| Unanswered::TimedOut)?.map_err(|error| Unanswered::of(&error))?;
        let words = completion.choices.into_iter().next().and_then(|choice| choice.message.content);
        words.map(|words| words.trim().to_owned()).filter(|words| !words.is_empty()).ok_or(Unanswered::Empty)
    }
}

#[async_trait]
impl Handler for Llm {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let messages = self.messages(turn).await.map_err(|error| HandlerError::new(error.to_string()))?;
        for (number, (model, client)) in self.models.iter().enumerate() {
            match self.ask(model, client, &messages).await {
                Ok(words) => {
                    debug!(
                        llm.model = model.model,
                        llm.number = number,
                        llm.messages = messages.len(),
                        "a model answered"
                    );
                    return Ok(Reply::text(words));
                }
                Err(why) => warn!(llm.model = model.model, llm.number = number, %why, "a model did not answer"),
            }
        }
        let words = self.canned_reply(&turn.contact).map_err(|error| HandlerError::new(error.to_string()))?;
        Ok(Reply::text(words))
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its key in the handler's table.
    pub key: &'static str,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// Why a model did not answer: in numbers and kinds, since a provider's own words can hold a customer's.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("it took too long")]
    TimedOut,
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it answered with HTTP {0}")]
    Status(u16),
    #[error("its answer was not understood")]
    NotUnderstood,
    #[error("its answer was empty")]
    Empty,
}

impl Unanswered {
    fn of(error: &OpenAIError) -> Self {
        match error {
            OpenAIError::Reqwest(error) => match error.status() {
                Some(status) => Self::Status(status.as_u16()),
                None if error.is_timeout() => Self::TimedOut,
                None => Self::Unreachable,
            },
            OpenAIError::ApiError(answer) => Self::Status(answer.status_code.as_u16()),
            _ => Self::NotUnderstood,
        }
    }
}

/// What a model is asked. Borrowed from the turn: a conversation with images in it is megabytes.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [Line<'a>],
    max_tokens: u32,
}

/// One thing said, in the model's terms.
#[derive(Serialize)]
struct Line<'a> {
    role: &'static str,
    content: Words<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Words<'a> {
    Text(Cow<'a, str>),
    Parts([ContentPart; 2]),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentPart {
    Text { text: String },
    ImageUrl { image_url: Address },
}

#[derive(Serialize)]
struct Address {
    url: String,
    /// What the address was made of counts as memory for media while it is held.
    #[serde(skip)]
    _held: Bytes,
}

/// As much of a chat completion as we read: other servers than OpenAI's leave out more than they add.
#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

/// The newest things said that fit into `budget` tokens, never beginning with the bot's own words.
fn within(budget: usize, history: &[Said]) -> &[Said] {
    let mut left = budget;
    let fits = history.iter().rev().take_while(|said| {
        // Four bytes a token is near enough for most languages and on the safe side for English; the few more are
        // what a message's frame costs.
        let cost = said.words.len() / 4 + 4;
        left.checked_sub(cost).map(|rest| left = rest).is_some()
    });
    let mut kept = &history[history.len() - fits.count()..];
    while let [Said { by: Speaker::Bot, .. }, rest @ ..] = kept {
        kept = rest;
    }
    kept
}

/// A customer's name, for the one place where a customer's words stand in the system role: a single short line, in
/// which there is no room for instructions.
fn plain_name(contact: &Contact) -> String {
    let name = contact.name.as_deref().unwrap_or_default();
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | '\'');
    name.chars().filter(plain).take(LONGEST_NAME).collect::<String>().trim().to_owned()
}

/// A message in words.
fn describe(message: &Inbound) -> Cow<'_, str> {
    let kind = message.content.kind().as_str();
    let words = match (&message.content, message.content.words()) {
        (Content::Text { body }, _) => return body.into(),
        (Content::Location { latitude, longitude, name, .. }, _) => {
            format!(
                "[location {latitude}, {longitude}{}]",
                name.as_ref().map(|name| format!(", {name}")).unwrap_or_default()
            )
        }
        (Content::Order { items, .. }, words) => {
            let items: Vec<_> = items.iter().map(|item| format!("{} x {}", item.quantity, item.product)).collect();
            format!("[order: {}] {}", items.join(", "), words.unwrap_or_default()).trim_end().to_owned()
        }
        (Content::Form { answers, .. }, _) => format!("[form: {answers}]"),
        (Content::Choice { .. }, Some(words)) => return words.into(),
        (_, Some(words)) => format!("[{kind}] {words}"),
        (_, None) => format!("[{kind}]"),
    };
    words.into()
}

fn image_in(message: &Inbound) -> Option<&MediaRef> {
    match &message.content {
        Content::Media(media) if media.kind == MediaKind::Image => Some(media),
        _ => None,
    }
}

/// An image. One that cannot be had is left out: the words say that there was one.
async fn fetch(turn: &Turn, image: &MediaRef) -> Option<Fetched> {
    match turn.media.fetch(image).await {
        Ok(image) => Some(image),
        Err(error) => {
            warn!(%error, "an image could not be given to the model");
            None
        }
    }
}
