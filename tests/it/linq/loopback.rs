//! The adapter against Linq's side of the sandbox: what neither side can get right alone.

use std::sync::Arc;

use bytes::Bytes;
use threedots::message::reply::{Media, MediaSource, Payload};
use threedots::message::{Content, Inbound, MediaKind, MessageRef, Part, PartKey};
use threedots::provider::{Activity, ErrorCode, Provider, ProviderError};
use threedots::sandbox::phone::{Body, Source};
use threedots::sandbox::{Customer, Draft, Upstream};

use crate::world::{Setup, World, echo};

/// Nobody works off what comes in: the test is the bot.
fn world() -> World {
    Setup::on(Upstream::Linq, echo()).build()
}

/// The customer sends something, and this is what came in.
async fn received(world: &World, draft: Draft) -> Inbound {
    world.sandbox.write(&world.customer, draft).expect("a customer");
    world.pass(1).await;
    let claim = world.store.claim(std::time::Duration::from_secs(60)).await.expect("it came in");
    let newest = claim.messages.last().expect("a message").inbound.clone();
    let settlement = threedots::store::Settlement::Later { at: world.clock.now() };
    world.store.settle(claim, settlement).await.expect("given back");
    newest
}

async fn send(world: &World, to: &MessageRef, key: &str, part: impl Into<Part>) -> Result<(), ProviderError> {
    let part = part.into();
    world.provider.check(&part).expect("it keeps to the limits");
    world.provider.send(to, &part, &PartKey::new(key)).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_medium_in_hand_reaches_the_phone() {
    let world = world();
    let at = received(&world, Draft::text("hello")).await.at;
    let data = Bytes::from_static(b"a picture");
    let id = world.provider.upload_media(data, "image/png").await.expect("it is taken");
    let media = Media {
        kind: MediaKind::Image,
        source: MediaSource::Uploaded(id),
        caption: Some("Look".into()),
        filename: None,
    };
    send(&world, &at, "1", Payload::Media(media)).await.expect("sent");
    let reply = world.phone().replies(&world.customer).pop().expect("a reply");
    let Body::Media { kind, source: Source::Stored(_), caption, .. } = reply.body else { panic!("a medium in store") };
    assert_eq!((kind, caption.as_deref()), ("image", Some("Look")));
}

#[tokio::test(start_paused = true)]
async fn a_medium_of_a_customers_is_fetched_and_again_when_its_address_has_died() {
    let world = world();
    let Content::Media(media) = received(&world, Draft::image(Some("Look"))).await.content else { panic!("an image") };
    assert_eq!((media.kind, media.caption.as_deref()), (MediaKind::Image, Some("Look")));
    let fetch = || async {
        let download = world.provider.fetch_media(&media, 1 << 20).await.expect("it is there");
        (download.mime.clone(), download.into_memory().await.expect("it can be read"))
    };
    let first = fetch().await;
    assert_eq!(first.0.as_deref(), Some("image/png"));
    world.pass(3601).await;
    assert_eq!(fetch().await, first);
}

#[tokio::test(start_paused = true)]
async fn a_quote_and_a_reaction_find_the_customers_message() {
    let world = world();
    let inbound = received(&world, Draft::text("hello")).await;
    send(&world, &inbound.at, "1", Part { quote: true, ..Part::text("hi") }).await.expect("sent");
    assert_eq!(world.phone().replies(&world.customer)[0].quotes.as_ref(), Some(&inbound.at.message));
    let reaction = |emoji: &str| Payload::Reaction { message: None, emoji: emoji.into() };
    for emoji in ["👍", "🥐"] {
        send(&world, &inbound.at, "2", reaction(emoji)).await.expect("sent");
        let shown = world.phone().message(&inbound.at.message).expect("it is there").reaction;
        assert_eq!(shown.as_deref(), Some(emoji));
    }
    send(&world, &inbound.at, "3", reaction("")).await.expect("sent");
    assert_eq!(world.phone().message(&inbound.at.message).expect("it is there").reaction, None);
}

#[tokio::test(start_paused = true)]
async fn a_customers_reaction_comes_in_with_its_emoji() {
    let world = world();
    let hello = received(&world, Draft::text("hello")).await.at.message;
    for emoji in ["❤️", "🥐"] {
        let Content::Reaction { message, emoji: came } = received(&world, Draft::reaction(&hello, emoji)).await.content
        else {
            panic!("a reaction")
        };
        assert_eq!((message, came.as_deref()), (hello.clone(), Some(emoji)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_that_is_repeated_under_its_key_shows_once() {
    let world = world();
    let at = received(&world, Draft::text("hello")).await.at;
    for _ in 0..3 {
        send(&world, &at, "1", Part::text("hi")).await.expect("sent");
    }
    assert_eq!(world.replies(), ["hi"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_opted_out_is_not_written_to() {
    let world = world();
    let at = received(&world, Draft::text("STOP")).await.at;
    let refused = send(&world, &at, "1", Part::text("Goodbye")).await;
    assert_eq!(refused, Err(ProviderError::OptedOut { code: ErrorCode::Upstream(2024) }));
}

#[tokio::test(start_paused = true)]
async fn a_group_gets_an_answer_and_no_dots() {
    let world = world();
    let member = Customer { group: Some("bakers".into()), ..Customer::new("15550100009", "Bob") };
    world.phone().add(member.clone());
    world.sandbox.write(&member.id, "hello all".into()).expect("a customer");
    world.pass(1).await;
    let claim = world.store.claim(std::time::Duration::from_secs(60)).await.expect("it came in");
    let at = claim.messages[0].inbound.at.clone();
    assert!(at.group);
    let provider: &Arc<dyn Provider> = &world.provider;
    assert!(provider.start_typing(&at, Activity::Typing).await.is_err());
    assert!(!world.phone().dots_showing(&member.id));
    send(&world, &at, "1", Part::text("hello to you all")).await.expect("sent");
    assert_eq!(world.replies_to(&member.id), ["hello to you all"]);
}
