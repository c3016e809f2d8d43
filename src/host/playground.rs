//! `threedots` without a configuration: the product on one port, and on another a sandbox of each upstream with phones.
//!
//! The bots here are configured as any bot is, and what they talk to speaks its upstream's wire on a real socket.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

use super::StartError;
use super::assemble::Env;
use super::scratch::Scratch;
use super::server::{self, Listening};
use crate::handler::llm::ModelConfig;
use crate::host::config::{Config, Problems};
use crate::ingress::webhook::ServerConfig;
use crate::message::clock::Clock;
use crate::runtime::http::{Body, Call, Transport};
use crate::sandbox::{self, Courier, Customer, OperatorAccess, Page, Sandbox, SandboxSettings, Upstream};
use crate::store::StoreConfig;

/// The name of the first upstream's bot, which is part of its webhook's address. The others have their upstreams'.
const BOT: &str = "demo";
/// Messages cost nothing here, and a reply is what takes the dots off where there is no call for it: each failure is
/// told
/// of, and so is a stop.
const FAILURE_REPLY: &str = "every = \"0s\"";
const CONTROL: &str = "stop_reply = \"I have stopped.\"";
/// The ports that are tried first: a bookmark goes on working.
const PRODUCT_PORT: u16 = 8080;
const PHONE_PORT: u16 = 3333;
pub(super) const CALLBACKS_PORT: u16 = 8082;
pub(super) const OPERATOR_PORT: u16 = 8081;
/// One browser, and the product.
const CONNECTIONS: usize = 1000;

/// A sandbox for each upstream, and the configuration of a bot for each.
pub(super) struct Playground {
    pub(super) config: Config,
    pub(super) product: TcpListener,
    pub(super) sandboxes: Vec<Arc<Sandbox>>,
    pub(super) listening: Listening,
    /// Removed when the app ends: the customers on the phones forget everything, and so do the bots. None if the
    /// store is
    /// where somebody has said.
    pub(super) directory: Option<Scratch>,
}

impl Playground {
    /// Opens the sandboxes. `env` says whether there is a model to talk to.
    pub(super) fn open(
        env: &dyn Fn(&str) -> Option<String>,
        overlay: impl IntoIterator<Item = (String, String)>,
        transport: Arc<dyn Transport>,
        custom: bool,
    ) -> Result<Self, StartError> {
        let (product, phone) = (listen(PRODUCT_PORT)?, listen(PHONE_PORT)?);
        let product_address = product.local_addr().map_err(StartError::Listen)?;
        let phone_address = phone.local_addr().map_err(StartError::Listen)?;
        let handler = handler(env, custom);
        let courier: Arc<dyn Courier> = Arc::new(Post(transport));
        let (mut sandboxes, mut text) = (Vec::new(), String::new());
        for (number, upstream) in Upstream::ALL.into_iter().enumerate() {
            let (bot, home) = if number == 0 { (BOT, "") } else { (upstream.name(), upstream.name()) };
            let slash = if home.is_empty() { "" } else { "/" };
            let api_url = format!("http://{phone_address}{slash}{home}/graph");
            let settings = SandboxSettings {
                api_url: api_url.clone(),
                webhook_url: format!("http://{product_address}/webhooks/{bot}"),
                bot_name: "three dots".into(),
                // What works here works there.
                limits: true,
                ..SandboxSettings::of(upstream)
            };
            let provider = settings.provider_table(&api_url);
            // As anybody would write it, so that `THREEDOTS_BOTS__DEMO__…` works here too.
            text.push_str(&format!("[bots.{bot}.provider]\n{provider}\n[bots.{bot}.handler]\n{handler}\n"));
            text.push_str(&format!("[bots.{bot}.failure_reply]\n{FAILURE_REPLY}\n[bots.{bot}.control]\n{CONTROL}\n"));
            let sandbox = Sandbox::new(settings, Clock::System, Arc::clone(&courier));
            sandbox.phone().add(Customer::new("15550100001", "Ada"));
            sandboxes.push(sandbox);
        }
        let (mut config, problems) = Config::load_text("the sandbox's configuration", &text, overlay, &[]);
        if !problems.is_empty() {
            return Err(StartError::Config(Problems(problems)));
        }
        let is_named = config.store.path != StoreConfig::default().path;
        let directory = (!is_named).then(|| Scratch::make(&std::env::temp_dir())).transpose();
        let directory = directory.map_err(StartError::Directory)?;
        if let Some(directory) = &directory {
            directory.path().clone_into(&mut config.store.path);
        }
        let page = Page::new(pages(&config)).map_err(StartError::Page)?;
        let routes = sandbox::configure(&sandboxes, &page);
        let listening = server::serve(phone, CONNECTIONS, sandbox::on_connect, routes).map_err(StartError::Listen)?;
        Ok(Self { config, product, sandboxes, listening, directory })
    }

    /// Lets whoever looks at the phones have bots keep silent, and go on.
    pub(super) fn give_operator(&self, address: SocketAddr, token: &SecretString) {
        for (number, sandbox) in self.sandboxes.iter().enumerate() {
            let bot = if number == 0 { BOT } else { sandbox.settings().upstream.name() };
            let (url, token) = (format!("http://{address}"), token.expose_secret().to_owned());
            sandbox.give_operator(OperatorAccess { url, token, bot: bot.to_owned() });
        }
    }

    /// Looks secrets up: the sandboxes' own, which are the same for all of them, and behind them the environment.
    pub(super) fn with_secrets(&self, env: Env) -> Env {
        let settings = self.sandboxes.first().map(|sandbox| sandbox.settings().clone());
        Arc::new(move |name| settings.as_ref().and_then(|settings| settings.secret(name)).or_else(|| env(name)))
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

pub(super) fn listen(port: u16) -> Result<TcpListener, StartError> {
    // A second threedots on the same laptop is welcome: it takes the next free port.
    let listen = |port| server::listen(("127.0.0.1", port), ServerConfig::default().backlog);
    listen(port).or_else(|_| listen(0)).map_err(StartError::Listen)
}

/// The demo, unless the program brings a handler, or the environment one's address or a model.
fn handler(env: &dyn Fn(&str) -> Option<String>, custom: bool) -> String {
    let (key, base_url, model) = (env("OPENAI_API_KEY"), env("OPENAI_BASE_URL"), env("OPENAI_MODEL"));
    if custom {
        return "kind = \"custom\"".into();
    }
    if let Some(url) = env("HANDLER_URL") {
        let secret = if env("HANDLER_SECRET").is_some() { "secret = \"env:HANDLER_SECRET\"\n" } else { "" };
        return format!("kind = \"http\"\nurl = {}\nprivate = true\n{secret}", toml::Value::String(url));
    }
    if key.is_none() && base_url.is_none() {
        return "kind = \"demo\"".into();
    }
    let default = ModelConfig::default();
    let text = |value: Option<String>, default: String| toml::Value::String(value.unwrap_or(default)).to_string();
    let api_key = if key.is_some() { ", api_key = \"env:OPENAI_API_KEY\"" } else { "" };
    let (base_url, model) = (text(base_url, default.base_url), text(model, default.model));
    format!("kind = \"llm\"\nmodels = [{{ base_url = {base_url}, model = {model}{api_key} }}]")
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
            in_clear: false,
        };
        self.0.call(call).await.ok().map(|answer| answer.status)
    }
}
