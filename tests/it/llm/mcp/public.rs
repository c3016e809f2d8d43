//! A server that others have written, as anybody gets it: from Python's package index.

use std::collections::BTreeMap;
use std::time::Duration;

use threedots::handler::llm::{Around, Llm, LlmConfig, Mcp, McpConfig};

use crate::llm::stub::{Does, Stub, results};
use crate::llm::{around, patient, say};
use crate::world::Setup;

/// Its version: what it offers may change.
const PACKAGE: &str = "mcp-server-time==2026.10.19";

fn run(program: &str, arguments: &[&str]) {
    let output = std::process::Command::new(program).args(arguments).output().expect("it can be started");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "installs a Python package from the network"]
async fn a_public_server_tells_a_turn_the_time_in_another_city() {
    let directory = tempfile::tempdir().expect("a directory");
    let venv = directory.path().join("venv");
    let venv = venv.to_str().expect("text");
    run("python3", &["-m", "venv", venv]);
    run(&format!("{venv}/bin/pip"), &["install", "--quiet", "--disable-pip-version-check", PACKAGE]);
    let stub = Stub::scripted(|_, number| match number {
        1 => Does::Calls(vec![("time_convert_time", {
            "{\"source_timezone\": \"Europe/Berlin\", \"time\": \"12:00\", \"target_timezone\": \"Asia/Tokyo\"}".into()
        })]),
        _ => Does::Says("It is evening there".into()),
    });
    let stub = stub.await;
    let config = McpConfig {
        name: "time".into(),
        command: format!("{venv}/bin/mcp-server-time"),
        args: vec!["--local-timezone".into(), "Europe/Berlin".into()],
        env: BTreeMap::new(),
        timeout: Duration::from_secs(60),
        list_wait: Duration::from_secs(60),
        ..McpConfig::default()
    };
    let mcp = vec![Mcp { config, token: None, environment: Vec::new() }];
    let llm = Llm::new(LlmConfig::default(), Around { mcp, ..around(vec![patient(&stub.base_url)]) });
    let world = Setup::new(llm.unwrap_or_else(|problems| panic!("{problems:?}"))).start();
    say(&world, "It is noon in Berlin. What time is it in Tokyo?").await;
    assert_eq!(world.replies(), ["It is evening there"]);
    let requests = stub.requests();
    let offered: Vec<_> = requests[0]["tools"].as_array().expect("tools").iter().collect();
    let names: Vec<_> = offered.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect();
    assert_eq!(names, ["time_get_current_time", "time_convert_time"]);
    let told = results(&requests[1]).concat();
    // Summer or winter, seven hours or eight.
    assert!(told.contains("T19:00:00+09:00") || told.contains("T20:00:00+09:00"), "{told}");
}
