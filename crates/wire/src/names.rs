//! How OpenTelemetry names become Prometheus names: the four strategies of Prometheus 3 (`otlp.translation_strategy`;
//! OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility").
//!
//! ```text
//!                                      escapes   suffixes   http.server.duration (s, histogram) becomes
//! UnderscoreEscapingWithSuffixes       yes       yes        http_server_duration_seconds
//! UnderscoreEscapingWithoutSuffixes    yes       no         http_server_duration
//! NoUTF8EscapingWithSuffixes           no        yes        http.server.duration_seconds
//! NoTranslation                        no        no         http.server.duration
//!
//! escaping    what is not [a-zA-Z0-9_:] becomes '_' ([a-zA-Z0-9_] in labels); "key_" before a label's digit
//! suffixes    the words of the unit, "_ratio" for gauges of unit 1, "_total" for monotonic sums
//! ```

use std::borrow::Cow;

pub(crate) mod units;

use self::units::clean;
pub use self::units::unit_words;

/// A strategy by its name in the configuration of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameStrategy {
    #[default]
    UnderscoreEscapingWithSuffixes,
    UnderscoreEscapingWithoutSuffixes,
    NoUtf8EscapingWithSuffixes,
    NoTranslation,
}

impl NameStrategy {
    pub const ALL: [NameStrategy; 4] = [
        NameStrategy::UnderscoreEscapingWithSuffixes,
        NameStrategy::UnderscoreEscapingWithoutSuffixes,
        NameStrategy::NoUtf8EscapingWithSuffixes,
        NameStrategy::NoTranslation,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            NameStrategy::UnderscoreEscapingWithSuffixes => "UnderscoreEscapingWithSuffixes",
            NameStrategy::UnderscoreEscapingWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
            NameStrategy::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
            NameStrategy::NoTranslation => "NoTranslation",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    fn escapes(self) -> bool {
        matches!(
            self,
            NameStrategy::UnderscoreEscapingWithSuffixes | NameStrategy::UnderscoreEscapingWithoutSuffixes
        )
    }

    fn adds_suffixes(self) -> bool {
        matches!(
            self,
            NameStrategy::UnderscoreEscapingWithSuffixes | NameStrategy::NoUtf8EscapingWithSuffixes
        )
    }
}

/// How names are made. The default is Prometheus' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    pub strategy: NameStrategy,
    /// Whether a label that begins with one '_' gets "key" before it (where names are escaped).
    pub label_underscore_prefix: bool,
    /// Whether several '_' in a row stay so in labels (where names are escaped).
    pub label_multiple_underscores: bool,
}

impl Default for Naming {
    fn default() -> Self {
        Naming {
            strategy: NameStrategy::default(),
            label_underscore_prefix: true,
            label_multiple_underscores: true,
        }
    }
}

/// What a metric is, as far as its name is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A monotonic sum: `_total`.
    Counter,
    /// A gauge: `_ratio` where the unit is `1`.
    Gauge,
    /// Everything else: unit only.
    Other,
}

impl Naming {
    /// The Prometheus name of an OpenTelemetry metric with its UCUM `unit`; `None` where nothing of it is left.
    ///
    /// ```text
    /// ("http.server.request.duration", "s", Other)   → http_server_request_duration_seconds
    /// ("system.cpu.utilization", "1", Gauge)         → system_cpu_utilization_ratio
    /// ("hw.io", "By", Counter)                       → hw_io_bytes_total
    /// ("net.rate", "By/s", Gauge)                    → net_rate_bytes_per_second
    /// ```
    pub fn metric<'n>(&self, name: &'n str, unit: &str, kind: NameKind) -> Option<Cow<'n, str>> {
        let made = match self.strategy {
            NameStrategy::NoTranslation => Cow::Borrowed(name),
            NameStrategy::NoUtf8EscapingWithSuffixes => Cow::Owned(suffixed(name, unit, kind)),
            NameStrategy::UnderscoreEscapingWithSuffixes => {
                Cow::Owned(escaped_and_suffixed(name, unit, kind))
            }
            NameStrategy::UnderscoreEscapingWithoutSuffixes => Cow::Owned(escaped(name)),
        };
        let says_nothing =
            made.is_empty() || (self.strategy.escapes() && made != name && made.bytes().all(|b| b == b'_'));
        (!says_nothing).then_some(made)
    }

    /// The label name of an attribute key; `None` where nothing of it is left.
    ///
    /// ```text
    /// http.request.method → http_request_method      1st → key_1st      __x → __x      _x → key_x
    /// ```
    pub fn label<'k>(&self, key: &'k str) -> Option<Cow<'k, str>> {
        if key.bytes().all(|b| b == b'_') {
            return None;
        }
        if !self.strategy.escapes() || self.is_plain_label(key) {
            return Some(Cow::Borrowed(key));
        }
        let mut out = String::with_capacity(key.len() + 4);
        let reserved = key.strip_prefix("__").and_then(|k| k.strip_suffix("__"));
        match reserved.filter(|_| !self.label_multiple_underscores) {
            Some(inner) => {
                out.push_str("__");
                escape_label(inner, false, &mut out);
                out.push_str("__");
            }
            None => escape_label(key, self.label_multiple_underscores, &mut out),
        }
        if out.starts_with(|c: char| c.is_ascii_digit()) {
            out.insert_str(0, "key_");
        } else if self.label_underscore_prefix && out.starts_with('_') && !out.starts_with("__") {
            out.insert_str(0, "key");
        }
        (!out.bytes().all(|b| b == b'_')).then_some(Cow::Owned(out))
    }

    /// Whether escaping leaves the key as it is, which is the usual case.
    fn is_plain_label(&self, key: &str) -> bool {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let prefixed = self.label_underscore_prefix && key.starts_with('_') && !key.starts_with("__");
        !prefixed
            && !key.starts_with(|c: char| c.is_ascii_digit())
            && key.bytes().all(plain)
            && (self.label_multiple_underscores || !key.contains("__"))
    }

    /// Whether the unit is part of the name.
    pub fn adds_suffixes(&self) -> bool {
        self.strategy.adds_suffixes()
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// Words joined by one '_' each, then the suffixes.
fn escaped_and_suffixed(name: &str, unit: &str, kind: NameKind) -> String {
    let (main, per) = unit_words(unit);
    let (main, per) = (clean(&main), clean(&per));
    let mut tokens: Vec<&str> = name.split(|c| !is_name_char(c)).filter(|t| !t.is_empty()).collect();
    let per = per.strip_suffix('_').unwrap_or(&per);
    // A unit that stands before another one loses what would double the underscore.
    let main = if per.is_empty() { main.as_str() } else { main.strip_suffix('_').unwrap_or(&main) };
    if !main.is_empty() && !tokens.contains(&main) {
        tokens.push(main);
    }
    if !per.is_empty() && per != "per" && !tokens.contains(&per) {
        tokens.push(per);
    }
    match kind {
        NameKind::Counter => {
            tokens.retain(|t| *t != "total");
            tokens.push("total");
        }
        NameKind::Gauge if unit == "1" => {
            tokens.retain(|t| *t != "ratio");
            tokens.push("ratio");
        }
        _ => {}
    }
    underscore_before_digit(tokens.join("_"))
}

/// Every run of what is not allowed becomes one '_', except at the ends, where it goes; '_' stays.
fn escaped(name: &str) -> String {
    let allowed = |c: char| is_name_char(c) || c == '_';
    let kept: Vec<&str> = name.split(|c| !allowed(c)).filter(|t| !t.is_empty()).collect();
    underscore_before_digit(kept.join("_"))
}

fn underscore_before_digit(mut name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// The name as it is with its suffixes in their order, each at most once at the end.
fn suffixed(name: &str, unit: &str, kind: NameKind) -> String {
    let last = match kind {
        NameKind::Counter => "total",
        NameKind::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    let (main, per) = unit_words(unit);
    let bare = without_suffix(without_suffix(name, last), &per);
    let mut out = String::with_capacity(name.len() + main.len() + per.len() + 8);
    out.push_str(bare);
    let main = if bare.ends_with(main.as_str()) { "" } else { main.as_str() };
    for suffix in [main, per.as_str(), last] {
        if !suffix.is_empty() {
            out.push('_');
            out.push_str(suffix);
        }
    }
    out
}

/// Cuts the suffix and the character before it, whatever that is, unless nothing would be left.
fn without_suffix<'n>(name: &'n str, suffix: &str) -> &'n str {
    if suffix.is_empty() {
        return name;
    }
    let mut rest = name.strip_suffix(suffix).unwrap_or("").chars();
    match rest.next_back() {
        Some(_) if !rest.as_str().is_empty() => rest.as_str(),
        _ => name,
    }
}

fn escape_label(key: &str, multiple: bool, out: &mut String) {
    let mut after_underscore = false;
    for c in key.chars() {
        let plain = c.is_ascii_alphanumeric();
        if plain || multiple || !after_underscore {
            out.push(if plain { c } else { '_' });
        }
        after_underscore = !plain;
    }
}

/// The name under the default strategy; empty where nothing of it is left.
pub fn metric_name(name: &str, unit: &str, kind: NameKind) -> String {
    Naming::default().metric(name, unit, kind).map(Cow::into_owned).unwrap_or_default()
}

/// The label name under the default strategy; where nothing else is left, an underscore for each character.
pub fn label_name(key: &str) -> Cow<'_, str> {
    Naming::default().label(key).unwrap_or_else(|| Cow::Owned("_".repeat(key.chars().count())))
}

#[cfg(test)]
mod tests;
