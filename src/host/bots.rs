//! The bots of a process, and how they change while it runs.

mod files;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::assemble::{self, Assembly};
use crate::admin::{ApiError, Flaw, HostError, Reloaded};
use crate::host::config::{self, BotFile, Config, Problem, Problems};
use crate::ingress::proactive::OutboundChannel;
use crate::ingress::webhook::WebhookEndpoint;
use crate::message::{BotName, Conversation};
use crate::provider::health::Health;
use crate::runtime::hosting::BotRegistry;
use crate::store::Store;
use crate::turn::Bot;
use crate::turn::worker::Worker;
use files::Files;

/// No upstream shows dots for longer that nothing takes off.
const LONGEST_DOTS: Duration = Duration::from_secs(90);

/// The bots, for each who has to know them.
#[derive(Clone, Default)]
pub(super) struct Rosters {
    pub(super) bots: BotRegistry<Bot>,
    pub(super) inlets: BotRegistry<WebhookEndpoint>,
    pub(super) healths: BotRegistry<Health>,
    pub(super) voices: BotRegistry<OutboundChannel>,
}

impl Rosters {
    fn put(&self, bot: Bot) {
        let (provider, controls) = (Arc::clone(&bot.provider), Arc::clone(&bot.controls));
        let (name, health, bot) = (bot.name.clone(), Arc::clone(&bot.health), Arc::new(bot));
        // Who answers is there before anything comes in for it.
        self.bots.put(name.clone(), Arc::clone(&bot));
        self.healths.put(name.clone(), health);
        let voice = OutboundChannel {
            provider: Arc::clone(&provider),
            patience: bot.delivery.send_timeout,
            list_button: bot.delivery.list_button.clone(),
        };
        self.voices.put(name.clone(), Arc::new(voice));
        let bodies = self.inlets.get(&name).map(|before| before.bodies.clone()).unwrap_or_default();
        self.inlets.put(name, Arc::new(WebhookEndpoint { provider, controls, people: bot.people.clone(), bodies }));
    }

    fn remove(&self, bot: &BotName) {
        self.inlets.remove(bot);
        self.voices.remove(bot);
        self.healths.remove(bot);
        self.bots.remove(bot);
    }
}

/// Changes the bots.
pub(super) struct Host {
    /// What stands in the configuration file: the bots in there are not to be changed here.
    process: Config,
    parts: Assembly,
    files: Option<Files>,
    /// The files of the bots that have one, as they are at work.
    hosted: RwLock<BTreeMap<BotName, BotFile>>,
    rosters: Rosters,
    store: Arc<dyn Store>,
    worker: Arc<Worker>,
    /// Where handlers begin with what they need: the API's own threads end before the turns do.
    runtime: Handle,
    /// Held by whoever changes something.
    change: Mutex<()>,
}

impl Host {
    /// Takes these bots in, which were made of `config`. Called within the runtime.
    pub(super) fn new(
        config: &Config,
        bots: Vec<Bot>,
        parts: Assembly,
        rosters: Rosters,
        store: Arc<dyn Store>,
        worker: Arc<Worker>,
    ) -> Arc<Self> {
        let hosted = config.files().map(|file| (BotName::new(file.name.as_str()), file)).collect();
        let host = Self {
            process: config.without_files(),
            parts,
            files: config.bots_dir.clone().map(Files::new),
            hosted: RwLock::new(hosted),
            rosters,
            store,
            worker,
            runtime: Handle::current(),
            change: Mutex::default(),
        };
        bots.into_iter().for_each(|bot| host.take_in(bot));
        host.tell_of_missing();
        Arc::new(host)
    }

    /// Tells the operator of bots that are not there, and for which something waits: whoever ended before this process
    /// may have lit dots that nobody can take off.
    fn tell_of_missing(&self) {
        let mut missing: BTreeMap<BotName, usize> = BTreeMap::new();
        for Conversation { bot, .. } in self.store.inherited() {
            if !self.rosters.bots.has(&bot) {
                *missing.entry(bot).or_default() += 1;
            }
        }
        for (bot, conversations) in missing {
            warn!(
                bot = bot.as_str(),
                conversations,
                seconds = LONGEST_DOTS.as_secs(),
                "messages wait for a bot that is not there: in so many conversations the customer may see dots for so many \
                 seconds more, for nobody can take them off; put the bot back, and its messages are answered"
            );
        }
    }

    /// Makes a bot of its file. Connects to nothing.
    fn make(&self, file: &BotFile) -> Result<Bot, Vec<Flaw>> {
        let (config, problems) = self.process.with(file);
        match assemble::bots(&config, &self.parts) {
            Ok(mut bots) if problems.is_empty() => bots.pop().ok_or_else(Vec::new),
            made => {
                let found = made.err().map_or_else(Vec::new, |Problems(found)| found);
                let problems = config::join(problems, found);
                Err(problems.into_iter().map(|Problem { key, text, .. }| Flaw { key, problem: text }).collect())
            }
        }
    }

    /// Has a bot work, in the place of the one of its name. What the upstream has been
    /// sent, and what its handlers hold, counts on.
    fn take_in(&self, mut bot: Bot) {
        if let Some(before) = self.rosters.bots.get(&bot.name) {
            if before.pace.limits() == bot.pace.limits() {
                bot.pace = Arc::clone(&before.pace);
            }
            bot.media = before.media.clone();
            if before.provider.name() == bot.provider.name() {
                bot.indicator = bot.indicator.after(&before.indicator);
            }
        }
        self.store.share(&bot.name, Some(bot.share.waiting));
        {
            let _within = self.runtime.enter();
            bot.handler.start();
        }
        self.rosters.put(bot);
        self.worker.look_again();
    }

    /// Has a bot work no longer. The turns that it has begun end as they would have; dots that an earlier process has
    /// left behind, where no turn has begun since, it takes off before it goes.
    fn take_out(&self, bot: &BotName) {
        let before = self.rosters.bots.get(bot);
        self.rosters.remove(bot);
        if let Some(before) = before {
            self.worker.take_off_inherited(&before);
        }
        self.store.share(bot, None);
    }

    /// Where bots can be put, unless this one stands in the configuration file.
    fn files_for(&self, bot: &BotName) -> Result<&Files, HostError> {
        if self.process.bots.contains_key(bot.as_str()) {
            let text = "this bot stands in the configuration file: change it there, and start threedots again";
            return Err(ApiError::new(409, text).into());
        }
        let text = "there is no directory for bots: set `bots_dir` in the configuration, and start threedots again";
        self.files.as_ref().ok_or_else(|| ApiError::new(409, text).into())
    }

    fn file(&self, bot: &BotName) -> Option<BotFile> {
        self.hosted().get(bot).cloned()
    }

    fn hosted(&self) -> RwLockReadGuard<'_, BTreeMap<BotName, BotFile>> {
        self.hosted.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn hosted_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<BotName, BotFile>> {
        self.hosted.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a bot of new settings, and keeps them; nothing is left of what is wrong.
    fn keep(&self, files: &Files, bot: &BotName, settings: Map<String, Value>) -> Result<(Bot, BotFile), HostError> {
        let before = self.file(bot);
        let mut draft = files.draft(bot.as_str());
        let table = settings::table(settings, before.as_ref(), &mut draft).map_err(|flaws| {
            HostError::Wrong(
                flaws.into_iter().map(|flaw| Flaw { key: format!("bots.{bot}.{}", flaw.key), ..flaw }).collect(),
            )
        })?;
        let text = BotFile::text_of_put(&table).ok_or(ApiError::new(400, "these settings have no form in TOML"))?;
        draft.write_secrets().map_err(unkept)?;
        let file = BotFile { name: bot.as_str().to_owned(), path: files.path(bot.as_str()), text };
        let made = self.make(&file).map_err(HostError::Wrong)?;
        draft.keep(&file).map_err(unkept)?;
        Ok((made, file))
    }
}

fn unkept(error: std::io::Error) -> HostError {
    ApiError::new(503, format!("the directory of bots cannot be written to ({}): nothing was changed", error.kind()))
        .into()
}

#[async_trait]
impl crate::admin::BotHosting for HostHandle {
    async fn settings(&self, bot: &BotName) -> Result<Option<Map<String, Value>>, HostError> {
        let host = &self.0;
        let Some((file, files)) = host.file(bot).zip(host.files.as_ref()) else { return Ok(None) };
        Ok(settings::shown(&file, files))
    }

    async fn put(&self, bot: &BotName, settings: Map<String, Value>) -> Result<bool, HostError> {
        let host = Arc::clone(&self.0);
        host.files_for(bot)?;
        if let Err(problem) = BotFile::may_be_for(bot.as_str()) {
            return Err(ApiError::new(400, format!("a bot's name {problem}")).into());
        }
        let _change = self.0.change.lock().await;
        let name = bot.clone();
        let kept = blocking(move || host.keep(host.files_for(&name)?, &name, settings)).await?;
        let result = kept.map(|(made, file)| {
            self.0.take_in(made);
            self.0.hosted_mut().insert(bot.clone(), file).is_none()
        });
        let wrong = match &result {
            Err(HostError::Wrong(flaws)) => Some(flaws.len()),
            _ => None,
        };
        info!(
            operator.action = "put",
            operator.bot = bot.as_str(),
            operator.new = result.as_ref().ok(),
            operator.wrong = wrong,
            "audit"
        );
        result
    }

    async fn remove(&self, bot: &BotName) -> Result<bool, HostError> {
        let host = Arc::clone(&self.0);
        host.files_for(bot)?;
        let _change = self.0.change.lock().await;
        if self.0.file(bot).is_none() {
            return Ok(false);
        }
        let name = bot.clone();
        blocking(move || host.files_for(&name)?.remove(name.as_str()).map_err(unkept)).await??;
        self.0.take_out(bot);
        self.0.hosted_mut().remove(bot);
        info!(operator.action = "remove", operator.bot = bot.as_str(), "audit");
        Ok(true)
    }

    async fn reload(&self) -> Result<Reloaded, HostError> {
        let host = Arc::clone(&self.0);
        let directory = host.process.bots_dir.clone();
        let directory = directory.ok_or(ApiError::new(409, "there is no directory for bots: set `bots_dir`"))?;
        let _change = self.0.change.lock().await;
        let (reloaded, made) = blocking(move || host.read_again(directory)).await?;
        for (bot, file) in made {
            self.0.hosted_mut().insert(bot.name.clone(), file);
            self.0.take_in(bot);
        }
        for bot in &reloaded.removed {
            self.0.take_out(bot);
            self.0.hosted_mut().remove(bot);
        }
        let Reloaded { added, changed, removed, problems } = &reloaded;
        let (added, changed, removed) = (added.len(), changed.len(), removed.len());
        info!(operator.action = "reload", added, changed, removed, problems = problems.len(), "audit");
        Ok(reloaded)
    }
}

/// What the operator's API is given: it outlives a request.
#[derive(Clone)]
pub(super) struct HostHandle(pub(super) Arc<Host>);

impl Host {
    /// What the directory says now, and the bots that are made of it: all of them, since what a secret's reference
    /// leads to may have changed behind it.
    fn read_again(&self, directory: PathBuf) -> (Reloaded, Vec<(Bot, BotFile)>) {
        let (files, unreadable) = BotFile::all_in(&directory);
        let mut reloaded = Reloaded::default();
        for Problem { key, place, text } in unreadable {
            let key = if key.is_empty() { place } else { key };
            reloaded.problems.push(Flaw { key, problem: text });
        }
        let mut made = Vec::new();
        let is_whole = reloaded.problems.is_empty();
        for file in files {
            let name = BotName::new(file.name.as_str());
            match self.make(&file) {
                Ok(bot) => {
                    match self.file(&name) {
                        None => reloaded.added.push(name),
                        Some(before) if before.text != file.text => reloaded.changed.push(name),
                        Some(_) => {}
                    }
                    made.push((bot, file));
                }
                Err(flaws) => reloaded.problems.extend(flaws),
            }
        }
        let is_gone = |bot: &&BotName| !BotFile::path_in(&directory, bot.as_str()).exists();
        // Of a directory that cannot be read, nothing is gone.
        if is_whole {
            reloaded.removed = self.hosted().keys().filter(is_gone).cloned().collect();
        }
        (reloaded, made)
    }

    /// Reads the directory again because a signal says so.
    pub(super) async fn reload_on_sighup(self: &Arc<Self>) {
        use crate::admin::BotHosting as _;
        match HostHandle(Arc::clone(self)).reload().await {
            Ok(reloaded) => {
                for Flaw { key, problem } in &reloaded.problems {
                    warn!(key, problem, "a bot goes on as it was");
                }
            }
            Err(_) => warn!("told to read the directory of bots again, and there is none: set `bots_dir`"),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HostError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ApiError::new(503, "it broke off: see the log").into())
}
