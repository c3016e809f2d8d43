//! Servers that others have written, as anybody gets them: from Python's package index.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use threedots::handler::Egress;
use threedots::handler::llm::{Llm, LlmConfig, LlmContext, Mcp, McpConfig};
use threedots::runtime::http::{Client, Shared, Transport};

use crate::llm::stub::{Does, Stub, results};
use crate::llm::{around, patient, say};
use crate::world::Setup;

/// Their versions: what they offer may change.
const TIME: &str = "mcp-server-time==2026.10.19";
const SDK: &str = "mcp==2.3.0";

fn run(program: &str, arguments: &[&str]) {
    let output = std::process::Command::new(program).args(arguments).output().expect("it can be started");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An environment of Python's with this package.
fn installed(directory: &TempDir, package: &str) -> String {
    let venv = directory.path().join("venv");
    let venv = venv.to_str().expect("text");
    run("python3", &["-m", "venv", venv]);
    run(&format!("{venv}/bin/pip"), &["install", "--quiet", "--disable-pip-version-check", package]);
    venv.to_owned()
}

#[tokio::test]
#[ignore = "installs a Python package from the network"]
async fn a_public_server_tells_a_turn_the_time_in_another_city() {
    let directory = tempfile::tempdir().expect("a directory");
    let venv = installed(&directory, TIME);
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
    let llm = Llm::new(LlmConfig::default(), LlmContext { mcp, ..around(vec![patient(&stub.base_url)]) });
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

/// A shop on the SDK, at this port; killed as it is dropped.
struct Shop(Child);

impl Shop {
    fn start(venv: &str, port: u16) -> Self {
        let script = format!(
            "from mcp.server.mcpserver import MCPServer\n\
             from mcp.server.mcpserver.exceptions import ToolError\n\
             shop = MCPServer('shop')\n\
             @shop.tool(name='orders.find')\n\
             def find(order: int) -> str:\n\
             \x20   if order != 18: raise ToolError('there is 18')\n\
             \x20   return 'it is on its way'\n\
             shop.run('streamable-http', host='127.0.0.1', port={port})\n"
        );
        let mut command = Command::new(format!("{venv}/bin/python"));
        let child = command.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let shop = Self(child.expect("it can be started"));
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "it does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        shop
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "installs a Python package from the network"]
async fn a_public_sdks_server_is_restarted_in_the_middle_of_a_conversation() {
    let directory = tempfile::tempdir().expect("a directory");
    let venv = installed(&directory, SDK);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let shop = Shop::start(&venv, port);
    let stub = Stub::scripted(|_, number| match number {
        1 => Does::Calls(vec![("shop_orders_find", "{\"order\": 17}".into())]),
        2 | 4 => Does::Calls(vec![("shop_orders_find", "{\"order\": 18}".into())]),
        _ => Does::Says("It is on its way".into()),
    });
    let stub = stub.await;
    let long = Duration::from_secs(60);
    let url = format!("http://127.0.0.1:{port}/mcp");
    let config =
        McpConfig { name: "shop".into(), url, private: true, timeout: long, list_wait: long, ..McpConfig::default() };
    let mcp = vec![Mcp { config, token: None, environment: Vec::new() }];
    let client: Arc<dyn Transport> = Client::new().expect("a client");
    let ways_out = Egress { anywhere: Arc::clone(&client), public: client, models: Shared::default() };
    let llm = Llm::new(LlmConfig::default(), LlmContext { mcp, ways_out, ..around(vec![patient(&stub.base_url)]) });
    let world = Setup::new(llm.unwrap_or_else(|problems| panic!("{problems:?}"))).start();
    say(&world, "Where is my order?").await;
    let told = results(&stub.requests()[2]);
    assert!(told[0].contains("there is 18"), "{told:?}");
    assert_eq!(told[1], "<tool_result>\nit is on its way\n</tool_result>");
    drop(shop);
    let _shop = Shop::start(&venv, port);
    say(&world, "And now?").await;
    assert_eq!(results(&stub.requests()[4]), ["<tool_result>\nit is on its way\n</tool_result>"]);
}
