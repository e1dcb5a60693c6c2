//! How OpenTelemetry names become Prometheus names (OpenTelemetry specification, "Prometheus and OpenMetrics
//! Compatibility"; the strategy Prometheus calls `UnderscoreEscapingWithSuffixes`):
//!
//! ```text
//! name        every run of characters outside [a-zA-Z0-9:] becomes one '_'; the words of the unit are appended
//!             unless the name has them; "_ratio" for gauges of unit 1; "_total" for monotonic sums
//! label       every character outside [a-zA-Z0-9_] becomes '_'; "key_" before a leading digit
//! ```

use std::borrow::Cow;

/// What a metric is, as far as its name is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A monotonic cumulative sum: `_total`.
    Counter,
    /// A gauge: `_ratio` where the unit is `1`.
    Gauge,
    /// Everything else: unit only.
    Other,
}

/// The Prometheus name of an OpenTelemetry metric with its UCUM `unit`.
///
/// ```text
/// ("http.server.request.duration", "s", Other)   → http_server_request_duration_seconds
/// ("system.cpu.utilization", "1", Gauge)         → system_cpu_utilization_ratio
/// ("hw.io", "By", Counter)                       → hw_io_bytes_total
/// ("net.rate", "By/s", Gauge)                    → net_rate_bytes_per_second
/// ```
pub fn metric_name(name: &str, unit: &str, kind: NameKind) -> String {
    let (main, per) = unit_words(unit);
    let mut tokens: Vec<&str> = name.split(|c| !is_name_char(c)).filter(|t| !t.is_empty()).collect();
    if !main.is_empty() && !tokens.contains(&main.as_str()) {
        tokens.push(&main);
    }
    if !per.is_empty() {
        tokens.push(&per);
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
    let mut out = tokens.join("_");
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// The Prometheus label name of an attribute key.
///
/// ```text
/// http.request.method → http_request_method      1st → key_1st      __x → __x      _x → key_x
/// ```
pub fn label_name(key: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let prefix = match key.as_bytes() {
        [b, ..] if b.is_ascii_digit() => "key_",
        [b'_', b'_', ..] => "",
        // Whatever becomes a leading underscore is treated like one, except where a second one follows.
        [_, ..] if !key.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            let second = key.chars().nth(1);
            if second.is_some_and(|c| c == '_' || !plain(c)) { "" } else { "key" }
        }
        _ => "",
    };
    if prefix.is_empty() && key.chars().all(plain) {
        return Cow::Borrowed(key);
    }
    let mut out = String::with_capacity(prefix.len() + key.len());
    out.push_str(prefix);
    out.extend(key.chars().map(|c| if plain(c) { c } else { '_' }));
    Cow::Owned(out)
}

/// The words for a unit: what is measured, and `per_...` where it is measured per something. Annotations in
/// braces say nothing about the unit and go.
pub fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let per = word(per, &PER);
    (word(main, &MAIN), if per.is_empty() { per } else { format!("per_{per}") })
}

fn word(unit: &str, table: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return String::new();
    }
    if let Some((_, w)) = table.iter().find(|(u, _)| *u == unit) {
        return (*w).to_owned();
    }
    let kept: Vec<&str> = unit.split(|c| !is_name_char(c)).filter(|t| !t.is_empty()).collect();
    kept.join("_")
}

/// UCUM symbols and the words Prometheus uses for them.
const MAIN: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

#[cfg(test)]
mod tests;
