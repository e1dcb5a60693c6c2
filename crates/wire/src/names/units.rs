//! The words Prometheus uses for UCUM units.

/// The words for a unit: what is measured, and `per_...` where it is measured per something. Annotations in
/// braces say nothing about the unit and go; units not in the table stand for themselves.
pub fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let per = word(per, &PER);
    (word(main, &MAIN).to_owned(), if per.is_empty() { String::new() } else { format!("per_{per}") })
}

fn word<'u>(unit: &'u str, table: &[(&str, &'static str)]) -> &'u str {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return "";
    }
    table.iter().find(|(u, _)| *u == unit).map_or(unit, |(_, w)| w)
}

/// A unit's words in characters that names may have: everything else becomes '_', runs of which are one, and
/// none stands first.
pub(super) fn clean(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        if super::is_name_char(c) {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

/// The unit as metadata names it.
pub(crate) fn metadata_unit(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    let (main, per) = (clean(&main), clean(&per));
    let whole = if main.is_empty() || per.is_empty() { main + &per } else { format!("{main}_{per}") };
    whole.strip_suffix('_').map(str::to_owned).unwrap_or(whole)
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
