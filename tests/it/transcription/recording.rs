//! The other way round: before a voice note of the bot's, the customer sees that it is being recorded.

use std::time::Duration;

use async_trait::async_trait;
use threedots::handler::{Handler, HandlerError, Turn};
use threedots::message::{Media, MediaKind, MediaSource, Part, Payload, Reply};
use threedots::sandbox::phone::What;
use threedots::sandbox::{Calls, Fault, Upstream};

use crate::world::{Setup, World};

/// Thinks for so many seconds, and answers with its voice.
struct Speaker(u64);

fn voice() -> Part {
    let source = MediaSource::Link("https://media.example/voice.ogg".into());
    Payload::Media(Media { kind: MediaKind::Voice, source, caption: None, filename: None }).into()
}

#[async_trait]
impl Handler for Speaker {
    async fn reply(&self, _: &Turn) -> Result<Reply, HandlerError> {
        tokio::time::sleep(Duration::from_secs(self.0)).await;
        Ok(voice().into())
    }
}

/// What the customer saw of the dots and of the reply, each with its tenth of a second.
fn seen(world: &World) -> Vec<String> {
    let seen = world.phone().seen(&world.customer);
    let start = seen.first().map(|moment| moment.at).unwrap_or_default();
    let tell = |moment: &threedots::sandbox::phone::Moment| {
        let what = match &moment.what {
            What::DotsOn { recording: false, .. } => "typing",
            What::DotsOn { recording: true, .. } => "recording",
            What::DotsOff { .. } => "off",
            What::Reply { .. } => "reply",
            _ => return None,
        };
        Some(format!("{:.1} {what}", moment.at.since(start).as_secs_f64()))
    };
    seen.iter().filter_map(tell).collect()
}

#[tokio::test(start_paused = true)]
async fn a_voice_note_of_ours_is_seen_to_be_recorded_where_that_can_be_seen() {
    for upstream in Upstream::ALL {
        let world = Setup::on(upstream, Speaker(4)).start();
        world.write("sing for me");
        world.pass(30).await;
        let seen = seen(&world);
        assert!(seen.last().is_some_and(|last| last.ends_with("off") || last.ends_with("reply")), "{seen:?}");
        let recorded = seen.iter().any(|seen| seen.ends_with("recording"));
        let can = world.provider.abilities().typing.recording;
        assert_eq!(recorded, can, "{upstream:?}: {seen:?}");
        if can {
            // Typing until the answer is there, recording for as long as a beat can be seen, and nothing after it.
            let times = ["0.0 typing", "4.0 recording", "4.6 reply", "4.6 off"];
            let sorted = |mut lines: Vec<String>| {
                lines.sort();
                lines
            };
            assert_eq!(sorted(seen.clone()), sorted(times.map(str::to_owned).to_vec()), "{upstream:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn words_that_come_first_are_typed() {
    let both = |_: &Turn| Reply::text("listen:").and(voice());
    let world = Setup::on(Upstream::Gateway, both).start();
    world.write("sing for me");
    world.pass(30).await;
    assert!(!seen(&world).iter().any(|seen| seen.ends_with("recording")), "{:?}", seen(&world));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_has_been_recording_keeps_nobody_waiting() {
    struct Announced;
    #[async_trait]
    impl Handler for Announced {
        async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
            tokio::time::sleep(Duration::from_secs(2)).await;
            turn.presence.recording();
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(voice().into())
        }
    }
    let world = Setup::on(Upstream::Gateway, Announced).start();
    world.write("sing for me");
    world.pass(30).await;
    assert_eq!(seen(&world)[..3], ["0.0 typing", "2.0 recording", "4.0 reply"], "{:?}", seen(&world));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_slow_with_its_dots_keeps_the_voice_note_no_longer_than_a_call() {
    // The start that is under way as the answer comes takes more than half of its time.
    let world = Setup::on(Upstream::Gateway, Speaker(1)).start();
    world.sandbox.faults().add(Fault::on(Calls::Typing).slow_to_answer(Duration::from_millis(2700)).once());
    world.write("sing for me");
    world.pass(30).await;
    assert!(!seen(&world).iter().any(|seen| seen.ends_with("recording")), "{:?}", seen(&world));
    // And one that never answers is waited for as long as any.
    let world = Setup::on(Upstream::Gateway, Speaker(4)).start();
    world.write("sing for me");
    world.pass(3).await;
    world.sandbox.faults().add(Fault::on(Calls::Typing).slow_to_answer(Duration::from_secs(60)).once());
    world.pass(60).await;
    let reply = seen(&world).into_iter().find(|seen| seen.ends_with("reply"));
    assert_eq!(reply.as_deref(), Some("7.0 reply"), "{:?}", seen(&world));
}
