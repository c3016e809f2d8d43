//! The stores: one contract for all, and what the durable one adds to it.

#![allow(clippy::unwrap_used)]

/// Facts about a store on disk, for each engine: first those whose clock stands still.
macro_rules! for_each_engine {
    (paused: $($paused:ident)*; running: $($running:ident)*) => {
        mod on_sled {
            $(#[tokio::test(start_paused = true)]
            async fn $paused() {
                super::$paused(super::EngineKind::Sled).await;
            })*
            $(#[tokio::test]
            async fn $running() {
                super::$running(super::EngineKind::Sled).await;
            })*
        }
        mod on_redb {
            $(#[tokio::test(start_paused = true)]
            async fn $paused() {
                super::$paused(super::EngineKind::Redb).await;
            })*
            $(#[tokio::test]
            async fn $running() {
                super::$running(super::EngineKind::Redb).await;
            })*
        }
    };
}

mod bench;
mod clocks;
mod contract;
mod crash;
mod damage;
mod durable;
mod forgetting;
mod labourer;
mod maintenance;
mod model;
mod power;
mod space;
mod upgrade;
mod week;

use bench::Bench;
use threedots::store::disk::EngineKind;

/// Every fact of the contract, for every store.
macro_rules! contract {
    ($($fact:ident)*) => {
        mod memory {
            $(#[tokio::test(start_paused = true)]
            async fn $fact() {
                super::contract::$fact(&super::Bench::memory()).await;
            })*
        }
        mod sled {
            $(#[tokio::test(start_paused = true)]
            async fn $fact() {
                super::contract::$fact(&super::Bench::disk(super::EngineKind::Sled)).await;
            })*
        }
        mod redb {
            $(#[tokio::test(start_paused = true)]
            async fn $fact() {
                super::contract::$fact(&super::Bench::disk(super::EngineKind::Redb)).await;
            })*
        }
    };
}

contract! {
    a_question_is_open_until_something_else_is_said
    a_question_ends_when_a_person_takes_over
    a_question_knows_when_it_left_and_by_which_names
    what_a_message_chooses_stays_with_it_until_it_ends
    a_question_goes_with_its_conversation_and_with_whom_it_was_put_to
    a_pause_ends_by_itself_or_when_somebody_has_the_bot_go_on
    a_pause_is_made_no_shorter_by_another
    a_pause_holds_under_every_name_and_so_does_its_end
    whoever_holds_a_conversation_hears_that_a_person_has_taken_over
    a_pause_ends_what_holds_its_conversation_back
    a_message_from_the_phone_pauses_for_so_long_after_it_was_written
    what_a_person_wrote_is_kept_with_what_was_said
    an_echo_that_turns_out_to_be_a_persons_is_kept_with_what_was_said
    a_message_from_before_the_bot_was_told_to_go_on_pauses_nothing
    an_echo_of_a_part_that_has_left_is_nobodys
    an_echo_that_overtakes_the_answer_to_its_own_send_is_decided_by_it
    an_echo_is_decided_when_its_reply_is_settled_at_the_latest
    an_echo_with_the_words_of_a_part_that_may_have_left_says_that_it_has
    a_pause_goes_with_the_person_and_when_it_is_over
    what_a_person_said_last_about_being_written_to_stays
    a_second_delivery_of_a_message_is_a_duplicate
    of_sixteen_deliveries_at_once_one_is_new
    a_batch_that_holds_a_message_twice_takes_it_in_once
    the_same_identifier_at_another_bot_is_another_message
    a_message_is_known_for_eight_days
    bots_take_turns
    a_bot_that_may_have_no_more_is_passed_over
    what_waits_for_one_bot_leaves_room_for_the_others
    a_bot_has_as_many_waiting_as_it_may
    messages_come_in_the_order_of_their_acceptance
    conversations_come_in_the_order_in_which_they_became_ready
    a_conversation_that_is_given_back_stands_behind_the_others
    a_conversation_is_held_once_at_a_time
    what_arrives_during_a_claim_waits_for_the_next
    whoever_holds_a_conversation_hears_what_comes_into_it
    what_came_before_anybody_listened_is_heard_too
    a_duplicate_is_not_heard
    nothing_is_heard_under_a_lease_that_has_ended
    a_conversation_that_is_hurried_is_ready_at_once
    settled_messages_are_gone_and_the_others_wait
    endings_of_messages_that_do_not_wait_change_nothing
    a_long_queue_is_claimed_a_part_at_a_time
    a_claim_holds_so_many_bytes_or_one_message
    a_reply_to_a_part_of_a_queue_comes_back_with_what_it_answers
    later_holds_back_its_conversation_alone
    a_message_does_not_end_a_hold_back
    a_claim_that_is_dropped_is_given_back_at_once
    a_lease_that_has_ended_lets_another_in_and_fences_the_first
    a_lease_that_has_ended_fences_even_if_nobody_else_came
    a_claim_of_another_store_is_fenced
    a_lease_begins_anew_with_every_write
    a_send_on_its_way_keeps_the_lease_from_ending
    nothing_may_be_sent_under_a_lease_that_has_ended
    a_claim_that_is_dropped_in_a_send_is_given_back_at_once
    nothing_may_be_sent_by_a_claim_of_another_store
    whoever_waits_is_woken_by_the_end_of_a_lease_that_a_send_had_kept
    nothing_may_be_sent_once_the_store_is_closed
    all_who_wait_are_woken_by_a_batch
    a_claim_that_is_dropped_wakes_who_waits
    a_hold_back_wakes_who_waits_when_it_ends
    a_hold_back_wakes_whoever_is_left
    a_lease_wakes_who_waits_when_it_ends
    a_wait_that_is_cancelled_loses_nothing
    a_wait_that_is_cancelled_after_its_wake_up_hands_it_on
    what_is_outgoing_comes_back_with_the_next_claim
    an_intent_replaces_the_one_before
    a_part_that_is_not_outgoing_cannot_be_marked
    history_is_in_order_and_limited_and_trimmed
    so_many_bytes_of_history_are_read_at_once
    dead_letters_are_walked_by_cursor
    a_full_store_takes_nothing_in
    a_record_that_is_too_large_takes_nothing_in
    what_could_not_be_read_again_is_refused
    long_messages_come_back_whole
    a_thousand_messages_go_in_at_once
    a_failure_reply_is_remembered_until_the_next
    a_closed_store_refuses_everything
    a_report_settles_what_nobody_knew
    reports_that_come_together_are_taken_in_one_after_another
    a_report_of_a_failure_settles_what_nobody_knew
    a_mark_takes_nothing_back
    a_report_leaves_a_claim_alone
    parts_that_have_left_are_kept_when_their_reply_is_settled
    reports_without_a_key_find_a_part_by_its_name
    a_report_of_another_bot_is_about_another_part
    parts_that_were_replaced_are_not_known
    a_part_that_has_left_moves_forward_and_never_back
    a_report_about_nothing_known_changes_nothing
    a_part_that_fails_after_all_is_for_the_next_claim
    of_many_failed_parts_a_claim_holds_the_first
    failed_parts_are_seen_to_from_the_first
    a_failure_does_not_end_a_hold_back
    a_part_that_fails_while_others_of_its_reply_are_sent_is_for_the_next_claim
    a_part_that_fails_ahead_of_its_sends_answer_is_for_the_next_claim
    a_closed_store_takes_no_reports
    a_dead_letter_that_is_replayed_waits_behind_the_others
    a_dead_letter_is_replayed_after_its_conversation_has_been_swept_out
    a_full_store_replays_nothing
    a_dead_letter_that_is_discarded_is_gone
    what_could_not_be_read_is_a_dead_letter_once_and_is_never_claimed
    what_could_not_be_read_is_forgotten_with_whom_it_names
    the_backlog_is_what_waits
    it_is_known_since_when_the_oldest_message_waits
    a_person_is_forgotten_with_all_that_is_theirs
    a_person_is_known_by_a_number_or_by_any_identifier
    whoever_another_bot_knows_is_another_person
    whoever_is_forgotten_is_served_no_longer
    a_person_is_forgotten_in_groups_and_the_group_goes_on
    a_store_goes_on_after_somebody_was_forgotten
    an_empty_store_is_swept_in_one_step
    what_was_said_is_kept_from_the_last_word
    a_conversation_with_something_to_do_is_kept
    a_failure_reply_counts_as_a_last_word
    parts_are_kept_from_the_time_they_left
    a_part_may_fail_after_its_conversation_has_been_swept_out
    dead_letters_are_kept_from_their_end
    a_sweep_goes_in_short_steps
    counters_are_added_to_together_or_not_at_all
    a_counter_has_its_limit_however_many_add_at_once
    a_counter_ends_and_another_of_its_name_begins
    a_summary_is_kept_until_the_next_and_goes_with_its_conversation
    whoever_is_forgotten_takes_along_what_summaries_say
    an_invitation_is_taken_up_once_and_by_one_message
    invitations_end_are_taken_back_and_are_only_so_many
    members_are_listed_page_by_page_each_once
    a_proactive_message_is_taken_in_once_for_its_key_and_for_as_long_as_a_message
    a_proactive_message_waits_apart_from_messages_and_keeps_its_place_among_them
    a_part_that_waits_is_known_until_it_has_left_or_never_will
    a_proactive_message_ends_a_hold_back_but_not_that_of_a_reply_on_its_way
    somebody_is_found_by_every_name_that_they_have_written_under
    what_is_forgotten_of_a_proactive_message_is_all_of_it
    a_proactive_message_too_long_or_one_too_many_is_not_taken_in
    a_transcript_stays_with_its_message_until_that_ends
    whoever_does_not_hold_a_claim_adds_no_transcript
    whoever_is_forgotten_takes_along_what_they_said_aloud
    what_stands_about_a_number_stands_about_all_of_its_forms
    what_stands_under_two_names_is_one_once_they_meet
    a_pause_by_any_name_ends_what_holds_the_chat_back
    the_chats_of_one_person_are_found_by_all_of_their_names
    a_summary_is_found_by_another_name
    a_new_name_takes_along_what_stands_and_what_was_said
    a_name_that_was_given_up_is_somebody_elses
    a_new_name_of_somebody_unknown_is_nothing
    what_is_being_answered_under_an_old_name_is_found_by_the_new_one
    a_person_is_forgotten_by_every_form_of_every_name
}
