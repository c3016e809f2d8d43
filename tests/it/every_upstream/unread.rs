//! A message that cannot be read: its operator is told, and it is kept as it came.

use serde_json::{Value, json};
use threedots::admin::telemetry::LogLevel;
use threedots::sandbox::Upstream;

use super::contract::{Delivered, logged};

/// What everybody's message has in its words, and nothing else of ours has.
const WORDS: &str = "nobody-reads-these-words";

/// A customer's message in a form that its upstream does not have: where its words should be there is something else.
async fn broken(upstream: Upstream) -> String {
    let delivered = Delivered::by(upstream).await;
    let mut body: Value = serde_json::from_slice(&delivered.request.body).expect("JSON");
    let odd = json!([WORDS]);
    let place = match upstream {
        Upstream::Meta => "/entry/0/changes/0/value/messages/0/text",
        Upstream::NxCloud => "/messages/0/text",
        Upstream::Wawp | Upstream::Waha => "/payload/id",
        Upstream::Gateway => "/payload/type",
        Upstream::Linq => "/data/parts",
    };
    let Some(there) = body.pointer_mut(place) else { panic!("{}: nothing at {place}", upstream.name()) };
    *there = odd;
    body.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_is_a_warning_and_a_dead_letter_once() {
    for upstream in Upstream::ALL {
        let name = upstream.name();
        let (world, log, _guard) = logged(upstream, LogLevel::Info);
        let body = broken(upstream).await;
        for _ in 0..3 {
            assert_eq!(world.sandbox.inject(body.clone()).await, Some(200), "{name}");
        }
        world.pass(30).await;
        assert_eq!(world.calls(), Vec::<String>::new(), "{name}");
        let dead = world.dead().await;
        let [letter] = &dead[..] else { panic!("{name}: {dead:?}") };
        assert!(letter.unread, "{name}");
        let shown = serde_json::to_string(&letter.message.inbound.content).expect("JSON");
        assert!(shown.contains(WORDS), "{name}: {shown}");
        let written = log.written();
        let told: Vec<_> =
            written.lines().filter(|line| line.contains("WARN") && line.contains("dead letter")).collect();
        let [line] = told[..] else { panic!("{name}: {written}") };
        assert!(line.contains("shop") && line.contains(&letter.message.seq.to_string()), "{name}: {line}");
        assert!(!written.contains(WORDS) && !written.contains("5550100001"), "{name}: {written}");
        // Whose it is stands in it, in whatever form.
        let forgotten =
            world.store.forget(&letter.message.inbound.at.bot, "+15550100001").await.expect("the store works");
        assert_eq!((forgotten.dead, world.dead().await.len()), (1, 0), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_stays_a_count() {
    const NONE: [&str; 6] = [
        r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"106540352242922"},"statuses":[{"id":7}]}}]}]}"#,
        r#"{"statuses":[{"id":7}]}"#,
        r#"{"event":"message.ack","payload":{"ack":"x"}}"#,
        r#"{"event":"message.status","payload":{"status":[]}}"#,
        r#"{"event_type":"message.delivered","data":{}}"#,
        r#"{"event":"message","payload":{"fromMe":true}}"#,
    ];
    for upstream in Upstream::ALL {
        let (world, ..) = logged(upstream, LogLevel::Info);
        for body in NONE {
            assert_eq!(world.sandbox.inject(body).await, Some(200), "{}: {body}", upstream.name());
        }
        assert_eq!(world.dead().await, [], "{}", upstream.name());
    }
}
