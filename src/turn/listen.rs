//! What is said in voice notes: found out once, before the handler is asked, and kept with the messages.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::warn;

use super::upstream::Upstream;
use super::{Batch, TurnRun};
use crate::handler::{FetchMedia, Fetched, MediaError};
use crate::message::{Content, MediaRef};
use crate::store::{Claim, Seq, StoreError};
use crate::turn::transcription::{Transcriber, Untranscribed};

/// So many voice notes of a turn, the newest, are transcribed: as many as a sender is answered in a minute.
const MOST: usize = 20;
/// So many at the same time.
const AT_ONCE: usize = 3;
/// So often is one fetched; and how long to wait before it is tried again, twice as long each time.
const MOST_ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);

impl TurnRun<'_> {
    /// Whether there is anything to listen to that nobody has listened to.
    pub(super) fn is_spoken(&self, batch: &Batch) -> bool {
        self.bot.transcriber.as_ref().is_some_and(|transcriber| !self.tasks(transcriber, batch).is_empty())
    }

    fn tasks(&self, transcriber: &Transcriber, batch: &Batch) -> Vec<(Seq, MediaRef)> {
        let newest = batch.admitted.iter().rev().filter_map(|waiting| {
            let task = transcriber.task(&waiting.inbound.content)?;
            Some((waiting.seq, task.clone())).filter(|(seq, _)| !self.unheard.contains(seq))
        });
        let mut tasks: Vec<_> = newest.take(MOST).collect();
        tasks.reverse();
        tasks
    }

    /// Has the voice notes transcribed, oldest first. What was found out is durable when it is in the batch: neither
    /// another go at this turn, nor a later one, asks and pays for it again. What cannot be had stays as it was.
    pub(super) async fn listen(
        &mut self,
        claim: &Claim,
        batch: &mut Batch,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let (bot, tools) = (self.bot, self.tools);
        let Some(transcriber) = &bot.transcriber else { return Ok(()) };
        let config = transcriber.config();
        let until = deadline.min(Instant::now() + config.timeout);
        let upstream = Arc::new(Upstream {
            provider: Arc::clone(&bot.provider),
            limit: config.max_bytes,
            memory: tools.media.clone(),
            tally: tools.bots.has_several().then(|| bot.media.clone()),
            patience: config.timeout,
            list_button: bot.delivery.list_button.clone(),
        });
        let hear = |(seq, media): (Seq, MediaRef)| {
            let upstream = Arc::clone(&upstream);
            async move {
                let heard = timeout_at(until, async {
                    let sound = fetch(&upstream, &media).await.map_err(|error| error.to_string())?;
                    let heard = transcriber.transcribe(&sound.data, &sound.mime, until).await;
                    heard.map_err(|error| error.to_string())
                });
                (seq, heard.await.unwrap_or_else(|_| Err(Untranscribed::TimedOut.to_string())))
            }
        };
        let mut heard = stream::iter(self.tasks(transcriber, batch)).map(hear).buffer_unordered(AT_ONCE);
        while let Some((seq, heard)) = heard.next().await {
            match heard {
                Ok(words) => {
                    tools.store.transcribe(claim, seq, &words).await?;
                    self.report.transcribed += 1;
                    batch.note(seq, words);
                }
                Err(why) => {
                    let model = &config.model;
                    warn!(
                        transcription.model = model,
                        why, "a voice note was not transcribed: the handler does without"
                    );
                    self.unheard.push(seq);
                }
            }
        }
        Ok(())
    }
}

/// A voice note, from an upstream that may need a moment until it has it.
async fn fetch(upstream: &Upstream, media: &MediaRef) -> Result<Fetched, MediaError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..MOST_ATTEMPTS {
        match upstream.try_to_fetch(media).await {
            Err(unfetched) if unfetched.may_pass => {}
            done => return done.map_err(|unfetched| unfetched.error),
        }
        sleep(pause).await;
        pause *= 2;
    }
    upstream.fetch(media).await
}

impl Batch {
    fn note(&mut self, seq: Seq, words: String) {
        let waiting = self.admitted.iter_mut().find(|waiting| waiting.seq == seq);
        if let Some(Content::Media(media)) = waiting.map(|waiting| &mut waiting.inbound.content) {
            media.transcript = Some(words);
        }
    }

    /// Lets the claim know what was found out.
    pub(super) fn tell(&self, claim: &mut Claim) {
        for heard in self.admitted.iter().filter(|heard| heard.inbound.content.transcript().is_some()) {
            if let Some(waiting) = claim.messages.iter_mut().find(|waiting| waiting.seq == heard.seq) {
                waiting.inbound.content = heard.inbound.content.clone();
            }
        }
    }
}
