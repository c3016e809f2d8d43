use serde_json::json;

use super::{Due, Facts, Learned, Lookup, Step, decide};
use crate::delivery::outbox;
use crate::message::clock::{Clock, Timestamp};
use crate::message::{Inbound, Part, PartKey, Stage};
use crate::policy::control::ControlCommand;
use crate::policy::quiet_hours::QuietPeriod;
use crate::store::disk::{Disk, MemorySettings};
use crate::store::{Claim, Claims, FailedPart, Inbox, SentPart, Seq, Waiting};
use crate::turn::GiveBackReason;
use crate::turn::interrupt::GivenCommand;
use Learned::{Known, NotYet};

const LATER: Timestamp = Timestamp(9);
const NIGHT: QuietPeriod = QuietPeriod { began: Timestamp(1), ends: Timestamp(9) };
const STOP: GivenCommand = GivenCommand { order: ControlCommand::Stop, seq: Seq(7) };

fn waiting(seq: u64) -> Waiting {
    let at = json!({ "bot": "shop", "chat": "c", "sender": "c", "message": format!("m{seq}"), "time": 0 });
    let inbound = json!({ "at": at, "content": { "type": "text", "body": "Hello" } }).to_string();
    let inbound: Inbound = crate::message::json::from_str(&inbound).expect("a message");
    Waiting { seq: Seq(seq), accepted: Timestamp(0), inbound, replayed: false, proactive: None }
}

/// A claim of one message, with the number 5.
async fn claim() -> Claim {
    let store = Disk::in_memory(Clock::tokio(), &MemorySettings::default());
    store.accept(&[waiting(5).inbound]).await.expect("room");
    let mut claim = store.claim(std::time::Duration::from_secs(60)).await.expect("a claim");
    claim.messages = vec![waiting(5)];
    claim
}

/// Nothing stands in the way of the handler.
fn clear() -> Facts {
    Facts {
        is_paused: false,
        command: None,
        down_until: Known(None),
        code: Known(None),
        due: Known(Due::Now),
        is_closed: Known(false),
        quiet: None,
        held_until: Known(None),
    }
}

/// A rule: what makes it hold, what makes it hold no longer, and the step that it leads to.
struct Rule {
    holds: fn(&mut Claim, &mut Facts),
    ends: fn(&mut Claim, &mut Facts),
    step: Step,
}

fn failed() -> FailedPart {
    let sent = outbox::address(&waiting(1), vec![Part::text("Hi")], 0, false);
    let to = sent.to;
    let sent = SentPart {
        key: PartKey::new("k"),
        conversation: to.conversation(),
        to,
        part: Part::text("Hi"),
        message: None,
        stage: Stage::Failed(None),
        sent: Timestamp(0),
        unasked: false,
    };
    FailedPart { sent, code: None }
}

/// All rules, in the order of their precedence.
const RULES: [Rule; 12] = [
    Rule { holds: |_, facts| facts.is_paused = true, ends: |_, facts| facts.is_paused = false, step: Step::StandAside },
    Rule {
        holds: |_, facts| facts.down_until = Known(Some(LATER)),
        ends: |_, facts| facts.down_until = Known(None),
        step: Step::GiveBack(LATER, GiveBackReason::BotDown),
    },
    // With a control word among what waits, which is obeyed below.
    Rule {
        holds: |claim, _| claim.outgoing = Some(outbox::address(&waiting(1), vec![Part::text("Hi")], 0, false)),
        ends: |claim, _| claim.outgoing = None,
        step: Step::CallOff(STOP),
    },
    Rule {
        holds: |claim, _| claim.failed = vec![failed()],
        ends: |claim, _| claim.failed.clear(),
        step: Step::Redeliver,
    },
    Rule {
        holds: |_, facts| facts.code = Known(Some(Seq(5))),
        ends: |_, facts| facts.code = Known(None),
        step: Step::Welcome(Seq(5)),
    },
    Rule {
        holds: |_, facts| facts.command = Some(STOP),
        ends: |_, facts| facts.command = None,
        step: Step::Obey(STOP),
    },
    Rule {
        holds: |claim, _| claim.proactive_messages = vec![waiting(4)],
        ends: |claim, _| claim.proactive_messages = vec![waiting(6)],
        step: Step::SendProactive,
    },
    Rule {
        holds: |_, facts| facts.due = Known(Due::Later(LATER)),
        ends: |_, facts| facts.due = Known(Due::Now),
        step: Step::GiveBack(LATER, GiveBackReason::MoreMayCome),
    },
    Rule {
        holds: |_, facts| facts.is_closed = Known(true),
        ends: |_, facts| facts.is_closed = Known(false),
        step: Step::WindowClosed,
    },
    // The proactive message that came behind the messages goes before those that wait for the morning.
    Rule {
        holds: |_, facts| facts.quiet = Some(NIGHT),
        ends: |claim, _| claim.proactive_messages.clear(),
        step: Step::SendProactive,
    },
    Rule { holds: |_, _| {}, ends: |_, facts| facts.quiet = None, step: Step::KeepQuiet(NIGHT) },
    Rule {
        holds: |_, facts| facts.held_until = Known(Some(LATER)),
        ends: |_, facts| facts.held_until = Known(None),
        step: Step::GiveBack(LATER, GiveBackReason::Closed),
    },
];

#[tokio::test(start_paused = true)]
async fn of_all_that_holds_the_first_rule_wins_and_then_the_next() {
    let (mut claim, mut facts) = (claim().await, clear());
    for rule in &RULES {
        (rule.holds)(&mut claim, &mut facts);
    }
    for (number, rule) in RULES.iter().enumerate() {
        assert_eq!(decide(&claim, &facts), rule.step, "rule {}", number + 1);
        (rule.ends)(&mut claim, &mut facts);
    }
    assert_eq!(decide(&claim, &facts), Step::Ask);
}

#[tokio::test(start_paused = true)]
async fn a_reply_on_its_way_goes_on_and_no_control_word_calls_off_a_proactive_message() {
    let (mut claim, facts) = (claim().await, clear());
    claim.outgoing = Some(outbox::address(&waiting(1), vec![Part::text("Hi")], 0, false));
    assert_eq!(decide(&claim, &facts), Step::Resume);
    let facts = Facts { command: Some(STOP), ..facts };
    assert_eq!(decide(&claim, &facts), Step::CallOff(STOP));
    claim.outgoing.iter_mut().for_each(|outgoing| outgoing.unasked = true);
    assert_eq!(decide(&claim, &facts), Step::Resume);
}

#[tokio::test(start_paused = true)]
async fn what_the_gates_turn_away_is_met_with_silence() {
    let facts = Facts { due: Known(Due::Nothing), ..clear() };
    assert_eq!(decide(&claim().await, &facts), Step::KeepSilent);
}

#[tokio::test(start_paused = true)]
async fn a_proactive_message_is_first_where_no_message_waits_too() {
    let mut claim = claim().await;
    (claim.messages, claim.proactive_messages) = (Vec::new(), vec![waiting(6)]);
    assert_eq!(decide(&claim, &clear()), Step::SendProactive);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_looked_up_before_it_decides() {
    let (mut claim, mut facts) = (claim().await, Facts::default());
    assert_eq!(decide(&claim, &Facts { is_paused: true, ..Facts::default() }), Step::StandAside);
    assert_eq!(decide(&claim, &facts), Step::Learn(Lookup::Health));
    facts.down_until = Known(None);
    claim.failed = vec![failed()];
    assert_eq!(decide(&claim, &facts), Step::Redeliver);
    claim.failed.clear();
    assert_eq!(decide(&claim, &facts), Step::Learn(Lookup::Code));
    facts.code = Known(None);
    facts.command = Some(STOP);
    assert_eq!(decide(&claim, &facts), Step::Obey(STOP), "no gate is asked");
    facts.command = None;
    assert_eq!(decide(&claim, &facts), Step::Learn(Lookup::Due));
    facts.due = Known(Due::Later(LATER));
    assert_eq!(decide(&claim, &facts), Step::GiveBack(LATER, GiveBackReason::MoreMayCome), "no history is read");
    facts.due = Known(Due::Now);
    assert_eq!(decide(&claim, &facts), Step::Learn(Lookup::Window));
    facts.is_closed = Known(false);
    assert_eq!(facts.held_until, NotYet);
    assert_eq!(decide(&claim, &facts), Step::Learn(Lookup::Pace));
    facts.held_until = Known(None);
    assert_eq!(decide(&claim, &facts), Step::Ask);
}
