//! How a provider comes out of a configuration: its `kind`, the table that belongs to it, and what it is made with.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Provider, Resolve};
use crate::message::BotName;
use crate::message::clock::Clock;
use crate::runtime::http::Transport;

/// The `provider` table of a bot's configuration, for one kind of provider.
///
/// Deny unknown fields, give every field a default, and let `Debug` show no secret and no address.
pub trait ProviderConfig: DeserializeOwned + Default + Debug + Send + Sync + 'static {
    /// The word that stands under `kind`, such as `meta`.
    const KIND: &'static str;

    /// The commented table as `threedots init --provider KIND` writes it: every setting, each with its default.
    const TEMPLATE: &'static str;

    /// Whether people may be called anything at all, such as by a short code or a name that they give themselves,
    /// besides by a phone number, an e-mail address or one of WhatsApp's identifiers.
    const FREE_HANDLES: bool = true;

    /// How long one call may take.
    fn timeout(&self) -> Duration;

    /// How long one text may be, in characters: as [`Abilities::text_limit`](super::Abilities::text_limit) says.
    fn text_limit(&self) -> usize;

    /// Makes the provider. Connects to nothing. Whatever is wrong is noted in `resolve`, all of it; then what is
    /// returned is thrown away.
    fn connect(&self, resolve: &mut Resolve<'_>, around: ProviderContext) -> Arc<dyn Provider>;
}

/// What a provider is made with besides its configuration.
#[derive(Clone)]
pub struct ProviderContext {
    /// The bot that it serves.
    pub bot: BotName,
    /// The way out.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Clock,
}

/// Any kind's table, read.
pub trait AnyProviderConfig: Debug + Send + Sync + 'static {
    /// The word that stands under `kind`.
    fn kind(&self) -> &'static str;

    /// Whether people may be called anything at all.
    fn has_free_handles(&self) -> bool;

    /// How long one call may take.
    fn timeout(&self) -> Duration;

    /// How long one text may be, in characters.
    fn text_limit(&self) -> usize;

    /// Makes the provider.
    ///
    /// # Errors
    /// Every key that is wrong, and what to do about it.
    fn connect(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        around: ProviderContext,
    ) -> Result<Arc<dyn Provider>, Vec<(String, String)>>;

    /// The table itself, for who knows its type.
    fn as_any(&self) -> &dyn Any;
}

impl<C: ProviderConfig> AnyProviderConfig for C {
    fn kind(&self) -> &'static str {
        C::KIND
    }

    fn has_free_handles(&self) -> bool {
        C::FREE_HANDLES
    }

    fn timeout(&self) -> Duration {
        ProviderConfig::timeout(self)
    }

    fn text_limit(&self) -> usize {
        ProviderConfig::text_limit(self)
    }

    fn connect(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        around: ProviderContext,
    ) -> Result<Arc<dyn Provider>, Vec<(String, String)>> {
        let mut resolve = Resolve::new(env).by(Arc::clone(&around.transport));
        let provider = ProviderConfig::connect(self, &mut resolve, around);
        resolve.finish().map(|()| provider)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A kind of provider, as the configuration knows it.
#[derive(Clone, Copy)]
pub struct ProviderKind {
    /// The word that stands under `kind`.
    pub name: &'static str,
    /// The commented table, every setting in it.
    pub template: &'static str,
    /// Reads the table, without its `kind`.
    pub(crate) read: fn(Table) -> Result<Arc<dyn AnyProviderConfig>, ReadError>,
}

/// Why a table could not be read, and where in it.
pub(crate) type ReadError = serde_path_to_error::Error<toml::de::Error>;

impl ProviderKind {
    /// The kind whose table is `C`.
    pub const fn of<C: ProviderConfig>() -> Self {
        Self {
            name: C::KIND,
            template: C::TEMPLATE,
            read: |table| serde_path_to_error::deserialize(Value::Table(table)).map(|config: C| Arc::new(config) as _),
        }
    }
}
