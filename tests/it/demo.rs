//! The demo handler, as far as a newcomer is led to it by its own words.

use threedots::handler::demo::Demo;
use threedots::sandbox::Draft;

use crate::world::Setup;

#[tokio::test(start_paused = true)]
async fn the_demos_buttons_do_what_they_say() {
    let world = Setup::new(Demo).start();
    world.write("buttons");
    world.pass(10).await;
    let offer = world.phone().replies(&world.customer).pop().expect("the buttons");
    let press = |id: &str| {
        let draft = Draft::choice(&offer, id).expect("such a button");
        world.sandbox.write(&world.customer, draft).expect("a customer of this sandbox");
    };
    press("slow 10");
    world.pass(30).await;
    press("fail");
    world.pass(30).await;
    let replies = world.replies();
    assert_eq!(replies[1], "That took me 10 seconds. Did the dots hold out?");
    assert!(replies[2].starts_with("Sorry, Ada, something went wrong"), "{}", replies[2]);
    press("long");
    world.pass(30).await;
    assert!(world.replies().len() > 4, "a long story takes more than one message");
}
