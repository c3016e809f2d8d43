//! The page, its endpoints, and its feed.

use std::collections::HashMap;
use std::pin::Pin;

use actix_web::App;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use futures_util::future::poll_fn;
use threedots::sandbox::{Customer, Draft, OperatorAccess, Page, PageError, configure};

use super::*;

/// Where actix's test requests come in.
const HERE: &str = "127.0.0.1:8080";

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path).insert_header(("host", HERE))
}

fn post_json(path: &str, body: &Value) -> TestRequest {
    TestRequest::post().uri(path).insert_header(("host", HERE)).set_json(body)
}

async fn ask_with(world: &World, page: Page, request: TestRequest) -> ServiceResponse {
    let service = init_service(App::new().configure(configure(&[Arc::clone(&world.sandbox)], &page))).await;
    call_service(&service, request.to_request()).await
}

async fn ask(world: &World, request: TestRequest) -> ServiceResponse {
    ask_with(world, Page::new(HashMap::new()).unwrap(), request).await
}

async fn status(world: &World, request: TestRequest) -> u16 {
    ask(world, request).await.status().as_u16()
}

async fn shown(world: &World, path: &str) -> String {
    let answer = ask(world, get(path)).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    String::from_utf8(read_body(answer).await.to_vec()).unwrap()
}

fn send_path() -> String {
    format!("/phone/{ADA}/send")
}

/// What a browser makes of escaped text.
fn unescaped(html: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&#x60;", "`"),
        ("&amp;", "&"),
    ];
    entities.into_iter().fold(html.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// The text of each message on a page.
fn texts(html: &str) -> Vec<String> {
    let open = r#"<p class="text" data-test="text">"#;
    let text = |rest: &str| {
        // What is shown as code stands between signs in what was written.
        let text = rest.split("</p>").next().unwrap().replace(r#"<span class="code">"#, "`").replace("</span>", "`");
        unescaped(&text)
    };
    html.split(open).skip(1).map(text).collect()
}

/// The events of a feed.
struct Feed(Pin<Box<BoxBody>>);

impl Feed {
    async fn open(world: &World) -> Self {
        let answer = ask(world, get(&format!("/phone/{ADA}/events"))).await;
        assert_eq!(answer.headers().get(CONTENT_TYPE).unwrap(), "text/event-stream");
        Self(Box::pin(answer.into_body()))
    }

    async fn chunk(&mut self) -> Option<String> {
        let chunk = poll_fn(|context| self.0.as_mut().poll_next(context)).await?;
        Some(String::from_utf8(chunk.unwrap().to_vec()).unwrap())
    }

    async fn event(&mut self) -> Value {
        let chunk = self.chunk().await.unwrap();
        serde_json::from_str(chunk.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_names_and_bodies_come_out_as_the_text_they_are() {
    let world = World::quiet();
    let hostile = [
        "<script>alert(1)</script>",
        "{{ 7 * 7 }} {% for x in y %} {# note #}",
        "</p><img src=x onerror=\"alert('1')\">",
        "&lt;b&gt; & &amp;amp;",
        "line one\n  line two\t`\\u003c` \u{202e}abc",
    ];
    world.sandbox.phone().add(Customer::new(ADA, hostile[0]));
    for words in hostile {
        let message = world.ada_writes(words).await;
        let mut reply = text(words);
        reply["context"] = json!({ "message_id": message.as_str() });
        assert_eq!(world.call(&reply).await.0, 200);
    }
    let html = shown(&world, &format!("/phone/{ADA}")).await;
    let expected: Vec<&str> = hostile.iter().flat_map(|words| [*words, *words]).collect();
    assert_eq!(texts(&html), expected);
    assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    let mut feed = Feed::open(&world).await;
    let event = feed.event().await;
    let told: String =
        event["messages"].as_array().unwrap().iter().map(|message| message["html"].as_str().unwrap()).collect();
    assert_eq!(texts(&told), expected);
    assert!(!told.contains("<script>") && !told.contains("<img"));
}

#[tokio::test(start_paused = true)]
async fn a_phone_shows_marks_as_whatsapp_does_and_everything_else_as_text() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let words = "*Open* _now_, ~closed~ `<b>` *a _b_* 2 * 3\n```\n<i>\n```\n- a\n1. b\n> *c*";
    assert_eq!(world.call(&text(words)).await.0, 200);
    let html = shown(&world, &format!("/phone/{ADA}")).await;
    for run in [
        r#"<span class="bold">Open</span> <span class="italic">now</span>, <span class="strike">closed</span> "#,
        r#"<span class="code">&lt;b&gt;</span> <span class="bold">a </span><span class="bold italic">b</span> 2 * 3"#,
        "2 * 3\n<span class=\"code fence\">&lt;i&gt;</span>\n<span class=\"bullet\">• a</span>\n",
        "\n<span class=\"numbered\">1. b</span>\n<span class=\"quoted\"><span class=\"bold\">c</span></span></p>",
    ] {
        assert!(html.contains(run), "{run}: {html}");
    }
    assert!(!html.contains("<i>") && !html.contains("<b><"), "{html}");
}

#[tokio::test(start_paused = true)]
async fn what_is_written_around_a_medium_stays_text() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    for (url, status) in [("https://a.example/<i>\"", 200), ("javascript:<i>", 400), ("data:text/html,<i>", 400)] {
        let media = json!({ "link": url, "filename": "<i>.pdf", "caption": "*<i>*" });
        assert_eq!(world.call(&to_ada("document", media)).await.0, status, "{url}");
    }
    let page = shown(&world, &format!("/phone/{ADA}")).await;
    let fed = Feed::open(&world).await.event().await["messages"][1]["html"].as_str().unwrap().to_owned();
    for html in [page, fed] {
        assert!(
            !html.contains("<i>") && !html.contains("href=\"javascript:") && !html.contains("href=\"data:"),
            "{html}"
        );
        assert!(html.contains("<span class=\"bold\">&lt;i&gt;</span>") && html.contains("&lt;i&gt;.pdf"), "{html}");
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_options_stay_text_too() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let evil = "\"><script>x</script>";
    let rows = json!([{ "id": evil, "title": evil, "description": evil }]);
    let list = json!({ "type": "list", "body": { "text": evil }, "header": { "type": "text", "text": evil },
        "footer": { "text": evil }, "action": { "button": "<b>", "sections": [{ "title": evil, "rows": rows }] } });
    let parameters = json!({ "display_text": "<i>", "url": "javascript:alert(1)" });
    let link = json!({ "type": "cta_url", "body": { "text": "?" }, "action": { "name": "cta_url", "parameters": parameters } });
    let place = json!({ "latitude": 1, "longitude": 2, "name": evil, "address": evil });
    let document = json!({ "link": "https://example.com/\"><script>", "filename": evil, "caption": evil });
    for (kind, object) in [("interactive", list), ("interactive", link), ("location", place), ("document", document)] {
        let answer = world.call(&to_ada(kind, object)).await;
        assert_eq!(answer.0, 200, "{answer:?}");
    }
    let html = shown(&world, "/").await;
    assert!(!html.contains("<script>") && !html.contains("<i>") && !html.contains("<b>\""), "{html}");
    assert!(!html.contains("javascript:"), "a link that is no web address is no link");
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_ticks_dots_quotes_and_choices() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    let tick = |state: &str| format!(r#"data-test="tick" data-state="{state}""#);
    assert!(shown(&world, "/").await.contains(&tick("sent")));
    world.type_for(&message).await;
    let html = shown(&world, "/").await;
    assert!(html.contains(&tick("read")));
    assert_eq!(html.matches(r#"data-test="dots""#).count(), 1);
    assert!(html.contains("typing…"));
    let buttons = json!([{ "type": "reply", "reply": { "id": "y", "title": "Yes" } }]);
    let mut offer = to_ada(
        "interactive",
        json!({ "type": "button", "body": { "text": "Shall we?" }, "action": { "buttons": buttons } }),
    );
    offer["context"] = json!({ "message_id": message.as_str() });
    world.call(&offer).await;
    let html = shown(&world, "/").await;
    assert_eq!(html.matches(r#"data-test="dots""#).count(), 0);
    assert!(html.contains(r##"class="quote" href="#message-1""##));
    assert!(html.contains(r#"data-choice="y""#));
    assert!(html.contains(r#"data-test="message-in""#) && html.contains(r#"data-test="message-out""#));
    assert!(html.contains("read + typing") && html.contains("dots off: the reply is here"));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_taken_says_so() {
    let world = World::quiet();
    world.letterbox.answer_next([Some(503)]);
    world.ada_writes("hello").await;
    let html = shown(&world, "/").await;
    assert!(html.contains("The webhook answered 503. It will be sent again."));
    assert!(html.contains(r#"data-state="pending""#));
    seconds(5.0).await;
    assert!(!shown(&world, "/").await.contains("It will be sent again."));
}

#[tokio::test(start_paused = true)]
async fn a_page_without_customers_is_a_page() {
    let world = World::quiet();
    let nobody = Sandbox::new(SandboxSettings::default(), Clock::tokio(), Arc::new(Letterbox::default()));
    let world = World { sandbox: nobody, ..world };
    assert!(shown(&world, "/").await.contains("Nobody has a phone yet"));
    assert_eq!(status(&world, get("/phone/1")).await, 404);
}

#[tokio::test(start_paused = true)]
async fn the_buttons_of_the_page_act_for_the_customer() {
    let world = World::quiet();
    let hello = json!({ "kind": "text", "text": "hello" });
    assert_eq!(status(&world, post_json(&send_path(), &hello)).await, 204);
    let first = world.sandbox.phone().messages(&world.ada)[0].id.clone();
    let quoting = json!({ "kind": "text", "text": "again", "quote": first.as_str() });
    let buttons = json!([{ "type": "reply", "reply": { "id": "y", "title": "Yes" } }]);
    world
        .call(&to_ada(
            "interactive",
            json!({ "type": "button", "body": { "text": "?" }, "action": { "buttons": buttons } }),
        ))
        .await;
    let offer = world.sandbox.phone().replies(&world.ada)[0].id.clone();
    for act in [
        quoting,
        json!({ "kind": "image", "text": "look" }),
        json!({ "kind": "voice" }),
        json!({ "kind": "location" }),
        json!({ "kind": "choice", "message": offer.as_str(), "choice": "y" }),
        json!({ "kind": "reaction", "message": offer.as_str(), "emoji": "👍" }),
    ] {
        assert_eq!(status(&world, post_json(&send_path(), &act)).await, 204, "{act}");
    }
    seconds(0.1).await;
    let sent: Vec<Value> = world.letterbox.messages().iter().map(|message| message["type"].clone()).collect();
    assert_eq!(sent, ["text", "text", "image", "audio", "location", "interactive", "reaction"]);
    assert_eq!(world.sandbox.phone().messages(&world.ada)[2].quotes, Some(first));
    let html = shown(&world, "/").await;
    let image = html.split(r#"<img class="image" src=""#).nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(ask(&world, get(image)).await.headers().get(CONTENT_TYPE).unwrap(), "image/png");
}

#[tokio::test(start_paused = true)]
async fn acts_that_make_no_sense_are_refused() {
    let world = World::quiet();
    let elsewhere = world.sandbox.new_customer("Grace");
    let of_grace = world.sandbox.write(&elsewhere, "mine".into()).unwrap();
    for act in [
        json!({ "kind": "text", "text": " \n" }),
        json!({ "kind": "text", "text": "x".repeat(65_537) }),
        json!({ "kind": "text", "text": "a", "quote": of_grace.as_str() }),
        json!({ "kind": "choice", "message": "wamid.unknown", "choice": "y" }),
        json!({ "kind": "reaction", "message": of_grace.as_str(), "emoji": "👍" }),
        json!({ "kind": "nonsense" }),
        json!({ "kind": "text", "text": "a", "surplus": 1 }),
    ] {
        let status = status(&world, post_json(&send_path(), &act)).await;
        assert!((400..500).contains(&status), "{status} {act}");
    }
    assert_eq!(status(&world, post_json("/phone/1/send", &json!({ "kind": "voice" }))).await, 400);
    assert_eq!(status(&world, post_json("/faults", &json!({ "name": "nonsense", "on": true }))).await, 400);
    assert_eq!(status(&world, post_json("/customers", &json!({ "name": " " }))).await, 400);
    assert!(world.sandbox.phone().messages(&world.ada).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_customer_has_a_phone_and_a_number_of_their_own() {
    let world = World::quiet();
    let answer = ask(&world, post_json("/customers", &json!({ "name": "Grace <b>" }))).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let made: Value = serde_json::from_slice(&read_body(answer).await).unwrap();
    assert_eq!(made["page"], "/phone/12125550102", "the next after Ada's");
    assert!(shown(&world, "/phone/12125550102").await.contains("Grace &lt;b&gt;"));
    let many: std::collections::HashSet<CustomerId> = (0..300).map(|_| world.sandbox.new_customer("x")).collect();
    assert_eq!(many.len(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_switch_orders_trouble_and_goes_off_when_it_is_used_up() {
    let world = World::quiet();
    let message = world.ada_writes("hello").await;
    let turn = |on: bool| json!({ "name": "token", "on": on, "calls": "typing", "once": false });
    let switched =
        |html: String| html.split(r#"data-switch="token""#).next().unwrap().ends_with(r#"aria-checked="true" "#);
    assert!(!switched(shown(&world, "/").await));
    assert_eq!(status(&world, post_json("/faults", &turn(true))).await, 204);
    assert!(switched(shown(&world, "/").await));
    assert_eq!(world.type_for(&message).await.0, 401);
    assert_eq!(world.send("hi").await.0, 200, "it was ordered for typing alone");
    assert_eq!(status(&world, post_json("/faults", &turn(false))).await, 204);
    assert_eq!(world.type_for(&message).await.0, 200);
    let once = json!({ "name": "token", "on": true, "once": true });
    assert_eq!(status(&world, post_json("/faults", &once)).await, 204);
    assert_eq!(world.send("hi").await.0, 401);
    assert!(!switched(shown(&world, "/").await));
}

#[tokio::test(start_paused = true)]
async fn every_switch_of_the_page_can_be_turned() {
    let world = World::quiet();
    let html = shown(&world, "/").await;
    let names: Vec<&str> = html.split(r#"data-switch=""#).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(names.len(), 15);
    for name in names {
        assert_eq!(status(&world, post_json("/faults", &json!({ "name": name, "on": true }))).await, 204, "{name}");
        assert_eq!(world.sandbox.faults().switched_on().len(), 1);
        assert_eq!(status(&world, post_json("/faults", &json!({ "name": name, "on": false }))).await, 204);
        assert!(world.sandbox.faults().switched_on().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn another_site_can_neither_post_nor_read() {
    let world = World::quiet();
    let hello = json!({ "kind": "text", "text": "hello" });
    let foreign = [
        ("another name", post_json(&send_path(), &hello).insert_header(("host", "evil.example:8080"))),
        ("another port", post_json(&send_path(), &hello).insert_header(("host", "127.0.0.1:8081"))),
        ("no port", post_json(&send_path(), &hello).insert_header(("host", "127.0.0.1"))),
        (
            "a name that begins like ours",
            post_json(&send_path(), &hello).insert_header(("host", "127.0.0.1.evil.example:8080")),
        ),
        ("a user in the name", post_json(&send_path(), &hello).insert_header(("host", "x@127.0.0.1:8080"))),
        ("two names", post_json(&send_path(), &hello).append_header(("host", "evil.example"))),
        ("no name", TestRequest::post().uri(&send_path()).set_json(&hello)),
        ("another origin", post_json(&send_path(), &hello).insert_header(("origin", "http://evil.example"))),
        ("another port's origin", post_json(&send_path(), &hello).insert_header(("origin", "http://127.0.0.1:3000"))),
        ("https", post_json(&send_path(), &hello).insert_header(("origin", "https://127.0.0.1:8080"))),
        ("no origin to speak of", post_json(&send_path(), &hello).insert_header(("origin", "null"))),
        ("a call", TestRequest::post().uri("/graph/v25.0/1/messages").insert_header(("host", "evil.example:8080"))),
        ("another machine", post_json(&send_path(), &hello).peer_addr("192.0.2.1:5000".parse().unwrap())),
        ("a page", get("/").insert_header(("host", "evil.example:8080"))),
        ("a feed", get(&format!("/phone/{ADA}/events")).insert_header(("host", "evil.example:8080"))),
        (
            "a feed for another origin",
            get(&format!("/phone/{ADA}/events")).insert_header(("origin", "http://evil.example")),
        ),
    ];
    for (name, request) in foreign {
        assert_eq!(status(&world, request).await, 403, "{name}");
    }
    let form = get(&send_path()).method(actix_web::http::Method::POST).insert_header(("content-type", "text/plain"));
    let answer = status(&world, form.set_payload(hello.to_string())).await;
    assert!((400..500).contains(&answer), "what a form of another site's can send: {answer}");
    assert!(world.sandbox.phone().messages(&world.ada).is_empty());
    for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
        let ours = post_json(&send_path(), &hello).insert_header(("host", host));
        let ours =
            ours.insert_header(("origin", format!("http://{host}"))).peer_addr("127.0.0.1:5000".parse().unwrap());
        assert_eq!(status(&world, ours).await, 204, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_allow_nothing_from_elsewhere() {
    let world = World::quiet();
    for path in ["/", "/phone.css", "/phone.js", "/logo.svg"] {
        let answer = ask(&world, get(path)).await;
        let policy = answer.headers().get(CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    let html = shown(&world, "/").await;
    assert!(!html.contains("//"), "no address but of our own: {html}");
    assert_eq!(status(&world, get("/nothing")).await, 404);
}

#[tokio::test(start_paused = true)]
async fn what_a_bot_uploads_is_never_served_as_a_page() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let form = "--b\r\ncontent-disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n--b\r\n\
                content-disposition: form-data; name=\"file\"; filename=\"a\"\r\ncontent-type: text/html\r\n\r\n<script>\r\n--b--";
    let request = UpstreamRequest {
        headers: vec![bearer(), ("content-type".to_owned(), "multipart/form-data; boundary=b".to_owned())],
        body: Bytes::from(form),
        ..post("media", &Value::Null)
    };
    let (_, uploaded) = answer(world.sandbox.handle(request).await);
    let answer = ask(&world, get(&format!("/media/{}", uploaded["id"].as_str().unwrap()))).await;
    assert_eq!(answer.headers().get(CONTENT_TYPE).unwrap(), "application/octet-stream");
    assert_eq!(answer.headers().get("x-content-type-options").unwrap(), "nosniff");
}

#[tokio::test(start_paused = true)]
async fn the_feed_tells_what_is_new_and_nothing_twice() {
    let world = World::quiet();
    let mut feed = Feed::open(&world).await;
    assert_eq!(feed.event().await["messages"], json!([]));
    let message = world.ada_writes("hello").await;
    let event = feed.event().await;
    assert_eq!(event["messages"][0]["number"], 1);
    assert!(event["messages"][0]["html"].as_str().unwrap().contains("hello"));
    world.type_for(&message).await;
    let event = feed.event().await;
    assert!(event["messages"][0]["html"].as_str().unwrap().contains(r#"data-state="read""#), "the tick has turned");
    assert!(event["dots"].as_str().unwrap().contains(r#"data-test="dots""#));
    let rows: Vec<&str> = event["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(rows.iter().filter(|id| **id == "call-1").count(), 1, "a call and its answer are one row");
    // Nothing happens until the dots lapse but signs of life.
    assert_eq!(feed.chunk().await.unwrap(), ":\n\n");
    let event = feed.event().await;
    assert_eq!((&event["dots"], &event["messages"]), (&Value::Null, &json!([])));
    world.send("hi").await;
    let event = feed.event().await;
    assert_eq!(event["messages"].as_array().unwrap().len(), 1);
    assert!(event["messages"][0]["html"].as_str().unwrap().contains("hi"));
}

#[tokio::test(start_paused = true)]
async fn the_feed_of_one_customer_tells_nothing_of_another() {
    let world = World::quiet();
    let grace = world.sandbox.new_customer("Grace");
    let mut feed = Feed::open(&world).await;
    feed.event().await;
    world.sandbox.write(&grace, Draft::text("a secret")).unwrap();
    world.ada_writes("hello").await;
    let event = feed.event().await;
    assert_eq!(event["messages"].as_array().unwrap().len(), 1);
    assert!(!event.to_string().contains("Grace") && !event.to_string().contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn the_feed_ends_with_the_sandbox() {
    let world = World::quiet();
    let mut feed = Feed::open(&world).await;
    feed.event().await;
    world.sandbox.shutdown().await;
    assert_eq!(feed.chunk().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_template_can_be_replaced_and_a_broken_one_is_refused_with_its_line() {
    let world = World::quiet();
    world.ada_writes("<hello>").await;
    let replaced = |name: &str, source: &str| Page::new(HashMap::from([(name.to_owned(), source.to_owned())]));
    let page = replaced("message.html", "<li>{{ text }}!</li>").unwrap();
    let html = read_body(ask_with(&world, page, get("/")).await).await;
    assert!(String::from_utf8_lossy(&html).contains("<li>&lt;hello&gt;!</li>"));
    let page = replaced("phone.css", "body { color: red }").unwrap();
    assert_eq!(read_body(ask_with(&world, page, get("/phone.css")).await).await, "body { color: red }");
    let Err(broken) = replaced("wire.html", "\n{% if %}") else { panic!("it was taken") };
    assert!(matches!(broken, PageError::Broken { name: "wire.html", line: 2, .. }), "{broken}");
    let Err(unknown) = replaced("wires.html", "") else { panic!("it was taken") };
    assert_eq!(unknown, PageError::Unknown { name: "wires.html".to_owned() });
}

#[tokio::test(start_paused = true)]
async fn a_person_writes_on_the_page_and_the_upstream_tells_of_it() {
    let world = World::quiet();
    world.ada_writes("hello").await;
    let path = format!("/phone/{ADA}/person");
    assert_eq!(status(&world, post_json(&path, &json!({ "text": "This is Ben <b>" }))).await, 204);
    seconds(1.0).await;
    let html = shown(&world, "/").await;
    assert_eq!(texts(&html), ["hello", "This is Ben <b>"]);
    assert_eq!(html.matches(r#"data-test="by-person""#).count(), 1, "it says whose words those are");
    let told = world.letterbox.posts().last().unwrap().json().to_string();
    assert!(told.contains("smb_message_echoes") && told.contains("This is Ben"), "{told}");
    for nonsense in [json!({ "text": " " }), json!({ "text": "a".repeat(65_537) }), json!({})] {
        assert_eq!(status(&world, post_json(&path, &nonsense)).await, 400);
    }
    assert_eq!(status(&world, post_json("/phone/1/person", &json!({ "text": "hello" }))).await, 400);
}

#[tokio::test(start_paused = true)]
async fn the_page_asks_the_products_operator_to_have_the_bot_keep_silent_and_go_on() {
    let world = World::quiet();
    let path = format!("/phone/{ADA}/answers");
    let answers = async |who: &str| status(&world, post_json(&path, &json!({ "who": who }))).await;
    // Without somebody to ask there are no buttons, and nobody is asked.
    assert!(!shown(&world, "/").await.contains("answers-person"));
    assert_eq!((answers("person").await, world.letterbox.posts().len()), (400, 0));
    let operator = OperatorAccess { url: "http://operator".into(), token: "a token".into(), bot: "demo".into() };
    world.sandbox.give_operator(operator.clone());
    assert!(!format!("{operator:?}").contains("token"));
    let html = shown(&world, "/").await;
    assert!(html.contains("answers-person") && html.contains("answers-bot") && !html.contains("a token"), "{html}");
    for (who, what) in [("person", "pause"), ("bot", "resume")] {
        assert_eq!(answers(who).await, 204);
        let asked = world.letterbox.posts().pop().unwrap();
        assert_eq!(asked.url, format!("http://operator/v1/conversations/{what}"));
        assert_eq!(asked.header("authorization"), "Bearer a token");
        assert_eq!(asked.json(), json!({ "bot": "demo", "contact": ADA }));
    }
    for refusal in [Some(401), None] {
        world.letterbox.answer_next([refusal]);
        assert_eq!(answers("bot").await, 400, "whoever pressed it is told");
    }
    assert_eq!(answers("nobody").await, 400);
}
