//! What holds of every store's summaries.

use std::time::Duration;

use threedots::message::{BotName, Summary};
use threedots::store::Retention;

use crate::store::bench::{Bench, conversation, group_message, message};

fn summary(bench: &Bench, words: &str) -> Summary {
    Summary { words: words.into(), until: bench.clock.now() }
}

pub(in crate::store) async fn a_summary_is_kept_until_the_next_and_goes_with_its_conversation(bench: &Bench) {
    let (ann, store) = (conversation("ann"), &bench.store);
    store.summarise(&ann, &summary(bench, "lost")).await.unwrap();
    assert_eq!(store.summary(&ann).await, Ok(None), "there is no such conversation");
    bench.accept(message("ann", "1")).await;
    for words in ["short", &"long ".repeat(10_000), "shorter"] {
        store.summarise(&ann, &summary(bench, words)).await.unwrap();
        assert_eq!(store.summary(&ann).await, Ok(Some(summary(bench, words))));
    }
    let claim = bench.claim().await;
    bench.answer(claim).await;
    tokio::time::advance(Duration::from_hours(24)).await;
    let retention = Retention { history: Duration::from_hours(1), ..Retention::default() };
    while !store.sweep(&retention).await.unwrap().round {}
    assert_eq!(store.summary(&ann).await, Ok(None));
}

pub(in crate::store) async fn whoever_is_forgotten_takes_along_what_summaries_say(bench: &Bench) {
    bench.accept(message("ann", "1")).await;
    bench.accept(message("ben", "2")).await;
    bench.accept(group_message("group", "3", "ben", None)).await;
    for chat in ["ann", "ben", "group"] {
        bench.store.summarise(&conversation(chat), &summary(bench, "what they said")).await.unwrap();
    }
    bench.store.forget(&BotName::new("shop"), "ann").await.unwrap();
    let mut left = Vec::new();
    for chat in ["ann", "ben", "group"] {
        left.push(bench.store.summary(&conversation(chat)).await.unwrap().is_some());
    }
    assert_eq!(left, [false, true, false], "nobody can say whose words are in a group's");
}
