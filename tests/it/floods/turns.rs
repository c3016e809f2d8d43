//! Turns under a flood: each holds so much, and all of them together.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use threedots::sandbox::Draft;
use threedots::store::MOST_CLAIMED;
use threedots::turn::worker::WorkerConfig;
use threedots::{Content, Handler, HandlerError, Reply, Turn};
use tokio::sync::Notify;

use crate::world::Setup;

/// Says how many messages it was asked about, and the first and the last of them.
fn count() -> impl Handler {
    |turn: &Turn| {
        let words: Vec<_> = turn.messages.iter().filter_map(|message| message.content.words()).collect();
        Reply::text(format!("{}: {} to {}", words.len(), words[0], words[words.len() - 1]))
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_queue_is_answered_in_several_turns_in_order() {
    let mut setup = Setup::new(count());
    setup.gate.per_minute = 1000;
    let mut world = setup.build();
    for number in 1..=2 * MOST_CLAIMED + 50 {
        world.write(&number.to_string());
    }
    world.pass(5).await;
    world.work();
    world.pass(60).await;
    assert_eq!(world.replies(), ["100: 1 to 100", "100: 101 to 200", "50: 201 to 250"]);
    assert!(world.dead().await.is_empty());
}

/// Takes twenty seconds.
struct Slow;

#[async_trait]
impl Handler for Slow {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(Reply::text("done"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_for_which_there_is_no_memory_waits_for_the_end_of_another() {
    for (memory, at_once) in [(1, 1), (128 << 20, 3)] {
        let mut setup = Setup::new(Slow);
        setup.worker = WorkerConfig { memory, ..WorkerConfig::default() };
        let world = setup.start();
        let customers = [1, 2, 3].map(|number| world.customer(number));
        for customer in &customers {
            world.write_as(customer, "hello");
        }
        world.pass(25).await;
        let replies = || customers.iter().filter(|customer| !world.replies_to(customer).is_empty()).count();
        assert_eq!(replies(), at_once);
        world.pass(50).await;
        assert_eq!(replies(), 3);
    }
}

/// Fetches an image, and holds it until it is told to let go.
struct Hoards(Arc<Notify>);

#[async_trait]
impl Handler for Hoards {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let Some(Content::Media(media)) = turn.newest().map(|newest| &newest.content) else {
            return Ok(Reply::text("no image"));
        };
        match turn.media.fetch(media).await {
            Ok(image) => {
                self.0.notified().await;
                Ok(Reply::text(format!("{} bytes", image.data.len())))
            }
            Err(error) => Ok(Reply::text(error.to_string())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn media_that_handlers_hold_leave_so_much_room_for_others() {
    let let_go = Arc::new(Notify::new());
    let mut setup = Setup::new(Hoards(Arc::clone(&let_go)));
    // Room for one that is as large as may be.
    setup.worker.media_memory = setup.turn.media_limit;
    let world = setup.start();
    let [one, other] = [1, 2].map(|number| world.customer(number));
    let send = |customer| world.sandbox.write(customer, Draft::image(None)).expect("a customer");
    send(&one);
    world.pass(1).await;
    send(&other);
    world.pass(10).await;
    let none = "the medium cannot be fetched: too many media are held in memory";
    assert_eq!((world.replies_to(&one).len(), world.replies_to(&other)), (0, vec![none.to_owned()]));
    let_go.notify_one();
    world.pass(10).await;
    assert_eq!(world.replies_to(&one).len(), 1);
    send(&other);
    world.pass(1).await;
    let_go.notify_one();
    world.pass(10).await;
    assert_eq!(world.replies_to(&other)[1], world.replies_to(&one)[0]);
}
