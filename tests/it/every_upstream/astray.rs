//! Deliveries that reach no bot: their operator is told, once a minute, and of whom they are for nobody is.

use threedots::admin::telemetry::LogLevel;
use threedots::ingress::webhook::{ServerConfig, Webhooks};
use threedots::message::clock::Clock;
use threedots::provider::{Method, WebhookRequest};
use threedots::runtime::meters::Meters;
use threedots::sandbox::Upstream;
use threedots::store::disk::{Disk, MemorySettings};

use super::contract::{Delivered, logged};
use crate::world::inlets;

/// By which setting of theirs deliveries are a bot's. Wawp's page does not say what its session is.
const BY: [(Upstream, &str); 5] = [
    (Upstream::Meta, "phone_number_id"),
    (Upstream::NxCloud, "business_phone"),
    (Upstream::Waha, "session"),
    (Upstream::Gateway, "session"),
    (Upstream::Linq, "number"),
];

fn lines<'a>(written: &'a str, what: &str) -> Vec<&'a str> {
    written.lines().filter(|line| line.contains(what)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_delivery_for_another_number_is_told_once_a_minute_with_what_to_do() {
    const TOLD: &str = "another number than this bot's";
    for (upstream, setting) in BY {
        let (world, log, _guard) = logged(upstream, LogLevel::Info);
        let table = world.sandbox.settings().provider_table("http://127.0.0.1:1");
        let ours =
            table.lines().find_map(|line| line.trim().strip_prefix(&format!("{setting} = \""))?.strip_suffix('"'));
        let ours = ours.unwrap_or_else(|| panic!("{}: {table}", upstream.name()));
        let theirs = format!("{}987654", &ours[..ours.len() - 6]);
        let body = String::from_utf8(Delivered::by(upstream).await.request.body.to_vec()).expect("text");
        assert!(body.contains(ours), "{}: {body}", upstream.name());
        let astray = body.replace(ours, &theirs);
        for _ in 0..3 {
            assert_eq!(world.sandbox.inject(astray.clone()).await, Some(200), "{}", upstream.name());
        }
        let written = log.written();
        let [line] = lines(&written, TOLD)[..] else { panic!("{}: {written}", upstream.name()) };
        assert!(line.contains("WARN") && line.contains(setting) && line.contains("shop"), "{line}");
        assert!(!written.contains(&theirs) && !written.contains(ours), "{written}");
        if upstream == Upstream::Meta {
            assert!(line.contains("…7654") && line.contains(&format!("…{}", &ours[ours.len() - 4..])), "{line}");
        } else {
            assert!(!line.contains("7654"), "{line}");
        }
        world.pass(61).await;
        assert_eq!(world.sandbox.inject(astray).await, Some(200));
        let written = log.written();
        let [_, line] = lines(&written, TOLD)[..] else { panic!("{}: {written}", upstream.name()) };
        assert!(line.contains("times=3") || line.contains("times\":3"), "{line}");
        assert_eq!(world.calls(), Vec::<String>::new(), "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_webhook_for_no_bot_is_told_once_a_minute_for_each_name_and_of_many_names_few() {
    let (world, log, _guard) = logged(Upstream::Meta, LogLevel::Info);
    let store = std::sync::Arc::new(Disk::in_memory(Clock::tokio(), &MemorySettings::default()));
    let bots = inlets(world.provider.clone(), Default::default(), Default::default());
    let webhooks = Webhooks::new(bots, store, Clock::tokio(), &ServerConfig::default(), Meters::default());
    let request = WebhookRequest { method: Method::Post, ..Delivered::by(Upstream::Meta).await.request };
    let knock = async |name: &str| assert_eq!(webhooks.receive(name, &request).await.status, 404, "{name}");
    for name in ["shpo", "shpo", "Shop 15550100001", "shpo", "x\nWARN forged", "\u{202e}"] {
        knock(name).await;
    }
    let written = log.written();
    let told = lines(&written, "a bot that is not there");
    assert_eq!(told.len(), 2, "{written}");
    assert!(told[0].contains("WARN") && told[0].contains("shpo"), "{written}");
    assert!(told[1].contains("a name that no bot can have"), "{written}");
    assert!(!written.contains("15550100001") && !written.contains("forged"), "{written}");
    for number in 0..5000 {
        knock(&format!("guess-{number}")).await;
    }
    let written = log.written();
    let told = lines(&written, "a bot that is not there");
    assert!(told.len() < 20, "{} lines", told.len());
    assert!(told.last().is_some_and(|line| line.contains("one of many other names")), "{written}");
}
