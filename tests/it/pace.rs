//! What a bot sends and when, with upstreams that keep to their real limits: nothing is refused, lost or out of order.

mod model;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use threedots::message::Part;
use threedots::message::clock::Timestamp;
use threedots::sandbox::phone::{Call, What};
use threedots::sandbox::{Calls, CustomerId, Failure, Fault, StatusDelays, Upstream};
use threedots::{Handler, Reply, Turn};

use crate::world::{Setup, World};

/// A handler that answers every message with a part of its own.
fn one_each() -> impl Handler {
    |turn: &Turn| {
        Reply::Send(turn.messages.iter().filter_map(|message| message.content.words()).map(Part::text).collect())
    }
}

/// On an upstream that keeps to its limits, and tells nothing of what becomes of its messages.
fn setup(upstream: Upstream) -> Setup {
    let mut setup = Setup::on(upstream, one_each());
    setup.sandbox.limits = true;
    setup.sandbox.statuses = StatusDelays { sent: None, delivered: None, read: None };
    setup.gate.per_minute = u32::MAX;
    setup
}

/// When each reply arrived, and when it was refused.
#[derive(Default)]
struct Sends {
    arrived: Vec<(CustomerId, Timestamp)>,
    refused: Vec<Timestamp>,
}

impl Sends {
    fn of(world: &World) -> Self {
        let mut sends = Self::default();
        for moment in world.phone().timeline() {
            match moment.what {
                What::Reply { .. } => sends.arrived.push((moment.customer.expect("whose it is"), moment.at)),
                What::CallRefused { what: Call::Send, .. } => sends.refused.push(moment.at),
                _ => {}
            }
        }
        sends
    }

    fn to(&self, customer: &CustomerId) -> Vec<Timestamp> {
        self.arrived.iter().filter(|(to, _)| to == customer).map(|(_, at)| *at).collect()
    }

    /// The most that arrived in any stretch of this length.
    fn most_in(&self, stretch: Duration) -> usize {
        most_in(&self.arrived.iter().map(|(_, at)| *at).collect::<Vec<_>>(), stretch)
    }
}

/// The most in any stretch of this length, its end not counted.
fn most_in(times: &[Timestamp], stretch: Duration) -> usize {
    let from = |first: usize| times[first..].iter().take_while(|at| at.since(times[first]) < stretch).count();
    (0..times.len()).map(from).max().unwrap_or_default()
}

fn numbered(count: usize) -> Vec<String> {
    (1..=count).map(|number| number.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn two_hundred_replies_to_one_customer_meet_no_refusal_and_keep_their_order() {
    for upstream in [Upstream::Meta, Upstream::NxCloud] {
        let world = setup(upstream).start();
        for number in numbered(200) {
            world.write(&number);
            world.pass(1).await;
        }
        world.pass(6 * 200).await;
        let sends = Sends::of(&world);
        assert_eq!(sends.refused, [], "{}", upstream.name());
        assert_eq!(world.replies(), numbered(200), "{}: all of them, once, and in order", upstream.name());
        assert!(world.dead().await.is_empty());
        // Meta lends 45, and takes one in 6 s.
        let times = sends.to(&world.customer);
        let lasted = times[199].since(times[0]);
        let fewest = Duration::from_secs((200 - 45) * 6);
        assert!((fewest..fewest + Duration::from_secs(10)).contains(&lasted), "{}: {lasted:?}", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn two_thousand_replies_to_five_hundred_customers_meet_no_refusal_and_keep_their_order() {
    let world = setup(Upstream::Meta).start();
    let customers: Vec<CustomerId> = (2..502).map(|number| world.customer(number)).collect();
    for number in numbered(4) {
        for customer in &customers {
            world.write_as(customer, &number);
        }
    }
    world.pass(60).await;
    let sends = Sends::of(&world);
    assert_eq!(sends.refused, []);
    for customer in &customers {
        assert_eq!(world.replies_to(customer), numbered(4));
    }
    assert!(sends.most_in(Duration::from_secs(1)) <= 80);
    let lasted = sends.arrived[1999].1.since(sends.arrived[0].1);
    assert!(lasted <= Duration::from_secs(30), "80 in a second would take 25 s, and it took {lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn linq_and_the_gateway_refuse_nothing_either() {
    let world = setup(Upstream::Linq).start();
    for number in numbered(100) {
        world.write(&number);
    }
    world.pass(240).await;
    let sends = Sends::of(&world);
    assert_eq!((sends.refused.len(), world.replies()), (0, numbered(100)));
    assert_eq!(sends.most_in(Duration::from_secs(60)), 30);

    let world = setup(Upstream::Gateway).start();
    let customers: Vec<CustomerId> = (2..27).map(|number| world.customer(number)).collect();
    for number in numbered(10) {
        for customer in &customers {
            world.write_as(customer, &number);
        }
    }
    world.pass(3600 + 900).await;
    let sends = Sends::of(&world);
    assert_eq!((sends.refused.len(), sends.arrived.len()), (0, 250));
    for customer in &customers {
        assert_eq!(world.replies_to(customer), numbered(10));
    }
    assert_eq!(sends.most_in(Duration::from_secs(60)), 20);
    assert_eq!(sends.most_in(Duration::from_secs(3600)), 200);
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_forget_what_was_sent() {
    for (upstream, stopped_after) in
        [(Upstream::Meta, 3), (Upstream::Meta, 45), (Upstream::Linq, 1), (Upstream::Gateway, 1)]
    {
        let mut world = setup(upstream).start();
        for number in numbered(60) {
            world.write(&number);
            world.pass_ms(50).await;
        }
        // More than once: none of them may lend anew what another has lent.
        for _ in 0..4 {
            world.pass(stopped_after).await;
            world.restart(setup(upstream)).await;
        }
        world.pass(600).await;
        assert_eq!(Sends::of(&world).refused, [], "{}, {stopped_after} s", upstream.name());
        assert_eq!(world.replies(), numbered(60), "{}, {stopped_after} s", upstream.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_a_long_reply_does_not_forget_its_parts() {
    let mut world = setup(Upstream::Meta).build();
    for number in numbered(60) {
        world.write(&number);
    }
    world.pass(1).await;
    world.work();
    for _ in 0..4 {
        world.pass(7).await;
        world.restart(setup(Upstream::Meta)).await;
    }
    world.pass(600).await;
    assert_eq!(Sends::of(&world).refused, []);
    assert_eq!(world.replies(), numbered(60));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_with_a_time_is_honoured_by_every_conversation_of_the_number() {
    let world = setup(Upstream::Meta).start();
    let customers: Vec<CustomerId> = (2..202).map(|number| world.customer(number)).collect();
    let refusal = Fault::on(Calls::Send).fail(Failure::TooMany { retry_after: Some(30) }).once();
    world.sandbox.faults().add(refusal);
    for customer in &customers {
        world.write_as(customer, "1");
        world.pass_ms(10).await;
    }
    world.pass(60).await;
    let sends = Sends::of(&world);
    let [refused] = sends.refused[..] else { panic!("{} were refused", sends.refused.len()) };
    let first = sends.arrived[0].1;
    assert!(first.since(refused) >= Duration::from_secs(30), "{:?}", first.since(refused));
    assert!(first.since(refused) <= Duration::from_secs(31), "{:?}", first.since(refused));
    assert_eq!(sends.arrived.len(), 200);
    // With care, after a refusal.
    assert!(sends.most_in(Duration::from_secs(1)) <= 21, "{}", sends.most_in(Duration::from_secs(1)));
    // In the order in which they asked, the one that was refused first.
    let order: Vec<&CustomerId> = sends.arrived.iter().map(|(customer, _)| customer).collect();
    assert_eq!(order, customers.iter().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_one_customer_holds_up_that_customer_alone() {
    let world = setup(Upstream::Meta).start();
    let other = world.customer(2);
    world.sandbox.faults().add(Fault::on(Calls::Send).fail(Failure::TooManyToOne).once());
    world.write("1");
    world.pass_ms(100).await;
    world.write_as(&other, "1");
    world.pass_ms(100).await;
    assert_eq!((world.replies(), world.replies_to(&other)), (vec![], numbered(1)));
    world.pass(10).await;
    assert_eq!(world.replies(), numbered(1));
    // Meta saw everything lent as used up.
    for number in numbered(3) {
        world.write(&number);
    }
    world.pass(100).await;
    let times = Sends::of(&world).to(&world.customer);
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert!(pauses[1..].iter().all(|pause| *pause >= 6), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_customers_limit_delays_no_other_customer_and_keeps_no_task_busy() {
    let mut setup = setup(Upstream::Meta);
    // A single turn at a time: one that waited would hold up everybody.
    setup.worker.turns = 1;
    let world = setup.start();
    let other = world.customer(2);
    for number in numbered(60) {
        world.write(&number);
    }
    world.pass_ms(500).await;
    assert_eq!(world.replies().len(), 45, "and 15 wait");
    for number in numbered(10) {
        world.write_as(&other, &number);
        world.pass_ms(500).await;
    }
    assert_eq!(world.replies_to(&other), numbered(10));
    assert!(world.replies().len() <= 46);
    world.pass(100).await;
    assert_eq!(world.replies(), numbered(60));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_has_to_wait_is_asked_for_once_and_shows_no_dots_meanwhile() {
    let mut setup = setup(Upstream::Linq);
    let asked = Arc::new(AtomicUsize::new(0));
    let parts = |_: &Turn| Reply::Send(numbered(31).into_iter().map(Part::text).collect());
    setup.handler = Arc::new(Counted(parts, Arc::clone(&asked)));
    let world = setup.start();
    world.write("hello");
    world.pass(5).await;
    assert_eq!(world.replies(), numbered(30));
    assert!(!world.phone().dots_showing(&world.customer));
    world.pass(60).await;
    assert_eq!(world.replies(), numbered(31));
    assert_eq!(asked.load(Relaxed), 1, "the reply was there already");
    let mut keys: HashMap<String, usize> = HashMap::new();
    for moment in world.phone().timeline() {
        if let What::Reply { key: Some(key), .. } = moment.what {
            *keys.entry(key).or_default() += 1;
        }
    }
    assert!(keys.values().all(|count| *count == 1));
}

#[tokio::test(start_paused = true)]
async fn in_a_closed_hour_no_handler_is_asked_and_nobody_sees_dots() {
    let mut setup = setup(Upstream::Gateway);
    let asked = Arc::new(AtomicUsize::new(0));
    setup.handler = Arc::new(Counted(Thinks(5), Arc::clone(&asked)));
    setup.gate.max_age = Duration::from_hours(24);
    let world = setup.start();
    // The gateway takes 20 in a minute: five are too many, and all 25 write at the same time.
    let customers: Vec<CustomerId> = (10..35).map(|number| world.customer(number)).collect();
    customers.iter().for_each(|customer| drop(world.write_as(customer, "hello")));
    world.pass(30).await;
    assert_eq!(asked.load(Relaxed), 20);
    let waiting = || customers.iter().filter(|customer| world.replies_to(customer).is_empty()).collect::<Vec<_>>();
    assert_eq!(waiting().len(), 5);
    for customer in waiting() {
        let seen = world.phone().seen(customer);
        assert!(!seen.iter().any(|moment| matches!(moment.what, What::DotsOn { .. })), "{seen:?}");
    }
    // Those who had to wait are asked as their time comes, and answered as soon as their handlers are done.
    world.pass(60).await;
    assert_eq!((asked.load(Relaxed), waiting().len()), (25, 0));
    assert_eq!(Sends::of(&world).refused, []);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_nothing_to_say_takes_nobodys_time() {
    let mut setup = setup(Upstream::Gateway);
    let asked = Arc::new(AtomicUsize::new(0));
    let mostly_silent = |turn: &Turn| if turn.text() == "speak" { Reply::text("here") } else { Reply::silence() };
    setup.handler = Arc::new(Counted(mostly_silent, Arc::clone(&asked)));
    let world = setup.start();
    for number in 10..110 {
        world.write_as(&world.customer(number), "hush");
        world.pass_ms(10).await;
    }
    assert_eq!(asked.load(Relaxed), 100, "nothing was sent, so nobody has to wait");
    world.write("speak");
    world.pass(2).await;
    assert_eq!(world.replies(), ["here"]);
}

/// Answers after so many seconds.
struct Thinks(u64);

#[async_trait::async_trait]
impl Handler for Thinks {
    async fn reply(&self, _: &Turn) -> Result<Reply, threedots::HandlerError> {
        tokio::time::sleep(Duration::from_secs(self.0)).await;
        Ok(Reply::text("done"))
    }
}

/// Counts how often a handler is asked.
struct Counted<H>(H, Arc<AtomicUsize>);

#[async_trait::async_trait]
impl<H: Handler> Handler for Counted<H> {
    async fn reply(&self, turn: &Turn) -> Result<Reply, threedots::HandlerError> {
        self.1.fetch_add(1, Relaxed);
        self.0.reply(turn).await
    }
}
