//! The rows: deliveries as the upstreams write them, and the names that all mean who wrote them.

use serde_json::{Value, json};
use threedots::Inbound;
use threedots::message::{BotName, HistoryEntry, MessageRef, Speaker};
use threedots::provider::Events;
use threedots::sandbox::Upstream;
use threedots::store::{Ending, Settled, Settlement};

use crate::world::{Setup, World, echo};
use crate::{gateway, linq, meta, nxcloud, waha, wawp};

/// A way in which a person appears.
pub(super) struct Row {
    pub(super) upstream: Upstream,
    pub(super) appears: &'static str,
    /// What comes in, in this order. A message says its place in it.
    deliveries: Vec<Value>,
    /// As an operator may call them.
    pub(super) names: &'static [&'static str],
}

/// A store in which somebody has appeared.
pub(super) struct Appeared {
    pub(super) world: World,
    pub(super) bot: BotName,
    /// Their messages, in order.
    pub(super) messages: Vec<Inbound>,
}

impl Appeared {
    /// The newest message.
    pub(super) fn at(&self) -> &MessageRef {
        &self.messages.last().expect("a message").at
    }
}

impl Row {
    /// Has the person appear to a new store, and be answered each time.
    pub(super) async fn appear(&self) -> Appeared {
        let world = Setup::on(self.upstream, echo()).build();
        let mut messages = Vec::new();
        for delivery in &self.deliveries {
            let Events { messages: new, renamed, .. } = receives(self.upstream, delivery.to_string().as_bytes());
            for renamed in renamed {
                assert!(world.store.rename(&renamed).await.expect("the store works"), "{}", self.appears);
            }
            world.store.accept(&new).await.expect("the store works");
            while world.store.backlog().messages > 0 {
                let claim = world.store.claim(std::time::Duration::from_secs(9)).await.expect("something waits");
                let heard = claim.messages.iter().filter_map(|waiting| {
                    let (at, content) = (&waiting.inbound.at, &waiting.inbound.content);
                    let words = content.words()?.to_owned();
                    Some(HistoryEntry {
                        by: Speaker::Customer,
                        words,
                        time: at.time,
                        who: None,
                        transcript: false,
                        told: None,
                        name: None,
                        message: None,
                    })
                });
                let said = heard.collect();
                let endings = claim.messages.iter().map(|waiting| (waiting.seq, Ending::Answered)).collect();
                let done =
                    Settlement::Done(Settled { endings, said, failure_replied: None, sent: Vec::new(), failed: 0 });
                world.store.settle(claim, done).await.expect("the store works");
            }
            messages.extend(new);
        }
        assert!(messages.iter().all(|message| !message.at.group), "{}", self.appears);
        let bot = messages.last().expect("a message").at.bot.clone();
        Appeared { world, bot, messages }
    }
}

fn receives(upstream: Upstream, body: &[u8]) -> Events {
    match upstream {
        Upstream::Meta => meta::receives(body),
        Upstream::NxCloud => nxcloud::receives(body),
        Upstream::Wawp => wawp::receives(body),
        Upstream::Waha => waha::receives(body),
        Upstream::Gateway => gateway::receives(body),
        Upstream::Linq => linq::receives(body),
    }
}

/// Every row.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for upstream in [Upstream::Meta, Upstream::NxCloud] {
        let mut row = |appears, messages: &[Value], names| {
            let deliveries = (1..).zip(messages).map(|(number, message)| business(upstream, number, message)).collect();
            rows.push(Row { upstream, appears, deliveries, names });
        };
        let from = |number: &str| json!({ "from": number });
        row("Brazil, without the ninth digit", &[from("551187654321")], &["+55 (11) 98765-4321", "551187654321"]);
        row("Brazil, with it", &[from("5531991234567")], &["+55 31 9123-4567", "0055 31 99123 4567"]);
        row("Mexico, with a one", &[from("5215512345678")], &["+52 55 1234 5678", "5215512345678"]);
        row("Mexico, without", &[from("525512345678")], &["+52 1 55 1234 5678"]);
        row("Argentina", &[from("5491123456789")], &["+54 11 15 2345-6789", "+54 11 2345 6789", "5491123456789"]);
        row("Argentina, without a nine", &[from("543814123456")], &["+54 9 381 412-3456"]);
        row("Côte d'Ivoire, of before", &[from("22507123456")], &["+225 07 07 12 34 56", "22507123456"]);
        row("Benin, of before", &[from("22997123456")], &["+229 01 97 12 34 56", "22997123456"]);
        row(
            "a number",
            &[from("15550100003")],
            &["+1 (555) 010-0003", "001 555.010.0003", "＋１\u{a0}５５５ ０１０ ０００３"],
        );
        let ids = json!({ "from": "15550100003", "from_user_id": "US.1111", "from_parent_user_id": "US.ENT.9999" });
        row("by all that WhatsApp has", &[ids], &["US.1111", "US.ENT.9999", "+1 555 010 0003"]);
        let hidden =
            [json!({ "from": "15550100003", "from_user_id": "US.1111" }), json!({ "from_user_id": "US.1111" })];
        row("who hides the number now", &hidden, &["US.1111", "+1 555 010 0003"]);
        let notice = |kind: &str, more: Value| {
            let mut system = json!({ "type": kind, "body": "Kim has changed" });
            system.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            system
        };
        let number = |kind: &str, more: Value| {
            let told = json!({ "from": "15550100021", "type": "system", "system": notice(kind, more) });
            [from("15550100021"), told, from("15550100022")]
        };
        let names = &["+1 555 010 0021", "15550100022"];
        row("a new number", &number("user_changed_number", json!({ "wa_id": "15550100022" })), names);
        let older = json!({ "new_wa_id": "15550100022", "customer": "15550100021" });
        row("a new number, as it was told once", &number("customer_changed_number", older), names);
        let told = json!({
            "from": "15550100003", "from_user_id": "US.1111", "type": "system",
            "system": notice("user_changed_user_id", json!({ "user_id": "US.2222" })),
        });
        let named = |id: &str| json!({ "from": "15550100003", "from_user_id": id });
        let names = &["US.1111", "US.2222", "+1 555 010 0003"];
        row("a new identifier", &[named("US.1111"), told, named("US.2222")], names);
    }
    for upstream in [Upstream::Wawp, Upstream::Waha] {
        let mut row = |appears, payloads: &[Value], names| {
            let deliveries = (1..).zip(payloads).map(|(number, payload)| session(number, payload)).collect();
            rows.push(Row { upstream, appears, deliveries, names });
        };
        let gows = json!({ "from": "99887766554433@lid", "_data": { "Info": {
            "Chat": "99887766554433@lid", "Sender": "99887766554433:7@lid", "SenderAlt": "551187654321:7@s.whatsapp.net",
        } } });
        let noweb = json!({ "from": "99887766554433@lid", "_data": { "key": {
            "remoteJid": "99887766554433@lid", "remoteJidAlt": "551187654321@s.whatsapp.net",
        } } });
        let names = &["99887766554433@lid", "+55 11 98765-4321", "551187654321@c.us"];
        row("a hidden name (GOWS)", std::slice::from_ref(&gows), names);
        row("a hidden name (NOWEB)", std::slice::from_ref(&noweb), names);
        let bare = json!({ "from": "99887766554433@lid" });
        row("a hidden name, and then without the number", &[gows, bare], names);
        let number = json!({ "from": "551187654321@c.us" });
        row("a number, and then a hidden name", &[number, noweb], names);
        let beside =
            json!({ "from": "551187654321@c.us", "_data": { "key": { "remoteJidAlt": "99887766554433@lid" } } });
        row("a number with the hidden name", &[beside], names);
        let device = json!({ "from": "15550100003:12@s.whatsapp.net" });
        row("a device", &[device], &["+1 555 010 0003", "15550100003@c.us", "15550100003:4@s.whatsapp.net"]);
    }
    let mut row = |appears, payload: Value, names| {
        rows.push(Row { upstream: Upstream::Gateway, appears, deliveries: vec![gateways(&payload)], names });
    };
    let names = &["99887766554433@lid", "+55 (11) 98765-4321", "551187654321@s.whatsapp.net"];
    let both = json!({
        "chatJid": "551187654321@s.whatsapp.net", "senderJid": "551187654321@s.whatsapp.net", "senderLid": "99887766554433@lid",
    });
    row("a number with the hidden name", both, names);
    let hidden = json!({
        "chatJid": "99887766554433@lid", "senderLid": "99887766554433@lid", "senderAlt": "551187654321@s.whatsapp.net",
    });
    row("a hidden name with the number", hidden, names);
    let chat = json!({ "chatJid": "99887766554433@lid", "senderJid": "551187654321:9@s.whatsapp.net" });
    row("a hidden chat, and a device", chat, names);
    let mut row = |appears, handle: &str, names| {
        rows.push(Row { upstream: Upstream::Linq, appears, deliveries: vec![linqs(handle)], names });
    };
    row("a number", "+15550100003", &["+1 (555) 010-0003", "5f0c2a6e-1b3d-4e5f-8a9b-0c1d2e3f4a5b"]);
    row("Brazil", "+5511987654321", &["+55 11 8765-4321", "5511987654321"]);
    row("an e-mail address", "Ada@Fiction.example", &["ada@fiction.example", "ADA@FICTION.EXAMPLE"]);
    rows
}

/// A message to Meta's API, or in NXCloud's form.
fn business(upstream: Upstream, number: u32, message: &Value) -> Value {
    let id = format!("wamid.FICTION{number}");
    let seconds = (1_767_225_600 + number).to_string();
    let mut whole =
        json!({ "id": id, "timestamp": seconds, "type": "text", "text": { "body": format!("words {number}") } });
    whole.as_object_mut().expect("an object").extend(message.as_object().expect("an object").clone());
    let ours = "12025550100";
    if upstream == Upstream::NxCloud {
        return json!({ "business_phone": ours, "messaging_product": "whatsapp", "messages": [whole] });
    }
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": ours, "phone_number_id": meta::NUMBER },
        "messages": [whole],
    });
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "9", "changes": [{ "field": "messages", "value": value }] }] })
}

/// A message in the envelope of Wawp and WAHA.
fn session(number: u32, payload: &Value) -> Value {
    let from = payload["from"].as_str().expect("a chat");
    let mut whole = json!({
        "id": format!("false_{from}_3EB0{number}"), "timestamp": 1_767_225_600 + number, "fromMe": false,
        "body": format!("words {number}"), "hasMedia": false,
    });
    whole.as_object_mut().expect("an object").extend(payload.as_object().expect("an object").clone());
    let me = json!({ "id": "12025550100@c.us", "lid": "90000000000100@lid" });
    json!({ "id": format!("evt_{number}"), "timestamp": 1_767_225_600_123_u64, "event": "message", "session": "default", "me": me, "payload": whole })
}

fn gateways(payload: &Value) -> Value {
    let mut whole = json!({
        "waMessageId": "3EB0EXAMPLE0001", "fromMe": false, "type": "text", "body": "words 1", "hasMedia": false,
        "timestamp": 1_767_225_599_000_u64,
    });
    whole.as_object_mut().expect("an object").extend(payload.as_object().expect("an object").clone());
    let session = "01J00000000000000000000001";
    json!({ "id": "evt_1", "event": "message", "session": session, "timestamp": 1_767_225_600_250_u64, "payload": whole })
}

fn linqs(handle: &str) -> Value {
    json!({
        "api_version": "v3", "webhook_version": "2026-02-03", "event_type": "message.received", "event_id": "e1",
        "created_at": "2026-02-05T19:31:13.736Z",
        "data": {
            "id": "11111111-2222-4333-8444-000000000004", "direction": "inbound",
            "chat": { "id": "5f0c2a6e-1b3d-4e5f-8a9b-0c1d2e3f4a5b", "is_group": false },
            "sender_handle": { "handle": handle, "is_me": false },
            "parts": [{ "type": "text", "value": "words 1" }],
            "sent_at": "2026-02-05T19:31:12.5Z",
        },
    })
}
