//! The phone in the browser: its templates, and what they are filled with.
//!
//! Every template is a file in `templates/pages/`, compiled in and replaceable at start. Names end in `.html` where
//! the engine has to escape what it fills in, and it always does.

mod message;
mod wire;
mod writing;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
pub(super) use wire::{Row, Wire};

use super::phone::{Customer, CustomerId, Message};
use super::{Sandbox, Upstream, server};

/// The compiled-in templates, by name.
const DEFAULTS: [(&str, &str); 7] = [
    ("phone.html", include_str!("../../templates/pages/phone.html")),
    ("message.html", include_str!("../../templates/pages/message.html")),
    ("dots.html", include_str!("../../templates/pages/dots.html")),
    ("wire.html", include_str!("../../templates/pages/wire.html")),
    ("phone.css", include_str!("../../templates/pages/phone.css")),
    ("phone.js", include_str!("../../templates/pages/phone.js")),
    ("logo.svg", include_str!("../../templates/pages/logo.svg")),
];

/// How many messages and how many rows of the wire a page begins with.
const KEPT: usize = 300;

/// The phone's page, ready to be filled.
#[derive(Clone)]
pub struct Page {
    inner: Arc<Inner>,
    /// The path below which everything of this page is; nothing for the first.
    home: Arc<str>,
    /// The pages that stand beside it, itself included: their upstreams, and their paths.
    beside: Arc<[(Upstream, String)]>,
}

struct Inner {
    templates: Environment<'static>,
    assets: HashMap<&'static str, String>,
}

impl Page {
    /// The page, with some of its templates replaced: `phone.html`, `message.html`, `dots.html`, `wire.html`,
    /// `phone.css`, `phone.js` or `logo.svg`, each by its whole new source.
    ///
    /// # Errors
    /// When there is no template of such a name, or its source is not one.
    pub fn new(mut replaced: HashMap<String, String>) -> Result<Self, PageError> {
        let mut templates = Environment::new();
        let mut assets = HashMap::new();
        for (name, source) in DEFAULTS {
            let source = replaced.remove(name).unwrap_or_else(|| source.to_owned());
            if name.ends_with(".html") {
                templates.add_template_owned(name, source).map_err(|error| PageError::broken(name, &error))?;
            } else {
                assets.insert(name, source);
            }
        }
        match replaced.into_keys().next() {
            Some(name) => Err(PageError::Unknown { name }),
            None => {
                let inner = Arc::new(Inner { templates, assets });
                Ok(Self { inner, home: Arc::from(""), beside: Arc::default() })
            }
        }
    }

    /// The same page, at `home`, beside others.
    pub(super) fn at(&self, home: &str, beside: &Arc<[(Upstream, String)]>) -> Self {
        Self { inner: Arc::clone(&self.inner), home: home.into(), beside: Arc::clone(beside) }
    }

    /// A file that goes out as it is: the style sheet, the script, the logo.
    pub(super) fn asset(&self, name: &str) -> String {
        self.inner.assets.get(name).cloned().unwrap_or_default()
    }

    /// The whole page, with `customer`'s phone on it; without a phone if there is no customer.
    pub(super) fn phone(&self, sandbox: &Sandbox, customer: Option<&Customer>) -> Result<String, PageError> {
        let bot = &sandbox.settings().bot_name;
        let everybody: Vec<Value> = sandbox.phone().customers().iter().map(person).collect();
        let (mut messages, mut rows, mut dots) = (String::new(), String::new(), None);
        if let Some(customer) = customer {
            let all = sandbox.phone().messages(&customer.id);
            for message in &all[all.len().saturating_sub(KEPT)..] {
                messages.push_str(&self.message(sandbox, customer, message)?);
            }
            let mut wire = Wire::new(customer.clone());
            for row in wire.read(sandbox.phone()) {
                rows.push_str(&self.row(&row)?);
            }
            dots = self.dots(sandbox, &customer.id)?;
        }
        let upstream = sandbox.settings().upstream;
        let one = |(other, home): &(Upstream, String)| {
            context! { name => other.name(), title => other.title(), home, current => *other == upstream }
        };
        let filled = context! {
            home => &*self.home,
            upstream => upstream.name(),
            upstream_title => upstream.title(),
            habits => upstream.habits(),
            recording => customer.is_some_and(|customer| sandbox.phone().recording_showing(&customer.id)),
            upstreams => self.beside.iter().map(one).collect::<Vec<Value>>(),
            bot,
            bot_initials => initials(bot),
            customer => customer.map(person),
            customers => everybody,
            messages => Value::from_safe_string(messages),
            rows => Value::from_safe_string(rows),
            typing => dots.is_some(),
            dots => Value::from_safe_string(dots.unwrap_or_default()),
            switches => server::switches(sandbox),
            tells_of_people => customer.is_some_and(|customer| sandbox.tells_of_people(customer)),
            operator => sandbox.has_operator(),
        };
        self.render("phone.html", filled)
    }

    /// One message.
    pub(super) fn message(
        &self,
        sandbox: &Sandbox,
        customer: &Customer,
        message: &Message,
    ) -> Result<String, PageError> {
        let filled = context! { home => &*self.home, ..message::view(sandbox, customer, message) };
        self.render("message.html", filled)
    }

    /// The dots, if they show.
    pub(super) fn dots(&self, sandbox: &Sandbox, customer: &CustomerId) -> Result<Option<String>, PageError> {
        let Some(until) = sandbox.phone().dots_until(customer) else { return Ok(None) };
        let left = until.since(sandbox.clock.now()).as_millis();
        let whole = sandbox.settings().typing_lifetime.as_millis().max(1);
        let filled = context! {
            bot => &sandbox.settings().bot_name,
            recording => sandbox.phone().recording_showing(customer),
            left_ms => left as u64,
            left_percent => (left * 100 / whole) as u64,
        };
        self.render("dots.html", filled).map(Some)
    }

    /// One row of the wire.
    pub(super) fn row(&self, row: &Row) -> Result<String, PageError> {
        self.render("wire.html", Value::from(Serde(row)))
    }

    fn render(&self, name: &'static str, filled: Value) -> Result<String, PageError> {
        let template = self.inner.templates.get_template(name).map_err(|error| PageError::broken(name, &error))?;
        template.render(filled).map_err(|error| PageError::broken(name, &error))
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page(…)")
    }
}

/// Why a page cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A template was replaced that there is none of.
    #[error("there is no page template {name}: see templates/pages for those that there are")]
    Unknown {
        /// The name.
        name: String,
    },
    /// A template's source is not one.
    #[error("page template {name}, line {line}: {what}")]
    Broken {
        /// Its name.
        name: &'static str,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl PageError {
    fn broken(name: &'static str, error: &minijinja::Error) -> Self {
        let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Self::Broken { name, line: error.line().unwrap_or(1), what }
    }
}

fn person(customer: &Customer) -> Value {
    context! { id => customer.id.as_str(), name => &customer.name, initials => initials(&customer.name) }
}

/// The first letters of the first and the last word of a name.
fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let ends = [words.next(), words.next_back()];
    ends.into_iter().flatten().filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}
