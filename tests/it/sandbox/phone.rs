//! The phone's rules.

use threedots::sandbox::phone::{Side, Tick, What, Why};
use threedots::sandbox::{Customer, CustomerId, Draft, SandboxSettings};

use super::*;

#[tokio::test(start_paused = true)]
async fn the_story_of_one_answer_is_told_in_order() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    seconds(0.5).await;
    world.type_for(&message).await;
    seconds(2.0).await;
    world.send("hi Ada").await;
    assert_eq!(
        world.sandbox.phone().story(),
        [
            "0.000 wrote #1",
            "0.000 webhook message #1: 200",
            "0.500 call 1: read and typing",
            "0.500 read #1",
            "0.500 dots on, for #1",
            "0.500 call 1: ok",
            "2.500 call 2: send",
            "2.500 reply #2 (text)",
            "2.500 dots off: reply",
            "2.500 call 2: ok",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn dots_lapse_after_exactly_25_seconds() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    seconds(24.999).await;
    assert!(world.sandbox.phone().dots_showing(&world.ada));
    seconds(0.001).await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    let seen = world.sandbox.phone().seen(&world.ada);
    let on = seen.iter().find(|moment| matches!(moment.what, What::DotsOn { .. })).unwrap();
    let off = seen.last().unwrap();
    assert_eq!(off.what, What::DotsOff { message, why: Why::Lapsed });
    assert_eq!(off.at.since(on.at), Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_lapse_wakes_those_who_wait_for_it() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    let started = tokio::time::Instant::now();
    world.sandbox.phone().wait_for(|phone| !phone.dots_showing(&world.ada)).await;
    assert_eq!(started.elapsed(), Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_lapse_that_nobody_looked_at_stands_at_its_own_time() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    tokio::time::advance(Duration::from_secs(100)).await;
    world.send("late").await;
    let story = world.sandbox.phone().story();
    assert_eq!(
        story[6..],
        ["25.000 dots off: lapsed", "100.000 call 2: send", "100.000 reply #2 (text)", "100.000 call 2: ok"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_typing_call_inside_the_cooldown_succeeds_and_shows_nothing() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    seconds(20.0).await;
    assert_eq!(world.type_for(&message).await, (200, json!({ "success": true })));
    seconds(5.0).await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada), "the second call prolongs nothing");
    assert_eq!(world.type_for(&message).await.0, 200);
    assert!(world.sandbox.phone().dots_showing(&world.ada), "at 25 s it shows again");
    let ignored = |what: &What| matches!(what, What::TypingIgnored { .. });
    assert_eq!(world.sandbox.phone().timeline().iter().filter(|moment| ignored(&moment.what)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn typing_for_a_newer_message_is_inside_the_same_cooldown() {
    let world = World::quiet();
    let first = world.ada_writes("one").await;
    world.type_for(&first).await;
    seconds(10.0).await;
    let second = world.ada_writes("two").await;
    world.type_for(&second).await;
    seconds(15.0).await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert_eq!(world.sandbox.phone().tick(&second), Some(Tick::Read), "the read half of the call counts");
}

#[tokio::test(start_paused = true)]
async fn a_typing_call_after_the_reply_shows_itself() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    seconds(1.0).await;
    world.send("hi").await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    world.type_for(&message).await;
    assert!(world.sandbox.phone().dots_showing(&world.ada));
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_shorter_than_the_lifetime_prolongs_the_dots() {
    let typing_cooldown = Duration::from_secs(5);
    let world = World::with(SandboxSettings { typing_cooldown, ..SandboxSettings::default() });
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    seconds(20.0).await;
    world.type_for(&message).await;
    seconds(24.0).await;
    assert!(world.sandbox.phone().dots_showing(&world.ada));
    seconds(1.0).await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
}

#[tokio::test(start_paused = true)]
async fn a_reaction_leaves_the_dots_on() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    let answer = world.call(&to_ada("reaction", json!({ "message_id": message.as_str(), "emoji": "👍" }))).await;
    assert_eq!(answer.0, 200);
    assert!(world.sandbox.phone().dots_showing(&world.ada));
    assert_eq!(world.sandbox.phone().message(&message).unwrap().reaction.as_deref(), Some("👍"));
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
    world.call(&to_ada("reaction", json!({ "message_id": message.as_str(), "emoji": "" }))).await;
    assert_eq!(world.sandbox.phone().message(&message).unwrap().reaction, None);
}

#[tokio::test(start_paused = true)]
async fn marking_read_marks_all_earlier_messages_of_that_chat_alone() {
    let world = World::quiet();
    let grace = CustomerId::new("12125550102");
    world.sandbox.phone().add(Customer::new(grace.as_str(), "Grace"));
    let first = world.ada_writes("one").await;
    let second = world.ada_writes("two").await;
    let of_grace = world.sandbox.write(&grace, "hello".into()).unwrap();
    let third = world.ada_writes("three").await;
    world.read(&second).await;
    let tick = |id| world.sandbox.phone().tick(id);
    assert_eq!(
        [tick(&first), tick(&second), tick(&third), tick(&of_grace)],
        [Some(Tick::Read), Some(Tick::Read), Some(Tick::Sent), Some(Tick::Sent)]
    );
    assert!(!world.sandbox.phone().dots_showing(&world.ada), "a read receipt alone shows no dots");
}

#[tokio::test(start_paused = true)]
async fn the_dots_of_one_customer_are_no_others() {
    let world = World::quiet();
    let grace = CustomerId::new("12125550102");
    world.sandbox.phone().add(Customer::new(grace.as_str(), "Grace"));
    let message = world.ada_writes("hello").await;
    let of_grace = world.sandbox.write(&grace, "hello".into()).unwrap();
    world.type_for(&message).await;
    assert!(!world.sandbox.phone().dots_showing(&grace));
    world.type_for(&of_grace).await;
    world.send("hi Ada").await;
    assert!(!world.sandbox.phone().dots_showing(&world.ada));
    assert!(world.sandbox.phone().dots_showing(&grace), "a reply to Ada leaves Grace's dots on");
}

#[tokio::test(start_paused = true)]
async fn a_tick_waits_for_the_webhook_to_be_taken() {
    let world = World::quiet();
    world.letterbox.answer_next([Some(503), None, Some(200)]);
    let message = world.ada_writes("hello").await;
    assert_eq!(world.sandbox.phone().tick(&message), Some(Tick::Pending));
    assert!(world.sandbox.phone().message(&message).unwrap().refused.is_some());
    seconds(3.1).await;
    assert_eq!(world.sandbox.phone().tick(&message), Some(Tick::Sent));
    assert!(world.sandbox.phone().message(&message).unwrap().refused.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_choice_quotes_the_message_that_offered_it() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let buttons = json!([{ "type": "reply", "reply": { "id": "y", "title": "Yes" } }]);
    let offer = json!({ "type": "button", "body": { "text": "Shall we?" }, "action": { "buttons": buttons } });
    assert_eq!(world.call(&to_ada("interactive", offer)).await.0, 200);
    let offer = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert!(Draft::choice(&offer, "n").is_none());
    let choice = world.sandbox.write(&world.ada, Draft::choice(&offer, "y").unwrap()).unwrap();
    let messages = world.sandbox.phone().messages(&world.ada);
    let last = messages.last().unwrap();
    assert_eq!((last.id.as_str(), last.from, last.body.words()), (choice.as_str(), Side::Customer, "Yes"));
    assert_eq!(last.quotes.as_ref(), Some(&offer.id));
    seconds(0.1).await;
    let message = world.letterbox.messages().pop().unwrap();
    assert_eq!(
        message["interactive"],
        json!({ "type": "button_reply", "button_reply": { "id": "y", "title": "Yes" } })
    );
    assert_eq!(message["context"], json!({ "from": "12125550199", "id": offer.id.as_str() }));
}

#[tokio::test(start_paused = true)]
async fn nobody_can_write_who_is_not_a_customer() {
    let world = World::quiet();
    assert!(world.sandbox.write(&CustomerId::new("1"), "hello".into()).is_err());
    assert!(world.letterbox.posts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_identifiers_and_no_seed_gives_others() {
    let (one, two) = (World::quiet(), World::quiet());
    assert_eq!(one.ada_writes("a").await, two.ada_writes("a").await);
    let clock = Clock::tokio();
    let ids = [Some(7), None].map(|seed| {
        let settings = SandboxSettings { seed, ..SandboxSettings::default() };
        let sandbox = Sandbox::new(settings, clock, Arc::new(Letterbox::default()));
        sandbox.phone().add(Customer::new(ADA, "Ada"));
        sandbox.write(&ADA.into(), "a".into()).unwrap()
    });
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test(start_paused = true)]
async fn debug_output_holds_nothing_that_anybody_wrote() {
    let world = World::quiet();
    let message = world.ada_writes("my secret").await;
    world.send("your secret").await;
    let phone = world.sandbox.phone();
    let shown = format!("{:?} {:?} {:?}", phone.timeline(), phone.messages(&world.ada), phone.customers());
    for hidden in ["secret", ADA, "Ada", message.as_str()] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_everything_that_is_under_way() {
    let world = World::with(SandboxSettings::default());
    world.letterbox.answer_next([Some(503), Some(503)]);
    let message = world.ada_writes("hello").await;
    world.type_for(&message).await;
    world.send("hi").await;
    world.sandbox.shutdown().await;
    let posts = world.letterbox.posts().len();
    seconds(600.0).await;
    assert_eq!(world.letterbox.posts().len(), posts);
    assert!(matches!(world.sandbox.handle(post("messages", &text("late"))).await, UpstreamAnswer::Reset));
}
