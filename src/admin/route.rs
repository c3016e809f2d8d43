//! Which request is which, and what its parameters say.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::pairing::Revoked;
use super::views::{ApiError, PageQuery, PauseFor, Whom};
use crate::message::json;
use crate::message::{BotName, PartKey};
use crate::policy::takeover::Lasting;
use crate::store::Seq;

/// What a path leads to. What stands in it is not looked at yet.
#[derive(Clone, Copy)]
pub(super) enum ApiRoute<'a> {
    Dead,
    Letter(&'a str),
    Replay,
    Discard,
    Forget,
    /// Of the conversation that stands in the body.
    Pause,
    Resume,
    /// Of the conversation of a dead letter.
    PauseAt(&'a str),
    ResumeAt(&'a str),
    Part(&'a str),
    /// To this bot's contacts, unasked.
    Messages(&'a str),
    /// To this bot, if it is private.
    Invite(&'a str),
    Members(&'a str),
    Revoke(&'a str),
    State,
    Bots,
    Bot(&'a str),
    PutBot(&'a str),
    RemoveBot(&'a str),
    Reload,
    Metrics,
}

/// Why a request leads nowhere.
pub(super) enum RouteError {
    /// There is nothing on this path.
    Nothing,
    /// It takes these methods.
    Takes(&'static str),
}

impl<'a> ApiRoute<'a> {
    /// What a request leads to.
    pub(super) fn find(method: &str, path: &'a str) -> Result<Self, RouteError> {
        // With a slash at its end it is the same address.
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(bot) = path.strip_prefix("/v1/bots/").filter(|bot| !bot.is_empty() && !bot.contains('/')) {
            return match method {
                "GET" => Ok(Self::Bot(bot)),
                "PUT" => Ok(Self::PutBot(bot)),
                "DELETE" => Ok(Self::RemoveBot(bot)),
                _ => Err(RouteError::Takes("GET, PUT, DELETE")),
            };
        }
        let place = Self::on(path).ok_or(RouteError::Nothing)?;
        if place.method() == method { Ok(place) } else { Err(RouteError::Takes(place.method())) }
    }

    /// What is on a path that takes one method.
    fn on(path: &'a str) -> Option<Self> {
        // Where everybody expects it.
        if path == "/metrics" {
            return Some(Self::Metrics);
        }
        let mut segments = path.strip_prefix("/v1/")?.split('/');
        let (first, second, third) = (segments.next()?, segments.next(), segments.next());
        let place = match (first, second, third.filter(|_| segments.next().is_none())) {
            _ if third.is_some() && !["bots", "conversations"].contains(&first) => return None,
            ("bots", Some(bot), Some("messages")) => Self::Messages(bot),
            ("bots", Some(bot), Some("invite")) => Self::Invite(bot),
            ("bots", Some(bot), Some("members")) => Self::Members(bot),
            ("bots", Some(bot), Some("revoke")) => Self::Revoke(bot),
            ("conversations", Some("pause"), None) if third.is_none() => Self::Pause,
            ("conversations", Some("resume"), None) if third.is_none() => Self::Resume,
            ("conversations", Some(letter), Some("pause")) => Self::PauseAt(letter),
            ("conversations", Some(letter), Some("resume")) => Self::ResumeAt(letter),
            ("dead", None, _) => Self::Dead,
            ("dead", Some("replay"), None) => Self::Replay,
            ("dead", Some("discard"), None) => Self::Discard,
            ("dead", Some(letter), None) => Self::Letter(letter),
            ("forget", None, _) => Self::Forget,
            ("parts", Some(key), None) => Self::Part(key),
            ("state", None, _) => Self::State,
            ("bots", None, _) => Self::Bots,
            ("reload", None, _) => Self::Reload,
            _ => return None,
        };
        Some(place)
    }

    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Replay | Self::Discard | Self::Forget | Self::Messages(_) => "POST",
            Self::Invite(_) | Self::Revoke(_) => "POST",
            Self::Pause | Self::Resume | Self::PauseAt(_) | Self::ResumeAt(_) | Self::Reload => "POST",
            Self::Dead | Self::Letter(_) | Self::Part(_) | Self::Members(_) => "GET",
            Self::State | Self::Bots | Self::Bot(_) | Self::Metrics => "GET",
            Self::PutBot(_) => "PUT",
            Self::RemoveBot(_) => "DELETE",
        }
    }

    /// What is logged of it: nothing that somebody has put in.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Dead => "GET /v1/dead",
            Self::Letter(_) => "GET /v1/dead/{letter}",
            Self::Replay => "POST /v1/dead/replay",
            Self::Discard => "POST /v1/dead/discard",
            Self::Forget => "POST /v1/forget",
            Self::Pause => "POST /v1/conversations/pause",
            Self::Resume => "POST /v1/conversations/resume",
            Self::PauseAt(_) => "POST /v1/conversations/{letter}/pause",
            Self::ResumeAt(_) => "POST /v1/conversations/{letter}/resume",
            Self::Part(_) => "GET /v1/parts/{key}",
            Self::Messages(_) => "POST /v1/bots/{bot}/messages",
            Self::Invite(_) => "POST /v1/bots/{bot}/invite",
            Self::Members(_) => "GET /v1/bots/{bot}/members",
            Self::Revoke(_) => "POST /v1/bots/{bot}/revoke",
            Self::State => "GET /v1/state",
            Self::Bots => "GET /v1/bots",
            Self::Bot(_) => "GET /v1/bots/{bot}",
            Self::PutBot(_) => "PUT /v1/bots/{bot}",
            Self::RemoveBot(_) => "DELETE /v1/bots/{bot}",
            Self::Reload => "POST /v1/reload",
            Self::Metrics => "GET /metrics",
        }
    }
}

/// The number of a letter, as it stands in a path.
pub(super) fn letter(text: &str) -> Result<Seq, ApiError> {
    text.parse().map(Seq).map_err(|_| ApiError::new(404, "a dead letter is known by its number"))
}

/// The key of a part, as it stands in a path.
pub(super) fn key(text: &str) -> PartKey {
    PartKey::new(text)
}

/// The parameters of a list.
pub(super) fn page(query: &str) -> Result<PageQuery, ApiError> {
    const FORM: ApiError = ApiError {
        status: 400,
        text: Cow::Borrowed("there are: after=SEQ; most=1 to 1000, or with words to 100; show=words"),
    };
    let mut page = PageQuery::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("after", after) => page.after = Some(Seq(after.parse().map_err(|_| FORM)?)),
            ("most", most) => page.most = most.parse().map_err(|_| FORM)?,
            ("show", "words") => page.words = true,
            _ => return Err(FORM),
        }
    }
    page.is_fine().then_some(page).ok_or(FORM)
}

/// The parameters of a list of bots: behind which, and how many.
pub(super) fn bots(query: &str) -> Result<(Option<BotName>, usize), ApiError> {
    const FORM: ApiError = ApiError { status: 400, text: Cow::Borrowed("there are: after=BOT; most=1 to 1000") };
    let (mut after, mut most) = (None, PageQuery::USUAL);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "after" => after = Some(BotName::new(&*value)),
            "most" => most = value.parse().map_err(|_| FORM)?,
            _ => return Err(FORM),
        }
    }
    if (1..=PageQuery::LONGEST).contains(&most) { Ok((after, most)) } else { Err(FORM) }
}

/// A bot's settings.
pub(super) fn settings(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let form = "send the bot's tables as one JSON object: {\"provider\": {\"kind\": \"…\", …}, \"handler\": {…}, …}";
    json::from_slice(body).map_err(|_| ApiError::new(400, form))
}

/// The one parameter that other requests have: whether words are shown.
pub(super) fn shows_words(query: &str) -> Result<bool, ApiError> {
    match query {
        "" => Ok(false),
        "show=words" => Ok(true),
        _ => Err(ApiError::new(400, "there is: show=words")),
    }
}

/// Where a list of members goes on, and whether with their names.
pub(super) fn members(query: &str) -> Result<(Option<String>, bool), ApiError> {
    let (mut place, mut words) = (None, false);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("after", after) => place = Some(after.to_owned()),
            ("show", "words") => words = true,
            _ => return Err(ApiError::new(400, "there are: after=…; show=words")),
        }
    }
    Ok((place, words))
}

/// What is to be taken back.
pub(super) fn revoked(body: &[u8]) -> Result<Revoked, ApiError> {
    json::from_slice(body).map_err(|_| ApiError::new(400, "send {\"contact\": \"…\"} or {\"number\": 1}"))
}

/// Whose conversation is to be paused, and for how long.
pub(super) fn pause(body: &[u8]) -> Result<(Whom, PauseFor), ApiError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct PauseBody {
        bot: String,
        contact: String,
        #[serde(rename = "for")]
        lasts: Option<Lasting>,
    }
    let form = "send {\"bot\": \"…\", \"contact\": \"…\", \"for\": \"2h\"}; without `for` until it is resumed";
    let PauseBody { bot, contact, lasts } = json::from_slice(body).map_err(|_| ApiError::new(400, form))?;
    Ok((Whom { bot, contact }, PauseFor { lasts }))
}

/// For how long a conversation is to be paused that is named elsewhere. There need be no body.
pub(super) fn pause_for(body: &[u8]) -> Result<PauseFor, ApiError> {
    if body.is_empty() {
        return Ok(PauseFor::default());
    }
    json::from_slice(body).map_err(|_| ApiError::new(400, "send {\"for\": \"2h\"}, or nothing"))
}

/// Who is meant.
pub(super) fn whom(body: &[u8]) -> Result<Whom, ApiError> {
    json::from_slice(body).map_err(|_| ApiError::new(400, "send {\"bot\": \"…\", \"contact\": \"…\"}"))
}

/// The letters that are to be changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    letters: Vec<Seq>,
}

/// The letters that a body names.
pub(super) fn letters(body: &[u8]) -> Result<Vec<Seq>, ApiError> {
    let named: Option<Named> = json::from_slice(body).ok();
    let named = named.filter(|named| (1..=PageQuery::LONGEST).contains(&named.letters.len()));
    named.map(|named| named.letters).ok_or(ApiError::new(400, "send {\"letters\": [1, 2]}: 1,000 numbers at the most"))
}
