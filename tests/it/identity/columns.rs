//! The columns: what stands about somebody, done by a name that an operator uses, and looked at by what the upstream
//! gave.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use threedots::admin::{Admin, LocalAdmin, PauseFor, Revoked, Whom};
use threedots::ingress::proactive::{OutboundChannel, ProactiveError, ProactiveIntake};
use threedots::message::{ContactIds, Conversation};
use threedots::policy::gate::{GateConfig, Gates, Members, TurnedAway};
use threedots::provider::health::Health;
use threedots::runtime::hosting::BotRegistry;
use threedots::store::{ContactChange, ContactRef, Opted, Pause, Seq, Waiting};

use super::rows::Appeared;

impl Appeared {
    fn desk(&self) -> LocalAdmin {
        let health = Arc::new(Health::new(self.bot.clone(), self.world.clock));
        LocalAdmin::new(
            Arc::clone(&self.world.store),
            BotRegistry::from_iter([(self.bot.clone(), health)]),
            self.world.clock,
        )
    }

    fn whom(&self, name: &str) -> Whom {
        Whom { bot: self.bot.as_str().to_owned(), contact: name.to_owned() }
    }

    fn proactive_messages(&self) -> ProactiveIntake {
        let (provider, patience) = (Arc::clone(&self.world.provider), Duration::from_secs(20));
        let voice = OutboundChannel { provider, patience, list_button: "Choose".into() };
        let bots = BotRegistry::from_iter([(self.bot.clone(), Arc::new(voice))]);
        ProactiveIntake::new(bots, Arc::clone(&self.world.store), self.world.clock)
    }

    /// What stands about whoever has written, by what their newest message says.
    async fn contact_state(&self) -> threedots::store::ContactState {
        self.world.store.contact_state(&ContactRef::of(self.at())).await.expect("the store works")
    }

    async fn pause(&self) -> Option<Pause> {
        self.contact_state().await.pause(self.world.clock.now())
    }

    /// Asks for something to be said to a name.
    async fn say(&self, key: &str, name: &str) -> Result<Seq, ProactiveError> {
        let part = if self.world.provider.abilities().window.is_some() {
            json!({ "type": "approved_template", "name": "offer", "language": "en" })
        } else {
            json!({ "type": "text", "text": "an offer" })
        };
        let body = json!({ "contact": name, "parts": [part] }).to_string();
        Ok(self.proactive_messages().take(self.bot.as_str(), Some(key), body.as_bytes()).await?.seq)
    }
}

fn peer(appeared: &Appeared, name: &str) -> ContactRef {
    ContactRef::new(&appeared.bot, ContactIds::written(name).expect("a name")).expect("somebody")
}

pub(super) async fn a_pause_by_any_name_silences_the_bot_for_the_person(appeared: &Appeared, name: &str) {
    let desk = appeared.desk();
    assert!(desk.pause(&appeared.whom(name), PauseFor::default()).await.expect("a pause").changed);
    assert!(appeared.pause().await.is_some());
    assert!(desk.resume(&appeared.whom(name)).await.expect("its end").changed);
    assert!(appeared.pause().await.is_none());
}

pub(super) async fn an_opt_out_by_any_name_is_the_persons(appeared: &Appeared, name: &str) {
    let opted = Opted { out: true, since: appeared.world.clock.now(), by: threedots::store::OptedBy::Person };
    appeared
        .world
        .store
        .update_contact(&ContactRef::writer(appeared.at()), ContactChange::Opt(opted))
        .await
        .expect("the store works");
    assert_eq!(appeared.say("k", name).await, Err(ProactiveError::OptedOut));
    // The other way round: WhatsApp's menu may know them by one name only.
    let opted = Opted { out: false, ..opted };
    appeared
        .world
        .store
        .update_contact(&peer(appeared, name), ContactChange::Opt(opted))
        .await
        .expect("the store works");
    assert_eq!(appeared.contact_state().await.opted_out(), None);
    let opted = Opted { out: true, ..opted };
    appeared
        .world
        .store
        .update_contact(&peer(appeared, name), ContactChange::Opt(opted))
        .await
        .expect("the store works");
    assert!(appeared.contact_state().await.opted_out().is_some());
}

pub(super) async fn a_membership_is_found_and_ended_by_any_name(appeared: &Appeared, name: &str) {
    appeared
        .world
        .store
        .update_contact(&ContactRef::writer(appeared.at()), ContactChange::Admit)
        .await
        .expect("the store works");
    assert!(appeared.contact_state().await.admitted.is_some());
    let desk = appeared.desk();
    let revoked = desk.revoke(appeared.bot.as_str(), &Revoked::Contact(name.to_owned())).await.expect("an answer");
    assert!(revoked.changed);
    assert_eq!(appeared.contact_state().await.admitted, None);
}

pub(super) async fn a_list_means_the_person_by_any_name(appeared: &Appeared, name: &str) {
    let inbound = appeared.messages.last().expect("a message").clone();
    let known = appeared.world.store.chats(&ContactRef::writer(&inbound.at)).await.expect("the store works");
    let mut members = Members::default();
    members.know(&inbound.at.sender, known.peer.names().iter().chain(known.former.iter()));
    let accepted = inbound.at.time;
    let waiting = Waiting { seq: Seq(1), accepted, inbound, replayed: false, proactive: None };
    let admits = |allow: &[&str], block: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Gates::new(GateConfig { allow: list(allow), block: list(block), ..GateConfig::default() })
            .admit(&waiting, &members)
    };
    assert_eq!(admits(&[name], &[]), Ok(()));
    assert_eq!(admits(&["+1 202 555 0199"], &[]), Err(TurnedAway::NotAllowed));
    assert_eq!(admits(&[], &[name]), Err(TurnedAway::Blocked));
    assert_eq!(admits(&[], &["+1 202 555 0199"]), Ok(()));
}

pub(super) async fn what_was_said_is_found_by_any_name(appeared: &Appeared, name: &str) {
    for peer in [peer(appeared, name), ContactRef::of(appeared.at())] {
        let mut said = Vec::new();
        for chat in appeared.world.store.chats(&peer).await.expect("the store works").chats {
            said.extend(appeared.world.store.history(&chat, 99).await.expect("the store works"));
        }
        said.sort_by_key(|said| said.time);
        let written: Vec<_> = appeared.messages.iter().filter_map(|message| message.content.words()).collect();
        assert_eq!(said.iter().map(|said| said.words.as_str()).collect::<Vec<_>>(), written);
    }
}

pub(super) async fn an_erasure_by_any_name_leaves_nothing(appeared: &Appeared, name: &str) {
    let opted = Opted { out: true, since: appeared.world.clock.now(), by: threedots::store::OptedBy::Person };
    appeared
        .world
        .store
        .update_contact(&ContactRef::writer(appeared.at()), ContactChange::Opt(opted))
        .await
        .expect("the store works");
    let forgotten = appeared.desk().forget(&appeared.whom(name)).await.expect("an erasure");
    assert!(forgotten.conversations > 0 && forgotten.said > 0, "{forgotten:?}");
    for message in &appeared.messages {
        let chat = Conversation { bot: appeared.bot.clone(), chat: message.at.chat.clone() };
        assert_eq!(appeared.world.store.history(&chat, 99).await.expect("the store works"), []);
        let standing = appeared.world.store.contact_state(&ContactRef::of(&message.at)).await.expect("the store works");
        assert_eq!(standing.opted_out(), None);
        let there = appeared.world.store.resolve_address(&appeared.bot, message.at.chat.as_str()).await;
        assert_eq!(there.expect("the store works"), None);
    }
}

pub(super) async fn what_is_said_unasked_goes_where_the_person_writes(appeared: &Appeared, name: &str) {
    appeared.say("k", name).await.expect("it is taken in");
    let claim = appeared.world.store.claim(Duration::from_secs(9)).await.expect("it waits");
    let to = &claim.proactive_messages[0].inbound.at;
    assert_eq!((&to.chat, &to.sender), (&appeared.at().chat, &appeared.at().sender));
    // The number, too, is the one that the upstream gave: Meta is written to by it.
    if let Some(phone) = &appeared.at().phone {
        assert_eq!(to.phone.as_ref(), Some(phone));
    }
}

pub(super) async fn a_key_is_the_same_by_any_name(appeared: &Appeared, name: &str) {
    let known = appeared.say("k", name).await.expect("it is taken in");
    for message in &appeared.messages {
        let names = [&message.at.sender].into_iter().chain(&message.at.phone);
        for other in names.filter(|other| ContactIds::written(other.as_str()).is_ok()) {
            assert_eq!(appeared.say("k", other.as_str()).await, Ok(known));
        }
    }
    assert_eq!(appeared.say("k", "+1 202 555 0199").await, Err(ProactiveError::Taken));
}
