//! An upstream that is gone for ten minutes: everything waits, and everything is answered after.

use std::time::Duration;

use threedots::sandbox::{Calls, Failure, Fault};

use crate::world::{Setup, echo};

const CUSTOMERS: usize = 250;
const MESSAGES: usize = 1000;

#[tokio::test(start_paused = true)]
async fn a_thousand_messages_outlive_ten_minutes_without_an_upstream() {
    for failure in [Failure::Reset, Failure::Broken, Failure::TooMany { retry_after: None }] {
        let world = Setup::new(echo()).start();
        let customers: Vec<_> = (0..CUSTOMERS).map(|number| world.customer(number)).collect();
        let outage = world.sandbox.faults().add(Fault::on(Calls::Any).fail(failure));
        for number in 0..MESSAGES {
            world.write_as(&customers[number % CUSTOMERS], &format!("<{number}>"));
            world.pass_ms(600).await;
        }
        for customer in &customers {
            assert!(world.replies_to(customer).is_empty(), "{failure:?}: nothing got through");
        }
        world.sandbox.faults().remove(outage);
        tokio::time::sleep(Duration::from_hours(2)).await;
        assert!(world.dead().await.is_empty(), "{failure:?}");
        for (who, customer) in customers.iter().enumerate() {
            let said = world.replies_to(customer).join(" ");
            let numbers = said.split(['<', '>']).filter_map(|word| word.parse().ok());
            let numbers: Vec<usize> = numbers.collect();
            let written: Vec<usize> = (who..MESSAGES).step_by(CUSTOMERS).collect();
            assert_eq!(numbers, written, "{failure:?}: all of them, each once, in order");
        }
    }
}
