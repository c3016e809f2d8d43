//! Where the bots stand that are put: a file for each, and below `.secrets` a directory for each, with a file for each
//! of its secrets, which nobody else may read. What is written is durable, and takes the place of what was there in one
//! step.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::host::config::BotFile;
use crate::message::secret;

/// A directory of bots.
pub(super) struct Files {
    directory: PathBuf,
}

/// The secrets of a bot that is being put. Dropped without [`Draft::keep`], nothing is left of them.
pub(super) struct Draft<'a> {
    files: &'a Files,
    bot: String,
    new: Vec<(PathBuf, SecretString)>,
}

impl Files {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where a bot's file is.
    pub(super) fn path(&self, bot: &str) -> PathBuf {
        BotFile::path_in(&self.directory, bot)
    }

    /// Whether this is how a file of ours names one of a bot's secrets.
    pub(super) fn is_secret(&self, bot: &str, text: &str) -> bool {
        text.strip_prefix("file:").is_some_and(|path| Path::new(path).parent() == Some(&self.secrets(bot)))
    }

    /// New settings for a bot.
    pub(super) fn draft(&self, bot: &str) -> Draft<'_> {
        Draft { files: self, bot: bot.to_owned(), new: Vec::new() }
    }

    /// Takes a bot's file away, and its secrets.
    pub(super) fn remove(&self, bot: &str) -> io::Result<()> {
        there_or_not(fs::remove_file(self.path(bot)))?;
        sync(&self.directory)?;
        there_or_not(fs::remove_dir_all(self.secrets(bot)))
    }

    fn secrets(&self, bot: &str) -> PathBuf {
        BotFile::secrets_in(&self.directory, bot)
    }
}

impl Draft<'_> {
    pub(super) fn files(&self) -> &Files {
        self.files
    }

    pub(super) fn bot(&self) -> &str {
        &self.bot
    }

    /// Takes a secret, and says what stands for it in the bot's file.
    pub(super) fn add(&mut self, secret: SecretString) -> String {
        let path = self.files.secrets(&self.bot).join(secret::random());
        let reference = format!("file:{}", path.display());
        self.new.push((path, secret));
        reference
    }

    /// Writes the secrets down.
    pub(super) fn write_secrets(&self) -> io::Result<()> {
        if self.new.is_empty() {
            return Ok(());
        }
        let directory = self.files.secrets(&self.bot);
        fs::create_dir_all(&directory)?;
        for directory in [directory.parent(), Some(&directory)].into_iter().flatten() {
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        for (path, secret) in &self.new {
            write(path, secret.expose_secret().as_bytes())?;
        }
        sync(&directory)?;
        directory.parent().map_or(Ok(()), sync)
    }

    /// Puts the bot's file into its place; secrets that it no longer names go.
    pub(super) fn keep(mut self, file: &BotFile) -> io::Result<()> {
        let directory = &self.files.directory;
        let passing = directory.join(format!(".{}.toml.new", file.name));
        there_or_not(fs::remove_file(&passing))?;
        write(&passing, file.text.as_bytes())?;
        fs::rename(&passing, &file.path)?;
        sync(directory)?;
        self.new.clear();
        for entry in fs::read_dir(self.files.secrets(&self.bot)).into_iter().flatten().flatten() {
            let path = entry.path();
            // One that stays behind does no harm, and goes the next time.
            if !file.text.contains(&format!("file:{}", path.display())) && fs::remove_file(&path).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        for (path, _) in &self.new {
            drop(fs::remove_file(path));
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn there_or_not(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
