//! A server as a process: this test's own binary, which speaks the protocol on its standard input and output.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult, MetaObject,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use threedots::handler::Handler;
use threedots::handler::llm::{Llm, LlmConfig, LlmContext, Mcp, McpConfig, ToolPermission};
use threedots::message::Content;
use threedots::sandbox::Upstream;
use tokio::time::{Instant, sleep, timeout};

use crate::llm::stub::{Does, Stub, results};
use crate::llm::{around, lives, patient, say};
use crate::turns::turn;
use crate::world::{Setup, World};

/// Where the server writes down what happens to it.
const DIARY: &str = "DIARY_OF_A_TEST";

/// Does what its tools are called.
struct Clerk;

impl Clerk {
    /// Adds a line to a file of the diary.
    fn note(file: &str, line: &str) {
        let directory = std::env::var(DIARY).expect("a diary");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(Path::new(&directory).join(file));
        writeln!(file.expect("a file"), "{line}").expect("it is written");
    }
}

impl ServerHandler for Clerk {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::default();
        config.capabilities = ServerCapabilities::builder().enable_tools().build();
        config
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Arc::new(json!({ "type": "object" }).as_object().expect("an object").clone());
        let names = ["count", "environment", "hang", "die", "shout", "whisper_too_long", "ask", "fail", "refuse"];
        let tools = names.map(|name| Tool::new(name, "Does what it says.", Arc::clone(&schema)));
        Ok(ListToolsResult::with_all_items(tools.into()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Self::note("calls", &request.name);
        let words = match &*request.name {
            "count" => "seven".to_owned(),
            "environment" => {
                let mut names: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
                names.sort();
                names.join("\n")
            }
            "hang" => {
                context.ct.cancelled().await;
                Self::note("cancelled", "hang");
                String::new()
            }
            "die" => std::process::exit(7),
            "shout" => "x".repeat(1 << 20),
            "whisper_too_long" => "x".repeat(20 << 10),
            "refuse" => {
                let gossip = std::env::var("GOSSIP").unwrap_or_default();
                return Ok(CallToolResult::error(vec![ContentBlock::text(gossip)]).into());
            }
            "fail" => return Err(ErrorData::internal_error(std::env::var("GOSSIP").unwrap_or_default(), None)),
            _ => {
                let meta = json!({ "threedots/beat": true, "threedots/handover": "a refund" });
                let mut result = CallToolResult::success(vec![ContentBlock::text("ask them")]);
                result.meta = Some(MetaObject(meta.as_object().expect("an object").clone()));
                return Ok(result.into());
            }
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(words)]).into())
    }
}

#[tokio::test]
#[ignore = "run by a test of this file, as a process of its own"]
async fn a_server_of_tools() {
    let Ok(directory) = std::env::var(DIARY) else { return };
    // One that it leaves behind, if nobody looks after it.
    let mut child = std::process::Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn().expect("it sleeps");
    Clerk::note("processes", &std::process::id().to_string());
    Clerk::note("processes", &child.id().to_string());
    let gossip = std::env::var("GOSSIP").unwrap_or_default();
    writeln!(std::io::stderr(), "{gossip} in {directory}").expect("somebody reads it, or nobody");
    let served = Clerk.serve(rmcp::transport::stdio()).await.expect("somebody is there");
    let _ = served.waiting().await;
    Clerk::note("farewells", "the input was closed");
    let _ = child.try_wait();
}

/// The settings of that server.
fn clerk(diary: &TempDir) -> McpConfig {
    let arguments = ["--exact", "llm::mcp::process::a_server_of_tools", "--ignored", "--nocapture", "--quiet"];
    McpConfig {
        name: "clerk".into(),
        command: std::env::current_exe().expect("this program").to_str().expect("text").to_owned(),
        args: arguments.map(str::to_owned).into(),
        // How long a process takes to start depends on the machine.
        timeout: Duration::from_secs(60),
        list_wait: Duration::from_secs(60),
        env: BTreeMap::from([(DIARY.to_owned(), diary.path().to_str().expect("text").to_owned())]),
        ..McpConfig::default()
    }
}

fn with_process(config: McpConfig, stub: &Stub) -> Llm {
    let mut environment: Vec<_> = config.env.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    environment.push(("TOOL_KEY".into(), "a fetched secret".to_owned().into()));
    let mcp = vec![Mcp { config, token: None, environment }];
    let around = LlmContext { mcp, ..around(vec![patient(&stub.base_url)]) };
    Llm::new(LlmConfig::default(), around).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A model that calls this tool in each turn and then says "done"; and a world around it.
async fn calling(tool: &'static str, config: McpConfig, upstream: Upstream) -> (World, Stub) {
    let stub = Stub::scripted(move |request, _| {
        let last = request["messages"].as_array().and_then(|lines| lines.last().cloned()).unwrap_or_default();
        let offered = !request["tools"].is_null();
        if last["role"] == "tool" || !offered {
            return Does::Says("done".into());
        }
        Does::Calls(vec![(tool, "{}".into())])
    });
    let stub = stub.await;
    let world = Setup::on(upstream, with_process(config, &stub)).start();
    (world, stub)
}

/// The lines of one of the diary's files.
fn diary(directory: &TempDir, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(directory.path().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn told(stub: &Stub) -> String {
    stub.requests().iter().rev().map(results).find(|results| !results.is_empty()).unwrap_or_default().concat()
}

#[tokio::test]
async fn a_turn_uses_the_tools_of_a_process_that_is_started_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (world, stub) = calling("clerk_count", clerk(&directory), Upstream::Meta).await;
    assert_eq!(diary(&directory, "processes").len(), 0, "nobody has needed it");
    for number in 1..=3 {
        say(&world, "How many?").await;
        assert_eq!(told(&stub), "<tool_result>\nseven\n</tool_result>");
        assert_eq!(diary(&directory, "calls").len(), number);
    }
    assert_eq!(diary(&directory, "processes").len(), 2, "it, and the one that it has started");
}

#[tokio::test]
async fn it_knows_nothing_of_our_environment_but_where_programs_and_its_home_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let (world, stub) = calling("clerk_environment", clerk(&directory), Upstream::Meta).await;
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok() || std::env::vars().count() > 3, "there is more to be known");
    say(&world, "What do you know?").await;
    let told = told(&stub);
    let names: Vec<_> = told.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.to_owned()).collect();
    let known = ["PATH", "HOME", "LANG", DIARY, "TOOL_KEY"];
    assert!(names.iter().all(|name| known.contains(&&**name)), "{names:?}");
    assert!(names.contains(&"PATH".to_owned()) && told.contains("TOOL_KEY=a fetched secret"), "{told}");
}

#[tokio::test]
async fn a_call_that_hangs_is_cut_off_and_the_server_is_told_of_it() {
    let directory = tempfile::tempdir().expect("a directory");
    // Once it has started, which may take longer.
    let (world, stub) = calling("clerk_hang", clerk(&directory), Upstream::Waha).await;
    world.write("Hang!");
    until("the call", || !diary(&directory, "calls").is_empty()).await;
    assert!(world.phone().dots_showing(&world.customer));
    world.write("stop");
    until("the end of the call", || !diary(&directory, "cancelled").is_empty()).await;
    until("the dots' end", || !world.phone().dots_showing(&world.customer)).await;
    assert_eq!((world.replies(), stub.requests().len()), (vec![], 1));
    // It is the same process as before, and still of use.
    assert_eq!(diary(&directory, "processes").len(), 2);
}

#[tokio::test]
async fn what_is_too_long_is_thrown_away_and_the_model_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let (world, stub) = calling("clerk_whisper_too_long", clerk(&directory), Upstream::Meta).await;
    say(&world, "Go on").await;
    assert!(told(&stub).contains("too long"), "{}", told(&stub));
    // A line that is longer than any answer may be is not even read, and its call ends all the same. The server is
    // listed first, with all the time that it may need.
    let patient = clerk(&directory);
    let stub = Stub::scripted(|request, _| match request["messages"].as_array().map(Vec::len) {
        Some(2) => Does::Calls(vec![("clerk_shout", "{}".into())]),
        _ => Does::Says("done".into()),
    });
    let stub = stub.await;
    let llm = with_process(McpConfig { timeout: Duration::from_secs(8), ..patient }, &stub);
    llm.reply(&turn(vec![Content::text("Shout!")])).await.expect("an answer");
    let line = diary(&directory, "calls").into_iter().next_back();
    if line.as_deref() == Some("shout") {
        assert!(told(&stub).contains("its answer is too long"), "{}", told(&stub));
    }
}

#[tokio::test]
async fn one_that_dies_is_begun_with_again_and_left_alone_for_a_while_if_it_goes_on_dying() {
    let directory = tempfile::tempdir().expect("a directory");
    let stub = Stub::scripted(|request, _| {
        let last = request["messages"].as_array().and_then(|lines| lines.last().cloned()).unwrap_or_default();
        match last["role"] == "tool" || request["tools"].is_null() {
            true => Does::Says("done".into()),
            false => Does::Calls(vec![("clerk_die", "{}".into())]),
        }
    });
    let stub = stub.await;
    let llm = with_process(clerk(&directory), &stub);
    let hold = async || drop(llm.reply(&turn(vec![Content::text("Die!")])).await.expect("an answer"));
    let starts = || diary(&directory, "processes").len() / 2;
    hold().await;
    assert!(told(&stub).contains("cannot be reached"), "{}", told(&stub));
    assert_eq!((starts(), diary(&directory, "calls").len()), (1, 1), "what it has died of is not asked for again");
    until("the end of the first", || !lives(&diary(&directory, "processes")[0])).await;
    // At once nobody begins with it again, and after a moment somebody does.
    let began = Instant::now();
    while starts() < 2 {
        hold().await;
        assert!(began.elapsed() < Duration::from_secs(60), "it is never begun with again");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    // Its children went with it.
    until("their end", || !diary(&directory, "processes")[..2].iter().any(|process| lives(process))).await;
}

#[tokio::test]
async fn whoever_needs_it_no_longer_takes_it_down_with_all_that_it_has_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let stub = Stub::always(Does::Says("done".into())).await;
    let llm = with_process(clerk(&directory), &stub);
    llm.reply(&turn(vec![Content::text("hello")])).await.expect("an answer");
    let processes = diary(&directory, "processes");
    assert!(processes.len() == 2 && processes.iter().all(|process| lives(process)), "{processes:?}");
    drop(llm);
    until("their end", || !processes.iter().any(|process| lives(process))).await;
    assert_eq!(diary(&directory, "farewells").len(), 1, "it was given the time to end by itself");
}

#[test]
fn a_runtime_that_ends_takes_it_down_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let llm = runtime.block_on(async {
        let stub = Stub::always(Does::Says("done".into())).await;
        let llm = with_process(clerk(&directory), &stub);
        llm.reply(&turn(vec![Content::text("hello")])).await.expect("an answer");
        llm
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    let processes = diary(&directory, "processes");
    assert_eq!(processes.len(), 2);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while processes.iter().any(|process| lives(process)) {
        assert!(std::time::Instant::now() < deadline, "they live on");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(llm);
}

#[tokio::test]
async fn its_results_ask_of_the_turn_what_its_settings_say() {
    for (may, replies, stopped) in [
        (vec![], vec!["done"], false),
        (vec![ToolPermission::Beat], vec!["done"], true),
        (vec![ToolPermission::Handover], vec![], true),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let config = McpConfig { may: may.clone(), ..clerk(&directory) };
        let (world, stub) = calling("clerk_ask", config, Upstream::Linq).await;
        world.write("I want my money back");
        let done = world.phone().wait_for(|phone| {
            (!phone.replies(&world.customer).is_empty() || !diary(&directory, "calls").is_empty())
                && !phone.dots_showing(&world.customer)
        });
        timeout(Duration::from_secs(60), done).await.expect("an end");
        if !replies.is_empty() {
            until("the reply", || !world.replies().is_empty()).await;
            assert_eq!(told(&stub), "<tool_result>\nask them\n</tool_result>");
        }
        assert_eq!(world.replies(), replies, "{may:?}");
        let seen = world.seen();
        assert_eq!(seen.iter().any(|seen| seen.contains("dots off: stopped")), stopped, "{may:?}: {seen:?}");
    }
}

#[tokio::test]
async fn the_words_of_a_failure_reach_the_model() {
    for (tool, words) in [("clerk_refuse", "There is no order 17"), ("clerk_fail", "There is no order 17")] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = clerk(&directory);
        config.env.insert("GOSSIP".into(), words.into());
        let (world, stub) = calling(tool, config, Upstream::Meta).await;
        say(&world, "Where is it?").await;
        let expected = format!("The tool failed, and says why:\n<tool_result>\n{words}\n</tool_result>");
        assert_eq!(told(&stub), expected, "{tool}");
    }
}

#[tokio::test]
async fn a_handler_that_is_started_has_its_tools_before_the_first_turn() {
    let directory = tempfile::tempdir().expect("a directory");
    let stub = Stub::always(Does::Says("done".into())).await;
    let llm = with_process(clerk(&directory), &stub);
    assert_eq!(diary(&directory, "processes").len(), 0, "whoever only looks at the settings starts nothing");
    llm.start();
    until("the start", || diary(&directory, "processes").len() == 2).await;
    llm.reply(&turn(vec![Content::text("hello")])).await.expect("an answer");
    assert_eq!(stub.requests()[0]["tools"].as_array().map(Vec::len), Some(9));
}

#[test]
fn what_cannot_be_used_is_told_with_its_key() {
    let refused = |config: Value| {
        let config: McpConfig = serde_json::from_value(config).expect("the right form");
        let mcp = vec![Mcp { config, token: None, environment: Vec::new() }];
        let made = Llm::new(LlmConfig::default(), LlmContext { mcp, ..around(Vec::new()) });
        made.err().unwrap_or_default().into_iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    assert_eq!(refused(json!({ "name": "x", "command": "cat" })), [""; 0]);
    assert_eq!(refused(json!({ "name": "x" })), ["mcp[0].url"]);
    assert_eq!(refused(json!({ "name": "x", "command": "no-such-program-anywhere" })), ["mcp[0].command"]);
    assert_eq!(refused(json!({ "name": "x", "command": "/no/such/program" })), ["mcp[0].command"]);
    let both = json!({ "name": "x", "command": "cat", "url": "https://tools.example" });
    assert_eq!(refused(both), ["mcp[0].command"]);
    let others = json!({ "name": "x", "command": "cat", "private": true, "token": "env:TOKEN" });
    assert_eq!(refused(others), ["mcp[0].token", "mcp[0].private"]);
    let arguments = json!({ "name": "x", "url": "https://tools.example", "args": ["-v"], "env": { "A": "b" } });
    assert_eq!(refused(arguments), ["mcp[0].args", "mcp[0].env"]);
    let nonsense = json!({ "name": "x", "command": "cat", "args": ["a\u{0}b"], "env": { "A=B": "c" } });
    assert_eq!(refused(nonsense), ["mcp[0].args[0]", "mcp[0].env.A=B"]);
}
