//! What a model is told: who it is, what was said before, and what waits for an answer.

use std::fmt::Write;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::tz::TimeZone;
use minijinja::context;
use tracing::warn;

use super::config::{LlmConfig, Unusable};
use super::guard::Guardrails;
use super::image::{CANNOT_BE_SHOWN, shown_as};
use super::past::Past;
use super::tools::RULE;
use super::voice;
use super::wire::ChatMessage;
use crate::handler::{Fetched, Turn};
use crate::message::clock::Timestamp;
use crate::message::{BotName, Contact, Content, Inbound, MediaKind, MediaRef, Speaker, rendering};
use crate::runtime::templates::{TemplateError, Templates};

/// The longest name that a prompt is given, in characters.
const LONGEST_NAME: usize = 40;

/// So many images of a turn, the newest, are given to a model.
const MOST_IMAGES: usize = 8;

/// What makes prompts.
pub(super) struct Prompter {
    templates: Arc<Templates>,
    prompt: String,
    instructions: String,
    canned_reply: String,
    limit_reply: String,
    pub(super) time_zone: TimeZone,
    zone_name: String,
    /// Whether the template tells the time of day by itself.
    tells_time: bool,
    summary_prompt: String,
    images: bool,
    has_tools: bool,
}

impl Prompter {
    /// Everything in `config` that cannot be used is added to `problems`.
    pub(super) fn new(
        config: &LlmConfig,
        has_tools: bool,
        templates: Arc<Templates>,
        problems: &mut Vec<Unusable>,
    ) -> Self {
        let time_zone = TimeZone::get(&config.time_zone).unwrap_or_else(|_| {
            let name = &config.time_zone;
            let problem = format!("`{name}` is no time zone: write an IANA name such as \"Europe/Berlin\"");
            problems.push(Unusable::new("time_zone", problem));
            TimeZone::UTC
        });
        let mut prompter = Self {
            templates,
            prompt: config.prompt.clone(),
            instructions: config.instructions.trim().to_owned(),
            canned_reply: config.canned_reply.clone(),
            limit_reply: config.budget.reply.clone(),
            time_zone,
            zone_name: config.time_zone.clone(),
            tells_time: true,
            summary_prompt: config.summary_prompt.clone(),
            images: config.images,
            has_tools,
        };
        let at = |minute: u64| prompter.system(&BotName::new("bot"), &Contact::default(), Timestamp(minute * 60_000));
        prompter.tells_time = at(0).ok() != at(1).ok();
        match prompter.system(&BotName::new("bot"), &Contact::default(), Timestamp(0)) {
            Ok(prompt) if !prompt.contains(&prompter.instructions) => {
                let text = format!("would not reach the model: put {{{{ instructions }}}} into {}", config.prompt);
                problems.push(Unusable::new("instructions", text));
            }
            Ok(_) => {}
            Err(error) => problems.push(Unusable::new("prompt", error.to_string())),
        }
        if let Err(error) = prompter.canned_reply(&Contact::default()) {
            problems.push(Unusable::new("canned_reply", error.to_string()));
        }
        if let Err(error) = prompter.summary(&BotName::new("bot")) {
            problems.push(Unusable::new("summary_prompt", error.to_string()));
        }
        if let Err(error) = prompter.limit_reply(&Contact::default()) {
            problems.push(Unusable::new("budget.reply", error.to_string()));
        }
        prompter
    }

    fn system(&self, bot: &BotName, contact: &Contact, now: Timestamp) -> Result<String, TemplateError> {
        let date = now.in_zone(&self.time_zone).strftime("%A, %-d %B %Y").to_string();
        let contact = plain_name(contact);
        let instructions = self.instructions.as_str();
        let time = now.in_zone(&self.time_zone).strftime("%H:%M").to_string();
        let time_zone = self.zone_name.as_str();
        let values = context! { bot => bot.as_str(), contact, date, time => &time, time_zone, instructions };
        let prompt = self.templates.render(&self.prompt, values)?;
        Ok(if self.has_tools { format!("{prompt}\n\n{RULE}") } else { prompt })
    }

    /// The time of day. It stands with the newest messages: servers remember how a prompt begins, and read anew what
    /// stands behind the first change.
    fn time_of_day(&self, now: Timestamp, guard: &Guardrails) -> String {
        let time = now.in_zone(&self.time_zone).strftime("%H:%M");
        format!("{} It is {time} in the time zone {}.", guard.clock(), self.zone_name)
    }

    /// What a customer is told when no model answers.
    pub(super) fn canned_reply(&self, contact: &Contact) -> Result<String, TemplateError> {
        self.reply(&self.canned_reply, contact)
    }

    /// What a customer is told who is over a limit.
    pub(super) fn limit_reply(&self, contact: &Contact) -> Result<String, TemplateError> {
        self.reply(&self.limit_reply, contact)
    }

    fn reply(&self, template: &str, contact: &Contact) -> Result<String, TemplateError> {
        let contact = contact.name.as_deref().unwrap_or_default();
        self.templates.render(template, context! { contact })
    }

    /// How a summary is asked for.
    pub(super) fn summary(&self, bot: &BotName) -> Result<String, TemplateError> {
        self.templates.render(&self.summary_prompt, context! { bot => bot.as_str() })
    }

    /// The conversation as a model is to see it, given as much of its past.
    pub(super) async fn messages<'a>(
        &self,
        turn: &'a Turn,
        past: Past<'a>,
        guard: &Guardrails,
    ) -> Result<Vec<ChatMessage<'a>>, TemplateError> {
        let mut system = self.system(&turn.bot, &turn.contact, turn.now)?;
        if !self.tells_time {
            let clock = guard.clock();
            let _ = write!(
                system,
                "\n\n{clock} begins a line that tells the time of day. The customer has not written it."
            );
        }
        let mut messages = vec![ChatMessage::system(guard.mark(&system))];
        // Not in the system role: it is made of the customer's words.
        messages
            .extend(past.summary.map(|words| ChatMessage::user(format!("[What was said before, in short: {words}]"))));
        let canned = past.said.iter().any(|said| said.by == Speaker::Bot).then(|| self.canned_reply(&turn.contact));
        let canned = canned.transpose()?;
        // A model would take it for its own words, and say it again.
        let said = past.said.iter().filter(|said| said.by != Speaker::Bot || canned.as_ref() != Some(&said.words));
        messages.extend(said.map(|said| match said.by {
            Speaker::Customer => ChatMessage::user(voice::told(said)),
            // Without a mark that a person wrote it: the model would learn to write that mark.
            Speaker::Bot | Speaker::Person => ChatMessage::assistant(said.words.as_str()),
        }));
        if !self.tells_time {
            messages.push(ChatMessage::user(self.time_of_day(turn.now, guard)));
        }
        let images = turn.messages.iter().filter(|message| image_in(message).is_some()).count();
        let mut too_many = if self.images { images.saturating_sub(MOST_IMAGES) } else { images };
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
            messages.push(match image {
                Some(image) => match shown_as(&image) {
                    Some(mime) => {
                        let url = format!("data:{mime};base64,{}", BASE64_STANDARD.encode(&image.data));
                        ChatMessage::image(text, url, image.data)
                    }
                    None => ChatMessage::user(format!("{text}\n{CANNOT_BE_SHOWN}")),
                },
                None => ChatMessage::user(text),
            });
        }
        Ok(messages)
    }
}

/// A customer's name, for the one place where a customer's words stand in the system role: a single short line, in
/// which there is no room for instructions.
fn plain_name(contact: &Contact) -> String {
    let name = contact.name.as_deref().unwrap_or_default();
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | '\'');
    name.chars().filter(plain).take(LONGEST_NAME).collect::<String>().trim().to_owned()
}

/// A message in words; in a group, behind its writer's name.
fn describe(message: &Inbound) -> String {
    let words = rendering::told(message);
    if message.at.group { rendering::spoken(&rendering::speaker(message), &words) } else { words }
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
