//! Twelve days of traffic, on a clock that is moved by hand: the files stop growing, and a message is known for eight.

use std::path::Path;
use std::time::Duration;

use threedots::message::{HistoryEntry, Speaker, Stage};
use threedots::store::disk::EngineKind;
use threedots::store::{Accepted, Retention, Settled, Settlement};

use super::bench::{Bench, message, message_saying, outgoing};

for_each_engine! {
    paused:
        the_files_stop_growing_and_a_message_is_known_for_eight_days
    ;
    running:
}

const DAYS: usize = 12;
const AN_HOUR: usize = 2;
const MIB: u64 = 1 << 20;

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    let sizes =
        entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() });
    sizes.sum()
}

async fn the_files_stop_growing_and_a_message_is_known_for_eight_days(kind: EngineKind) {
    let bench = Bench::disk(kind);
    let path = bench.disk.as_ref().unwrap().1.path.clone();
    let days = |days: u64| Duration::from_hours(24 * days);
    let retention = Retention { history: days(2), sent: days(2), dead: days(2) };
    let words = "a line that somebody wrote to a shop. ".repeat(60);
    let mut sizes = Vec::new();
    for day in 0..DAYS {
        for hour in 0..24 {
            for number in 0..AN_HOUR {
                let name = format!("{day}-{hour}-{number}");
                // One who writes all the time, and many who write once.
                let chat = if number == 0 { format!("regular-{number}") } else { format!("chat-{name}") };
                bench.accept(message_saying(&chat, &name, words.clone())).await;
                let claim = bench.claim().await;
                let reply = outgoing(&claim, &[&name]);
                bench.store.intend(&claim, &reply).await.unwrap();
                let time = bench.clock.now();
                let said = |by| HistoryEntry {
                    by,
                    words: words.clone(),
                    time,
                    who: None,
                    transcript: false,
                    told: None,
                    name: None,
                    message: None,
                };
                let endings = claim.messages.iter().map(|waiting| (waiting.seq, threedots::store::Ending::Answered));
                let done = Settlement::Done(Settled {
                    endings: endings.collect(),
                    said: vec![said(Speaker::Customer), said(Speaker::Bot)],
                    failure_replied: None,
                    sent: vec![(0, threedots::message::MessageId::new(&*name))],
                    failed: 0,
                });
                bench.store.settle(claim, done).await.unwrap();
                bench.note(&name, Stage::Delivered).await;
            }
            tokio::time::advance(Duration::from_hours(1)).await;
            while !bench.store.sweep(&retention).await.unwrap().round {}
        }
        sizes.push(size(&path) / MIB);
        // An hour before it is eight days old.
        if day == 7 {
            assert!(matches!(bench.accept(message("chat-0-1-1", "0-1-1")).await, Accepted::Duplicate(_)));
        }
    }
    assert!(matches!(bench.accept(message("chat-0-0-1", "0-0-1")).await, Accepted::New(_)));
    let (middle, end) = (sizes[DAYS / 2 - 1], sizes[DAYS - 1]);
    assert!(end <= middle + middle / 4 + 8, "{}: MiB at the end of each day: {sizes:?}", kind.name());
}
