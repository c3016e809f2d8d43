//! Many at once, and anything at all: the others are served meanwhile.

use std::time::{Duration, Instant};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::product::{CUSTOMER, Line, Product, Setup, Upstream, delivery, echo, request, signed, text};

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
