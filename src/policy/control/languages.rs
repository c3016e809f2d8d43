//! What people write who want nothing more sent to them unasked, and who want it again.

use serde::{Deserialize, Serialize};

/// A language whose usual words are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// German.
    De,
    /// English.
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Indonesian.
    Id,
    /// Italian.
    It,
    /// Dutch.
    Nl,
    /// Portuguese.
    Pt,
}

impl Language {
    /// The words by which somebody opts out. None of them is an everyday answer to a question.
    pub fn opt_out(self) -> &'static [&'static str] {
        match self {
            Self::De => &["stop", "stopp", "abmelden", "abbestellen"],
            Self::En => &["stop", "stop all", "stopall", "unsubscribe", "opt out", "opt-out"],
            Self::Es => &["stop", "baja", "darme de baja", "cancelar suscripción"],
            Self::Fr => &["stop", "désabonner", "se désabonner", "me désabonner", "désinscription"],
            Self::Id => &["stop", "berhenti", "berhenti berlangganan"],
            Self::It => &["stop", "disiscrivimi", "annulla iscrizione"],
            Self::Nl => &["stop", "afmelden", "uitschrijven"],
            Self::Pt => &["stop", "parar", "sair", "descadastrar"],
        }
    }

    /// The words by which somebody opts in again.
    pub fn opt_in(self) -> &'static [&'static str] {
        match self {
            Self::De => &["start", "anmelden"],
            Self::En => &["start", "unstop", "subscribe", "opt in", "opt-in"],
            Self::Es => &["start", "alta", "darme de alta"],
            Self::Fr => &["start", "s'abonner", "m'abonner", "réabonner"],
            Self::Id => &["start", "mulai", "berlangganan"],
            Self::It => &["start", "iscrivimi"],
            Self::Nl => &["start", "aanmelden", "inschrijven"],
            Self::Pt => &["start", "voltar", "cadastrar"],
        }
    }
}
