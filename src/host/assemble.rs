//! From a configuration to things that run: where every problem that reading could not see is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use crate::delivery::pacing::Pace;
use crate::delivery::typing::Indicator;
use crate::handler::demo::Demo;
use crate::handler::http::callbacks::Callbacks;
use crate::handler::http::{Egress, Http, HttpConfig};
use crate::handler::llm::{self, Llm, LlmConfig, Model};
use crate::handler::route::{Route, Router};
use crate::handler::{ConversationState, Handler};
use crate::host::config::{BotConfig, Config, HandlerConfig, Problem, Problems};
use crate::message::BotName;
use crate::message::clock::Clock;
use crate::message::secret::SecretRef;
use crate::policy::control::Controls;
use crate::policy::failure_reply::FailureReply;
use crate::policy::gate::Gates;
use crate::policy::quiet_hours::QuietHours;
use crate::provider::health::Health;
use crate::provider::{Metered, Provider, ProviderContext};
use crate::runtime::budget::MemoryUse;
use crate::runtime::meters::Meters;
use crate::runtime::templates::{TemplateError, Templates};
use crate::turn::Bot;
use crate::turn::transcription::Transcriber;

/// Looks environment variables up.
pub(super) type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What is needed besides the configuration.
#[derive(Clone)]
pub(super) struct Assembly {
    pub(super) env: Env,
    pub(super) ways_out: Egress,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) conversation_state: Arc<dyn ConversationState>,
    pub(super) templates: Arc<Templates>,
    pub(super) meters: Meters,
    pub(super) clock: Clock,
    pub(super) handler: Option<Arc<dyn Handler>>,
}

impl Assembly {
    /// What there is of it for a bot that was put over the operator's API.
    fn for_put(&self, config: &Config) -> Self {
        let (env, may_name, hosting) = (Arc::clone(&self.env), config.may_name(), config.hosting.clone());
        let env: Env = Arc::new(move |name| may_name(name).then(|| env(name)).flatten());
        let ways_out = self.ways_out.bounded(Arc::new(move |url| hosting.may_call(url)));
        Self { env, ways_out, ..self.clone() }
    }
}

/// The operator's token, if there is to be an API for him.
pub(super) fn operator_token(
    config: &Config,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<SecretString>, Problems> {
    let token = config.operator.token(env);
    token.map_err(|text| Problems(vec![config.problem("operator.token", text)]))
}

/// The templates that a configuration asks for, and what is wrong with them.
pub(super) fn templates(config: &Config) -> Result<(Arc<Templates>, Vec<Problem>), Problems> {
    let problem = |error: &TemplateError| config.problem("templates", error.to_string());
    let loaded = match &config.templates {
        Some(directory) => Templates::load(directory),
        None => Templates::built_in().map(|templates| (templates, Vec::new())),
    };
    let (templates, errors) = loaded.map_err(|error| Problems(vec![problem(&error)]))?;
    Ok((Arc::new(templates), errors.iter().map(problem).collect()))
}

/// Makes the bots. Connects to nothing.
pub(super) fn bots(config: &Config, parts: &Assembly) -> Result<Vec<Bot>, Problems> {
    let (mut bots, mut problems) = (Vec::with_capacity(config.bots.len()), Vec::new());
    for (name, bot) in &config.bots {
        match make(config, name, bot, parts) {
            Ok(bot) => bots.push(bot),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(bots) } else { Err(Problems(problems)) }
}

fn make(config: &Config, name: &str, bot: &BotConfig, parts: &Assembly) -> Result<Bot, Vec<Problem>> {
    let parts = &Assembly { ways_out: parts.ways_out.of_one_bot(), ..parts.clone() };
    let of_put = bot.put.then(|| parts.for_put(config));
    let parts = of_put.as_ref().unwrap_or(parts);
    let templates = &parts.templates;
    let problem = |key: &str, text: String| config.problem(&format!("bots.{name}.{key}"), text);
    let mut problems = Vec::new();
    let mut note = |at: &str, found: Vec<(String, String)>| {
        problems.extend(found.into_iter().map(|(key, text)| problem(&format!("{at}.{key}"), text)));
    };
    let bot_name = BotName::new(name);
    let around =
        ProviderContext { bot: bot_name.clone(), transport: Arc::clone(&parts.ways_out.anywhere), clock: parts.clock };
    let provider = match bot.provider.as_ref().map(|provider| provider.connect(&*parts.env, around)) {
        Some(Ok(provider)) => Some(metered(provider, &parts.meters)),
        Some(Err(found)) => {
            note("provider", found);
            None
        }
        None => {
            note("provider", vec![("kind".into(), "is missing".into())]);
            None
        }
    };
    let otherwise = make_handler(&bot.handler, parts).map_err(|found| note("handler", found)).ok();
    let mut named = BTreeMap::new();
    for (name, handler) in &bot.handlers {
        match make_handler(handler, parts) {
            Ok(made) => drop(named.insert(name.as_str(), made)),
            Err(found) => note(&format!("handlers.{name}"), found),
        }
    }
    let mut routes = Vec::new();
    for (number, route) in bot.routes.iter().enumerate() {
        // One that is not there has been noted: what else is wrong with the route is to be found too.
        let handler = named.get(route.handler.as_str()).cloned().unwrap_or_else(|| Arc::new(Demo));
        match Route::new(route.clone(), handler) {
            Ok(route) => routes.push(route),
            Err(found) => {
                let found = found.into_iter().map(|(key, problem)| (key.to_owned(), problem));
                note(&format!("routes[{number}]"), found.collect());
            }
        }
    }
    let handler: Option<Arc<dyn Handler>> = otherwise.map(|otherwise| match routes.is_empty() {
        true => otherwise,
        false => Arc::new(Router::new(routes, otherwise)),
    });
    let failure_reply = match FailureReply::new(&bot.failure_reply, templates) {
        Ok(reply) => Some(reply).filter(|_| bot.failure_reply.enabled),
        Err(error) => {
            note("failure_reply", vec![("template".into(), error.to_string())]);
            None
        }
    };
    let quiet = QuietHours::new(&bot.quiet, templates).unwrap_or_else(|found| {
        note("quiet", found);
        None
    });
    let transcriber = bot.transcription.clone().and_then(|config| {
        let made = Transcriber::new(config, &*parts.env, Arc::clone(&parts.ways_out.anywhere), parts.clock);
        made.map_err(|found| {
            let found = found.into_iter().map(|(key, problem)| (key.to_owned(), problem));
            note("transcription", found.collect());
        })
        .ok()
    });
    let (Some(provider), Some(handler), true) = (provider, handler, problems.is_empty()) else { return Err(problems) };
    let health = Arc::new(Health::new(bot_name.clone(), parts.clock));
    let controls = Controls::new(bot.control.clone()).and_of_upstream(provider.abilities().opt_out_words);
    Ok(Bot {
        name: bot_name,
        indicator: Indicator::new(Arc::clone(&provider), bot.typing.clone(), Arc::clone(&health)),
        pace: Arc::new(Pace::new(provider.abilities().limits.clone())),
        provider,
        handler,
        gates: Gates::new(bot.gate.clone()),
        controls: Arc::new(controls),
        people: bot.people.clone(),
        quiet,
        merge: bot.merge.clone(),
        turn: bot.turn.clone(),
        transcriber,
        delivery: bot.delivery.clone(),
        failure_reply,
        health,
        share: bot.share,
        media: MemoryUse::default(),
    })
}

/// The same provider, counted if anybody counts.
fn metered(provider: Arc<dyn Provider>, meters: &Meters) -> Arc<dyn Provider> {
    if meters.is_counted() { Arc::new(Metered::new(provider, meters.clone())) } else { provider }
}

type Made = Result<Arc<dyn Handler>, Vec<(String, String)>>;

fn make_handler(handler: &HandlerConfig, parts: &Assembly) -> Made {
    Ok(match handler {
        HandlerConfig::Demo => Arc::new(Demo),
        HandlerConfig::Llm(llm) => Arc::new(make_llm(llm, parts)?),
        HandlerConfig::Http(http) => Arc::new(make_http(http, parts)?),
        HandlerConfig::Custom => match &parts.handler {
            Some(handler) => Arc::clone(handler),
            None => {
                let text = "is \"custom\", and this program brings no handler: give one to App::handler, or use demo, llm or http";
                return Err(vec![("kind".into(), text.into())]);
            }
        },
    })
}

fn make_http(http: &HttpConfig, parts: &Assembly) -> Result<Http, Vec<(String, String)>> {
    let secret = http.secret.as_ref().map(|secret| secret.resolve(&*parts.env)).transpose();
    let (secret, mut problems) = match secret {
        Ok(secret) => (secret, Vec::new()),
        Err(problem) => (None, vec![("secret".to_owned(), problem)]),
    };
    let made = Http::new(http.clone(), secret.as_ref(), &parts.ways_out, Arc::clone(&parts.callbacks), parts.clock);
    match made {
        Ok(made) if problems.is_empty() => Ok(made),
        Ok(_) => Err(problems),
        Err(unusable) => {
            problems.extend(unusable.into_iter().map(|(key, problem)| (key.to_owned(), problem)));
            Err(problems)
        }
    }
}

fn make_llm(llm: &LlmConfig, parts: &Assembly) -> Result<Llm, Vec<(String, String)>> {
    let mut problems = Vec::new();
    let mut models = Vec::new();
    for (number, model) in llm.models.iter().enumerate() {
        let mut wrong = |key: &str, text: String| problems.push((format!("models[{number}].{key}"), text));
        if model.model.is_empty() {
            wrong("model", "is empty: name the model".into());
        }
        for (key, length) in [("timeout", model.timeout), ("stall", model.stall)] {
            if length.is_zero() {
                wrong(key, "must not be zero: no model answers at once".into());
            }
        }
        let api_key = model.api_key.as_ref().map(|key| key.resolve_for_header(&*parts.env)).transpose();
        // Without its key it keeps its place: what else is wrong is told by that.
        let api_key = api_key.unwrap_or_else(|text| {
            wrong("api_key", text);
            None
        });
        models.push(Model { config: model.clone(), api_key });
    }
    let mut tools = Vec::new();
    for (number, tool) in llm.tools.iter().enumerate() {
        let secret = tool.secret.as_ref().map(|secret| secret.resolve(&*parts.env)).transpose();
        let secret = secret.unwrap_or_else(|text| {
            problems.push((format!("tools[{number}].secret"), text));
            None
        });
        tools.push(llm::Tool { config: tool.clone(), secret });
    }
    let mut mcp = Vec::new();
    for (number, server) in llm.mcp.iter().enumerate() {
        let token = server.token.as_ref().map(|token| token.resolve_for_header(&*parts.env)).transpose();
        let token = token.unwrap_or_else(|text| {
            problems.push((format!("mcp[{number}].token"), text));
            None
        });
        let mut environment = Vec::new();
        for (name, value) in &server.env {
            match SecretRef::named(value).map_or_else(|| Ok(value.clone().into()), |place| place.resolve(&*parts.env)) {
                Ok(value) => environment.push((name.clone(), value)),
                Err(text) => problems.push((format!("mcp[{number}].env.{name}"), text)),
            }
        }
        mcp.push(llm::Mcp { config: server.clone(), token, environment });
    }
    let (ways_out, conversation_state, templates) =
        (parts.ways_out.clone(), Arc::clone(&parts.conversation_state), Arc::clone(&parts.templates));
    let (clock, meters) = (parts.clock, parts.meters.clone());
    let around = llm::LlmContext { models, tools, mcp, ways_out, conversation_state, templates, clock, meters };
    let made = Llm::new(llm.clone(), around);
    match made {
        Ok(made) if problems.is_empty() => Ok(made),
        Ok(_) => Err(problems),
        Err(unusable) => {
            problems.extend(unusable.into_iter().map(|found| (found.key, found.problem)));
            Err(problems)
        }
    }
}
