//! The text files that a deployer edits without Rust: prompts, fallback replies, pages, the default configuration.
//!
//! All of them are compiled in; a file of the same name in the directory that the configuration calls `templates`
//! takes the place of the one compiled in. Values are put into a template, never evaluated as one: what a customer
//! writes comes out as it went in, escaped where the template is a page.

use std::path::Path;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

/// The templates that are compiled in.
const BUILT_IN: [(&str, &str); 6] = [
    ("prompts/default.txt", include_str!("../../templates/prompts/default.txt")),
    ("prompts/summary.txt", include_str!("../../templates/prompts/summary.txt")),
    ("replies/failure.txt", include_str!("../../templates/replies/failure.txt")),
    ("replies/limit.txt", include_str!("../../templates/replies/limit.txt")),
    ("replies/quiet.txt", include_str!("../../templates/replies/quiet.txt")),
    ("replies/unavailable.txt", include_str!("../../templates/replies/unavailable.txt")),
];

/// All templates, compiled.
#[derive(Debug)]
pub struct Templates(Environment<'static>);

impl Templates {
    /// The ones compiled in.
    ///
    /// # Errors
    /// Never, as long as this crate's own templates compile.
    pub fn built_in() -> Result<Self, TemplateError> {
        let mut templates = Environment::new();
        // A misspelt name is an error at the start, not an empty word before a customer.
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        for (name, source) in BUILT_IN {
            templates.add_template(name, source).map_err(|error| TemplateError::new(name, &error))?;
        }
        Ok(Self(templates))
    }

    /// The ones compiled in, under those in `directory`: every `*.txt` one folder deep, such as `prompts/shop.txt`;
    /// and all files that cannot be read or are no templates. In the place of such a one stands an empty template, so
    /// that whoever looks for more that is wrong does not find it missing.
    ///
    /// # Errors
    /// As [`Templates::built_in`].
    pub fn load(directory: &Path) -> Result<(Self, Vec<TemplateError>), TemplateError> {
        let mut templates = Self::built_in()?;
        let mut errors = Vec::new();
        let unreadable = |path: &Path, error: &std::io::Error| TemplateError {
            name: path.display().to_string(),
            problem: format!("cannot be read: {error}: correct its path or its permissions"),
        };
        let list = |path: &Path| -> std::io::Result<Vec<_>> {
            std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect()
        };
        let folders = list(directory).unwrap_or_else(|error| {
            errors.push(unreadable(directory, &error));
            Vec::new()
        });
        for folder in folders.iter().filter(|path| path.is_dir()) {
            let files = list(folder).unwrap_or_else(|error| {
                errors.push(unreadable(folder, &error));
                Vec::new()
            });
            for file in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "txt")) {
                let Some(name) = file.strip_prefix(directory).ok().and_then(Path::to_str) else { continue };
                let source = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error));
                let added = source.and_then(|source| {
                    let added = templates.0.add_template_owned(name.to_owned(), source);
                    added.map_err(|error| TemplateError::new(name, &error))
                });
                if let Err(error) = added {
                    errors.push(error);
                    templates
                        .0
                        .add_template_owned(name.to_owned(), "")
                        .map_err(|error| TemplateError::new(name, &error))?;
                }
            }
        }
        Ok((templates, errors))
    }

    /// Fills a template in.
    ///
    /// # Errors
    /// When there is none of this name, or it asks for a value that it is not given.
    pub fn render(&self, name: &str, values: Value) -> Result<String, TemplateError> {
        let rendered = self.0.get_template(name).and_then(|template| template.render(values));
        rendered.map(|text| text.trim().to_owned()).map_err(|error| TemplateError::new(name, &error))
    }
}

/// A template that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template {name}: {problem}")]
pub struct TemplateError {
    /// Its name, or its path.
    pub name: String,
    /// What is wrong with it, and on which line.
    pub problem: String,
}

impl TemplateError {
    fn new(name: &str, error: &minijinja::Error) -> Self {
        let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
        let problem = match error.kind() {
            ErrorKind::TemplateNotFound => {
                "there is none of this name: put it into the directory that `templates` names, or name another".into()
            }
            ErrorKind::UndefinedError => {
                format!("it uses a value that it is not given{line}: correct the value's name")
            }
            // The kind alone: an error's detail can quote a value, and a value can be a customer's.
            kind => format!("{kind}{line}: correct the template"),
        };
        Self { name: name.to_owned(), problem }
    }
}
