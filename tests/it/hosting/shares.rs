//! What the process has is for all bots: one that hangs or is flooded leaves the others what they need.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::FutureExt;
use serde_json::json;
use threedots::runtime::budget::{MemoryBudget, MemoryUse};
use threedots::{Handler, HandlerError, Reply, Turn};
use tokio::sync::watch;

use super::House;
use crate::product::{Line, SECRET, delivery, echo, request, signature, soon, text};

/// Hangs for every bot but the shop, until it is let go; counts the turns that hang.
#[derive(Clone)]
struct Hanging {
    turns: Arc<watch::Sender<HashMap<String, usize>>>,
    most: Arc<Mutex<HashMap<String, usize>>>,
    over: watch::Receiver<bool>,
}

impl Hanging {
    fn new() -> (Self, watch::Sender<bool>) {
        let (end, over) = watch::channel(false);
        (Self { turns: Arc::default(), most: Arc::default(), over }, end)
    }

    async fn hang(&self, bot: &str, turns: usize) {
        let count = |all: &HashMap<String, usize>| all.get(bot).copied().unwrap_or_default();
        soon(self.turns.subscribe().wait_for(|all| count(all) >= turns)).await.expect("it is there");
    }

    fn most(&self, bot: &str) -> usize {
        self.most.lock().expect("no panic").get(bot).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Handler for Hanging {
    async fn reply(&self, turn: &Turn) -> Result<Reply, HandlerError> {
        let bot = turn.bot.as_str().to_owned();
        if bot != "shop" {
            self.turns.send_modify(|all| {
                let turns = all.entry(bot.clone()).or_default();
                *turns += 1;
                let mut most = self.most.lock().expect("no panic");
                let most = most.entry(bot.clone()).or_default();
                *most = (*most).max(*turns);
            });
            self.over.clone().wait_for(|over| *over).await.expect("its sender lives as long");
            self.turns.send_modify(|all| *all.entry(bot).or_default() -= 1);
        }
        Ok(Reply::text(format!("You said: {}", turn.text())))
    }
}

async fn flood(house: &House, bot: &str, customers: usize) {
    for number in 0..customers {
        let customer = format!("12025551{number:03}");
        assert_eq!(house.write_as(bot, &customer, &format!("{bot}{number}"), &format!("{bot} {number}.")).await, 200);
    }
}

#[tokio::test]
async fn bots_that_hang_leave_as_many_turns_as_they_have_themselves() {
    let (handler, end) = Hanging::new();
    let house = House::with(handler.clone(), "[worker]\nturns = 12\n").await;
    house.put("bakery", &house.settings()).await;
    house.put("cafe", &house.settings()).await;
    flood(&house, "bakery", 30).await;
    handler.hang("bakery", 6).await;
    flood(&house, "cafe", 30).await;
    handler.hang("cafe", 3).await;
    for number in 0..10 {
        let id = format!("shop{number}");
        assert_eq!(house.write("shop", &id, &format!("shoes {number}.")).await, 200);
        house.upstream.sent(&format!("You said: shoes {number}.")).await;
    }
    assert_eq!((handler.most("bakery"), handler.most("cafe")), (6, 3), "of twelve turns");
    end.send_replace(true);
    for number in 0..30 {
        house.upstream.sent(&format!("You said: bakery {number}.")).await;
        house.upstream.sent(&format!("You said: cafe {number}.")).await;
    }
    house.product.stop().await;
}

#[tokio::test]
async fn a_bot_has_no_more_turns_and_no_more_waiting_messages_than_its_own_settings_say() {
    let (handler, end) = Hanging::new();
    let house = House::open(handler.clone()).await;
    let mut settings = house.settings();
    settings["share"] = json!({ "turns": 2, "waiting": 5 });
    house.put("bakery", &settings).await;
    flood(&house, "bakery", 5).await;
    assert_eq!(house.write_as("bakery", "12025552000", "one-more", "bread").await, 503);
    handler.hang("bakery", 2).await;
    assert_eq!(house.write("shop", "1", "shoes").await, 200);
    house.upstream.sent("You said: shoes").await;
    let state = house.ask("GET", "/v1/bots/bakery", &serde_json::Value::Null).await.1;
    assert_eq!(state["waiting"], 5);
    end.send_replace(true);
    for number in 0..5 {
        house.upstream.sent(&format!("You said: bakery {number}.")).await;
    }
    assert_eq!(handler.most("bakery"), 2);
    // As the upstream does it, again.
    assert_eq!(house.write_as("bakery", "12025552000", "one-more", "bread").await, 200);
    house.upstream.sent("You said: bread").await;
    house.product.stop().await;
}

/// A delivery of 3 MB for a bot, as Meta's may be.
fn longest(bot: &str, id: &str) -> Vec<u8> {
    let body = delivery(&[text(id, &"l".repeat(3 << 20))]);
    let signature = signature(SECRET, body.as_bytes());
    request("POST", &format!("/webhooks/{bot}"), &[("x-hub-signature-256", &signature)], body.as_bytes())
}

#[tokio::test]
async fn long_bodies_for_one_bot_that_never_end_keep_out_none_for_another() {
    let house = House::open(echo()).await;
    house.put("bakery", &house.settings()).await;
    let mut stalls = Vec::new();
    for number in 0..4 {
        let mut line = Line::open(house.product.address).await;
        line.send(&longest("bakery", &format!("STALL-{number}"))[..100_000]).await;
        stalls.push(line);
    }
    // Whoever waits for room for two seconds is turned back, and they are let go after five.
    for id in ["LONG-1", "LONG-2"] {
        assert_eq!(house.product.ask(&longest("shop", id)).await.status, 200);
    }
    for mut line in stalls {
        assert_eq!(line.response().await.expect("an answer").status, 408);
    }
    house.product.stop().await;
}

#[tokio::test]
async fn what_is_for_nobody_is_not_read() {
    let house = House::open(echo()).await;
    let mut line = Line::open(house.product.address).await;
    line.send(&longest("nobody", "LONG")[..100_000]).await;
    assert_eq!(line.response().await.expect("an answer").status, 404);
    assert!(line.is_closed().await);
    house.product.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_has_more_of_a_budget_than_is_left_waits_until_something_is_given_back() {
    let (budget, [one, other]) = (MemoryBudget::new(100 << 10), [MemoryUse::default(), MemoryUse::default()]);
    let first = budget.take_for(Some(&one), 60 << 10).await;
    assert_eq!(one.bytes(), 60 << 10);
    assert!(budget.try_take_for(Some(&one), 1 << 10).is_none());
    let others = budget.take_for(Some(&other), 30 << 10).await;
    let mut second = pin!(budget.take_for(Some(&one), 1 << 10));
    assert!(second.as_mut().now_or_never().is_none());
    drop(others);
    assert!(second.as_mut().now_or_never().is_none(), "sixty are more than forty");
    let mut first = first;
    first.shrink(50 << 10);
    let second = second.await;
    assert_eq!(one.bytes(), 51 << 10);
    drop((first, second));
    assert_eq!((one.bytes(), other.bytes()), (0, 0));
    // Who is alone needs no tally, and has all.
    let _all = budget.take_for(None, 100 << 10).await;
}
