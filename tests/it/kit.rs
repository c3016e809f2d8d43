//! The kit for tests of handlers, as somebody uses it who writes one.

use std::time::Duration;

use threedots::message::{Media, MediaKind, MediaSource, Speaker};
use threedots::sandbox::{Calls, Failure, Fault, Upstream};
use threedots::testing::Setup;
use threedots::{Handler, HandlerError, Reply, Turn};

/// A handler that looks something up, and breathes in between.
struct Librarian;

#[async_trait::async_trait]
impl Handler for Librarian {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(4)).await;
        turn.presence.beat();
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(Reply::text(format!("{} of {}", turn.messages.len(), turn.history.len())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_one_turn_and_a_beat_can_be_seen() {
    for upstream in Upstream::ALL {
        let mut setup = Setup::on(upstream, Librarian);
        setup.merge.quiet = Duration::from_secs(1);
        let world = setup.start();
        for words in ["is there", "a book", "on dots?"] {
            world.write(words);
        }
        world.pass(30).await;
        assert_eq!(world.replies(), ["3 of 0"], "{upstream:?}");
        let beats = world
            .seen()
            .iter()
            .filter(|seen| seen.contains("dots off") && !seen.contains("reply") && !seen.contains("lapsed"))
            .count();
        let can = world.provider.abilities().typing.stop.is_some();
        assert_eq!(beats, usize::from(can), "{upstream:?}: {:?}", world.seen());
        let history = world.history().await;
        let words: Vec<_> = history.iter().map(|said| (said.by, said.words.as_str())).collect();
        let customer = |words| (Speaker::Customer, words);
        let expected = [customer("is there"), customer("a book"), customer("on dots?"), (Speaker::Bot, "3 of 0")];
        assert_eq!(words, expected, "{upstream:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_tried_behind_an_upstream_in_trouble() {
    let world = Setup::new(Librarian).start();
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(60) }).once());
    world.write("hello");
    world.pass(120).await;
    assert_eq!(world.replies(), ["1 of 0"]);
    assert!(world.calls().contains(&"66 s: send".to_owned()), "{:?}", world.calls());
}

#[tokio::test(start_paused = true)]
async fn media_in_hand_are_uploaded_and_seen_on_the_phone() {
    for upstream in [Upstream::Meta, Upstream::NxCloud, Upstream::Linq] {
        let picture = |_: &Turn| {
            let source = MediaSource::Bytes { data: vec![7; 5000].into(), mime: "image/png".into() };
            Reply::media(Media { kind: MediaKind::Image, source, caption: Some("look".into()), filename: None })
        };
        let world = Setup::on(upstream, picture).start();
        world.write("show me");
        world.pass(20).await;
        assert_eq!(world.replies(), ["look"], "{upstream:?}: {:?}", world.dead().await);
    }
}
