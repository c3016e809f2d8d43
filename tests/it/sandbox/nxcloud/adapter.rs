//! The real adapter on NXCloud's wire, where it matters most that both sides mean the same.

use std::collections::HashMap;

use actix_web::{App, HttpServer};
use threedots::host::config::Config;
use threedots::message::reply::{Media, MediaSource};
use threedots::message::{BotName, ChatId, ContactId, MediaKind, MediaRef, MessageRef, Part, PartKey, Payload};
use threedots::provider::{Provider, ProviderContext};
use threedots::runtime::http::Client;
use threedots::sandbox::phone::Body;
use threedots::sandbox::{Draft, Page, configure, on_connect};

use super::*;

fn reference(message: &MessageId, time: Timestamp) -> MessageRef {
    MessageRef {
        bot: BotName::new("shop"),
        chat: ChatId::new(ADA),
        group: false,
        sender: ContactId::new(ADA),
        phone: Some(ContactId::new(ADA)),
        aliases: Vec::new(),
        message: message.clone(),
        time,
    }
}

#[tokio::test(start_paused = true)]
async fn a_bot_whose_clock_is_wrong_learns_nxclouds() {
    for off in [-3600, -61, 61, 3600_i64] {
        let world = quiet();
        let message = world.ada_writes("hello").await;
        let epoch = Timestamp(world.now().saturating_add_signed(off * 1000));
        let clock = Clock::Tokio { epoch, started: tokio::time::Instant::now() };
        let provider = crate::world::provider(&world.sandbox, clock);
        let to = reference(&message, epoch);
        provider.start_typing(&to, Default::default()).await.expect("at the second try");
        provider.send(&to, &Part::text("hi"), &PartKey::new("3d-1")).await.expect("at the first");
        let story = world.sandbox.phone().story();
        let refused: Vec<&String> = story.iter().filter(|line| line.contains("code 1004")).collect();
        assert_eq!(refused.len(), 1, "{off} s: {story:#?}");
        assert_eq!(world.sandbox.phone().replies(&world.ada).len(), 1);
    }
}

#[tokio::test]
async fn media_go_up_and_out_and_come_back_over_a_socket() {
    let world = quiet();
    let routes = configure(&[Arc::clone(&world.sandbox)], &Page::new(HashMap::new()).unwrap());
    let server = HttpServer::new(move || App::new().configure(routes.clone())).on_connect(on_connect);
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let base_url = format!("http://{}/graph", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    let running = tokio::spawn(server);
    let provider = adapter(&world, &base_url);

    let message = world.ada_writes("hello").await;
    let to = reference(&message, Clock::System.now());
    let id = provider.upload_media(Bytes::from_static(b"\x89PNG fictional"), "image/png").await.expect("it is taken");
    let source = MediaSource::Uploaded(id.clone());
    let media = Media { kind: MediaKind::Image, source, caption: Some("look".into()), filename: None };
    let part = Payload::Media(media).into();
    provider.send(&to, &part, &PartKey::new("3d-1")).await.expect("it is sent");
    let reply = world.sandbox.phone().replies(&world.ada).pop().unwrap();
    assert!(matches!(reply.body, Body::Media { kind: "image", .. }));

    world.sandbox.write(&world.ada, Draft::voice()).unwrap();
    world.sandbox.phone().wait_for(|_| world.letterbox.posts().len() == 2).await;
    let voice = world.letterbox.posts().pop().unwrap().json()["messages"][0]["voice"].clone();
    let medium = MediaRef { id: voice["id"].as_str().map(Into::into), ..MediaRef::of(MediaKind::Voice) };
    let download = provider.fetch_media(&medium, 1 << 20).await.expect("it is there");
    assert_eq!(download.mime.as_deref(), Some("audio/ogg; codecs=opus"));
    assert!(download.into_memory().await.expect("it can be read").starts_with(b"OggS"));

    world.sandbox.shutdown().await;
    handle.stop(true).await;
    running.await.unwrap().unwrap();
}

/// The adapter as anybody would configure it, with a real way out.
fn adapter(world: &Nx, base_url: &str) -> Arc<dyn Provider> {
    let table = world.sandbox.settings().provider_table(base_url);
    let text = format!("[bots.shop.provider]\n{table}\n[bots.shop.handler]\nkind = \"demo\"");
    let (config, problems) = Config::parse("the sandbox's table", &text, []);
    assert_eq!(problems, []);
    let transport = Client::new().expect("a client");
    let around = ProviderContext { bot: BotName::new("shop"), transport, clock: Clock::System };
    let provider = config.bots["shop"].provider.as_ref().expect("a provider");
    provider.connect(&|name| world.sandbox.settings().secret(name), around).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}
