//! `threedots store …`: what is done to a store while nobody serves it.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use threedots::App;
use threedots::store::disk::maintenance::{self, Migrated, Salvaged};
use threedots::store::disk::{DiskSettings, EngineKind};

/// What to do.
#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Reads everything, and says how much there is and what is damaged.
    Verify {
        #[command(flatten)]
        of: Of,
    },
    /// Takes the data to another engine. The old data is kept beside the store.
    Migrate {
        #[command(flatten)]
        of: Of,
        /// The engine.
        #[arg(long, value_name = "ENGINE", value_parser = PossibleValuesParser::new(EngineKind::ALL.map(EngineKind::name)))]
        to: String,
    },
    /// Copies what can be read out of a damaged store into a fresh one.
    Salvage {
        #[command(flatten)]
        of: Of,
        /// The damaged data: a store's directory, or one that was moved aside (`bad-…`). The configured store's if
        /// nothing is said.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// The directory of the fresh store, which must not be there.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

/// Whose store it is.
#[derive(Args)]
pub(crate) struct Of {
    /// The configuration file that names the store.
    #[arg(long, value_name = "FILE", default_value = "threedots.toml")]
    config: PathBuf,
}

/// Does it, and says what there is to say; as an error, if something is damaged.
pub(crate) fn run(task: StoreCommand) -> Result<String, String> {
    match task {
        StoreCommand::Verify { of } => {
            let settings = settings(&of.config)?;
            let report = maintenance::verify(&settings).map_err(|error| error.to_string())?;
            let said = format!("{}\n{report}", settings.path.display());
            if report.damaged() == 0 { Ok(said) } else { Err(format!("{said}\nsee `threedots store salvage`")) }
        }
        StoreCommand::Migrate { of, to } => {
            let settings = settings(&of.config)?;
            let to = EngineKind::named(&to).ok_or("there is no such engine")?;
            let migrated = maintenance::migrate(&settings, to).map_err(|error| error.to_string())?;
            Ok(told_of_migration(&settings, to, migrated.as_ref(), &of.config))
        }
        StoreCommand::Salvage { of, from, to } => {
            let settings = settings(&of.config)?;
            let from = from.unwrap_or_else(|| settings.path.clone());
            let salvaged = maintenance::salvage(&from, &to, &settings).map_err(|error| error.to_string())?;
            Ok(told_of_salvage(&salvaged, &to))
        }
    }
}

fn settings(config: &Path) -> Result<DiskSettings, String> {
    let store = App::store_of(config).map_err(|problems| problems.to_string())?;
    DiskSettings::of(&store).ok_or_else(|| "`store.kind` is \"memory\": there is nothing on disk".to_owned())
}

fn told_of_migration(settings: &DiskSettings, to: EngineKind, migrated: Option<&Migrated>, config: &Path) -> String {
    let store = settings.path.display();
    let Some(Migrated { from, entries, kept }) = migrated else {
        return format!("{store} is {} already", to.name());
    };
    let still = format!(
        "\nset `store.kind` to \"{}\" in {} before the next start; {} is a store with the data as it was, to be removed \
         once all is well",
        to.name(),
        config.display(),
        kept.display(),
    );
    format!("{store}: {entries} entries taken from {} to {}, and read back{still}", from.name(), to.name())
}

fn told_of_salvage(Salvaged { kind, found, restored }: &Salvaged, to: &Path) -> String {
    let restored = match restored {
        0 => String::new(),
        restored => format!("\n{restored} conversations were put together again from their messages"),
    };
    format!(
        "{} is a store of {} with all that could be read:\n{found}{restored}\nto use it, let `store.path` name it",
        to.display(),
        kind.name(),
    )
}
