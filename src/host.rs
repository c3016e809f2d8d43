//! The composition root: the only place that names concrete types, and the one that starts and ends everything.

mod assemble;
mod bots;
mod callbacks;
pub mod config;
mod hand;
mod operator;
mod playground;
mod scratch;
mod server;
mod trial;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{error, info, warn};

use crate::admin::Api;
use crate::admin::telemetry;
use crate::handler::demo::Demo;
use crate::handler::http::Egress;
use crate::handler::http::callbacks::Callbacks;
use crate::handler::{Handler, LateState};
use crate::host::config::{Config, Problem, Problems};
use crate::ingress::webhook::Webhooks;
use crate::message::clock::Clock;
use crate::provider::ProviderKind;
use crate::runtime::http::{Call, CallError, ClientError, Shared, Transport, UpstreamResponse};
use crate::runtime::meters::Meters;
use crate::sandbox::{PageError, Sandbox};
use crate::store::disk::{self, Disk, OpenError};
use crate::store::housekeeping;
use crate::store::{Store, StoreConfig, StoreError};
use crate::turn::Bot;
use crate::turn::worker::Worker;
use assemble::{Assembly, Env};
use bots::{Host, HostHandle, Rosters};
use callbacks::CallbackListener;
pub use hand::HandError;
use operator::Operator;
use playground::Playground;
use scratch::Scratch;
use server::Listening;

/// A threedots that has not been started yet.
///
/// ```no_run
/// use threedots::{App, Reply, Turn};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// App::from_env()?.handler(|turn: &Turn| Reply::text(format!("You said {}", turn.text()))).run().await?;
/// # Ok(())
/// # }
/// ```
pub struct App {
    /// None: the playground.
    config: Option<Config>,
    handler: Option<Arc<dyn Handler>>,
    env: HashMap<String, String>,
}

impl App {
    /// An app with its own sandbox for an upstream, and a phone in the browser: needs nothing.
    pub fn sandbox() -> Self {
        Self { config: None, handler: None, env: environment() }
    }

    /// An app with the configuration in a file, and the environment over it.
    ///
    /// # Errors
    /// Everything that is wrong with it, secrets and templates that cannot be had included.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::load_with(path, &[])
    }

    /// The same, where `provider.kind` may also be one of `kinds`: providers of your own.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn load_with(path: &Path, kinds: &[ProviderKind]) -> Result<Self, Problems> {
        let env = environment();
        let (config, problems) = Config::load(path, overlay(&env), kinds);
        Self::with_problems(config, problems, env)
    }

    /// The store that a configuration file names, whatever is wrong with the rest of it.
    ///
    /// # Errors
    /// What is wrong with the file as a whole, or with its store.
    pub fn store_of(path: &Path) -> Result<StoreConfig, Problems> {
        let (config, mut problems) = Config::load(path, overlay(&environment()), &[]);
        problems.retain(|problem| problem.key.is_empty() || problem.key.starts_with("store"));
        if problems.is_empty() { Ok(config.store) } else { Err(Problems(problems)) }
    }

    /// An app with this configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it, secrets and templates that cannot be had included.
    pub fn new(config: Config) -> Result<Self, Problems> {
        Self::with_problems(config, Vec::new(), environment())
    }

    fn with_problems(config: Config, problems: Vec<Problem>, env: HashMap<String, String>) -> Result<Self, Problems> {
        let app = Self { config: Some(config), handler: None, env };
        let found = app.assemble_without_handler().err().map(|found| found.0).unwrap_or_default();
        let problems = config::join(problems, found);
        if problems.is_empty() { Ok(app) } else { Err(Problems(problems)) }
    }

    /// Makes everything once and throws it away: only so is every problem found before anything starts.
    fn assemble_without_handler(&self) -> Result<(), Problems> {
        let Some(config) = &self.config else { return Ok(()) };
        let env = |name: &str| self.env.get(name).cloned();
        let later: Arc<dyn Handler> = Arc::new(Demo);
        let nowhere = Egress { anywhere: Arc::new(Nowhere), public: Arc::new(Nowhere), models: Shared::default() };
        let (callbacks, conversation_state) = (CallbackListener::nowhere(), Arc::default());
        let bots = parts(config, self.env(), nowhere, callbacks, conversation_state, Meters::default(), Some(later))
            .and_then(|(parts, problems)| bots(config, &parts, problems));
        let found = [bots.map(drop), assemble::operator_token(config, &env).map(drop)];
        let problems: Vec<Problem> = found.into_iter().filter_map(Result::err).flat_map(|found| found.0).collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }

    fn env(&self) -> Env {
        let env = self.env.clone();
        Arc::new(move |name| env.get(name).cloned())
    }

    /// An app with the configuration file that the environment variable `THREEDOTS_CONFIG` names; without it,
    /// [`App::sandbox`].
    ///
    /// # Errors
    /// Everything that is wrong with the configuration.
    pub fn from_env() -> Result<Self, Problems> {
        std::env::var(CONFIG_VARIABLE).map_or_else(|_| Ok(Self::sandbox()), |path| Self::load(Path::new(&path)))
    }

    /// A chat with the handler at `url` in a terminal: whoever types is the customer. What turns are signed with is
    /// taken from the environment variable `HANDLER_SECRET`, if it is there. Ends with the input, once nothing is left
    /// to be said.
    ///
    /// # Errors
    /// When the handler's address or secret cannot be used.
    pub async fn try_handler(url: &str) -> Result<(), StartError> {
        let secret = std::env::var("HANDLER_SECRET").ok();
        let lines = std::io::BufReader::new(std::io::stdin());
        trial::talk(url, secret, lines, std::io::stdout()).await
    }

    /// How many bots it has.
    pub fn bots(&self) -> usize {
        self.config.as_ref().map_or(1, |config| config.bots.len())
    }

    /// Answers with this handler: in the sandbox, and for every bot whose `handler.kind` is `custom`.
    #[must_use]
    pub fn handler(mut self, handler: impl Handler) -> Self {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// Runs until a signal ends it: logs, serves, and on SIGTERM or SIGINT stops taking messages in, finishes turns or
    /// gives them back, and takes the dots off. A second signal leaves at once. SIGHUP has it read the directory of
    /// bots again.
    ///
    /// # Errors
    /// When it cannot start, or its store fails.
    pub async fn run(self) -> Result<(), RunError> {
        let log = self.config.as_ref().map_or_else(Default::default, |config| config.log.clone());
        telemetry::start(&log);
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
        let mut reload_on_sighup = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
        let mut running = self.start().await?;
        running.announce();
        let failure = loop {
            tokio::select! {
                _ = terminate.recv() => break None,
                _ = interrupt.recv() => break None,
                _ = reload_on_sighup.recv() => running.host.reload_on_sighup().await,
                failure = running.failed() => break Some(failure),
            }
        };
        info!("stopping: a second signal leaves at once");
        tokio::select! {
            () = running.stop() => {}
            _ = terminate.recv() => warn!("left at once: what was not finished is done after the next start"),
            _ = interrupt.recv() => warn!("left at once: what was not finished is done after the next start"),
        }
        failure.map_or(Ok(()), Err)
    }

    /// Starts everything and returns once it is listening.
    ///
    /// # Errors
    /// When something is wrong with the configuration, the store cannot be opened, or a port cannot be had.
    pub async fn start(self) -> Result<Running, StartError> {
        let env = self.env();
        let ways_out = Egress::open()?;
        let conversation_state = Arc::new(LateState::default());
        match self.config {
            Some(config) => {
                let comeback = CallbackListener::configured(&config)?;
                let callbacks = Arc::clone(&comeback.callbacks);
                let listener = bind("server.listen", &config.server.listen, config.server.backlog)?;
                let operator = Operator::bind(&config, &*env)?;
                let (meters, notes) = (Operator::meters(operator.as_ref()), Arc::clone(&conversation_state));
                let (parts, problems) =
                    parts(&config, Arc::clone(&env), ways_out, callbacks, notes, meters, self.handler)?;
                let bots = bots(&config, &parts, problems)?;
                Running::start(config, bots, parts, listener, operator, comeback, &conversation_state).await
            }
            None => {
                let custom = self.handler.is_some();
                let ground = Playground::open(&*env, overlay(&self.env), Arc::clone(&ways_out.anywhere), custom)?;
                let comeback =
                    CallbackListener::bind(&ground.config, |_| playground::listen(playground::CALLBACKS_PORT))?;
                let callbacks = Arc::clone(&comeback.callbacks);
                let secrets = ground.with_secrets(Arc::clone(&env));
                let operator = Some(Operator::bind_for(&ground, &*env)?);
                let (meters, notes) = (Operator::meters(operator.as_ref()), Arc::clone(&conversation_state));
                let (parts, problems) =
                    parts(&ground.config, secrets, ways_out, callbacks, notes, meters, self.handler)?;
                let bots = bots(&ground.config, &parts, problems)?;
                let mut running =
                    Running::start(ground.config, bots, parts, ground.product, operator, comeback, &conversation_state)
                        .await?;
                running.add_sandboxes(ground.sandboxes, ground.listening, ground.directory);
                Ok(running)
            }
        }
    }
}

fn bind(key: &'static str, address: &str, backlog: u32) -> Result<TcpListener, StartError> {
    server::listen(address, backlog).map_err(|error| StartError::Address { key, address: address.to_owned(), error })
}

/// Makes no call.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn call(&self, _: Call) -> Result<UpstreamResponse, CallError> {
        Err(CallError::NotSent("this is only a check"))
    }
}

/// What bots are made with, and what is wrong with the templates.
fn parts(
    config: &Config,
    env: Env,
    ways_out: Egress,
    callbacks: Arc<Callbacks>,
    conversation_state: Arc<LateState>,
    meters: Meters,
    handler: Option<Arc<dyn Handler>>,
) -> Result<(Assembly, Vec<Problem>), Problems> {
    let (templates, problems) = assemble::templates(config)?;
    Ok((
        Assembly { env, ways_out, callbacks, conversation_state, templates, meters, clock: Clock::System, handler },
        problems,
    ))
}

/// The bots, or all that is wrong.
fn bots(config: &Config, parts: &Assembly, mut problems: Vec<Problem>) -> Result<Vec<Bot>, Problems> {
    match assemble::bots(config, parts) {
        Ok(bots) if problems.is_empty() => Ok(bots),
        made => {
            problems.extend(made.err().map_or_else(Vec::new, |found| found.0));
            Err(Problems(problems))
        }
    }
}

/// Names the configuration file of [`App::from_env`].
const CONFIG_VARIABLE: &str = "THREEDOTS_CONFIG";

fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What of the environment lies over a configuration.
fn overlay(env: &HashMap<String, String>) -> impl Iterator<Item = (String, String)> {
    env.iter().filter(|(name, _)| *name != CONFIG_VARIABLE).map(|(name, value)| (name.clone(), value.clone()))
}

/// A threedots at work.
pub struct Running {
    /// Where webhooks arrive.
    pub address: SocketAddr,
    /// Where the phone is, if there is a sandbox.
    pub phone: Option<SocketAddr>,
    /// Where the operator's API is, if there is one.
    pub operator: Option<SocketAddr>,
    /// Where handlers over HTTP come back to, if there are any.
    pub callbacks: Option<SocketAddr>,
    store: Arc<dyn Store>,
    host: Arc<Host>,
    worker: Arc<Worker>,
    claims: JoinHandle<Result<(), StoreError>>,
    servers: Vec<(actix_web::dev::ServerHandle, JoinHandle<std::io::Result<()>>)>,
    sandboxes: Vec<Arc<Sandbox>>,
    api: Option<Arc<Api>>,
    housekeeping: JoinHandle<()>,
    /// Ends the housekeeping, also when this is dropped.
    swept: DropGuard,
    /// What the playground would leave behind, and nobody needs.
    directory: Option<Scratch>,
}

impl Running {
    async fn start(
        config: Config,
        bots: Vec<Bot>,
        parts: Assembly,
        listener: TcpListener,
        operator: Option<Operator>,
        comeback: CallbackListener,
        conversation_state: &LateState,
    ) -> Result<Self, StartError> {
        let (clock, meters) = (Clock::System, parts.meters.clone());
        let patience = disk::DiskSettings::default().lock_timeout;
        let store = open(config.store.clone(), clock, patience, meters.clone()).await?;
        conversation_state.is(Arc::new(Arc::clone(&store)));
        let rosters = Rosters::default();
        let told = meters.clone();
        let worker = Worker::new(rosters.bots.clone(), Arc::clone(&store), clock, config.worker.clone(), told);
        let host = Host::new(&config, bots, parts, rosters.clone(), Arc::clone(&store), Arc::clone(&worker));
        let webhooks = Arc::new(Webhooks::new(rosters.inlets, Arc::clone(&store), clock, &config.server, meters));
        let listening = server::webhooks(listener, &config.server, webhooks, Arc::clone(&store));
        let Listening { address, server, handle } = listening.map_err(StartError::Listen)?;
        let mut servers = vec![(handle, tokio::spawn(server))];
        let shared = Arc::new(HostHandle(Arc::clone(&host)));
        let serve = |operator: Operator| operator.serve(Arc::clone(&store), rosters.healths, rosters.voices, shared);
        let operator = operator.map(serve).transpose()?;
        let operator = operator.map(|(api, Listening { address, server, handle })| {
            servers.push((handle, tokio::spawn(server)));
            (address, api)
        });
        let (operator, api) = operator.unzip();
        let callbacks = comeback.serve()?.map(|Listening { address, server, handle }| {
            servers.push((handle, tokio::spawn(server)));
            address
        });
        let (sweeping, retention, stopped) = (Arc::clone(&store), config.retention, CancellationToken::new());
        let until = stopped.clone();
        let housekeeping = tokio::spawn(async move { housekeeping::run(&*sweeping, &retention, &until).await });
        Ok(Self {
            address,
            phone: None,
            operator,
            callbacks,
            store,
            host,
            claims: tokio::spawn(Arc::clone(&worker).run()),
            worker,
            servers,
            sandboxes: Vec::new(),
            api,
            housekeeping,
            swept: stopped.drop_guard(),
            directory: None,
        })
    }

    fn add_sandboxes(&mut self, sandboxes: Vec<Arc<Sandbox>>, listening: Listening, directory: Option<Scratch>) {
        self.phone = Some(listening.address);
        self.servers.push((listening.handle, tokio::spawn(listening.server)));
        self.sandboxes = sandboxes;
        self.directory = directory;
    }

    /// Ends when it can go on no longer.
    pub async fn failed(&mut self) -> RunError {
        match (&mut self.claims).await {
            Ok(Err(error)) => RunError::Store(error),
            _ => RunError::Worker,
        }
    }

    /// Stops taking messages in, finishes turns or gives them back, and takes the dots off: within the configured
    /// grace and some seconds.
    pub async fn stop(self) {
        // First the turns: webhooks that arrive meanwhile are made durable, and answered after the next start.
        self.worker.stop().await;
        for sandbox in &self.sandboxes {
            // Its pages listen for as long as it lives.
            sandbox.shutdown().await;
        }
        for (handle, server) in self.servers {
            handle.stop(true).await;
            if let Ok(Err(problem)) = server.await {
                error!(error = %problem, "a server ended badly");
            }
        }
        if let Some(api) = self.api {
            api.end().await;
        }
        drop(self.swept);
        if self.housekeeping.await.is_err() {
            error!("the housekeeping has panicked");
        }
        self.store.close().await;
        drop(self.directory);
        info!("stopped");
    }

    fn announce(&self) {
        info!(address = %self.address, "listening for webhooks");
        if let Some(phone) = self.phone {
            // The one line that a person looks for: also where logs are JSON.
            announce_phone(phone);
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is for the person who has just typed `cargo run`")]
fn announce_phone(phone: SocketAddr) {
    println!("\n  The phone is at http://{phone}/  (write \"hello\" to the bot; Ctrl-C ends it)\n");
}

/// Opens a store, waiting for `patience` if another process has it open.
async fn open(
    config: StoreConfig,
    clock: Clock,
    patience: Duration,
    meters: Meters,
) -> Result<Arc<dyn Store>, StartError> {
    let Some(settings) = disk::DiskSettings::of(&config) else {
        warn!("the store is in memory: what is acknowledged is lost with the process");
        let settings = disk::MemorySettings { max_waiting: config.max_waiting, history_kept: config.history };
        return Ok(Arc::new(Disk::in_memory(clock, &settings)));
    };
    let settings = disk::DiskSettings { lock_timeout: patience, meters, ..settings };
    // Opening reads, and may repair.
    let opened = tokio::task::spawn_blocking(move || Disk::open(settings, clock)).await;
    let store = opened.map_err(|_| StartError::Store("opening it panicked".into()))?;
    Ok(Arc::new(store.map_err(|error| match error {
        OpenError::Locked { .. } => StartError::InUse(error.to_string()),
        error => StartError::Store(error.to_string()),
    })?))
}

/// Why a threedots could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] Problems),
    /// TLS.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The sandbox's page.
    #[error("the phone's page: {0}")]
    Page(PageError),
    /// The store.
    #[error("the store cannot be opened: {0}")]
    Store(String),
    /// Another process has the store open.
    #[error("the store cannot be opened: {0}")]
    InUse(String),
    /// A configured address.
    #[error("cannot listen on {address}: {error}: choose another `{key}`")]
    Address {
        /// The setting.
        key: &'static str,
        /// What it says.
        address: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The sandbox's directory.
    #[error("no directory for the sandbox can be made in the system's directory for temporary files (TMPDIR): {0}")]
    Directory(std::io::Error),
    /// Any address.
    #[error("cannot listen: {0}")]
    Listen(std::io::Error),
}

/// Why a threedots ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system does not tell of signals.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    /// The store failed. Nothing that was acknowledged is lost: the next start recovers it.
    #[error("{0}; start threedots again: it recovers what was acknowledged")]
    Store(StoreError),
    /// The worker ended without a reason.
    #[error("the worker has ended")]
    Worker,
}
