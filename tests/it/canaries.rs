//! Secrets and a customer that must show nowhere, and how to look for them.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use serde_json::json;
use threedots::delivery::outbox;
use threedots::host::config::Config;
use threedots::message::clock::{Clock, Timestamp};
use threedots::message::{BotName, HistoryEntry, Inbound, Media, MediaKind, MediaSource, PartKey, Speaker};
use threedots::policy::gate::GateConfig;
use threedots::provider::meta::{Meta, MetaConfig, MetaSettings};
use threedots::provider::{Method, Provider, Received, SigningSecret, WebhookRequest};
use threedots::runtime::http::{Body, Call, Client, Headers};
use threedots::store::disk::{Disk, MemorySettings};
use threedots::store::{Claims, DeadLetter, Ending, Inbox, Seq, Settled, Settlement, Waiting};
use threedots::{Part, Reply};

use crate::product::{NUMBER, signature};

pub(crate) const TOKEN: &str = "EAAGcanaryAccessToken7f3a91";
pub(crate) const APP_SECRET: &str = "canary/app+secret=5b0e2c";
pub(crate) const VERIFY_TOKEN: &str = "canary verify&token%9d";
pub(crate) const MODEL_KEY: &str = "sk-canary-model-key-41aa";
pub(crate) const WORDS: &str = "canary words: the wolf eats seven figs";
pub(crate) const NAME: &str = "Canaria Nomenclature";
pub(crate) const PHONE: &str = "15550177123";
pub(crate) const USER: &str = "US.CANARYUSER0000000077";
pub(crate) const MESSAGE: &str = "wamid.CANARYMESSAGE";
pub(crate) const OUTGOING: &str = "wamid.CANARYOUTGOING";
pub(crate) const MEDIUM: &str = "8811canarymedium";
pub(crate) const GUESS: &str = "canary-guess-at-the-verify-token";

pub(crate) const ALL: [&str; 12] =
    [TOKEN, APP_SECRET, VERIFY_TOKEN, MODEL_KEY, WORDS, NAME, PHONE, USER, MESSAGE, OUTGOING, MEDIUM, GUESS];

/// The forms in which a canary stands somewhere in `shown`: as it is, percent-encoded, in base64, in hex, as numbers.
pub(crate) fn found(shown: &str) -> Vec<String> {
    let lower = shown.to_lowercase();
    let mut found = Vec::new();
    for canary in ALL {
        let percent = |all: bool| -> String {
            let encode = |byte: u8| {
                if !all && byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02x}") }
            };
            canary.bytes().map(encode).collect()
        };
        let form: String = url::form_urlencoded::byte_serialize(canary.as_bytes()).collect();
        let numbers: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
        let url = url::Url::parse(&format!("https://x.example/{canary}?{canary}")).expect("an address").to_string();
        let forms = [
            ("as it is", canary.to_lowercase()),
            ("percent-encoded", percent(false).to_lowercase()),
            ("percent-encoded", percent(true)),
            ("in a form", form.to_lowercase()),
            ("in an address", url.trim_start_matches("https://x.example/").to_lowercase()),
            ("in hex", hex::encode(canary)),
            ("as numbers", numbers.join(", ")),
            ("as numbers", numbers.join(",")),
        ];
        found.extend(forms.iter().filter(|(_, form)| lower.contains(form)).map(|(how, _)| format!("{canary} {how}")));
        // At each of the three places that a byte can have in base64.
        for before in 0..3 {
            for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
                let padded = engine.encode([&vec![0; before], canary.as_bytes()].concat());
                let inner = &padded[(before * 8).div_ceil(6)..(before + canary.len()) * 8 / 6];
                if shown.contains(inner) {
                    found.push(format!("{canary} in base64"));
                }
            }
        }
    }
    found
}

#[test]
fn a_canary_is_found_in_every_form() {
    let url = url::Url::parse_with_params("https://x.example/", [("t", VERIFY_TOKEN)]).expect("an address");
    let forms = [
        format!("Bearer {TOKEN}"),
        TOKEN.to_uppercase(),
        url.to_string(),
        format!("{:?}", WORDS.as_bytes()),
        hex::encode_upper(format!("x{PHONE}y")),
        BASE64_STANDARD.encode(format!("xx{APP_SECRET}yy")),
        BASE64_URL_SAFE.encode(format!("x{NAME}y")),
        BASE64_STANDARD.encode(USER),
        "%77%61%6D%69%64%2E%43%41%4E%41%52%59%4F%55%54%47%4F%49%4E%47".into(),
        APP_SECRET.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D"),
    ];
    for form in forms {
        assert!(!found(&form).is_empty(), "{form}");
    }
    assert_eq!(found("nothing of the kind"), [""; 0]);
}

/// A delivery that is full of canaries, in whatever a message can hold.
pub(crate) fn delivery(id: &str) -> String {
    let now = Clock::System.now().0 / 1000;
    let message = |number: usize, kind: &str, object: serde_json::Value| {
        json!({
            "from": PHONE, "from_user_id": USER, "id": format!("{MESSAGE}.{id}.{number}"),
            "timestamp": now.to_string(), "type": kind, kind: object,
        })
    };
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "12025550100", "phone_number_id": NUMBER },
        "contacts": [{ "wa_id": PHONE, "user_id": USER, "profile": { "name": NAME, "username": NAME } }],
        "messages": [
            message(1, "location", json!({ "latitude": 1, "longitude": 2, "name": WORDS, "address": WORDS })),
            message(2, "contacts", json!([{ "name": { "formatted_name": NAME }, "phones": [{ "phone": PHONE }] }])),
            message(3, "image", json!({ "id": MEDIUM, "mime_type": "image/png", "sha256": WORDS, "caption": WORDS })),
            message(4, "hologram", json!({ "of": WORDS })),
            message(5, "interactive", json!({ "type": "nfm_reply",
                "nfm_reply": { "response_json": json!({ "a": WORDS }).to_string(), "name": WORDS } })),
            message(6, "reaction", json!({ "message_id": MESSAGE, "emoji": "x" })),
            message(7, "garbage", json!([WORDS, TOKEN])),
            message(8, "text", json!({ "body": WORDS })),
        ],
        "statuses": [{
            "id": OUTGOING, "status": "failed", "timestamp": now.to_string(), "recipient_id": PHONE,
            "errors": [{ "code": 131026, "title": WORDS, "message": PHONE, "error_data": { "details": NAME } }],
        }],
    });
    let changes = json!([{ "field": "messages", "value": value }]);
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "990000000000001", "changes": changes }] })
        .to_string()
}

/// The messages in it.
pub(crate) fn messages() -> Vec<Inbound> {
    let body = delivery("KEPT");
    let signature = signature(APP_SECRET, body.as_bytes());
    let headers: Headers = [("x-hub-signature-256", &*signature)].into_iter().collect();
    let (query, received) = (String::new(), Clock::System.now());
    let request = WebhookRequest { method: Method::Post, query, headers, body: body.into(), received };
    let secret = |secret: &str| secret.to_owned().into();
    let settings = MetaSettings::new(NUMBER, secret(TOKEN), secret(APP_SECRET), secret(VERIFY_TOKEN));
    let meta = Meta::new(BotName::new("shop"), settings, Client::new().expect("TLS roots"), Clock::System);
    let Ok(Received::Events(events)) = meta.receive(&request) else { panic!("it is a delivery") };
    events.messages
}

#[tokio::test]
async fn no_value_that_is_printed_shows_a_canary() {
    let settings = MetaSettings::new(
        NUMBER,
        TOKEN.to_owned().into(),
        APP_SECRET.to_owned().into(),
        VERIFY_TOKEN.to_owned().into(),
    );
    let mut with_credentials = settings.clone();
    with_credentials.base_url = format!("https://user:{TOKEN}@graph.example").parse().expect("an address");
    let mut shown = vec![format!("{settings:?} {with_credentials:?}")];
    let secret = SigningSecret { secret: APP_SECRET.to_owned().into(), until: None };
    shown.push(format!("{secret:?}"));

    let body = delivery("SHOWN");
    let signature = signature(APP_SECRET, body.as_bytes());
    let headers: Headers = [("x-hub-signature-256", &*signature), ("authorization", TOKEN)].into_iter().collect();
    let query = format!("hub.verify_token={GUESS}");
    let request =
        WebhookRequest { method: Method::Post, query, headers, body: body.into(), received: Clock::System.now() };
    shown.push(format!("{request:?} {:?}", request.headers));
    let meta = Meta::new(BotName::new("shop"), settings, Client::new().expect("TLS roots"), Clock::System);
    let received = meta.receive(&request);
    shown.push(format!("{received:?}"));
    let Ok(Received::Events(events)) = received else { panic!("it is a delivery") };
    assert!(events.messages.len() >= 6 && events.statuses.len() == 1, "{events:?}");

    let store = Disk::in_memory(Clock::System, &MemorySettings::default());
    let waiting: Vec<Waiting> = (1..)
        .zip(&events.messages)
        .map(|(seq, inbound)| Waiting {
            seq: Seq(seq),
            accepted: Timestamp(0),
            inbound: inbound.clone(),
            replayed: false,
            proactive: None,
        })
        .collect();
    shown.push(format!("{:?}", store.accept(&events.messages).await));
    let claim = store.claim(std::time::Duration::from_secs(60)).await.expect("something waits");
    let reply = Reply::buttons(WORDS, [(USER, WORDS)]).and(Part::text(WORDS)).and(Part::from(
        threedots::Payload::Media(Media {
            kind: MediaKind::Image,
            source: MediaSource::Link(format!("https://x.example/{TOKEN}")),
            caption: Some(WORDS.into()),
            filename: Some(NAME.into()),
        }),
    ));
    shown.push(format!("{claim:?} {reply:?} {waiting:?}"));
    let Reply::Send(parts) = reply else { panic!("it is sent") };
    shown.push(format!("{:?}", outbox::prepare(&meta, parts.clone(), "Options", std::time::Duration::ZERO).await));
    let outgoing = outbox::address(&waiting[0], parts, 0, true);
    let said = HistoryEntry {
        by: Speaker::Customer,
        words: WORDS.into(),
        time: Timestamp(0),
        who: None,
        transcript: false,
        told: None,
        name: None,
        message: None,
    };
    let ending = (Seq(1), Ending::Dead { reason: "a reason".into() });
    let settlement = Settlement::Done(Settled {
        endings: vec![ending],
        said: vec![said],
        failure_replied: None,
        sent: Vec::new(),
        failed: 0,
    });
    let letter =
        DeadLetter { message: waiting[0].clone(), reason: "a reason".into(), since: Timestamp(0), unread: false };
    shown.push(format!("{outgoing:?} {settlement:?} {letter:?}"));
    shown.push(format!("{:?}", meta.send(&outgoing.to, &Part::text(WORDS.repeat(200)), &PartKey::new("1")).await));

    let call = Call {
        method: "POST",
        url: format!("https://{TOKEN}@x.example/{PHONE}?token={TOKEN}").parse().expect("an address"),
        headers: vec![("authorization".into(), TOKEN.into())],
        body: Body::Json(WORDS.into()),
        timeout: std::time::Duration::ZERO,
        in_clear: false,
    };
    shown.push(format!("{call:?}"));
    let gate = GateConfig { allow: vec![PHONE.into()], block: vec![USER.into()], ..GateConfig::default() };
    let meta = MetaConfig { base_url: format!("https://user:{TOKEN}@x.example"), ..MetaConfig::default() };
    shown.push(format!("{gate:?} {meta:?}"));

    let file = format!(
        "[bots.shop.provider]\nkind = \"meta\"\naccess_token = \"{TOKEN}\"\nverify_token = \"{VERIFY_TOKEN}\"\n\
         app_secret = [{{ secret = \"{APP_SECRET}\" }}]\n[bots.shop.gate]\nallow = [\"{PHONE}\"]\n\
         [bots.shop.handler]\nkind = \"llm\"\n[[bots.shop.handler.models]]\nbase_url = \"https://{TOKEN}@x.example\"\n\
         api_key = \"{MODEL_KEY}\"\n"
    );
    let env = [("META_ACCESS_TOKEN", TOKEN), ("THREEDOTS_BOTS__SHOP__PROVIDER__ACCESS_TOKEN", TOKEN)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (config, problems) = Config::parse("threedots.toml", &file, env);
    shown.push(format!("{config:?} {problems:?}"));
    let problems = threedots::App::new(config).err().expect("secrets in the file are refused");
    shown.push(format!("{problems:?} {problems}"));

    for shown in shown {
        assert_eq!(found(&shown), [""; 0], "{shown}");
    }
}
