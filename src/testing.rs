//! A kit for tests of handlers: the product and the sandbox in one process, without a socket between them.
//!
//! What a handler is tested in is what serves it: its turns are held by the product, over the upstream's real wire, and
//! what comes of them is read off the customer's phone. Under a paused clock hours pass in milliseconds, and every test
//! tells the same each time.
//!
//! ```
//! use threedots::testing::Setup;
//! use threedots::{Reply, Turn};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! // With #[tokio::test(start_paused = true)]; tokio needs its feature `test-util`.
//! let world = Setup::new(|turn: &Turn| Reply::text(format!("You said: {}", turn.text()))).start();
//! world.write("hello");
//! world.pass(5).await;
//! assert_eq!(world.replies(), ["You said: hello"]);
//! assert_eq!(world.calls(), ["0 s: read", "0 s: send"]);
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A burst is several [`World::write`]s in a row. Faults come from [`World::sandbox`]'s
//! [`faults`](crate::sandbox::Sandbox::faults): an upstream that is slow, refuses, hangs, or delivers twice. What a
//! handler is told of the conversation so far is [`World::history`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::delivery::outbox::DeliveryConfig;
use crate::delivery::pacing::Pace;
use crate::delivery::typing::{Indicator, TypingConfig};
use crate::handler::Handler;
use crate::host::config::Config;
use crate::ingress::webhook::{Bodies, ServerConfig, WebhookEndpoint, Webhooks};
use crate::message::clock::Clock;
use crate::message::{BotName, Conversation, HistoryEntry, MessageId};
use crate::policy::control::{ControlConfig, Controls};
use crate::policy::failure_reply::{FailureReply, FailureReplyConfig};
use crate::policy::gate::{GateConfig, Gates};
use crate::policy::quiet_hours::{QuietConfig, QuietHours};
use crate::policy::takeover::PeopleConfig;
use crate::provider::health::Health;
use crate::provider::{Metered, Method, Provider, ProviderContext, Received, WebhookRequest};
use crate::runtime::budget::{MemoryBudget, MemoryUse};
use crate::runtime::hosting::{BotRegistry, ShareConfig};
use crate::runtime::http::{Body, Call, CallError, Transport, UpstreamResponse};
use crate::runtime::meters::Meters;
use crate::runtime::templates::Templates;
use crate::sandbox::phone::What;
use crate::sandbox::{
    Courier, Customer, CustomerId, Draft, Phone, Sandbox, SandboxSettings, Upstream, UpstreamAnswer, UpstreamRequest,
};
use crate::store::disk::{Disk, MemorySettings};
use crate::store::{DeadLetter, Store};
use crate::turn::transcription::Transcriber;
use crate::turn::worker::{Worker, WorkerConfig};
use crate::turn::{Bot, MergeConfig, Tools, TurnConfig};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The bot's name.
pub const BOT: &str = "shop";
/// Where its upstream's API would be on a socket.
const API: &str = "http://127.0.0.1:1/graph";

/// How a world is made. The defaults are the product's.
pub struct Setup {
    /// What answers.
    pub handler: Arc<dyn Handler>,
    /// Who and what is answered.
    pub gate: GateConfig,
    /// The words by which a customer speaks to the bot itself.
    pub control: ControlConfig,
    /// When a person takes over.
    pub people: PeopleConfig,
    /// When the bot is silent.
    pub quiet: QuietConfig,
    /// How bursts are merged.
    pub merge: MergeConfig,
    /// How turns are held.
    pub turn: TurnConfig,
    /// What listens to voice notes; nobody, unless a test says otherwise.
    pub transcriber: Option<Transcriber>,
    /// The dots.
    pub typing: TypingConfig,
    /// How replies are sent.
    pub delivery: DeliveryConfig,
    /// What the customer is told when the handler has failed.
    pub failure_reply: FailureReplyConfig,
    /// How turns are worked off.
    pub worker: WorkerConfig,
    /// Who counts what happens.
    pub meters: Meters,
    /// How the upstream behaves.
    pub sandbox: SandboxSettings,
}

impl Setup {
    /// On Meta's Cloud API.
    pub fn new(handler: impl Handler) -> Self {
        Self::on(Upstream::Meta, handler)
    }

    /// On another upstream.
    pub fn on(upstream: Upstream, handler: impl Handler) -> Self {
        Self {
            handler: Arc::new(handler),
            gate: GateConfig::default(),
            control: ControlConfig::default(),
            people: PeopleConfig::default(),
            quiet: QuietConfig::default(),
            merge: MergeConfig::default(),
            turn: TurnConfig::default(),
            transcriber: None,
            typing: TypingConfig::default(),
            delivery: DeliveryConfig::default(),
            failure_reply: FailureReplyConfig::default(),
            worker: WorkerConfig::default(),
            meters: Meters::default(),
            sandbox: SandboxSettings { seed: Some(7), api_url: API.into(), ..SandboxSettings::of(upstream) },
        }
    }

    /// The product, the sandbox, and one customer; turns are being worked off.
    pub fn start(self) -> World {
        let mut world = self.build();
        world.work();
        world
    }

    /// The same, and nobody works yet.
    pub fn build(self) -> World {
        let clock = Clock::tokio();
        let heard = KnownMessages::default();
        let courier = Arc::new(InProcess { product: OnceLock::new(), heard: Arc::clone(&heard) });
        let sandbox = Sandbox::new(self.sandbox.clone(), clock, Arc::clone(&courier) as Arc<dyn Courier>);
        let customer = Customer::new("15550100001", "Ada");
        sandbox.phone().add(customer.clone());

        let memory = Arc::new(Disk::in_memory(clock, &MemorySettings::default()));
        let store: Arc<dyn Store> = Arc::clone(&memory) as _;
        let life = CancellationToken::new();
        let provider = provider_of(&sandbox, clock, life.clone());
        let provider: Arc<dyn Provider> = Arc::new(Metered::new(provider, self.meters.clone()));
        let bots = inlets(Arc::clone(&provider), self.control.clone(), self.people.clone());
        let webhooks =
            Arc::new(Webhooks::new(bots, Arc::clone(&store), clock, &ServerConfig::default(), self.meters.clone()));
        assert!(courier.product.set((Arc::clone(&webhooks), Arc::clone(&provider), clock)).is_ok());
        let (worker, meters) = (self.worker.clone(), self.meters.clone());
        let bot = self.bot(Arc::clone(&provider));
        let worker = Worker::new(alone(bot), Arc::clone(&store), clock, worker, meters);
        World { sandbox, customer: customer.id, store, memory, life, worker, provider, clock, heard, claims: None }
    }

    /// The bot alone, for a test that holds its turns itself.
    pub fn bot(self, provider: Arc<dyn Provider>) -> Bot {
        let templates = Arc::new(Templates::built_in().expect("the built-in templates"));
        let failure_reply = FailureReply::new(&self.failure_reply, &templates).expect("the failure reply");
        let health = Arc::new(Health::new(BotName::new(BOT), Clock::tokio()));
        let controls = Controls::new(self.control).and_of_upstream(provider.abilities().opt_out_words);
        Bot {
            name: BotName::new(BOT),
            indicator: Indicator::new(Arc::clone(&provider), self.typing, Arc::clone(&health)),
            pace: Arc::new(Pace::new(provider.abilities().limits.clone())),
            provider,
            handler: self.handler,
            gates: Gates::new(self.gate),
            controls: Arc::new(controls),
            people: self.people,
            quiet: QuietHours::new(&self.quiet, &templates).expect("quiet hours"),
            merge: self.merge,
            turn: self.turn,
            transcriber: self.transcriber,
            delivery: self.delivery,
            failure_reply: Some(failure_reply).filter(|_| self.failure_reply.enabled),
            health,
            share: ShareConfig::default(),
            media: MemoryUse::default(),
        }
    }
}

/// What the way in knows of the one bot.
pub fn inlets(
    provider: Arc<dyn Provider>,
    control: ControlConfig,
    people: PeopleConfig,
) -> BotRegistry<WebhookEndpoint> {
    let controls = Arc::new(Controls::new(control).and_of_upstream(provider.abilities().opt_out_words));
    BotRegistry::from_iter([(
        BotName::new(BOT),
        Arc::new(WebhookEndpoint { provider, controls, people, bodies: Bodies::default() }),
    )])
}

fn alone(bot: Bot) -> BotRegistry<Bot> {
    BotRegistry::from_iter([(bot.name.clone(), Arc::new(bot))])
}

/// The real adapter, configured as anybody would, with the sandbox at the other end.
pub fn provider(sandbox: &Arc<Sandbox>, clock: Clock) -> Arc<dyn Provider> {
    provider_of(sandbox, clock, CancellationToken::new())
}

/// The same, in a process that can be killed: what it has not called by then it never calls.
pub fn provider_of(sandbox: &Arc<Sandbox>, clock: Clock, life: CancellationToken) -> Arc<dyn Provider> {
    let table = sandbox.settings().provider_table(API);
    let text = format!("[bots.{BOT}.provider]\n{table}\n[bots.{BOT}.handler]\nkind = \"demo\"");
    let (config, problems) = Config::parse("the sandbox's table", &text, []);
    assert_eq!(problems, []);
    let transport = Arc::new(Direct { sandbox: Arc::clone(sandbox), life });
    let around = ProviderContext { bot: BotName::new(BOT), transport, clock };
    let secret = |name: &str| sandbox.settings().secret(name);
    let provider = config.bots[BOT].provider.as_ref().expect("a provider");
    provider.connect(&secret, around).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// One bot, one sandbox, one customer or more.
pub struct World {
    /// The upstream: its phone, its faults, and what a customer can send besides words.
    pub sandbox: Arc<Sandbox>,
    /// The first customer, Ada.
    pub customer: CustomerId,
    /// What the product keeps; in memory.
    pub store: Arc<dyn Store>,
    /// What works off turns.
    pub worker: Arc<Worker>,
    /// The real adapter.
    pub provider: Arc<dyn Provider>,
    /// The time: tokio's, which a test can pause.
    pub clock: Clock,
    memory: Arc<Disk>,
    /// Ends with the process.
    life: CancellationToken,
    heard: KnownMessages,
    claims: Option<tokio::task::JoinHandle<()>>,
}

impl World {
    /// Begins to work off turns.
    pub fn work(&mut self) {
        let worker = Arc::clone(&self.worker);
        self.claims = Some(tokio::spawn(async move {
            worker.run().await.expect("the store of a test does not fail");
        }));
    }

    /// Ends the process, and starts another one with the same store and the same upstream.
    pub async fn restart(&mut self, setup: Setup) {
        self.worker.stop().await;
        self.begin(setup);
    }

    /// Kills the process in the middle of whatever it does, as `kill -9` does: nothing more of it reaches the store or
    /// the upstream. Nothing works until [`World::begin`].
    pub fn kill(&mut self) {
        self.life.cancel();
        self.claims.take().inspect(tokio::task::JoinHandle::abort);
        self.reopen();
    }

    /// Does as if a process that has died were followed by another, which opens its store.
    pub fn reopen(&self) {
        self.memory.reopen();
    }

    /// Starts another process with the same store and the same upstream, after the one before has ended.
    pub fn begin(&mut self, setup: Setup) {
        self.reopen();
        self.life = CancellationToken::new();
        let provider = provider_of(&self.sandbox, self.clock, self.life.clone());
        self.provider = Arc::new(Metered::new(provider, setup.meters.clone()));
        let (config, meters) = (setup.worker.clone(), setup.meters.clone());
        let bot = setup.bot(Arc::clone(&self.provider));
        self.worker = Worker::new(alone(bot), Arc::clone(&self.store), self.clock, config, meters);
        self.work();
    }

    /// What a turn works with, for a test that holds its turns itself. Media have a megabyte.
    pub fn tools(&self) -> Tools {
        Tools {
            store: Arc::clone(&self.store),
            clock: self.clock,
            started: Instant::now(),
            tasks: TaskTracker::new(),
            cancelled: CancellationToken::new(),
            media: MemoryBudget::new(1 << 20),
            bots: BotRegistry::default(),
            meters: Meters::default(),
        }
    }

    /// The phones of all customers.
    pub fn phone(&self) -> &Phone {
        self.sandbox.phone()
    }

    /// The customer writes. Returns the upstream's name for the message.
    pub fn write(&self, words: &str) -> MessageId {
        self.write_as(&self.customer, words)
    }

    /// Another customer writes.
    ///
    /// # Panics
    /// If this sandbox has no such customer.
    pub fn write_as(&self, customer: &CustomerId, words: &str) -> MessageId {
        self.sandbox.write(customer, Draft::text(words)).expect("a customer of this sandbox")
    }

    /// A person writes to the customer on the business's own phone.
    ///
    /// # Panics
    /// If the upstream tells nothing of that.
    pub fn write_as_person(&self, words: &str) -> MessageId {
        self.sandbox.write_as_person(&self.customer, words).expect("an upstream that tells of it")
    }

    /// Another customer, by number.
    pub fn customer(&self, number: usize) -> CustomerId {
        let customer = Customer::new(&format!("1555010{number:04}"), &format!("Customer {number}"));
        self.phone().add(customer.clone());
        customer.id
    }

    /// Lets the (paused) clock go on, until everything that could happen in that time has happened.
    pub async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// The same in milliseconds.
    pub async fn pass_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// The calls that the upstream got, in order, each with the second in which it came in.
    pub fn calls(&self) -> Vec<String> {
        let start = self.phone().seen(&self.customer).first().map(|moment| moment.at).unwrap_or_default();
        let calls = self.phone().timeline().into_iter().filter_map(|moment| match moment.what {
            What::Called { what, .. } => Some(format!("{} s: {what}", moment.at.since(start).as_secs())),
            _ => None,
        });
        calls.collect()
    }

    /// What the customer saw, in order, each with the second in which it happened.
    pub fn seen(&self) -> Vec<String> {
        let seen = self.phone().seen(&self.customer);
        let start = seen.first().map(|moment| moment.at).unwrap_or_default();
        let tell = |moment: &crate::sandbox::phone::Moment| {
            let what = match &moment.what {
                What::Reply { text, .. } => format!("reply: {}", text.lines().next().unwrap_or_default()),
                What::CustomerWrote { .. } => "wrote".into(),
                What::MarkedRead { .. } => "read".into(),
                What::DotsOn { .. } => "dots on".into(),
                other => other.tell(|_| String::new()),
            };
            format!("{} s: {what}", moment.at.since(start).as_secs())
        };
        seen.iter().map(tell).collect()
    }

    /// The bot's words on the customer's phone, in order.
    pub fn replies(&self) -> Vec<String> {
        self.replies_to(&self.customer)
    }

    /// The bot's words on another customer's phone.
    pub fn replies_to(&self, customer: &CustomerId) -> Vec<String> {
        self.phone().replies(customer).iter().map(|reply| reply.body.words().to_owned()).collect()
    }

    /// The messages that should have had an answer and have none, with their reasons.
    pub async fn dead(&self) -> Vec<DeadLetter> {
        self.store.dead(None, 1000).await.expect("a store in memory does not fail")
    }

    /// What the next turn's handler is told of the customer's conversation, oldest first.
    pub async fn history(&self) -> Vec<HistoryEntry> {
        let conversation = {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let own = |id: &MessageId| self.phone().chat_of(id).as_ref() == Some(&self.customer);
            heard.iter().find(|(id, _)| own(id)).map(|(_, conversation)| conversation.clone())
        };
        match conversation {
            Some(conversation) => {
                self.store.history(&conversation, 1000).await.expect("a store in memory does not fail")
            }
            None => Vec::new(),
        }
    }
}

/// By which conversations the product knows the customers' messages.
type KnownMessages = Arc<Mutex<HashMap<MessageId, Conversation>>>;

/// Carries webhooks to the product.
struct InProcess {
    product: OnceLock<(Arc<Webhooks>, Arc<dyn Provider>, Clock)>,
    heard: KnownMessages,
}

#[async_trait]
impl Courier for InProcess {
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        let (webhooks, provider, clock) = self.product.get()?;
        let request = WebhookRequest {
            method: Method::Post,
            query: url.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
            headers: headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
            body,
            received: clock.now(),
        };
        if let Ok(Received::Events(events)) = provider.receive(&request) {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.extend(events.messages.iter().map(|message| (message.at.message.clone(), message.at.conversation())));
        }
        Some(webhooks.receive(BOT, &request).await.status)
    }
}

/// What stands between the fields of a form; in no medium.
const BOUNDARY: &str = "threedots-5e6f1d0c9b8a7342";

/// A form with one file in it, as it travels.
fn form(fields: &[(&str, String)], file: &[u8], mime: &str, name: &str) -> Bytes {
    let mut form = Vec::with_capacity(file.len() + 1024);
    for (name, value) in fields {
        form.extend(
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    let head = format!("content-disposition: form-data; name=\"file\"; filename=\"{name}\"");
    form.extend(format!("--{BOUNDARY}\r\n{head}\r\ncontent-type: {mime}\r\n\r\n").bytes());
    form.extend_from_slice(file);
    form.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    form.into()
}

/// Carries a process's calls to the sandbox, for as long as it lives.
struct Direct {
    sandbox: Arc<Sandbox>,
    life: CancellationToken,
}

#[async_trait]
impl Transport for Direct {
    async fn call(&self, call: Call) -> Result<UpstreamResponse, CallError> {
        if self.life.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let mut headers: Vec<(String, String)> =
            call.headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        headers.push(("host".into(), call.url.authority().to_owned()));
        let body = match call.body {
            Body::Empty => Bytes::new(),
            Body::Json(body) => {
                headers.push(("content-type".into(), "application/json".into()));
                body
            }
            Body::Raw(body) => body,
            Body::Multipart { fields, file, mime, name } => {
                headers.push(("content-type".into(), format!("multipart/form-data; boundary={BOUNDARY}")));
                form(&fields, &file, &mime, &name)
            }
        };
        let path = call.url.path().to_owned();
        let path_and_query = call.url.query().map_or(path.clone(), |query| format!("{path}?{query}"));
        let request = UpstreamRequest { method: call.method.into(), path_and_query, headers, body };
        let answer = tokio::time::timeout(call.timeout, self.sandbox.handle(request)).await;
        if self.life.is_cancelled() {
            std::future::pending::<()>().await;
        }
        match answer.map_err(|_| CallError::Unanswered("timed out"))? {
            UpstreamAnswer::Whole { status, headers, body } => {
                let headers = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                Ok(UpstreamResponse::whole(status, headers, body))
            }
            UpstreamAnswer::Reset => Err(CallError::Unanswered("connection lost")),
        }
    }
}
