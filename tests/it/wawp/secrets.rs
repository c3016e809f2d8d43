//! Neither credentials nor customers show in an error, in whichever place the credentials travel.

use bytes::Bytes;
use serde_json::json;
use threedots::message::{MediaKind, MediaRef, Part, PartKey};
use threedots::provider::{Activity, ProviderError};
use threedots::runtime::http::CallError;

use super::calls::{inline, medium};
use super::{INSTANCE, SECRET, TOKEN, URL_TOKEN, deliver, post, received_in_group, received_message, signed, wawp};
use crate::upstream::{Given, Upstream};

const PERSON: &str = "12025550123";

/// An answer that repeats everything that it was told.
fn gossip(status: u16) -> Given {
    let words = format!("{TOKEN} {INSTANCE} {PERSON}@c.us {PERSON} hello to you");
    Given::json(status, &json!({ "code": words, "message": words, "error": words, "status": words, "data": words }))
}

fn assert_silent(error: &ProviderError) {
    let shown = format!("{error} {error:?}");
    for secret in
        [TOKEN, INSTANCE, SECRET, URL_TOKEN, PERSON, "120363000000000017", "90000000000123", "hello", "wawp.net"]
    {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn an_error_shows_nothing_of_what_was_said() {
    for place in ["body", "query", "headers"] {
        let answers = || {
            let refusals = [200, 302, 400, 401, 403, 404, 408, 422, 429, 500, 502].map(gossip);
            let lost = [CallError::NotSent("cannot connect"), CallError::Unanswered("timed out"), CallError::TooLarge];
            refusals.into_iter().chain(lost.map(Given::Error))
        };
        let count = answers().count();
        for to in [received_message(), received_in_group()] {
            for call in 0..4 {
                let provider = wawp(&format!("credentials = \"{place}\""), &Upstream::answering(answers()));
                let mut failures = 0;
                for _ in 0..count {
                    let result = match call {
                        0 => provider.mark_read(&to).await,
                        1 => provider.start_typing(&to, Activity::Typing).await,
                        2 => provider.stop_typing(&to).await,
                        _ => provider.send(&to, &Part::text("hello to you"), &PartKey::new("k")).await.map(drop),
                    };
                    result.inspect_err(assert_silent).unwrap_or_else(|_| failures += 1);
                }
                assert!(failures >= count - 1, "{failures} of {count}");
            }
        }
    }
}

#[tokio::test]
async fn media_show_nothing_either() {
    let provider = wawp("", &Upstream::answering([gossip(403)]));
    let url = Some(format!("https://api.wawp.net/api/files/false_{PERSON}@c.us_AA.jpg"));
    let media = MediaRef { url, caption: Some("hello".into()), ..MediaRef::of(MediaKind::Image) };
    assert_silent(&provider.fetch_media(&media, 10).await.err().expect("it is refused"));
    let elsewhere = MediaRef { url: Some(format!("https://evil.example/{PERSON}")), ..media };
    assert_silent(&provider.fetch_media(&elsewhere, 10).await.err().expect("it is refused"));
    let upload = provider.upload_media(Bytes::from(vec![0; 1 << 20]), "image/png").await;
    assert_silent(&upload.expect_err("too large"));
    for media in [medium(MediaKind::Sticker, "https://x.example/hello"), inline(MediaKind::Image, "hello")] {
        let part = threedots::message::Payload::Media(media).into();
        assert_silent(&provider.send(&received_message(), &part, &PartKey::new("k")).await.expect_err("no"));
    }
}

#[test]
fn what_arrives_shows_nothing_of_itself() {
    let body = super::fixture("wawp", "text_in_group");
    let events = deliver(&body).expect("a delivery");
    let request = post(&body, &format!("secret={URL_TOKEN}"), &[("X-Wawp-Signature", SECRET)]);
    let shown = format!("{events:?} {:?} {request:?}", signed(&body));
    for secret in [PERSON, "120363000000000017", "anybody", "Ada", SECRET, URL_TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
