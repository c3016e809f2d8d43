//! What goes out to the bot: its form, its signature, its repetition.

use sha2::{Digest, Sha256};
use threedots::sandbox::Draft;

use super::*;

fn callbacks(world: &Nx) -> Vec<Value> {
    world.letterbox.posts().iter().map(Post::json).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_out_flat_and_signed_over_its_bytes() {
    let world = quiet();
    let id = world.ada_writes("äöå 😀 a/b \"q\"").await;
    let post = world.letterbox.posts().pop().unwrap();
    assert!(std::str::from_utf8(&post.body).unwrap().contains(r#""body":"äöå 😀 a/b \"q\"""#));
    let (key, ts) = (post.header("accesskey"), post.header("ts"));
    let expected = sign(KEY, post.header("action"), "2", ts, &post.body, SECRET);
    assert_eq!((key, post.header("biztype"), post.header("sign")), (KEY, "2", expected.as_str()));
    assert!(world.now().abs_diff(ts.parse().unwrap()) < 5_000, "{ts}");
    let callback = post.json();
    let user_id = Customer::new(ADA, "Ada").user_id;
    let cost = json!({
        "currency": "USD", "price": 0, "foreign_price": 0, "cdr_type": 7, "message_id": id.as_str(), "direction": 2,
    });
    assert_eq!(
        callback,
        json!({
            "app_id": "102290129340398", "wabaId": "102290129340398", "business_phone": OURS, "merchant_phone": OURS,
            "channel": 2, "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": OURS, "phone_number_id": NUMBER },
            "contacts": [{ "wa_id": ADA, "user_id": user_id, "profile": { "name": "Ada" } }],
            "messages": [{
                "from": ADA, "id": id.as_str(), "timestamp": callback["messages"][0]["timestamp"], "type": "text",
                "text": { "body": "äöå 😀 a/b \"q\"" }, "cost": cost,
            }],
        })
    );
    assert_eq!(callback["messages"][0]["timestamp"].as_str().map(str::len), Some(10));
}

#[tokio::test(start_paused = true)]
async fn what_is_delivered_again_comes_with_the_signature_of_the_first_time() {
    let world = quiet();
    world.letterbox.answer_next([Some(503), None]);
    world.sandbox.write(&world.ada, "hello".into()).unwrap();
    seconds(30.0).await;
    let posts = world.letterbox.posts();
    assert_eq!(posts.len(), 3);
    for name in ["ts", "sign"] {
        assert!(posts.iter().all(|post| post.header(name) == posts[0].header(name)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_message_has_nxclouds_form() {
    let world = quiet();
    let first = world.ada_writes("hello").await;
    let write = |draft| world.sandbox.write(&world.ada, draft).unwrap();
    write(Draft::image(Some("look")).quoting(&first));
    write(Draft::voice());
    write(Draft::location(59.33, 18.07, Some("Home"), None));
    write(Draft::reaction(&first, "👍"));
    write(Draft::raw("unsupported", json!({ "type": "poll_creation" })));
    seconds(0.1).await;
    let all: Vec<Value> = callbacks(&world).into_iter().map(|callback| callback["messages"][0].clone()).collect();
    let types: Vec<&str> = all.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["text", "image", "voice", "location", "reaction", "unsupported"]);
    let image = &all[1]["image"];
    assert_eq!((&image["mime_type"], &image["caption"]), (&json!("image/png"), &json!("look")));
    let digest = image["sha256"].as_str().unwrap();
    assert!(digest.len() == 2 * Sha256::output_size() && digest.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert_eq!(all[1]["context"], json!({ "from": ADA, "id": first.as_str() }));
    assert_eq!(all[2]["voice"]["mime_type"], "audio/ogg; codecs=opus");
    assert_eq!(all[3]["location"], json!({ "latitude": 59.33, "longitude": 18.07, "name": "Home" }));
    assert_eq!(all[4]["reaction"], json!({ "message_id": first.as_str(), "emoji": "👍" }));
    assert_eq!(all[5]["unsupported"], json!({ "type": "poll_creation" }));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_who_hides_it_is_there_and_empty() {
    let world = quiet();
    let mut hidden = Customer::new("12125550103", "Lin");
    (hidden.hides_phone, hidden.username) = (true, Some("lin.l".to_owned()));
    world.sandbox.phone().add(hidden.clone());
    let first = world.sandbox.write(&hidden.id, "hello".into()).unwrap();
    world.sandbox.write(&hidden.id, Draft::text("again").quoting(&first)).unwrap();
    seconds(0.1).await;
    for callback in callbacks(&world) {
        let profile = json!({ "name": "Lin", "username": "lin.l" });
        assert_eq!(callback["contacts"], json!([{ "wa_id": "", "user_id": hidden.user_id, "profile": profile }]));
        assert_eq!(callback["messages"][0]["from"], "");
        assert!(!callback.to_string().contains("12125550103"));
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_carry_both_names_of_the_bots_and_metas() {
    let world = Nx::new(SandboxSettings::of(Upstream::NxCloud));
    world.ada_writes("hello").await;
    let named = |given: Option<&str>, opaque: Option<&str>| {
        let mut body = words("hi");
        body["cus_message_id"] = json!(given);
        body["biz_opaque_callback_data"] = json!(opaque);
        body
    };
    for (given, opaque) in [(Some("mine"), Some("too")), (Some("mine"), None), (None, Some("too")), (None, None)] {
        let before = world.letterbox.posts().len();
        mt(&world, &named(given, opaque)).await;
        seconds(5.0).await;
        let metas = world.sandbox.phone().replies(&world.ada).pop().unwrap().id;
        let statuses = callbacks(&world).split_off(before);
        let states: Vec<&str> = statuses.iter().map(|one| one["statuses"][0]["status"].as_str().unwrap()).collect();
        assert_eq!(states, ["sent", "delivered", "read"]);
        for callback in statuses {
            let status = &callback["statuses"][0];
            assert_eq!(callback["business_phone"], OURS);
            assert_eq!(
                (&status["id"], &status["recipient_id"]),
                (&json!(given.unwrap_or(metas.as_str())), &json!(ADA))
            );
            assert_eq!(status.get("meta_message_id"), given.map(|_| json!(metas.as_str())).as_ref());
            assert_eq!(status.get("biz_opaque_callback_data"), opaque.map(|opaque| json!(opaque)).as_ref());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_after_all_is_told_with_both_codes() {
    let world = Nx::new(SandboxSettings::of(Upstream::NxCloud));
    world.ada_writes("hello").await;
    world.sandbox.faults().add(Fault::on(Calls::Send).once().fail(Failure::Undeliverable));
    assert_eq!(codes(&mt(&world, &words("hi")).await), (0, None));
    seconds(5.0).await;
    assert!(world.sandbox.phone().replies(&world.ada).is_empty());
    let status = callbacks(&world).pop().unwrap()["statuses"][0].clone();
    assert_eq!((&status["status"], &status["errors"][0]["code"]), (&json!("failed"), &json!(9099)));
    assert_eq!(status["errors"][0]["meta_code"], 131_026);
}
