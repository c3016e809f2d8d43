//! Questions with buttons or a list, in a form that the upstream takes: too many buttons become a list, labels that are
//! too long are shortened and stand in full above, and what fits in no other way is written out.

use super::changes::ShapeChanges;
use super::plain;
use super::shorten::{distinct, is_long, shortened};
use super::split::split_last;
use crate::message::Payload;
use crate::message::reply::{Choice, Row, Section};
use crate::provider::{Abilities, ChoiceLimits, ListLimits};

/// A question, whatever its form.
pub(super) struct ChoiceQuestion {
    body: String,
    footer: Option<String>,
    /// What opens the list, if it asks for one.
    opener: Option<String>,
    sections: Vec<Section>,
}

/// A question in the upstream's own form, and what goes ahead of it as text.
pub(super) struct Native {
    pub(super) before: Vec<String>,
    pub(super) payload: Payload,
}

impl ChoiceQuestion {
    /// The question that a part asks; none if it asks none.
    pub(super) fn of(payload: &Payload) -> Option<Self> {
        let (body, footer, opener, sections) = match payload.clone() {
            Payload::Buttons { body, footer, buttons } => {
                let row = |Choice { id, title }| Row { id, title, description: None };
                let rows = buttons.into_iter().map(row).collect();
                (body, footer, None, vec![Section { title: String::new(), rows }])
            }
            Payload::List { body, button, footer, sections } => (body, footer, Some(button), sections),
            _ => return None,
        };
        let mut question = Self { body, footer, opener, sections };
        question.sections.retain(|section| !section.rows.is_empty());
        for row in question.sections.iter_mut().flat_map(|section| &mut section.rows) {
            // What has no label is known by its identifier.
            if row.title.trim().is_empty() {
                row.title = row.id.clone();
            }
        }
        Some(question)
    }

    /// The question as text.
    pub(super) fn written_out(&self) -> String {
        plain::question(&self.body, &self.sections, self.footer.as_deref())
    }

    /// What may be chosen, in the order of its numbers.
    pub(super) fn choices(&self) -> Vec<Choice> {
        self.rows().map(|Row { id, title, .. }| Choice { id: id.clone(), title: title.clone() }).collect()
    }

    /// Whether there is anything to choose from.
    pub(super) fn has_choices(&self) -> bool {
        !self.sections.is_empty()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    /// The question in the upstream's own form; none if that takes it in no form. `opener` opens a list that the
    /// handler has not asked for.
    pub(super) fn native(&self, abilities: &Abilities, opener: &str, changes: &mut ShapeChanges) -> Option<Native> {
        let limits = abilities.choices.as_ref()?;
        if self.opener.is_none() && self.rows().count() <= limits.buttons {
            return self.as_buttons(limits, abilities.text_limit, changes);
        }
        let native = self.as_list(limits, limits.lists.as_ref()?, abilities.text_limit, opener, changes)?;
        changes.buttons_as_lists += usize::from(self.opener.is_none());
        Some(native)
    }

    fn as_buttons(&self, limits: &ChoiceLimits, text: usize, changes: &mut ShapeChanges) -> Option<Native> {
        if !self.identifiers_fit(limits.id) {
            return None;
        }
        let titles: Vec<&str> = self.rows().map(|row| row.title.as_str()).collect();
        let short = distinct(&titles, limits.title, true);
        let in_full: Vec<&str> = titles.iter().copied().filter(|title| is_long(title, limits.title)).collect();
        changes.labels_shortened += in_full.len();
        let changed = titles.iter().zip(&short).filter(|(title, short)| *title != short).count();
        changes.labels_numbered += changed - in_full.len();
        let (body, footer) = self.around(&in_full.join("\n"), limits.footer, changes);
        let (before, body) = cut(&body, limits.body, text, changes)?;
        let buttons = self.rows().zip(short).map(|(row, title)| Choice { id: row.id.clone(), title }).collect();
        Some(Native { before, payload: Payload::Buttons { body, footer, buttons } })
    }

    fn as_list(
        &self,
        limits: &ChoiceLimits,
        list: &ListLimits,
        text: usize,
        opener: &str,
        changes: &mut ShapeChanges,
    ) -> Option<Native> {
        let is_headed = self.sections.len() == 1 || self.sections.iter().all(|section| !section.title.is_empty());
        let fits = self.rows().count() <= list.rows && self.sections.len() <= list.sections;
        if !fits || !is_headed || !self.identifiers_fit(list.id) {
            return None;
        }
        let titles: Vec<&str> = self.rows().map(|row| row.title.as_str()).collect();
        let mut short = distinct(&titles, list.title, false).into_iter();
        let mut in_full = Vec::new();
        let mut sections = Vec::with_capacity(self.sections.len());
        for section in &self.sections {
            if is_long(&section.title, list.section_title) {
                changes.labels_shortened += 1;
                in_full.push(section.title.clone());
            }
            let mut rows = Vec::with_capacity(section.rows.len());
            for row in &section.rows {
                let description = row.description.as_deref();
                let long_description = description.is_some_and(|more| is_long(more, list.description));
                let long_title = is_long(&row.title, list.title);
                changes.labels_shortened += usize::from(long_title) + usize::from(long_description);
                if long_title || long_description {
                    in_full.push(plain::row(row));
                }
                rows.push(Row {
                    id: row.id.clone(),
                    title: short.next()?,
                    description: description.map(|more| shortened(more, list.description)),
                });
            }
            sections.push(Section { title: shortened(&section.title, list.section_title), rows });
        }
        let (body, footer) = self.around(&in_full.join("\n"), limits.footer, changes);
        let (before, body) = cut(&body, list.body, text, changes)?;
        let own = self.opener.as_deref().filter(|own| !own.trim().is_empty());
        changes.labels_shortened += usize::from(own.is_some_and(|own| is_long(own, list.button)));
        let button = shortened(own.unwrap_or(opener), list.button);
        Some(Native { before, payload: Payload::List { body, button, footer, sections } })
    }

    /// Whether identifiers are there, tell the choices apart, and are as short as they must be.
    fn identifiers_fit(&self, longest: usize) -> bool {
        let mut seen = std::collections::HashSet::new();
        self.rows().all(|row| !row.id.is_empty() && !is_long(&row.id, longest) && seen.insert(&row.id))
    }

    /// The question with what is too long elsewhere, and what is left to stand below it.
    fn around(&self, in_full: &str, longest: usize, changes: &mut ShapeChanges) -> (String, Option<String>) {
        match self.footer.as_deref() {
            Some(footer) if is_long(footer, longest) => {
                changes.footers_moved += 1;
                (plain::paragraphs(&[&self.body, in_full, footer]), None)
            }
            footer => (plain::paragraphs(&[&self.body, in_full]), footer.map(str::to_owned)),
        }
    }
}

/// The end of `body`, as much as a question may hold, and what goes ahead of it; none if it says nothing.
fn cut(body: &str, longest: usize, text: usize, changes: &mut ShapeChanges) -> Option<(Vec<String>, String)> {
    let (before, end) = split_last(body, longest, text)?;
    changes.questions_continued += usize::from(!before.is_empty());
    Some((before, end))
}
