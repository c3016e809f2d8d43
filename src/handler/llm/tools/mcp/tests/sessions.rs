//! Sessions that a server has forgotten, as after a restart.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const SEVEN: &str = "<tool_result>\nseven\n</tool_result>";

/// A server with sessions that says this of one that it does not know. Its generation is how often it was restarted.
fn restartable(refuses: impl Fn(&Seen) -> UpstreamResponse + Send + Sync + 'static) -> (Arc<Stub>, Arc<AtomicUsize>) {
    let generation = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&generation);
    let stub = Stub::new(move |seen| {
        let current = format!("session-{}", now.load(Ordering::SeqCst));
        Some(match (seen.method(), &seen.session) {
            ("initialize", _) => in_session(seen.ordinary(&[]), &current),
            (_, Some(session)) if *session == current => seen.ordinary(&["count"]),
            _ => refuses(seen),
        })
    });
    (stub, generation)
}

fn error(id: Value, code: i32) -> Value {
    json!({ "jsonrpc": "2.0", "error": { "code": code, "message": "Bad Request: no valid session" }, "id": id })
}

type Refuses = fn(&Seen) -> UpstreamResponse;

#[tokio::test(start_paused = true)]
async fn a_session_that_is_unknown_is_begun_anew_and_the_call_repeated_once() {
    let ways: [(&str, Refuses); 10] = [
        ("an error without an identifier", |_| json_answer(400, &error(Value::Null, -32000))),
        ("an error of another request", |_| json_answer(400, &error("server-error".into(), -32600))),
        ("the request's own error", |seen| json_answer(400, &error(seen.json["id"].clone(), -32000))),
        ("no JSON", |_| answer(400, "text/plain", "Invalid session ID")),
        ("nothing", |_| answer(400, "", "")),
        ("JSON that is no answer", |_| json_answer(400, &json!({ "detail": "no session" }))),
        ("404", |_| answer(404, "text/html", "<h1>Not found</h1>")),
        ("404 with JSON", |seen| json_answer(404, &error(seen.json["id"].clone(), -32001))),
        ("409", |_| answer(409, "", "")),
        ("410", |_| answer(410, "", "")),
    ];
    for (way, refuses) in ways {
        let (stub, generation) = restartable(refuses);
        let server = server(&stub);
        assert_eq!(names(&server).await, ["s_count"], "{way}");
        assert_eq!(call(&server, "count").await.as_deref(), Ok(SEVEN), "{way}");
        generation.fetch_add(1, Ordering::SeqCst);
        let before = tokio::time::Instant::now();
        assert_eq!(call(&server, "count").await.as_deref(), Ok(SEVEN), "{way}");
        assert!(before.elapsed() < Duration::from_secs(1), "{way}: {:?}", before.elapsed());
        assert_eq!((stub.count("initialize"), stub.count("tools/call")), (2, 3), "{way}");
        // Its tools may be others now.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(stub.count("tools/list"), 2, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_begin_one_new_session() {
    let (stub, generation) = restartable(|_| json_answer(400, &error(Value::Null, -32000)));
    let server = server(&stub);
    names(&server).await;
    generation.fetch_add(1, Ordering::SeqCst);
    let calls = futures_util::future::join_all((0..5).map(|_| call(&server, "count"))).await;
    assert!(calls.iter().all(|told| told.as_deref() == Ok(SEVEN)), "{calls:?}");
    assert_eq!(stub.count("initialize"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_itself_ends_no_session() {
    for (status, about_it, told) in [
        (401, false, Err(Failure::Status(401))),
        (403, false, Err(Failure::Status(403))),
        (429, false, Err(Failure::Status(429))),
        (500, false, Err(Failure::Status(500))),
        (503, false, Err(Failure::Status(503))),
        (400, true, Ok("Bad Request")),
        (404, true, Ok("Bad Request")),
    ] {
        let stub = Stub::new(move |seen| {
            Some(match seen.method() {
                "initialize" => in_session(seen.ordinary(&[]), "session"),
                "tools/call" if about_it => json_answer(status, &error(seen.json["id"].clone(), -32602)),
                "tools/call" => answer(status, "text/plain", "no"),
                _ => seen.ordinary(&["count"]),
            })
        });
        let server = server(&stub);
        names(&server).await;
        let came = call(&server, "count").await;
        match told {
            Ok(words) => assert!(came.as_ref().is_ok_and(|came| came.contains(words)), "{status}: {came:?}"),
            Err(why) => assert_eq!(came, Err(why), "{status}"),
        }
        assert_eq!((stub.count("initialize"), stub.count("tools/call")), (1, 1), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_lets_nobody_in_any_longer_is_not_asked_again_and_again() {
    let restarted = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&restarted);
    let stub = Stub::new(move |seen| {
        Some(match (now.load(Ordering::SeqCst), seen.method()) {
            (0, "initialize") => in_session(seen.ordinary(&[]), "session"),
            (0, _) => seen.ordinary(&["count"]),
            _ => answer(400, "text/plain", "no"),
        })
    });
    let server = server(&stub);
    names(&server).await;
    restarted.fetch_add(1, Ordering::SeqCst);
    let before = tokio::time::Instant::now();
    assert!(call(&server, "count").await.is_err());
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    assert_eq!(stub.count("initialize"), 2);
    // The list that there was stays in use, and is asked for more slowly each time.
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(names(&server).await, ["s_count"]);
    assert!((4..=12).contains(&stub.count("initialize")), "{}", stub.count("initialize"));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_sessions_works_and_a_session_is_ended_as_the_protocol_says() {
    let stub = Stub::new(|seen| Some(seen.ordinary(&["count"])));
    let sessionless = server(&stub);
    assert_eq!(names(&sessionless).await, ["s_count"]);
    assert_eq!(call(&sessionless, "count").await.as_deref(), Ok(SEVEN));
    assert!(stub.seen().iter().all(|seen| seen.session.is_none()));
    drop(sessionless);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stub.count("DELETE"), 0);

    let (stub, _) = restartable(|_| answer(400, "", ""));
    let server = server(&stub);
    names(&server).await;
    assert_eq!(stub.count("DELETE"), 0);
    drop(server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ended: Vec<_> = stub.seen().into_iter().filter(|seen| seen.http == "DELETE").collect();
    assert!(matches!(&ended[..], [end] if end.session.as_deref() == Some("session-0")), "{ended:?}");
}
