//! Quiet hours: who writes in them is answered in the morning, or told when that is.

use std::sync::Arc;

use threedots::message::clock::Timestamp;
use threedots::policy::quiet_hours::{QuietConfig, QuietHours};
use threedots::runtime::templates::Templates;

use crate::world::{Setup, World, echo};

fn config(from: &str, to: &str, time_zone: &str, template: &str) -> QuietConfig {
    let [from, to, time_zone, template] = [from, to, time_zone, template].map(str::to_owned);
    QuietConfig { from, to, time_zone, template }
}

fn made(config: &QuietConfig) -> Result<Option<QuietHours>, Vec<(String, String)>> {
    QuietHours::new(config, &Arc::new(Templates::built_in().expect("templates")))
}

fn at(rfc3339: &str) -> Timestamp {
    let millis = rfc3339.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    Timestamp(u64::try_from(millis).expect("after 1970"))
}

/// A world in which it is quiet from now on, whatever the time is, for an hour.
fn for_an_hour(template: &str) -> World {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).time();
    let hour = jiff::Span::new().hours(1);
    let (from, to) = (now.wrapping_sub(jiff::Span::new().minutes(1)), now.wrapping_add(hour));
    let mut setup = Setup::new(echo());
    let written = |time: jiff::civil::Time| time.strftime("%H:%M").to_string();
    setup.quiet = config(&written(from), &written(to), "UTC", template);
    setup.start()
}

#[test]
fn a_night_is_from_evening_to_morning_where_the_clock_hangs() {
    let quiet = made(&config("22:00", "07:00", "Europe/Berlin", "")).expect("sound").expect("some");
    let night = |now: &str| quiet.night(at(now)).map(|night| (night.began.to_utc(), night.ends.to_utc()));
    let winter = Some(("2026-01-10T21:00:00Z".to_owned(), "2026-01-11T06:00:00Z".to_owned()));
    assert_eq!(night("2026-01-10T20:59:59Z"), None);
    assert_eq!(night("2026-01-10T21:00:00Z"), winter);
    assert_eq!(night("2026-01-11T05:59:59Z"), winter);
    assert_eq!(night("2026-01-11T06:00:00Z"), None);
    // The clock goes forward in this one.
    let spring = Some(("2026-03-28T21:00:00Z".to_owned(), "2026-03-29T05:00:00Z".to_owned()));
    assert_eq!(night("2026-03-29T02:30:00Z"), spring);
    let noon = made(&config("12:00", "13:30", "UTC", "")).expect("sound").expect("some");
    assert!(noon.night(at("2026-01-10T13:29:00Z")).is_some() && noon.night(at("2026-01-10T13:30:00Z")).is_none());
}

#[test]
fn what_makes_no_sense_is_told_with_its_setting() {
    let cases = [
        (config("25:00", "07:00", "UTC", ""), "from"),
        (config("22:00", "seven", "UTC", ""), "to"),
        (config("22:00", "", "UTC", ""), "to"),
        (config("", "07:00", "UTC", ""), "from"),
        (config("07:00", "07:00", "UTC", ""), "to"),
        (config("22:00", "07:00", "Berlin", ""), "time_zone"),
        (config("22:00", "07:00", "UTC", "replies/none.txt"), "template"),
    ];
    for (config, key) in cases {
        let problems = made(&config).err().expect(key);
        assert_eq!(problems.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), [key], "{problems:?}");
    }
    assert!(made(&QuietConfig::default()).expect("sound").is_none());
}

#[tokio::test(start_paused = true)]
async fn messages_wait_unseen_until_the_morning_and_are_answered_then() {
    let world = for_an_hour("");
    world.write("one");
    world.pass(600).await;
    world.write("two");
    world.pass(600).await;
    assert!(world.calls().is_empty(), "{:?}", world.calls());
    world.pass(3600).await;
    assert_eq!(world.replies(), ["You said: one\ntwo"]);
}

#[tokio::test(start_paused = true)]
async fn with_a_template_everybody_is_told_once_in_a_night() {
    let world = for_an_hour("replies/quiet.txt");
    for words in ["one", "two"] {
        world.write(words);
        world.pass(600).await;
    }
    let replies = world.replies();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].starts_with("Hello Ada, nobody is here right now. We are back at "), "{replies:?}");
    assert_eq!(world.store.backlog().messages, 0);
    world.pass(3600).await;
    world.write("three");
    world.pass(100).await;
    assert_eq!(world.replies().last().map(String::as_str), Some("You said: three"));
}
