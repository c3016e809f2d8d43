//! The table of providers, as the README and the module's own words show it: made of what the providers say of
//! themselves, so that it cannot drift.

use std::path::Path;
use std::time::Duration;

use threedots::provider::{Abilities, GroupTyping, KINDS, KeyedBy, ReadReceipts};
use threedots::sandbox::Upstream;

use crate::world::{Setup, echo};

/// How each upstream proves that a webhook is its own. No ability: the core never needs to know.
const VERIFIED: [(&str, &str); 6] = [
    ("meta", "HMAC-SHA256"),
    ("nxcloud", "MD5 over headers, body and secret"),
    ("wawp", "HMAC-SHA256 or -SHA512, or a token"),
    ("waha", "HMAC-SHA512"),
    ("gateway", "HMAC-SHA512"),
    ("linq", "Standard Webhooks (HMAC-SHA256)"),
];

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

fn row(upstream: Upstream, abilities: &Abilities) -> String {
    let typing = &abilities.typing;
    let (_, verified) = VERIFIED.into_iter().find(|(name, _)| *name == upstream.name()).expect("every upstream");
    let reads = match abilities.reads {
        ReadReceipts::Message if typing.start_marks_read => "with typing",
        ReadReceipts::Message => "by message",
        ReadReceipts::Chat => "by chat",
        ReadReceipts::CountOnly => "not shown",
        ReadReceipts::None => "its own setting",
    };
    let keyed_by = match typing.keyed_by {
        KeyedBy::Message => "message",
        KeyedBy::Chat => "chat",
    };
    let refresh = typing.refresh.map_or_else(|| "never".to_owned(), seconds);
    let off = if typing.stop.is_some() { "a reply, a call, time" } else { "a reply, time" };
    // What an upstream makes unavoidable, as the interleavings hold it.
    let idle = match typing.stop {
        Some(_) => format!("0 s; if its call fails 2 s, and {} if that fails three times", seconds(typing.lifetime)),
        None => seconds(typing.lifetime),
    };
    let recording = if typing.recording { "yes" } else { "no" };
    let again = match (abilities.idempotent_sends, abilities.statuses_carry_key) {
        (true, _) => "by key",
        (false, true) => "found by status",
        (false, false) => "no",
    };
    let groups = match typing.groups {
        GroupTyping::Show => "yes",
        GroupTyping::Sparingly => "sparingly",
        GroupTyping::Skip => "no dots",
    };
    format!(
        "| {} | `{}` | {verified} | {reads} | {keyed_by} | {} | {refresh} | {off} | {idle} | {recording} | {again} | {groups} |",
        upstream.title(),
        upstream.name(),
        seconds(typing.lifetime),
    )
}

const HEAD: &str = "| Provider | `kind` | Webhooks verified by | Read receipts | Dots keyed by | last | lit again after | taken off by | with nothing behind them, at most | Recording | Same send twice | Groups |";

fn table() -> Vec<String> {
    let mut rows = vec![HEAD.to_owned(), "|---|---|---|---|---|---|---|---|---|---|---|---|".to_owned()];
    rows.extend(Upstream::ALL.map(|upstream| row(upstream, Setup::on(upstream, echo()).build().provider.abilities())));
    rows
}

#[tokio::test(start_paused = true)]
async fn the_readme_and_the_module_show_what_the_providers_say_of_themselves() {
    for file in ["README.md", "src/provider.rs"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect(file);
        let missing: Vec<String> = table().into_iter().filter(|row| !text.contains(row.as_str())).collect();
        assert!(missing.is_empty(), "{file} lacks\n{}", missing.join("\n"));
    }
}

#[test]
fn the_sandbox_has_the_other_side_of_every_kind() {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let upstreams: Vec<&str> = Upstream::ALL.into_iter().map(Upstream::name).collect();
    assert_eq!(kinds, upstreams);
}
