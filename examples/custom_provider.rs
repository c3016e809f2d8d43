//! `cargo run --example custom_provider`: a provider of your own, from a signed webhook to cleared dots.
//!
//! "Pigeon Post" is a toy. Its loft runs in this program too, and says what it is asked for. All that threedots needs
//! is in `Pigeon` and `PigeonConfig`: what a webhook proves and says, the calls, and what the upstream can do.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use threedots::message::clock::Timestamp;
use threedots::message::secret::SecretRef;
use threedots::message::secret::same_token;
use threedots::message::{
    Address, BotName, ChatId, Contact, ContactId, Content, Inbound, MediaRef, MessageId, MessageRef, OptOutWords, Part,
    PartKey, Payload,
};
use threedots::provider::answer::{Repeat, by_status};
use threedots::provider::exchange::exchange;
use threedots::provider::{
    Abilities, Activity, CaptionLimits, ErrorCode, Events, GroupTyping, InvalidPart, KeyedBy, Method, Provider,
    ProviderConfig, ProviderContext, ProviderError, ProviderKind, Rate, ReadReceipts, Received, Resolve, SendLimits,
    StopAbilities, TypingAbilities, WebhookError, WebhookRequest,
};
use threedots::runtime::http::{Body, Call, Download, Transport};
use threedots::{App, Reply, Turn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use url::Url;

/// What a pigeon carries, in characters.
const TEXT_LIMIT: usize = 280;

/// The `provider` table of a bot with `kind = "pigeon"`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PigeonConfig {
    base_url: String,
    token: SecretRef,
}

impl ProviderConfig for PigeonConfig {
    const KIND: &'static str = "pigeon";
    const TEMPLATE: &'static str = "[bots.shop.provider]\nkind = \"pigeon\"\n\
                                    # Where the loft is.\nbase_url = \"https://loft.example\"\n\
                                    # Opens the loft's door, and stands in every webhook.\n\
                                    token = \"env:PIGEON_TOKEN\"\n";

    fn timeout(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn text_limit(&self) -> usize {
        TEXT_LIMIT
    }

    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider> {
        let token = resolve.secret("token", &self.token);
        let base_url = resolve.address("base_url", &self.base_url);
        Arc::new(Pigeon { bot: around.bot, token, base_url, transport: around.transport, abilities: abilities() })
    }
}

struct Pigeon {
    bot: BotName,
    token: SecretString,
    base_url: Url,
    transport: Arc<dyn Transport>,
    abilities: Abilities,
}

/// What the core reads instead of asking which provider it is.
fn abilities() -> Abilities {
    Abilities {
        typing: TypingAbilities {
            keyed_by: KeyedBy::Chat,
            lifetime: Duration::from_secs(12),
            refresh: Some(Duration::from_secs(8)),
            max_refreshes: u32::MAX,
            start_marks_read: false,
            lit_on_arrival: false,
            stop: Some(StopAbilities { per_second: None, before_send: false }),
            recording: false,
            // So long before a letter a pigeon is heard.
            lead: Duration::from_secs(1),
            groups: GroupTyping::Skip,
            large_groups: BTreeSet::new(),
        },
        reads: ReadReceipts::Message,
        // Pigeons need a rest: five may leave at once, and one in a minute.
        limits: SendLimits {
            number: vec![Rate::Bucket { every: Duration::from_secs(60), burst: 5 }],
            pair: Vec::new(),
        },
        text_limit: TEXT_LIMIT,
        captions: CaptionLimits { length: 0, never_on: &[] },
        choices: None,
        places: false,
        marks: false,
        idempotent_sends: true,
        statuses_carry_key: false,
        window: None,
        opt_out_words: OptOutWords::NONE,
        acknowledgement: "ok".into(),
    }
}

/// A letter, as a webhook brings it.
#[derive(Deserialize)]
struct Letter {
    id: String,
    from: String,
    name: String,
    text: String,
}

impl Pigeon {
    /// Posts to the loft. Its own keys make a repeated letter one letter, so a lost answer is nothing to fear.
    async fn post(&self, path: &str, body: Value) -> Result<Value, ProviderError> {
        let mut url = self.base_url.clone();
        url.set_path(path);
        let headers = vec![("x-pigeon-token".into(), self.token.expose_secret().to_owned())];
        let body = Body::Json(body.to_string().into());
        let call = Call { method: "POST", url, headers, body, timeout: Duration::from_secs(10), in_clear: false };
        let answer = exchange(&*self.transport, call, Repeat::Harmless).await?;
        match answer.is_success() {
            true => Ok(answer.object().map(Value::Object).unwrap_or_default()),
            false => Err(by_status(answer.status, None, Repeat::Harmless)),
        }
    }
}

#[async_trait]
impl Provider for Pigeon {
    fn name(&self) -> &'static str {
        "pigeon"
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn receive(&self, request: &WebhookRequest) -> Result<Received, WebhookError> {
        if request.method != Method::Post {
            return Err(WebhookError::WrongMethod);
        }
        let token = request.headers.get("x-pigeon-token").ok_or(WebhookError::Unsigned)?;
        if !same_token(token, self.token.expose_secret()) {
            return Err(WebhookError::WrongSignature);
        }
        let letter: Letter = serde_json::from_slice(&request.body).map_err(|_| WebhookError::Malformed)?;
        let at = MessageRef {
            bot: self.bot.clone(),
            chat: ChatId::new(&*letter.from),
            group: false,
            sender: ContactId::new(letter.from),
            phone: None,
            aliases: Vec::new(),
            message: MessageId::new(letter.id),
            time: request.received,
        };
        let contact = Contact { name: Some(letter.name), username: None };
        let content = Content::text(letter.text);
        let inbound = Inbound {
            at,
            contact,
            content,
            quotes: None,
            forwarded: false,
            referral: None,
            quoted: None,
            product: None,
        };
        Ok(Received::Events(Events { messages: vec![inbound], ..Events::default() }))
    }

    async fn mark_read(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.post("/read", json!({ "letter": message.message.as_str() })).await.map(drop)
    }

    async fn start_typing(&self, message: &MessageRef, _: Activity) -> Result<(), ProviderError> {
        self.post("/coo", json!({ "to": message.chat.as_str() })).await.map(drop)
    }

    async fn stop_typing(&self, message: &MessageRef) -> Result<(), ProviderError> {
        self.post("/hush", json!({ "to": message.chat.as_str() })).await.map(drop)
    }

    fn check(&self, part: &Part) -> Result<(), InvalidPart> {
        match &part.payload {
            Payload::Text { .. } => Ok(()),
            other => Err(InvalidPart(format!("a pigeon carries text, and no {}", other.name()))),
        }
    }

    /// Every loft has a name, and a bird finds it whether or not it has been there.
    fn address(&self, contact: &str) -> Option<Address> {
        let (chat, sender) = (ChatId::new(contact), ContactId::new(contact));
        Some(Address { chat, group: false, sender, phone: None })
    }

    async fn send(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        let words = part.payload.words().unwrap_or_default();
        let answer =
            self.post("/letters", json!({ "to": to.chat.as_str(), "text": words, "key": key.as_str() })).await?;
        Ok(MessageId::new(answer["id"].as_str().unwrap_or_default()))
    }

    async fn confirm_opt_out(&self, to: &MessageRef, part: &Part, key: &PartKey) -> Result<MessageId, ProviderError> {
        self.send(to, part, key).await
    }

    fn reported(&self, code: Option<i64>) -> ProviderError {
        ProviderError::Rejected { code: code.map_or(ErrorCode::Local("reported as failed"), ErrorCode::Upstream) }
    }

    async fn fetch_media(&self, _: &MediaRef, _: u64) -> Result<Download, ProviderError> {
        Err(ProviderError::Unsupported { code: ErrorCode::Local("a pigeon carries no media") })
    }

    async fn upload_media(&self, _: Bytes, _: &str) -> Result<String, ProviderError> {
        Err(ProviderError::Unsupported { code: ErrorCode::Local("a pigeon carries no media") })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let loft = TcpListener::bind("127.0.0.1:0").await?;
    let directory = std::env::temp_dir().join(format!("threedots-pigeon-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let (file, token) = (directory.join("threedots.toml"), directory.join("token"));
    std::fs::write(&token, "coo-coo")?;
    let (address, token) = (loft.local_addr()?, token.display());
    let text = format!(
        "server.listen = \"127.0.0.1:0\"\nstore.kind = \"memory\"\n\
         [bots.shop]\nprovider = {{ kind = \"pigeon\", base_url = \"http://{address}\", token = \"file:{token}\" }}\n\
         handler = {{ kind = \"custom\" }}\n"
    );
    std::fs::write(&file, text)?;

    let (told, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(serve(loft, told));
    let app = App::load_with(&file, &[ProviderKind::of::<PigeonConfig>()])?;
    let running = app.handler(|turn: &Turn| Reply::text(format!("You wrote: {}", turn.text()))).start().await?;
    let letter = json!({ "id": "letter-1", "from": "ada", "name": "Ada", "text": "hello", "at": Timestamp(0).0 });
    post(&running.address.to_string(), "/webhooks/shop", &letter.to_string()).await?;
    while let Some(call) = asked.recv().await {
        say(&call);
        if call.starts_with("/letters") {
            break;
        }
    }
    running.stop().await;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}

/// The loft: says yes to everything, and tells what it was asked.
async fn serve(loft: TcpListener, told: mpsc::UnboundedSender<String>) {
    while let Ok((mut stream, _)) = loft.accept().await {
        let told = told.clone();
        tokio::spawn(async move {
            let mut read = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                read.extend_from_slice(&buffer[..length]);
                let text = String::from_utf8_lossy(&read).into_owned();
                // Every body of ours is one object, and arrives with its head.
                if let (Some(path), true) = (text.split(' ').nth(1), text.ends_with('}')) {
                    let body = text.rsplit("\r\n\r\n").next().unwrap_or_default();
                    let _ = told.send(format!("{path} {body}"));
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\n\r\n{\"id\":\"l-42\"}";
                    let _ = stream.write_all(answer.as_bytes()).await;
                    read.clear();
                }
            }
        });
    }
}

/// What the loft does when somebody has written.
async fn post(address: &str, path: &str, body: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nx-pigeon-token: coo-coo\r\ncontent-length: {length}");
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    say(&format!("the webhook: {}", answer.lines().next().unwrap_or_default()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what this example shows")]
fn say(what: &str) {
    println!("{what}");
}
