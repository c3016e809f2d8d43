//! What is counted of the ladder of models, of tools and of what all that costs.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use threedots::handler::Egress;
use threedots::handler::llm::{BudgetConfig, Llm, LlmConfig, LlmContext, ModelConfig, Tool, ToolConfig};
use threedots::message::clock::Clock;
use threedots::message::{HistoryEntry, Speaker};
use threedots::runtime::http::{CallError, Transport};
use threedots::store::Store;
use threedots::store::disk::{Disk, MemorySettings};
use threedots::{Handler, Reply};

use super::budget::turn;
use super::stub::{Does, Stub};
use super::tools::{ORDER, order_status};
use super::{around, dead_end, patient};
use crate::http_handler::{Remote, says};
use crate::metrics::{Counted, assert_lines};

/// A handler whose calls are counted, with a store in memory for its budget.
fn llm(counted: &Counted, config: LlmConfig, models: Vec<ModelConfig>) -> Llm {
    with_tool(counted, config, models, None)
}

fn with_tool(
    counted: &Counted,
    config: LlmConfig,
    models: Vec<ModelConfig>,
    way_out: Option<Arc<dyn Transport>>,
) -> Llm {
    let store: Arc<dyn Store> = Arc::new(Disk::in_memory(Clock::System, &MemorySettings::default()));
    let mut around = LlmContext { conversation_state: Arc::new(store), meters: counted.meters(), ..around(models) };
    if let Some(way_out) = way_out {
        around.ways_out = Egress {
            anywhere: Arc::clone(&way_out),
            public: way_out,
            models: threedots::runtime::http::Shared::default(),
        };
        let config = ToolConfig { timeout: Duration::from_millis(200), ..order_status() };
        around.tools = vec![Tool { config, secret: None }];
    }
    Llm::new(config, around).unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn ask(llm: &Llm, number: usize) -> Reply {
    llm.reply(&turn("15550100042", number, Clock::System.now())).await.expect("a reply")
}

#[tokio::test]
async fn each_step_of_the_ladder_is_counted_with_what_led_there() {
    let (limited, broken) = (Stub::always(Does::Refuses(429, None)).await, Stub::always(Does::HangsUp("Hm")).await);
    let good = Stub::start().await;
    let models = |addresses: &[&str]| addresses.iter().map(|address| patient(address)).collect();
    let counted = Counted::new();
    let answering = llm(&counted, LlmConfig::default(), models(&[&limited.base_url, &broken.base_url, &good.base_url]));
    for number in 0..3 {
        assert!(matches!(ask(&answering, number).await, Reply::Send(_)));
    }
    // The canned reply twice, and then a person.
    let config = LlmConfig { handover_after: 2, retry_for: Duration::ZERO, ..LlmConfig::default() };
    let failing = llm(&counted, config, models(&[&limited.base_url, &dead_end()]));
    let mut asked = turn("15550100042", 9, Clock::System.now());
    for number in 0..3 {
        match failing.reply(&asked).await.expect("a reply") {
            Reply::Fallback { parts, reason } => {
                assert_eq!(reason, "no model answered: unreachable");
                let words = parts[0].payload.words().expect("words").to_owned();
                asked.history.push(HistoryEntry {
                    by: Speaker::Bot,
                    words,
                    time: asked.now,
                    who: None,
                    transcript: false,
                    told: None,
                    name: None,
                    message: None,
                });
            }
            reply => assert!(number == 2 && matches!(reply, Reply::Handover { .. }), "{reply:?}"),
        }
    }
    assert_lines(
        &counted.lines(),
        "threedots_llm",
        &[
            ("threedots_llm_steps_total{cause=\"asked\",step=\"model\"}", 6.0),
            ("threedots_llm_steps_total{cause=\"rate_limited\",step=\"fallback_1\"}", 6.0),
            ("threedots_llm_steps_total{cause=\"broke_off\",step=\"fallback_2\"}", 3.0),
            ("threedots_llm_steps_total{cause=\"unreachable\",step=\"canned_reply\"}", 2.0),
            ("threedots_llm_steps_total{cause=\"canned_reply\",step=\"human\"}", 1.0),
        ],
    );
}

#[tokio::test]
async fn what_is_spent_is_counted_and_what_is_refused_for_a_limit() {
    let stub = Stub::always(Does::Costs("Yes", 50, 200)).await;
    let model = ModelConfig { input_price: 1000.0, output_price: 2000.0, ..patient(&stub.base_url) };
    let counted = Counted::new();
    // A call costs 250 tokens, and up to 200 and what there is to read are set aside for it.
    let budget = BudgetConfig { contact_tokens: 1_000, ..BudgetConfig::default() };
    let limited = llm(&counted, LlmConfig { budget, max_tokens: 200, ..LlmConfig::default() }, vec![model]);
    let mut answered = 0.0;
    while ask(&limited, 1).await == Reply::text("Yes") {
        answered += 1.0;
    }
    assert!(answered > 0.0);
    assert_eq!(ask(&limited, 2).await, Reply::Silence);
    // And a call that has no price, and no limit.
    assert_eq!(ask(&llm(&counted, LlmConfig::default(), vec![patient(&stub.base_url)]), 3).await, Reply::text("Yes"));
    assert_lines(
        &counted.lines(),
        "threedots_llm",
        &[
            ("threedots_llm_steps_total{cause=\"asked\",step=\"model\"}", answered + 3.0),
            ("threedots_llm_budget_refusals_total{limit=\"contact_tokens\"}", 2.0),
            ("threedots_llm_tokens_total{bot=\"shop\",direction=\"read\"}", 50.0 * (answered + 1.0)),
            ("threedots_llm_tokens_total{bot=\"shop\",direction=\"written\"}", 200.0 * (answered + 1.0)),
            ("threedots_llm_money_total{bot=\"shop\"}", 0.45 * answered),
        ],
    );
}

#[tokio::test]
async fn tools_are_counted_by_what_came_of_them_and_none_by_its_name() {
    let stub = Stub::scripted(|_, number| match number {
        1 => Does::Calls(vec![
            ("order_status", ORDER.into()),
            ("order_status", "[]".into()),
            ("canary_tool", "{}".into()),
        ]),
        2 | 3 => Does::Calls(vec![("order_status", ORDER.into())]),
        4 => Does::Says("It is on its way".into()),
        _ => Does::Calls(vec![("order_status", ORDER.into())]),
    });
    let remote = Remote::new(|number, _| async move {
        match number {
            0 => says(&json!("sent")),
            1 => Err(CallError::NotSent("cannot connect")),
            2 => pending().await,
            _ => says(&json!({ "result": "", "handover": "a refund" })),
        }
    });
    let counted = Counted::new();
    let stub = stub.await;
    let llm = with_tool(&counted, LlmConfig::default(), vec![patient(&stub.base_url)], Some(remote));
    assert_eq!(ask(&llm, 1).await, Reply::text("It is on its way"));
    assert!(matches!(ask(&llm, 2).await, Reply::Handover { .. }));
    let lines = counted.lines();
    assert_lines(
        &lines,
        "threedots_llm",
        &[
            ("threedots_llm_steps_total{cause=\"asked\",step=\"model\"}", 2.0),
            ("threedots_llm_steps_total{cause=\"tool\",step=\"human\"}", 1.0),
            ("threedots_llm_tool_calls_total{result=\"ok\"}", 2.0),
            ("threedots_llm_tool_calls_total{result=\"failed\"}", 1.0),
            ("threedots_llm_tool_calls_total{result=\"timeout\"}", 1.0),
            ("threedots_llm_tool_calls_total{result=\"wrong_arguments\"}", 1.0),
            ("threedots_llm_tool_calls_total{result=\"no_such_tool\"}", 1.0),
        ],
    );
    let all = format!("{lines:?}");
    assert!(!all.contains("canary") && !all.contains("order") && !all.contains("15550100042"), "{all}");
}
