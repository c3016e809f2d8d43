//! Half a surrogate pair, as whoever cuts text by UTF-16 units writes it: nothing is lost for it.

use threedots::sandbox::Upstream;

use super::contract::Delivered;
use crate::world::{Setup, World, echo};

/// What stands in a message's JSON, and how it is read.
const WRITTEN: [(&str, &str); 4] = [
    (r"nice \ud83d", "nice \u{fffd}"),
    (r"\ude00\ud83d nice", "\u{fffd}\u{fffd} nice"),
    (r"\ud83d\ude00 \\ud83d", "😀 \\ud83d"),
    (r"nice \uD83D\n", "nice \u{fffd}"),
];

/// A customer's message, with other words in it.
async fn delivery(upstream: Upstream, words: &str) -> String {
    let delivered = Delivered::by(upstream).await;
    let body = String::from_utf8(delivered.request.body.to_vec()).expect("text");
    assert!(body.contains("\"hello\""), "{}", upstream.name());
    body.replace("\"hello\"", &format!("\"{words}\""))
}

/// A bot that has been written to before, under other names than a delivery's.
async fn world(upstream: Upstream) -> World {
    let mut setup = Setup::on(upstream, echo());
    setup.sandbox.seed = Some(8);
    let world = setup.start();
    world.write("first");
    world.pass(20).await;
    world
}

#[tokio::test(start_paused = true)]
async fn half_a_pair_in_a_message_is_answered_with_a_sign_in_its_place() {
    for upstream in Upstream::ALL {
        for (written, read) in WRITTEN {
            let world = world(upstream).await;
            let body = delivery(upstream, written).await;
            assert_eq!(world.sandbox.inject(body).await, Some(200), "{}: {written}", upstream.name());
            world.pass(20).await;
            let replies: Vec<_> = world.replies().into_iter().map(|reply| reply.trim().to_owned()).collect();
            assert_eq!(replies, ["You said: first", &format!("You said: {read}")], "{}: {written}", upstream.name());
        }
    }
}

/// Whose message it is, whatever stands beside it: in a key, in a name, in a value that nobody reads.
#[tokio::test(start_paused = true)]
async fn half_a_pair_anywhere_else_in_a_delivery_does_no_harm_either() {
    for upstream in Upstream::ALL {
        let world = world(upstream).await;
        let body = delivery(upstream, "hello").await;
        let elsewhere = body.replacen('{', r#"{"\udc00 key": {"deep": ["\ud800"]}, "#, 1).replace("Ada", r"Ad\ud83d");
        assert_eq!(world.sandbox.inject(elsewhere).await, Some(200), "{}", upstream.name());
        world.pass(20).await;
        assert_eq!(world.replies(), ["You said: first", "You said: hello"], "{}", upstream.name());
    }
}
