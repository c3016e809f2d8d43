//! The operator's commands: dead letters, who answers a conversation, what a bot says unasked, who is let in to a
//! private one, the erasure of a person, and the care of the store.

mod show;
pub(crate) mod store;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use threedots::App;
use threedots::admin::telemetry;
use threedots::admin::{Admin, ApiError, ContactView, LettersChanged, PageQuery, PauseFor, Revoked, Whom};
use threedots::policy::takeover::Lasting;
use threedots::store::Seq;

/// What is the same for all of them.
#[derive(Args)]
pub(crate) struct Common {
    /// The configuration file that threedots runs with.
    #[arg(long, value_name = "FILE", default_value = "threedots.toml", global = true)]
    config: PathBuf,
    /// Answers in JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// Messages that should have had an answer and have none.
#[derive(Subcommand)]
pub(crate) enum Dead {
    /// Lists them, one a line, with nobody's words.
    List {
        /// Begins behind this one.
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
        /// So many at the most.
        #[arg(long, value_name = "N", default_value_t = PageQuery::USUAL)]
        most: usize,
    },
    /// Shows one, with the customer and the words.
    Show {
        /// Its number.
        id: u64,
    },
    /// Makes them wait again: each goes through a whole turn.
    Replay {
        /// Their numbers.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
    /// Throws them away.
    Drop {
        /// Their numbers.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<u64>,
    },
}

/// Who is erased.
#[derive(Args)]
pub(crate) struct EraseArgs {
    /// The bot's name in the configuration.
    #[arg(long, value_name = "BOT")]
    bot: String,
    /// A phone number, or an identifier of the provider's as `dead show` shows it.
    #[arg(long, value_name = "CONTACT", allow_hyphen_values = true)]
    contact: String,
}

/// Whose conversation is meant.
#[derive(Args)]
pub(crate) struct Talk {
    /// The bot's name in the configuration.
    #[arg(long, value_name = "BOT")]
    bot: String,
    /// A phone number, or an identifier of the provider's as `dead show` shows it; of a group, the group's.
    #[arg(long, value_name = "CONTACT", allow_hyphen_values = true)]
    contact: String,
}

/// How long a person answers.
#[derive(Args)]
pub(crate) struct TakeOver {
    #[command(flatten)]
    talk: Talk,
    /// So long, such as 2h; if left out, until `threedots resume`.
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<String>,
}

/// Who is let in to a private bot.
#[derive(Subcommand)]
pub(crate) enum PairCommand {
    /// Makes a code. Whoever sends it to the bot is let in: once, and it is shown this once.
    New {
        /// The bot's name in the configuration.
        bot: String,
        /// It is good for so long, such as 2h; if left out, for a day.
        #[arg(long = "for", value_name = "TIME")]
        lasts: Option<String>,
    },
    /// Lists the invitations that are open, and who is in.
    List {
        /// The bot's name in the configuration.
        bot: String,
        /// Begins behind the place where an earlier list ended.
        #[arg(long, value_name = "PLACE")]
        after: Option<String>,
    },
    /// Takes an invitation back, or has somebody be in no longer.
    Revoke {
        /// The bot's name in the configuration.
        bot: String,
        /// A phone number, or an identifier as `pair list` shows it.
        #[arg(long, value_name = "CONTACT", allow_hyphen_values = true, required_unless_present = "number")]
        contact: Option<String>,
        /// The number of an invitation.
        #[arg(long, value_name = "N", conflicts_with = "contact")]
        number: Option<u64>,
    },
}

/// `threedots pair …`
pub(crate) async fn pair(what: PairCommand, common: &Common) -> Result<String, String> {
    let lasts = match &what {
        PairCommand::New { lasts: Some(lasts), .. } => {
            Some(lasts.parse::<Lasting>().map_err(|wrong| format!("--for {wrong}"))?)
        }
        _ => None,
    };
    let hand = take(common).await?;
    let said = match what {
        PairCommand::New { bot, .. } => hand
            .invite(&bot, PauseFor { lasts })
            .await
            .map(|invited| if common.json { json(&invited) } else { Ok(show::invited(&invited)) }),
        PairCommand::List { bot, after } => hand
            .members(&bot, after)
            .await
            .map(|members| if common.json { json(&members) } else { Ok(show::members(&members)) }),
        PairCommand::Revoke { bot, contact, number } => {
            let what = contact.map(Revoked::Contact).or(number.map(Revoked::Number));
            // The arguments are refused that name neither.
            let what = what.unwrap_or(Revoked::Number(0));
            hand.revoke(&bot, &what).await.map(|withdrawn| match withdrawn.changed {
                _ if common.json => json(&withdrawn),
                true => Ok("revoked".to_owned()),
                false => Err("there was nothing to revoke".to_owned()),
            })
        }
    };
    hand.close().await;
    said.map_err(|refusal| refusal.to_string())?
}

/// What a bot is to say unasked.
#[derive(Args)]
pub(crate) struct Saying {
    /// The bot's name in the configuration.
    bot: String,
    /// A phone number, or an identifier of the provider's as `dead show` shows it.
    #[arg(allow_hyphen_values = true)]
    contact: String,
    /// The words.
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Under the same key the same words are sent once, however often this is called; without one each time.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// `threedots send …`
pub(crate) async fn send(Saying { bot, contact, text, key }: Saying, common: &Common) -> Result<String, String> {
    let hand = take(common).await?;
    let key = key.unwrap_or_else(threedots::message::secret::random);
    let sent = hand.send(&bot, &key, &json!({ "contact": contact, "text": text })).await;
    hand.close().await;
    let sent = sent.map_err(|refusal| refusal.to_string())?;
    if common.json { json(&sent) } else { Ok(show::sent(&sent)) }
}

/// `threedots pause …`
pub(crate) async fn pause(TakeOver { talk, lasts }: TakeOver, common: &Common) -> Result<String, String> {
    let lasts = lasts.map(|lasts| lasts.parse::<Lasting>()).transpose().map_err(|wrong| format!("--for {wrong}"))?;
    let hand = take(common).await?;
    let stands = hand.pause(&talk.whom(), PauseFor { lasts }).await;
    hand.close().await;
    tell(stands, common)
}

/// `threedots resume …`
pub(crate) async fn resume(talk: Talk, common: &Common) -> Result<String, String> {
    let hand = take(common).await?;
    let stands = hand.resume(&talk.whom()).await;
    hand.close().await;
    tell(stands, common)
}

impl Talk {
    fn whom(self) -> Whom {
        Whom { bot: self.bot, contact: self.contact }
    }
}

fn tell(stands: Result<ContactView, ApiError>, common: &Common) -> Result<String, String> {
    let stands = stands.map_err(|refusal| refusal.to_string())?;
    if common.json { json(&stands) } else { Ok(show::stands(&stands)) }
}

/// `threedots dead …`
pub(crate) async fn dead(what: Dead, common: &Common) -> Result<String, String> {
    let hand = take(common).await?;
    let said = match what {
        Dead::List { after, most } => list(&*hand, after, most, common.json).await,
        Dead::Show { id } => match hand.letter(Seq(id)).await {
            Ok(letter) if common.json => json(&letter),
            Ok(letter) => Ok(show::letter(&letter)),
            Err(refusal) => Err(refusal.to_string()),
        },
        Dead::Replay { ids } => match hand.replay(&numbers(ids)).await {
            Ok(changed) => told(&changed, common.json, "replayed: answered in a turn of its own once threedots runs"),
            Err(refusal) => Err(refusal.to_string()),
        },
        Dead::Drop { ids } => match hand.discard(&numbers(ids)).await {
            Ok(changed) => told(&changed, common.json, "dropped"),
            Err(refusal) => Err(refusal.to_string()),
        },
    };
    // Also after a failure: what was done by then is made durable.
    hand.close().await;
    said
}

/// `threedots forget …`
pub(crate) async fn forget(whom: EraseArgs, common: &Common) -> Result<String, String> {
    let hand = take(common).await?;
    let forgotten = hand.forget(&Whom { bot: whom.bot, contact: whom.contact }).await;
    hand.close().await;
    let forgotten = forgotten.map_err(|refusal| refusal.to_string())?;
    if common.json { json(&forgotten) } else { Ok(show::forgotten(&forgotten)) }
}

async fn take(common: &Common) -> Result<Box<dyn Admin>, String> {
    telemetry::start_beside();
    App::hand(&common.config).await.map_err(|error| error.to_string())
}

async fn list(hand: &dyn Admin, after: Option<u64>, most: usize, as_json: bool) -> Result<String, String> {
    let page = PageQuery { after: after.map(Seq), most, words: false };
    if !page.is_fine() {
        return Err(format!("--most is between 1 and {}", PageQuery::LONGEST));
    }
    let letters = hand.dead(&page).await.map_err(|refusal| refusal.to_string())?;
    if as_json { json(&letters) } else { Ok(show::letters(&letters)) }
}

fn numbers(ids: Vec<u64>) -> Vec<Seq> {
    ids.into_iter().map(Seq).collect()
}

/// What was done; an error if not all of it was.
fn told(changed: &LettersChanged, as_json: bool, done: &str) -> Result<String, String> {
    let said = if as_json { json(changed)? } else { show::changed(changed, done) };
    if changed.unknown.is_empty() && changed.error.is_none() {
        return Ok(said);
    }
    crate::say(&said);
    let unknown = "not all of these are dead letters (any longer)".to_owned();
    Err(changed.error.clone().unwrap_or(unknown))
}

fn json(answer: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(answer).map(|text| show::tamed_json(&text)).map_err(|error| error.to_string())
}
