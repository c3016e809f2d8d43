//! Many at once, and anything at all: the others are served meanwhile.

mod memory;
pub(crate) mod stuck;
mod turns;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use threedots::ingress::webhook::{ServerConfig, Webhooks};
use threedots::message::clock::Clock;
use threedots::policy::control::ControlConfig;
use threedots::policy::takeover::PeopleConfig;
use threedots::runtime::meters::Meters;
use threedots::store::disk::{Disk, MemorySettings};
use threedots::store::{Backlog, Maintenance, Store};

use crate::product::{CUSTOMER, Line, Product, Setup, Upstream, delivery, echo, head, request, signed, text};
use crate::real::load::{self, batch, write};
use crate::world;
use stuck::Stuck;

/// `count` connections that never finish their body, beside customers.
async fn slow_connections_harm_nobody(count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let setup = Setup { body_timeout: "3s", ..Setup::new(&upstream) };
    let product = Product::start(directory.path(), &setup, echo()).await;
    let slow = |number: usize| {
        let (address, whole) = (product.address, signed(delivery(&[text("SLOW", "too slow")]).as_bytes()));
        async move {
            let mut line = Line::open(address).await;
            let began = Instant::now();
            line.send(&whole[..whole.len() - 100]).await;
            // A byte now and then, until it is over.
            for byte in whole[whole.len() - 100..].chunks(1).take(3) {
                tokio::time::sleep(Duration::from_millis(700 + number as u64 % 100)).await;
                line.send(byte).await;
            }
            let answer = line.response().await.expect("an answer");
            assert_eq!(answer.status, 408);
            assert!(began.elapsed() >= Duration::from_secs(3));
            assert!(line.is_closed().await);
        }
    };
    let slow: Vec<_> = (0..count).map(|number| tokio::spawn(slow(number))).collect();
    let mut served = 0;
    while served < 20 || !slow.iter().all(tokio::task::JoinHandle::is_finished) {
        served += 1;
        let words = format!("customer number {served}.");
        assert_eq!(product.post(&delivery(&[text(&served.to_string(), &words)])).await, 200);
        upstream.sent(&words).await;
    }
    for slow in slow {
        slow.await.expect("a slow connection is told so and closed");
    }
    product.stop().await;
    assert!(!upstream.texts().join("\n").contains("too slow"));
}

#[tokio::test]
async fn two_hundred_slow_connections_are_closed_and_customers_are_served_meanwhile() {
    slow_connections_harm_nobody(200).await;
}

#[tokio::test]
#[ignore = "opens 4,000 file descriptors: more than some systems allow a process"]
async fn two_thousand_slow_connections_are_closed_and_customers_are_served_meanwhile() {
    slow_connections_harm_nobody(2000).await;
}

/// A delivery that something has come over: bytes flipped, cut out, doubled, put in.
fn mutated(body: &str, random: &mut TestRng) -> Vec<u8> {
    let odd: [&[u8]; 12] =
        [b"\"", b"{", b"}", b"[", b"]", b",", b"null", b"\\ud83d", b"\\u0000", b"\xff", b"1e999", b"\r\n\r\n"];
    let mut bytes = body.as_bytes().to_vec();
    for _ in 0..1 + random.next_u32() % 5 {
        let mut below = |limit: usize| random.next_u64() as usize % limit.max(1);
        let at = below(bytes.len());
        let end = (at + 1 + below(40)).min(bytes.len());
        match below(4) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            _ => drop(bytes.splice(at..at, odd[below(odd.len())].iter().copied())),
        }
    }
    bytes
}

#[tokio::test]
async fn two_thousand_mutated_deliveries_are_answered_and_none_with_an_error_of_ours() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let product = Product::start(directory.path(), &Setup::new(&upstream), echo()).await;
    let fixtures = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/meta")).expect("fixtures");
    let mut fixtures: Vec<_> = fixtures.map(|entry| entry.expect("an entry").path()).collect();
    fixtures.sort();
    let fixtures: Vec<_> = fixtures.iter().map(|path| std::fs::read_to_string(path).expect("a fixture")).collect();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut line = Line::open(product.address).await;
    let mut answers = std::collections::BTreeMap::new();
    for number in 0..2000 {
        let body = mutated(&fixtures[number % fixtures.len()], &mut random);
        line.send(&signed(&body)).await;
        let answer = line.response().await.expect("the connection goes on");
        assert!(matches!(answer.status, 200 | 400), "{}: {}", answer.status, String::from_utf8_lossy(&body));
        *answers.entry(answer.status).or_insert(0) += 1;
        if number % 100 == 0 {
            line.send(&request("POST", crate::product::WEBHOOK, &[], &body)).await;
            assert_eq!(line.response().await.expect("the connection goes on").status, 401);
        }
    }
    assert!(answers.values().all(|count| *count > 100) && answers.len() == 2, "both happen: {answers:?}");
    // Somebody else: to the first, a person has written meanwhile, from the business's own phone.
    let after = delivery(&[text("AFTER", "after all that")]).replace(CUSTOMER, "12025550177");
    assert_eq!(product.post(&after).await, 200);
    upstream.sent("after all that").await;
    product.stop().await;
}

/// A delivery of 3 MB, as Meta's may be.
fn longest(id: &str) -> Vec<u8> {
    signed(delivery(&[text(id, &"l".repeat(3 << 20))]).as_bytes())
}

/// A product with the least memory for bodies: 4 MiB for the first 16 KiB of each, and 4 MiB for what is longer.
async fn with_little_memory(directory: &std::path::Path, upstream: &Upstream) -> Product {
    let setup = Setup { server: "body_memory = 8388608".into(), ..Setup::new(upstream) };
    Product::start(directory, &setup, echo()).await
}

/// So many connections that declare a body of `declared` bytes, send `sent` of it, and no more.
async fn stalling(product: &Product, count: usize, declared: usize, sent: usize) -> Vec<Line> {
    let mut begun = head("POST", crate::product::WEBHOOK, &[], Some(declared));
    begun.extend(vec![b'x'; sent]);
    let mut lines = Vec::new();
    for _ in 0..count {
        let mut line = Line::open(product.address).await;
        line.send(&begun).await;
        lines.push(line);
    }
    lines
}

#[tokio::test]
async fn whoever_begins_and_never_ends_keeps_no_delivery_out_that_does_whatever_it_has_declared() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let product = with_little_memory(directory.path(), &upstream).await;
    // Some say that much will come, some send nearly all that is free for everybody, some more than that.
    for (count, declared, sent) in [(300, 4_000_000, 1), (300, 16_000, 15_900), (60, 3_000_000, 100_000)] {
        let stalling = stalling(&product, count, declared, sent).await;
        let deliver = async |number: usize| {
            let words = format!("customer number {number}.");
            product.post(&delivery(&[text(&format!("{count}-{sent}-{number}"), &words)])).await
        };
        for first in 0..7 {
            let answers = join_all((0..20).map(|number| deliver(first * 20 + number))).await;
            assert_eq!(answers, [200; 20], "beside {count} that send {sent} of {declared}");
        }
        for number in 0..3 {
            let id = format!("LONG-{count}-{sent}-{number}");
            let answer = Line::open(product.address).await.respond_while_sending(&longest(&id)).await;
            assert_eq!(answer.status, 200, "a long one, beside {count} that send {sent} of {declared}");
        }
        for mut line in stalling {
            let answer = line.response().await;
            // One that was cut off with much under way may learn of it by a reset, and one may have waited for room
            // itself.
            assert!(answer.is_none_or(|answer| matches!(answer.status, 408 | 503)));
            line.is_closed().await;
        }
    }
    product.stop().await;
}

#[tokio::test]
async fn one_that_stands_still_is_let_go_long_before_its_time_is_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let product = Product::start(directory.path(), &Setup::new(&upstream), echo()).await;
    let began = Instant::now();
    let mut lines = stalling(&product, 1, 1000, 10).await;
    let answer = lines[0].response().await.expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    let took = began.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(25)).contains(&took), "{took:?}");
    product.stop().await;
}

#[tokio::test]
async fn many_long_deliveries_at_once_are_taken_one_after_the_other_and_none_is_cut_off() {
    let directory = tempfile::tempdir().expect("a directory");
    let upstream = Upstream::content().await;
    let product = with_little_memory(directory.path(), &upstream).await;
    // There is room for one. How many of the others wait for less than their patience is the machine's business; an
    // upstream sends again what was answered with 503, and each time one is taken at the least.
    let mut left: Vec<usize> = (0..12).collect();
    while !left.is_empty() {
        let deliveries = left.iter().map(|number| {
            let (address, delivery) = (product.address, longest(&format!("LONG-{number}")));
            async move { Line::open(address).await.respond_while_sending(&delivery).await.status }
        });
        let answers = join_all(deliveries).await;
        assert!(answers.iter().all(|answer| matches!(answer, 200 | 503)), "{answers:?}");
        assert!(answers.contains(&200), "{answers:?}");
        let mut answers = answers.into_iter();
        left.retain(|_| answers.next() != Some(200));
    }
    assert_eq!(product.ask(&longest("LAST")).await.status, 200);
    product.stop().await;
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_a_store_is_too_slow_for_are_turned_back_in_time_and_taken_once_it_goes_on() {
    let clock = Clock::tokio();
    let world = world::Setup::new(world::echo()).build();
    let store = Arc::new(Stuck::new(Disk::in_memory(clock, &MemorySettings::default())));
    let config = ServerConfig { store_timeout: Duration::from_secs(4), ..ServerConfig::default() };
    let bots = world::inlets(Arc::clone(&world.provider), ControlConfig::default(), PeopleConfig::default());
    let webhooks = Webhooks::new(bots, Arc::clone(&store) as Arc<dyn Store>, clock, &config, Meters::default());
    let messages = (0..1000).map(|id| write(&world.sandbox, &world.customer, "hello", &format!("wamid.{id}")));
    let bodies: Vec<String> = messages.map(|message| batch(&world.sandbox, &[message]).to_string()).collect();
    let deliver = async |body: &String| {
        let request = load::signed(&world.sandbox, body, clock.now());
        webhooks.receive(world::BOT, &request).await.status
    };
    let began = tokio::time::Instant::now();
    assert_eq!(join_all(bodies.iter().map(&deliver)).await, [503; 1000]);
    assert_eq!(began.elapsed().as_secs(), 4);
    assert_eq!((store.waiting.load(Ordering::SeqCst), store.backlog()), (0, Backlog::default()), "nobody is left");
    store.stands_still.send_replace(false);
    // As the upstream does it, each again.
    assert_eq!(join_all(bodies.iter().map(&deliver)).await, [200; 1000]);
    assert_eq!(store.backlog().messages, 1000);
}
