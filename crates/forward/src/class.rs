//! Priority classes: what gives way to what where not everything fits.

use model::Signal;
use serde::{Deserialize, Serialize};

/// In order of priority. Each destination has a cursor per class, so that a lower one never holds up a higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Alerts and service level indicators, as a selection names them.
    Critical,
    Metrics,
    Traces,
    Logs,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Critical, Class::Metrics, Class::Traces, Class::Logs];

    pub fn as_str(self) -> &'static str {
        match self {
            Class::Critical => "critical",
            Class::Metrics => "metrics",
            Class::Traces => "traces",
            Class::Logs => "logs",
        }
    }

    /// The signal all items of the class are of.
    pub fn signal(self) -> Signal {
        match self {
            Class::Critical | Class::Metrics => Signal::METRICS,
            Class::Traces => Signal::TRACES,
            Class::Logs => Signal::LOGS,
        }
    }

    /// As frames name it.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_number(n: u8) -> Option<Self> {
        Class::ALL.get(usize::from(n)).copied()
    }
}
