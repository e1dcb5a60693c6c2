//! Durations as Prometheus writes and reads them in labels: `1m30s`, `1h`, `500ms`.

use std::time::Duration;

/// Milliseconds of each unit, largest first, and whether it is written only where it divides the rest.
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 31_536_000_000, true),
    ("w", 604_800_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1000, false),
    ("ms", 1, false),
];

pub(super) fn duration_text(d: Duration) -> String {
    let mut rest = d.as_millis() as u64;
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, ms, exact) in UNITS {
        if rest >= ms && (!exact || rest.is_multiple_of(ms)) {
            out.push_str(&format!("{}{unit}", rest / ms));
            rest %= ms;
        }
    }
    out
}

/// The error is Prometheus' own.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("not a valid duration string: {text:?}");
    match text {
        "" => return Err("empty duration string".to_owned()),
        "0" => return Ok(Duration::ZERO),
        _ => {}
    }
    let (mut rest, mut total, mut units) = (text, 0u64, UNITS.iter());
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: u64 = rest.get(..digits).and_then(|d| d.parse().ok()).ok_or_else(bad)?;
        rest = rest.get(digits..).unwrap_or_default();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = rest.get(..letters).ok_or_else(bad)?;
        // Each unit once, largest first: the search goes on where it stopped.
        let (_, ms, _) = units.find(|(u, _, _)| *u == unit).ok_or_else(bad)?;
        total = n.checked_mul(*ms).and_then(|x| total.checked_add(x)).ok_or_else(bad)?;
        rest = rest.get(letters..).unwrap_or_default();
    }
    Ok(Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        for (text, ms) in [
            ("15s", 15_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("8d", 691_200_000),
            ("1y", 31_536_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
        }
        for bad in ["", "15", "s", "-1s", "99999999999999999999y", "1é", "1s1m", "1s1s", "1.5s", "1 s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
