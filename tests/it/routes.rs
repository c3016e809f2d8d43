//! Several handlers for one bot, and which of them answers.

use std::sync::Arc;

use threedots::handler::route::{Day, Hours, Route, RouteConfig, Router};
use threedots::handler::{Handler, Turn};
use threedots::message::clock::Timestamp;
use threedots::message::{ContactId, Content, ContentKind, MediaKind, MediaRef, Reply};

use crate::turns::turn;

fn says(words: &'static str) -> Arc<dyn Handler> {
    Arc::new(move |_: &Turn| Reply::text(words))
}

fn route(config: RouteConfig) -> Route {
    Route::new(config, says("the route")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Whether a route with this condition is taken for a turn.
async fn takes(config: RouteConfig, turn: &Turn) -> bool {
    let router = Router::new(vec![route(config)], says("the others"));
    match router.reply(turn).await.expect("a reply") {
        reply if reply == Reply::text("the route") => true,
        reply if reply == Reply::text("the others") => false,
        reply => panic!("{reply:?}"),
    }
}

fn text(words: &str) -> Turn {
    turn(vec![Content::text(words)])
}

fn list<T: Clone>(entries: &[T]) -> Vec<T> {
    entries.to_vec()
}

#[tokio::test]
async fn words_are_whole_and_their_letters_large_or_small() {
    let words =
        || RouteConfig { words: list(&["price".into(), "How much".into(), "größe".into()]), ..Default::default() };
    for said in ["Price?", "what is the PRICE, please", "so: how  much is it", "GRÖSSE? nein: Größe!", "how, much"] {
        assert!(takes(words(), &text(said)).await, "{said}");
    }
    for said in ["priceless", "how many, not much", "much how", "", "👍"] {
        assert!(!takes(words(), &text(said)).await, "{said}");
    }
    // Words that were spoken, and a kind that stays what it is.
    let spoken = |transcript: Option<&str>| {
        let transcript = transcript.map(str::to_owned);
        let kind = MediaKind::Voice;
        let media = MediaRef { transcript, ..MediaRef::of(kind) };
        turn(vec![Content::Media(media)])
    };
    let voices = || RouteConfig { kinds: list(&[ContentKind::Voice]), ..words() };
    assert!(takes(voices(), &spoken(Some("Um, what's the price?"))).await);
    assert!(!takes(voices(), &spoken(Some("priceless"))).await && !takes(voices(), &spoken(None)).await);
    // Any of the messages that are answered together.
    let several = turn(vec![Content::text("hello"), Content::text("the price?"), Content::text("thanks")]);
    assert!(takes(words(), &several).await);
}

#[tokio::test]
async fn kinds_and_buttons() {
    let media = |kind| Content::Media(MediaRef::of(kind));
    let kinds = || RouteConfig { kinds: list(&[ContentKind::Voice, ContentKind::Image]), ..Default::default() };
    assert!(takes(kinds(), &turn(vec![Content::text("look"), media(MediaKind::Image)])).await);
    assert!(!takes(kinds(), &turn(vec![Content::text("look"), media(MediaKind::Document)])).await);
    let tap = |id: &str| {
        turn(vec![Content::Choice { id: id.into(), title: "buy-me".into(), written: None, description: None }])
    };
    let buttons = || RouteConfig { buttons: list(&["buy-*".into(), "help".into()]), ..Default::default() };
    for (id, fits) in
        [("buy-7", true), ("buy-", true), ("help", true), ("helper", false), ("rebuy-7", false), ("", false)]
    {
        assert_eq!(takes(buttons(), &tap(id)).await, fits, "{id}");
    }
    assert!(!takes(buttons(), &text("help")).await, "what is written is no tap");
}

#[tokio::test]
async fn hours_and_days_are_those_of_the_time_zone() {
    let hours = |hours: &str| hours.parse::<Hours>().expect("hours");
    // Friday, 14 November 2025, 23:30 UTC; in Berlin half an hour past midnight on Saturday.
    let mut late = text("hello");
    late.now = Timestamp::from_secs(1_763_163_000);
    let at = |stretch: &str, zone: Option<&str>| RouteConfig {
        hours: vec![hours(stretch)],
        time_zone: zone.map(str::to_owned),
        ..Default::default()
    };
    for (stretch, zone, fits) in [
        ("23:30-23:31", None, true),
        ("23:00-23:30", None, false),
        ("22:00-06:00", None, true),
        ("06:00-22:00", None, false),
        ("00:00-01:00", Some("Europe/Berlin"), true),
        ("23:00-24:00", Some("Europe/Berlin"), false),
        ("23:00-24:00", None, true),
    ] {
        assert_eq!(takes(at(stretch, zone), &late).await, fits, "{stretch} {zone:?}");
    }
    let on = |day, zone: &str| RouteConfig { days: vec![day], time_zone: Some(zone.into()), ..Default::default() };
    assert!(takes(on(Day::Fri, "UTC"), &late).await && takes(on(Day::Sat, "Europe/Berlin"), &late).await);
    assert!(!takes(on(Day::Sat, "UTC"), &late).await && !takes(on(Day::Fri, "Europe/Berlin"), &late).await);
    for wrong in ["", "9-17", "09:00", "09:00-09:00", "25:00-26:00", "09:60-10:00", "-1:00-02:00", "nine-five"] {
        assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_share_of_the_customers_is_always_the_same_ones() {
    let share = |percent| RouteConfig { percent: Some(percent), ..Default::default() };
    let from = |number: usize| {
        let mut turn = text("hello");
        turn.messages[0].at.sender = ContactId::new(format!("1555{number:07}"));
        turn
    };
    let mut taken = 0;
    for number in 0..1000 {
        let fits = takes(share(25), &from(number)).await;
        assert_eq!(fits, takes(share(25), &from(number)).await, "customer {number}");
        assert!(!fits || takes(share(26), &from(number)).await, "whoever was in stays in as it grows");
        taken += usize::from(fits);
    }
    assert!((200..300).contains(&taken), "{taken} of 1000 are no quarter");
    assert!(!takes(share(0), &from(1)).await && takes(share(100), &from(1)).await);
}

#[tokio::test]
async fn all_conditions_have_to_hold_and_the_first_route_that_fits_is_taken() {
    let both =
        || RouteConfig { words: list(&["price".into()]), kinds: list(&[ContentKind::Image]), ..Default::default() };
    assert!(!takes(both(), &text("the price?")).await);
    let named = |words: &str, answer| {
        let config = RouteConfig { words: list(&[words.into()]), ..Default::default() };
        Route::new(config, says(answer)).unwrap_or_else(|problems| panic!("{problems:?}"))
    };
    let router = Router::new(vec![named("red", "first"), named("shoes", "second")], says("otherwise"));
    for (said, answer) in [("red shoes", "first"), ("blue shoes", "second"), ("blue hats", "otherwise")] {
        assert_eq!(router.reply(&text(said)).await.expect("a reply"), Reply::text(answer), "{said}");
    }
}

#[test]
fn what_cannot_be_used_is_told_with_its_setting() {
    let refused = |config| {
        Route::new(config, says("x")).err().expect("it is refused").iter().map(|(key, _)| *key).collect::<Vec<_>>()
    };
    let config = RouteConfig {
        time_zone: Some("Mars/Olympus".into()),
        percent: Some(101),
        words: list(&["fine".into(), "?!".into()]),
        ..Default::default()
    };
    assert_eq!(refused(config), ["time_zone", "percent", "words"]);
}
