//! One person, several names: a table of the ways in which a person appears on each upstream, and of what stands about
//! them.
//!
//! | upstream | how a person appears, and by what else they are found |
//! |---|---|
//! | Meta, NXCloud | a number in one of its forms (Brazil, Mexico, Argentina, Côte d'Ivoire, Benin), as people write it |
//! | Meta, NXCloud | a number, an identifier of the business's own and its parent's: by each of the three |
//! | Meta, NXCloud | under a new number, or a new identifier, of which the upstream has told: by the old one and the new one |
//! | Wawp, WAHA | a hidden name with the number beside it (GOWS, NOWEB), a number with the hidden name, one of their devices |
//! | Gateway | a hidden name with the number beside it, a number with the hidden name, one of their devices |
//! | Linq | a number, an address of e-mail in any case |
//!
//! Each row is held against each of [`columns`]: pause, opt-out, membership, lists, history, erasure, the address of
//! what is said unasked, and its key.

mod columns;
mod rows;

use threedots::sandbox::Upstream;

use rows::rows;

macro_rules! columns {
    ($($column:ident)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $column() {
                for row in rows() {
                    for name in row.names {
                        let world = row.appear().await;
                        println!("{:?}, {}: {name}", row.upstream, row.appears);
                        columns::$column(&world, name).await;
                    }
                }
            }
        )*
    };
}

columns! {
    a_pause_by_any_name_silences_the_bot_for_the_person
    an_opt_out_by_any_name_is_the_persons
    a_membership_is_found_and_ended_by_any_name
    a_list_means_the_person_by_any_name
    what_was_said_is_found_by_any_name
    an_erasure_by_any_name_leaves_nothing
    what_is_said_unasked_goes_where_the_person_writes
    a_key_is_the_same_by_any_name
}

#[test]
fn every_upstream_has_its_rows() {
    for upstream in Upstream::ALL {
        assert!(rows().iter().any(|row| row.upstream == upstream), "{upstream:?}");
    }
}
