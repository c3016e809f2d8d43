//! METRICS.md against the source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use threedots::admin::telemetry::metrics::{Gauges, Metrics};
use threedots::message::BotName;
use threedots::runtime::meters::{Fact, LadderStep, MetricsSink};

/// Names of metrics, and those of their labels.
type Table = BTreeMap<String, BTreeSet<String>>;

/// What the document tells of.
fn written() -> Table {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("METRICS.md")).expect("METRICS.md");
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `threedots_"));
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        (names(cells[1]).remove(0), names(cells[2]).into_iter().collect())
    });
    rows.collect()
}

/// What there is, once everything has happened.
fn counted() -> Table {
    let (metrics, bot, took) = (Metrics::default(), BotName::new("shop"), Duration::from_millis(70));
    let facts = [
        Fact::Webhook { provider: "meta", answer: "ok" },
        Fact::Messages { provider: "meta", what: "new", count: 1 },
        Fact::Running(true),
        Fact::Turn { bot: &bot, outcome: "answered", took },
        Fact::TurnedAway { gate: "kind", count: 1 },
        Fact::GivenBack { why: "pace" },
        Fact::Died { bot: &bot, count: 1 },
        Fact::Handler { result: "reply", took },
        Fact::Call { provider: "meta", call: "send", result: "ok" },
        Fact::Commit { took },
        Fact::Step { step: LadderStep::Model(0), cause: "asked" },
        Fact::Spent { bot: &bot, read: 1, written: 1, money: 0.5 },
        Fact::OverBudget { limit: "bot_money" },
        Fact::Tool { result: "ok" },
    ];
    for fact in facts {
        metrics.add(fact);
        // Whoever adds a fact adds it above.
        match fact {
            Fact::Webhook { .. } | Fact::Messages { .. } | Fact::Running(_) | Fact::Turn { .. } => {}
            Fact::TurnedAway { .. } | Fact::GivenBack { .. } | Fact::Died { .. } | Fact::Handler { .. } => {}
            Fact::Call { .. } | Fact::Commit { .. } | Fact::Step { .. } | Fact::Spent { .. } => {}
            Fact::OverBudget { .. } | Fact::Tool { .. } => {}
        }
    }
    let bots = vec![(bot.clone(), false)];
    let state = Gauges {
        messages: 1,
        conversations: 1,
        oldest: Duration::ZERO,
        bots,
        store_failed: false,
        out_of_space: false,
    };
    let text = metrics.text(state);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    let mut table = Table::new();
    for line in lines.filter(|line| !line.contains("_sum")) {
        let (name, _) = line.rsplit_once(' ').expect("a number");
        let (name, labels) = name.trim_end_matches('}').split_once('{').unwrap_or((name, ""));
        let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        // Of a histogram, the name without what it has several of.
        table.entry(name.trim_end_matches("_count").to_owned()).or_default().extend(labels);
    }
    table
}

#[test]
fn every_metric_stands_in_the_document_with_its_labels_and_nothing_else_does() {
    let written = written();
    assert!(written.len() > 20, "the table was not found");
    assert_eq!(written, counted());
}
