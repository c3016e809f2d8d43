//! `threedots` without a configuration: the product on one port, and on another a sandbox with a phone.
//!
//! The bot here is configured as any bot is, and what it talks to speaks Meta's wire on a real socket.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::StartError;
use super::server::{self, Listening};
use crate::clock::Clock;
use crate::config::{BotConfig, Config, HandlerConfig, ProviderConfig};
use crate::handler::llm::{LlmConfig, ModelConfig};
use crate::http::{Body, Call, Transport};
use crate::provider::meta::MetaConfig;
use crate::sandbox::{self, Courier, Customer, Page, Sandbox, SandboxSettings};
use crate::secret::SecretRef;

/// The bot's name, which is part of its webhook's address.
const BOT: &str = "demo";
/// The ports that are tried first: a bookmark goes on working.
const PRODUCT_PORT: u16 = 8080;
const PHONE_PORT: u16 = 3333;
/// One browser, and the product.
const CONNECTIONS: usize = 1000;

/// A sandbox and the configuration of a bot that uses it.
pub(super) struct Playground {
    pub(super) config: Config,
    pub(super) product: TcpListener,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) listening: Listening,
    settings: SandboxSettings,
    /// Deleted when the app ends: the customers on the phone forget everything, and so does the bot.
    pub(super) directory: PathBuf,
}

impl Playground {
    /// Opens the sandbox. `env` says whether there is a model to talk to.
    pub(super) fn open(
        env: &dyn Fn(&str) -> Option<String>,
        overlay: &[(String, String)],
        transport: Arc<dyn Transport>,
        custom: bool,
    ) -> Result<Self, StartError> {
        let (product, phone) = (listen(PRODUCT_PORT)?, listen(PHONE_PORT)?);
        let product_address = product.local_addr().map_err(StartError::Listen)?;
        let phone_address = phone.local_addr().map_err(StartError::Listen)?;
        let mut config = Config::defaults(overlay.iter().cloned()).map_err(StartError::Config)?;
        let settings = SandboxSettings {
            webhook_url: format!("http://{product_address}/webhooks/{BOT}"),
            bot_name: "three dots".into(),
            ..SandboxSettings::default()
        };
        config.bots.insert(BOT.into(), bot(env, &settings, &format!("http://{phone_address}/graph"), custom));
        let directory = std::env::temp_dir().join(format!("threedots-{}", std::process::id()));
        config.store.path.clone_from(&directory);
        let sandbox = Sandbox::new(settings.clone(), Clock::System, Arc::new(Post(transport)));
        sandbox.phone().add(Customer::new("15550100001", "Ada"));
        let page = Page::new(pages(&config)).map_err(StartError::Page)?;
        let served = Arc::clone(&sandbox);
        let routes = move |server: &mut actix_web::web::ServiceConfig| {
            sandbox::configure(Arc::clone(&served), page.clone())(server);
        };
        let listening = server::serve(phone, CONNECTIONS, routes).map_err(StartError::Listen)?;
        Ok(Self { config, product, sandbox, listening, settings, directory })
    }

    /// Looks a secret up: the sandbox's own, under names that no environment has.
    pub(super) fn secret(&self, name: &str) -> Option<String> {
        match name {
            "sandbox access token" => Some(self.settings.access_token.clone()),
            "sandbox app secret" => Some(self.settings.app_secret.clone()),
            "sandbox verify token" => Some("sandbox".into()),
            _ => None,
        }
    }
}

/// The page's templates that the configuration's directory replaces.
fn pages(config: &Config) -> HashMap<String, String> {
    let Some(directory) = &config.templates else { return HashMap::new() };
    let files = std::fs::read_dir(directory.join("pages")).into_iter().flatten().flatten();
    let named = files
        .filter_map(|file| Some((file.file_name().into_string().ok()?, std::fs::read_to_string(file.path()).ok()?)));
    named.collect()
}

fn listen(port: u16) -> Result<TcpListener, StartError> {
    // A second threedots on the same laptop is welcome: it takes the next free port.
    TcpListener::bind(("127.0.0.1", port)).or_else(|_| TcpListener::bind(("127.0.0.1", 0))).map_err(StartError::Listen)
}

fn bot(env: &dyn Fn(&str) -> Option<String>, settings: &SandboxSettings, graph: &str, custom: bool) -> BotConfig {
    let provider = MetaConfig {
        phone_number_id: settings.phone_number_id.clone(),
        access_token: SecretRef::env("sandbox access token"),
        app_secret: crate::provider::meta::AppSecrets::One(SecretRef::env("sandbox app secret")),
        verify_token: SecretRef::env("sandbox verify token"),
        base_url: graph.to_owned(),
        ..MetaConfig::default()
    };
    let handler = match (custom, env("OPENAI_API_KEY"), env("OPENAI_BASE_URL")) {
        (true, _, _) => HandlerConfig::Custom,
        (false, None, None) => HandlerConfig::Demo,
        (false, key, base_url) => HandlerConfig::Llm(llm(key.is_some(), base_url, env("OPENAI_MODEL"))),
    };
    BotConfig { provider: ProviderConfig::Meta(provider), handler, ..BotConfig::default() }
}

fn llm(has_key: bool, base_url: Option<String>, model: Option<String>) -> LlmConfig {
    let default = ModelConfig::default();
    let model = ModelConfig {
        base_url: base_url.unwrap_or(default.base_url),
        model: model.unwrap_or(default.model),
        api_key: has_key.then(|| SecretRef::env("OPENAI_API_KEY")),
        ..ModelConfig::default()
    };
    LlmConfig { models: vec![model], ..LlmConfig::default() }
}

/// Carries the sandbox's webhooks to the product, over a real socket.
struct Post(Arc<dyn Transport>);

#[async_trait]
impl Courier for Post {
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        let headers = headers.into_iter().filter(|(name, _)| name != "content-type");
        let call = Call {
            method: "POST",
            url: url.parse().ok()?,
            headers: headers.map(|(name, value)| (name.into(), value)).collect(),
            body: Body::Json(body),
            timeout: Duration::from_secs(30),
        };
        self.0.call(call).await.ok().map(|answer| answer.status)
    }
}
