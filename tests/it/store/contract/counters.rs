//! What holds of every store's counters.

use std::time::Duration;

use futures_util::future::join_all;
use threedots::message::Count;
use threedots::message::clock::Timestamp;

use crate::store::bench::{Bench, message};

const DAY: Duration = Duration::from_hours(24);

fn count(name: &str, by: i64, most: u64, until: Timestamp) -> Count {
    Count { name: name.into(), by, most: Some(most), until }
}

pub(in crate::store) async fn counters_are_added_to_together_or_not_at_all(bench: &Bench) {
    let until = bench.clock.now().plus(DAY);
    let add = |counts: Vec<Count>| bench.store.count(counts);
    assert_eq!(add(vec![count("ann", 6, 10, until), count("shop", 6, 15, until)]).await, Ok(None));
    assert_eq!(add(vec![count("ann", 4, 10, until), count("shop", 10, 15, until)]).await, Ok(Some(1)));
    assert_eq!(add(vec![count("ann", 4, 10, until), count("ann", 1, 10, until)]).await, Ok(Some(1)), "one counter");
    assert_eq!(add(vec![count("ann", 4, 10, until)]).await, Ok(None), "nothing had been added");
    assert_eq!(add(vec![count("ann", 1, 10, until)]).await, Ok(Some(0)));
    assert_eq!(add(vec![count("ann", -8, 1, until)]).await, Ok(None), "what is taken away has no limit");
    assert_eq!(
        add(vec![count("ann", -8, 1, until), count("ann", 10, 10, until)]).await,
        Ok(None),
        "none is below zero"
    );
    assert_eq!(add(vec![count("ann", 0, 1, until)]).await, Ok(None));
    assert_eq!(add(Vec::new()).await, Ok(None));
}

pub(in crate::store) async fn a_counter_has_its_limit_however_many_add_at_once(bench: &Bench) {
    let until = bench.clock.now().plus(DAY);
    let added = join_all((0..100).map(|_| bench.store.count(vec![count("ann", 7, 100, until)]))).await;
    assert_eq!(added.iter().filter(|added| **added == Ok(None)).count(), 14);
}

pub(in crate::store) async fn a_counter_ends_and_another_of_its_name_begins(bench: &Bench) {
    let (today, tomorrow) = (bench.clock.now().plus(DAY), bench.clock.now().plus(2 * DAY));
    let full = || vec![count("ann", 10, 10, today)];
    assert_eq!(bench.store.count(full()).await, Ok(None));
    assert_eq!(bench.store.count(vec![count("ann", 10, 10, tomorrow)]).await, Ok(None));
    // Past its end and the hour in which that was, it is forgotten by whatever is written next.
    tokio::time::advance(DAY + Duration::from_hours(1)).await;
    bench.accept(message("ann", "1")).await;
    assert_eq!(bench.store.count(full()).await, Ok(None));
    assert_eq!(bench.store.count(vec![count("ann", 1, 10, tomorrow)]).await, Ok(Some(0)), "it goes on");
}
