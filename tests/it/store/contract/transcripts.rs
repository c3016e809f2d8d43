//! What holds of every store as voice notes are listened to.

use std::time::Duration;

use threedots::message::{BotName, Content, Inbound, MediaKind, MediaRef};
use threedots::store::{Claim, Seq, StoreError};

use crate::store::bench::{Bench, message, new};

fn voice_note(chat: &str, id: &str) -> Inbound {
    let media =
        MediaRef { id: Some("medium".into()), mime: Some("audio/ogg".into()), ..MediaRef::of(MediaKind::Voice) };
    Inbound { content: Content::Media(media), ..message(chat, id) }
}

fn transcripts(claim: &Claim) -> Vec<Option<&str>> {
    claim.messages.iter().map(|waiting| waiting.inbound.content.transcript()).collect()
}

pub(in crate::store) async fn a_transcript_stays_with_its_message_until_that_ends(bench: &Bench) {
    let first = new(bench.accept(voice_note("ann", "1")).await);
    bench.accept(message("ann", "2")).await;
    let third = new(bench.accept(voice_note("ann", "3")).await);
    let claim = bench.claim().await;
    assert_eq!(transcripts(&claim), [None; 3]);
    let long = "said ".repeat(3_000);
    for words in ["something else", &long] {
        bench.store.transcribe(&claim, first, words).await.unwrap();
    }
    bench.store.transcribe(&claim, third, "").await.unwrap();
    // What is not there any longer, or was never spoken, is none's business.
    bench.store.transcribe(&claim, Seq(900), "nothing").await.unwrap();
    bench.store.transcribe(&claim, Seq(first.0 + 1), "nothing").await.unwrap();
    drop(claim);
    let claim = bench.claim().await;
    assert_eq!(transcripts(&claim), [Some(&*long), None, Some("")]);
    bench.bury(claim).await;
    let letters = bench.store.dead(None, 9).await.unwrap();
    assert_eq!(letters[0].message.inbound.content.transcript(), Some(&*long));
    bench.store.replay(first).await.unwrap();
    assert_eq!(transcripts(&bench.claim().await), [Some(&*long)]);
}

pub(in crate::store) async fn whoever_does_not_hold_a_claim_adds_no_transcript(bench: &Bench) {
    let seq = new(bench.accept(voice_note("ann", "1")).await);
    let claim = bench.claim_for(Duration::from_secs(60)).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(bench.store.transcribe(&claim, seq, "too late").await, Err(StoreError::Fenced));
    assert_eq!(transcripts(&bench.claim().await), [None]);
}

pub(in crate::store) async fn whoever_is_forgotten_takes_along_what_they_said_aloud(bench: &Bench) {
    let seq = new(bench.accept(voice_note("ann", "1")).await);
    let claim = bench.claim().await;
    bench.store.transcribe(&claim, seq, "a secret").await.unwrap();
    let forgotten = bench.store.forget(&BotName::new("shop"), "ann").await.unwrap();
    assert_eq!((forgotten.conversations, forgotten.waiting), (1, 1));
    assert_eq!(bench.store.transcribe(&claim, seq, "a secret").await, Err(StoreError::Fenced));
    drop(claim);
    assert!(bench.is_idle());
}
