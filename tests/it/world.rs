//! The product and the sandbox in one process, without a socket between them: each upstream's real wire under a paused
//! clock.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use threedots::clock::Clock;
use threedots::config::Config;
use threedots::control::{ControlConfig, Controls};
use threedots::failure::{FailureReply, FailureReplyConfig};
use threedots::gate::{GateConfig, Gates};
use threedots::health::Health;
use threedots::http::{Answer, Body, Call, CallError, Transport};
use threedots::message::{BotName, MessageId};
use threedots::outbox::DeliveryConfig;
use threedots::pace::Pace;
use threedots::people::PeopleConfig;
use threedots::provider::{Around, Method, Provider, WebhookRequest};
use threedots::quiet::{Quiet, QuietConfig};
use threedots::sandbox::phone::What;
use threedots::sandbox::{
    Courier, Customer, CustomerId, Draft, Phone, Sandbox, SandboxSettings, Upstream, UpstreamAnswer, UpstreamRequest,
};
use threedots::store::memory::{Memory, Settings};
use threedots::store::{DeadLetter, Store};
use threedots::templates::Templates;
use threedots::turn::{Bot, MergeConfig, TurnConfig};
use threedots::typing::{Indicator, TypingConfig};
use threedots::webhook::{Inlet, ServerConfig, Webhooks};
use threedots::worker::{Worker, WorkerConfig};
use threedots::{Handler, Reply, Turn};

/// The bot's name.
pub(crate) const BOT: &str = "shop";
/// Where its upstream's API would be on a socket.
const API: &str = "http://127.0.0.1:1/graph";

/// How a world is made. The defaults are the product's.
pub(crate) struct Setup {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) gate: GateConfig,
    pub(crate) control: ControlConfig,
    pub(crate) people: PeopleConfig,
    pub(crate) quiet: QuietConfig,
    pub(crate) merge: MergeConfig,
    pub(crate) turn: TurnConfig,
    pub(crate) typing: TypingConfig,
    pub(crate) delivery: DeliveryConfig,
    pub(crate) failure_reply: FailureReplyConfig,
    pub(crate) worker: WorkerConfig,
    pub(crate) sandbox: SandboxSettings,
}

impl Setup {
    /// On Meta's Cloud API.
    pub(crate) fn new(handler: impl Handler) -> Self {
        Self::on(Upstream::Meta, handler)
    }

    pub(crate) fn on(upstream: Upstream, handler: impl Handler) -> Self {
        Self {
            handler: Arc::new(handler),
            gate: GateConfig::default(),
            control: ControlConfig::default(),
            people: PeopleConfig::default(),
            quiet: QuietConfig::default(),
            merge: MergeConfig::default(),
            turn: TurnConfig::default(),
            typing: TypingConfig::default(),
            delivery: DeliveryConfig::default(),
            failure_reply: FailureReplyConfig::default(),
            worker: WorkerConfig::default(),
            sandbox: SandboxSettings { seed: Some(7), api_url: API.into(), ..SandboxSettings::of(upstream) },
        }
    }

    /// The product, the sandbox, and one customer; turns are being worked off.
    pub(crate) fn start(self) -> World {
        let mut world = self.build();
        world.work();
        world
    }

    /// The same, and nobody works yet.
    pub(crate) fn build(self) -> World {
        let clock = Clock::tokio();
        let courier = Arc::new(InProcess(OnceLock::new()));
        let sandbox = Sandbox::new(self.sandbox.clone(), clock, Arc::clone(&courier) as Arc<dyn Courier>);
        let customer = Customer::new("15550100001", "Ada");
        sandbox.phone().add(customer.clone());

        let store: Arc<dyn Store> = Arc::new(Memory::new(clock, Settings::default()));
        let provider = provider(&sandbox, clock);
        let controls = Arc::new(Controls::new(self.control.clone()));
        let inlet = Inlet { provider: Arc::clone(&provider), controls, people: self.people.clone() };
        let bots = [(BotName::new(BOT), inlet)].into();
        let webhooks = Arc::new(Webhooks::new(bots, Arc::clone(&store), clock, &ServerConfig::default()));
        assert!(courier.0.set((Arc::clone(&webhooks), clock)).is_ok());
        let worker = self.worker.clone();
        let bot = self.bot(Arc::clone(&provider));
        let worker = Worker::new(vec![bot], Arc::clone(&store), clock, worker);
        World { sandbox, customer: customer.id, store, worker, provider, clock, claims: None }
    }

    /// The bot alone, for a test that holds its turns itself.
    pub(crate) fn bot(self, provider: Arc<dyn Provider>) -> Bot {
        let templates = Arc::new(Templates::built_in().expect("the built-in templates"));
        let failure_reply = FailureReply::new(&self.failure_reply, &templates).expect("the failure reply");
        let health = Arc::new(Health::new(BotName::new(BOT), Clock::tokio()));
        Bot {
            name: BotName::new(BOT),
            indicator: Indicator::new(Arc::clone(&provider), self.typing, Arc::clone(&health)),
            pace: Pace::new(provider.abilities().limits.clone()),
            provider,
            handler: self.handler,
            gates: Gates::new(self.gate),
            controls: Arc::new(Controls::new(self.control)),
            people: self.people,
            quiet: Quiet::new(&self.quiet, &templates).expect("quiet hours"),
            merge: self.merge,
            turn: self.turn,
            delivery: self.delivery,
            failure_reply: Some(failure_reply).filter(|_| self.failure_reply.enabled),
            health,
        }
    }
}

/// The real adapter, configured as anybody would, with the sandbox at the other end.
pub(crate) fn provider(sandbox: &Arc<Sandbox>, clock: Clock) -> Arc<dyn Provider> {
    let table = sandbox.settings().provider_table(API);
    let text = format!("[bots.{BOT}.provider]\n{table}\n[bots.{BOT}.handler]\nkind = \"demo\"");
    let (config, problems) = Config::parse("the sandbox's table", &text, []);
    assert_eq!(problems, []);
    let transport = Arc::new(Direct(Arc::clone(sandbox)));
    let around = Around { bot: BotName::new(BOT), transport, clock };
    let secret = |name: &str| sandbox.settings().secret(name);
    let provider = config.bots[BOT].provider.as_ref().expect("a provider");
    provider.connect(&secret, around).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// One bot, one sandbox, one customer or more.
pub(crate) struct World {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) customer: CustomerId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) clock: Clock,
    claims: Option<tokio::task::JoinHandle<()>>,
}

impl World {
    /// Begins to work off turns.
    pub(crate) fn work(&mut self) {
        let worker = Arc::clone(&self.worker);
        self.claims = Some(tokio::spawn(async move {
            worker.run().await.expect("the store of a test does not fail");
        }));
    }

    /// Ends the process, and starts another one with the same store and the same upstream.
    pub(crate) async fn restart(&mut self, setup: Setup) {
        self.worker.stop().await;
        let config = setup.worker.clone();
        let bot = setup.bot(Arc::clone(&self.provider));
        self.worker = Worker::new(vec![bot], Arc::clone(&self.store), self.clock, config);
        self.work();
    }

    pub(crate) fn phone(&self) -> &Phone {
        self.sandbox.phone()
    }

    /// The customer writes.
    pub(crate) fn write(&self, words: &str) -> MessageId {
        self.write_as(&self.customer, words)
    }

    pub(crate) fn write_as(&self, customer: &CustomerId, words: &str) -> MessageId {
        self.sandbox.write(customer, Draft::text(words)).expect("a customer of this sandbox")
    }

    /// A person writes to the customer on the business's own phone.
    pub(crate) fn write_as_person(&self, words: &str) -> MessageId {
        self.sandbox.write_as_person(&self.customer, words).expect("a customer of this sandbox")
    }

    /// Another customer, by number.
    pub(crate) fn customer(&self, number: usize) -> CustomerId {
        let customer = Customer::new(&format!("1555010{number:04}"), &format!("Customer {number}"));
        self.phone().add(customer.clone());
        customer.id
    }

    /// Lets the (paused) clock go on, until everything that could happen in that time has happened.
    pub(crate) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(crate) async fn pass_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    /// The calls that the upstream got, in order, each with the second in which it came in.
    pub(crate) fn calls(&self) -> Vec<String> {
        let start = self.phone().seen(&self.customer).first().map(|moment| moment.at).unwrap_or_default();
        let calls = self.phone().timeline().into_iter().filter_map(|moment| match moment.what {
            What::Called { what, .. } => Some(format!("{} s: {what}", moment.at.since(start).as_secs())),
            _ => None,
        });
        calls.collect()
    }

    /// What the customer saw, in order, each with the second in which it happened.
    pub(crate) fn seen(&self) -> Vec<String> {
        let seen = self.phone().seen(&self.customer);
        let start = seen.first().map(|moment| moment.at).unwrap_or_default();
        let tell = |moment: &threedots::sandbox::phone::Moment| {
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
    pub(crate) fn replies(&self) -> Vec<String> {
        self.replies_to(&self.customer)
    }

    pub(crate) fn replies_to(&self, customer: &CustomerId) -> Vec<String> {
        self.phone().replies(customer).iter().map(|reply| reply.body.words().to_owned()).collect()
    }

    pub(crate) async fn dead(&self) -> Vec<DeadLetter> {
        self.store.dead(None, 1000).await.expect("dead letters")
    }
}

/// Carries webhooks to the product.
struct InProcess(OnceLock<(Arc<Webhooks>, Clock)>);

#[async_trait]
impl Courier for InProcess {
    async fn post(&self, url: &str, headers: Vec<(String, String)>, body: Bytes) -> Option<u16> {
        let (webhooks, clock) = self.0.get()?;
        let request = WebhookRequest {
            method: Method::Post,
            query: url.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
            headers: headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
            body,
            received: clock.now(),
        };
        Some(webhooks.receive(BOT, &request).await.status)
    }
}

/// Carries the product's calls to the sandbox.
struct Direct(Arc<Sandbox>);

#[async_trait]
impl Transport for Direct {
    async fn call(&self, call: Call) -> Result<Answer, CallError> {
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
            Body::Multipart { .. } => return Err(CallError::NotSent("uploads are tested over sockets")),
        };
        let path = call.url.path().to_owned();
        let path_and_query = call.url.query().map_or(path.clone(), |query| format!("{path}?{query}"));
        let request = UpstreamRequest { method: call.method.into(), path_and_query, headers, body };
        let answer = tokio::time::timeout(call.timeout, self.0.handle(request)).await;
        match answer.map_err(|_| CallError::Unanswered("timed out"))? {
            UpstreamAnswer::Whole { status, headers, body } => {
                let headers = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                Ok(Answer::whole(status, headers, body))
            }
            UpstreamAnswer::Reset => Err(CallError::Unanswered("connection lost")),
        }
    }
}

/// A handler that says everything back, at once.
pub(crate) fn echo() -> impl Handler {
    |turn: &Turn| Reply::text(format!("You said: {}", turn.text()))
}
