//! What a turn does, one file for each step of [`decide`](super::decide::decide), and those that follow from one.

pub(super) mod answer;
mod ask;
mod call_off;
mod close;
mod hand_over;
pub(super) mod keep_quiet;
mod keep_silent;
mod obey;
mod redeliver;
mod resume;
mod send;
pub(super) mod send_proactive;
mod stand_aside;
mod welcome;
mod window_closed;
