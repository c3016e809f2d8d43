//! The list of a server's tools, beside the turns.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_holds_a_turn_up_for_a_moment_and_is_asked_more_slowly_each_time() {
    let stub = Stub::new(|_| None);
    let server = server(&stub);
    let began = Instant::now();
    let waited = futures_util::future::join_all((0..3).map(|_| names(&server))).await;
    assert_eq!((waited, began.elapsed()), (vec![Vec::<String>::new(); 3], Duration::from_secs(2)));
    // Once it is known to hang, nobody waits at all.
    sleep(Duration::from_secs(30)).await;
    let began = Instant::now();
    assert_eq!((names(&server).await.len(), began.elapsed()), (0, Duration::ZERO));
    sleep(Duration::from_secs(3600)).await;
    let tries = stub.count("initialize");
    // Ten seconds each, and then a pause of 1, 2, 4 … 256 seconds.
    assert!((15..=25).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_waits_for_no_list_but_the_first_and_not_for_one_that_has_failed() {
    let stub = Stub::new(|_| Some(answer(500, "text/plain", "no")));
    let failing = server(&stub);
    let began = Instant::now();
    assert!(names(&failing).await.is_empty());
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());

    let hangs = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&hangs);
    let stub = Stub::new(move |seen| (!now.load(Ordering::SeqCst)).then(|| seen.ordinary(&["count"])));
    let server = server(&stub);
    assert_eq!(names(&server).await, ["s_count"]);
    hangs.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        sleep(Duration::from_secs(300)).await;
        let began = Instant::now();
        assert_eq!(names(&server).await, ["s_count"], "the last list stays in use");
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
    // And when it is back, it is heard of.
    hangs.store(false, Ordering::SeqCst);
    let before = stub.count("tools/list");
    sleep(Duration::from_secs(300)).await;
    assert!(stub.count("tools/list") > before);
}

#[tokio::test(start_paused = true)]
async fn the_list_is_made_anew_when_it_is_too_old_and_when_the_server_says_so() {
    let listed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&listed);
    let stub = Stub::new(move |seen| {
        Some(match seen.method() {
            "tools/list" => match count.fetch_add(1, Ordering::SeqCst) {
                0 => seen.ordinary(&["one"]),
                1 => seen.ordinary(&["one", "two"]),
                _ => seen.ordinary(&["two", "three"]),
            },
            "tools/call" => events(&[
                json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }),
                json!({ "jsonrpc": "2.0", "id": seen.json["id"], "result": { "content": [] } }),
            ]),
            _ => seen.ordinary(&[]),
        })
    });
    let server = server(&stub);
    assert_eq!(names(&server).await, ["s_one"]);
    sleep(Duration::from_secs(590)).await;
    assert_eq!((names(&server).await, listed.load(Ordering::SeqCst)), (vec!["s_one".to_owned()], 1));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(names(&server).await, ["s_one", "s_two"]);
    call(&server, "one").await.expect("an answer");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&server).await, ["s_two", "s_three"]);
    assert_eq!(stub.count("initialize"), 1);
}

#[tokio::test(start_paused = true)]
async fn pages_are_read_to_their_end_which_comes() {
    let page = |endless: bool| {
        move |seen: &Seen| {
            let at: usize = seen.json["params"]["cursor"].as_str().map_or(0, |at| at.parse().expect("a number"));
            let mut page = json!({ "tools": [tool(&format!("t{at}"))] });
            if endless || at < 2 {
                page["nextCursor"] = (at + 1).to_string().into();
            }
            seen.result(page)
        }
    };
    for (endless, expected) in [(false, 3), (true, 64)] {
        let page = page(endless);
        let stub =
            Stub::new(move |seen| Some(if seen.method() == "tools/list" { page(seen) } else { seen.ordinary(&[]) }));
        let server = server(&stub);
        assert_eq!((names(&server).await.len(), stub.count("tools/list")), (expected, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn the_tools_are_those_that_can_be_called_by_names_that_models_take() {
    let stub = Stub::new(|seen| {
        let mut task = tool("later");
        task["execution"] = json!({ "taskSupport": "required" });
        let mut either = tool("now or later");
        either["execution"] = json!({ "taskSupport": "optional" });
        let mut email = tool("add_person");
        email["inputSchema"]["properties"] = json!({ "email": { "type": "string", "pattern": "^(?!\\.)[a-z@.]+$" } });
        let mut broken = tool("broken");
        broken["inputSchema"]["properties"] = json!({ "a": { "type": "wrong" } });
        let tools = json!([task, broken, either, email, tool("orders.find"), tool("orders.find"), { "name": 7 }]);
        Some(match seen.method() {
            "tools/list" => seen.result(json!({ "tools": tools })),
            _ => seen.ordinary(&[]),
        })
    });
    let all = server(&stub);
    assert_eq!(names(&all).await, ["s_now_or_later", "s_add_person", "s_orders_find"]);
    let tools = all.tools().await;
    let schema = &tools[1].schema;
    assert_eq!(schema.json()["properties"]["email"]["pattern"], "^(?!\\.)[a-z@.]+$");
    assert!(schema.read("{\"email\": \"a@b.c\"}").is_ok() && schema.read("{\"email\": 7}").is_err());
    // The setting goes by the server's own names.
    let some = connected(McpConfig { tools: vec!["orders.find".into(), "none".into()], ..config() }, &stub);
    assert_eq!(names(&some).await, ["s_orders_find"]);
    call(&some, "orders.find").await.expect("an answer");
    let called = stub.seen().into_iter().rfind(|seen| seen.method() == "tools/call").expect("a call");
    assert_eq!(called.json["params"]["name"], "orders.find");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_tools_is_none_that_fails() {
    let stub = Stub::new(|seen| {
        let error = json!({ "code": -32601, "message": "Method not found" });
        Some(match seen.method() {
            "tools/list" => json_answer(200, &json!({ "jsonrpc": "2.0", "id": seen.json["id"], "error": error })),
            _ => seen.ordinary(&[]),
        })
    });
    let server = server(&stub);
    assert!(names(&server).await.is_empty());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(stub.count("tools/list"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_finds_a_server_that_is_back_and_so_does_the_list() {
    let hangs = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&hangs);
    let stub = Stub::new(move |seen| (!now.load(Ordering::SeqCst)).then(|| seen.ordinary(&["count"])));
    let server = server(&stub);
    assert_eq!(names(&server).await, ["s_count"]);
    hangs.store(true, Ordering::SeqCst);
    // Long enough for pauses of minutes.
    sleep(Duration::from_secs(3600)).await;
    let tries = stub.count("initialize");
    assert!(tries < 30, "{tries}");
    hangs.store(false, Ordering::SeqCst);
    // What was asked before is not answered any longer: ten seconds, and the longest pause of calls.
    sleep(Duration::from_secs(26)).await;
    let before = stub.count("tools/list");
    assert!(call(&server, "count").await.is_ok());
    sleep(Duration::from_secs(2)).await;
    assert!(stub.count("tools/list") > before);
}
