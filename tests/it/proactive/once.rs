//! Once for its key: whoever asks again, at the same time or much later, and whatever has come in between.

use futures_util::future::join_all;
use threedots::store::disk::MemorySettings;
use threedots::store::disk::{self, Disk, EngineKind};

use super::*;

#[tokio::test(start_paused = true)]
async fn fifty_requests_at_the_same_time_send_one_message() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, echo()).start();
        let api = api_of(&world);
        world.write("hello");
        world.pass(5).await;
        let said = json!({ "contact": ADA, "text": "once" });
        let answers = join_all((0..50).map(|_| send(&api, "one-key", &said))).await;
        assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 202), "{upstream:?}: {answers:?}");
        world.pass(10).await;
        assert_eq!(world.replies(), ["You said: hello", "once"], "{upstream:?}");
        let shuffled = r#"{ "text" : "once", "contact":"+1 (555) 010-0001" }"#;
        let again = serde_json::from_str(shuffled).expect("JSON");
        assert_eq!(send(&api, "one-key", &again).await, answers[0], "{upstream:?}: it says the same");
        let (status, refused) = send(&api, "one-key", &json!({ "contact": ADA, "text": "twice" })).await;
        assert_eq!(status, 409, "{upstream:?}: {refused}");
        world.pass(7 * 24 * 3600).await;
        assert_eq!(send(&api, "one-key", &said).await, answers[0], "{upstream:?}: a week later");
        world.pass(10).await;
        assert_eq!(world.replies().len(), 2, "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_changes_nothing_about_it() {
    let setup = || {
        let mut setup = Setup::on(Upstream::Wawp, echo());
        setup.delivery.attempts = 20;
        setup
    };
    let mut world = setup().start();
    let api = api_of(&world);
    world.write("hello");
    world.pass(5).await;
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(30) }).times(3));
    let said = json!({ "contact": ADA, "text": "once" });
    let taken = send(&api, "one-key", &said).await;
    for _ in 0..4 {
        world.pass(10).await;
        world.restart(setup()).await;
        assert_eq!(send(&api_of(&world), "one-key", &said).await, taken);
    }
    world.pass(200).await;
    assert_eq!(world.replies(), ["You said: hello", "once"]);
}

/// What was asked of a store on disk by one process is known to the next; what it was asked again meanwhile, too.
#[tokio::test]
async fn a_key_is_known_to_the_next_process_and_not_for_another_bot() {
    let world = Setup::new(echo()).build();
    for kind in EngineKind::ALL {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || {
            let settings =
                disk::DiskSettings { kind, path: directory.path().join("store"), ..disk::DiskSettings::default() };
            Arc::new(Disk::open(settings, Clock::System).expect("a store")) as Arc<dyn Store>
        };
        let store = open();
        let said = json!({ "contact": "+49 170 1234567", "parts": [templated()] });
        let answers = join_all((0..50).map(|_| {
            let api = api(&store, &world.provider, Clock::System);
            let said = said.clone();
            async move { send(&api, "one-key", &said).await }
        }));
        let answers = answers.await;
        assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 202), "{kind:?}: {answers:?}");
        assert_eq!(store.backlog().messages, 1, "{kind:?}");
        store.close().await;
        let store = open();
        let api = api(&store, &world.provider, Clock::System);
        assert_eq!(store.backlog().messages, 1, "{kind:?}");
        assert_eq!(stages(&api, &answers[0].1).await, ["waiting"], "{kind:?}");
        assert_eq!(send(&api, "one-key", &said).await, answers[0], "{kind:?}");
        let (status, _) = send(&api, "one-key", &json!({ "contact": "+49 170 7654321", "parts": [templated()] })).await;
        assert_eq!(status, 409, "{kind:?}");
        // Whoever is forgotten takes what was to be said to them along.
        let (_, forgotten) = post(&api, "/v1/forget", &json!({ "bot": BOT, "contact": "+49 170 1234567" })).await;
        assert_eq!((&forgotten["conversations"], &forgotten["waiting"]), (&json!(1), &json!(1)), "{kind:?}");
        assert_eq!(stages(&api, &answers[0].1).await, ["none"], "{kind:?}");
        assert_eq!(send(&api, "one-key", &said).await.0, 202, "{kind:?}: and the key is free again");
        store.close().await;
        assert_eq!(send(&api, "other-key", &said).await.0, 503, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_full_takes_nothing_in_and_the_key_stays_free() {
    let world = Setup::on(Upstream::Gateway, echo()).build();
    let settings = MemorySettings { max_waiting: 1, ..MemorySettings::default() };
    let store: Arc<dyn Store> = Arc::new(Disk::in_memory(Clock::tokio(), &settings));
    let api = api(&store, &world.provider, Clock::tokio());
    assert_eq!(send(&api, "one", &json!({ "contact": ADA, "text": "one" })).await.0, 202);
    let two = json!({ "contact": ADA, "text": "two" });
    assert_eq!(send(&api, "two", &two).await.0, 503);
    let claim = store.claim(Duration::from_secs(60)).await.expect("the first");
    assert_eq!((claim.messages.len(), claim.proactive_messages.len()), (0, 1));
    let endings = vec![(claim.proactive_messages[0].seq, threedots::store::Ending::Silent)];
    let done = threedots::store::Settlement::Done(threedots::store::Settled {
        endings,
        said: vec![],
        failure_replied: None,
        sent: vec![],
        failed: 0,
    });
    store.settle(claim, done).await.expect("settled");
    assert_eq!(send(&api, "two", &two).await.0, 202);
}
