//! A reply in the place of an answer that was not to be had: the customer gets it, and what was asked can be replayed.

use std::sync::{Arc, Mutex};

use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::store::DeadLetter;
use threedots::{Part, Reply, Turn};

use crate::world::{Setup, World};

/// What the handler was told, a line for each thing said, in each turn.
type Told = Arc<Mutex<Vec<Vec<String>>>>;

/// A handler that has no answer to what begins with a question mark, the first time.
fn handler(told: &Told) -> impl Fn(&Turn) -> Reply + Send + Sync + 'static {
    let told = Arc::clone(told);
    move |turn: &Turn| {
        let mut told = told.lock().expect("no test panics in here");
        let is_new = told.iter().all(|before| before.last() != Some(&turn.text()));
        told.push(turn.history.iter().map(|said| said.words.clone()).chain([turn.text()]).collect());
        if turn.text().starts_with('?') && is_new {
            let parts = vec![Part::text("Later, please.")];
            return Reply::Fallback { parts, reason: "nothing answers".into() };
        }
        Reply::text(format!("You said: {}", turn.text()))
    }
}

fn asked(letter: &DeadLetter) -> (&str, &str) {
    (letter.message.inbound.content.words().unwrap_or_default(), &letter.reason)
}

async fn replay(world: &World) {
    for letter in world.dead().await {
        assert!(world.store.replay(letter.message.seq).await.expect("a store in memory").is_some());
    }
    world.pass(60).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_sent_and_remembered_and_all_that_it_stands_for_is_replayed_and_told_once() {
    for upstream in Upstream::ALL {
        let told = Told::default();
        let mut setup = Setup::on(upstream, handler(&told));
        setup.merge.quiet = std::time::Duration::from_secs(2);
        assert!(setup.failure_reply.enabled, "and none comes besides");
        let world = setup.start();
        world.write("?open");
        world.write("?today");
        world.pass(60).await;
        assert_eq!(world.replies(), ["Later, please."], "{}", upstream.name());
        let dead = world.dead().await;
        assert_eq!(
            dead.iter().map(asked).collect::<Vec<_>>(),
            [("?open", "nothing answers"), ("?today", "nothing answers")]
        );
        world.write("hello");
        world.pass(60).await;
        replay(&world).await;
        assert_eq!(world.replies()[1..], ["You said: hello", "You said: ?open\n?today"]);
        assert!(world.dead().await.is_empty());
        world.write("thanks");
        world.pass(60).await;
        let told = told.lock().expect("no test panics in here");
        let expected: [&[&str]; 4] = [
            &["?open\n?today"],
            &["?open", "?today", "Later, please.", "hello"],
            &["Later, please.", "hello", "You said: hello", "?open\n?today"],
            &["Later, please.", "hello", "You said: hello", "?open", "?today", "You said: ?open\n?today", "thanks"],
        ];
        assert_eq!(*told, expected, "{}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_off_or_refused_leaves_dead_letters_all_the_same() {
    for (fault, words) in [(Failure::TooMany { retry_after: Some(500) }, Some("stop")), (Failure::Undeliverable, None)]
    {
        let world = Setup::new(handler(&Told::default())).start();
        world.sandbox.faults().add(Fault::on(Calls::Send).fail(fault));
        world.write("?open");
        world.pass(10).await;
        words.into_iter().for_each(|words| drop(world.write(words)));
        world.pass(10).await;
        world.sandbox.faults().clear();
        world.pass(600).await;
        assert_eq!(world.replies(), [""; 0]);
        let dead = world.dead().await;
        let [letter] = &dead[..] else { panic!("{} dead letters", dead.len()) };
        assert!(letter.reason.starts_with("nothing answers"), "{}", letter.reason);
        assert_eq!(asked(letter).0, "?open");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_being_sent_when_the_process_ended_leaves_dead_letters_too() {
    let told = Told::default();
    let mut world = Setup::new(handler(&told)).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(30) }).once());
    world.write("?open");
    world.pass(5).await;
    world.restart(Setup::new(handler(&told))).await;
    world.pass(120).await;
    assert_eq!(world.replies(), ["Later, please."]);
    assert_eq!(told.lock().expect("no test panics in here").len(), 1, "nobody is asked again for what is being sent");
    assert_eq!(world.dead().await.iter().map(asked).collect::<Vec<_>>(), [("?open", "nothing answers")]);
    replay(&world).await;
    assert_eq!(world.replies()[1..], ["You said: ?open"]);
}
