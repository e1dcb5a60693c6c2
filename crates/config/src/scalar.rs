//! Scalars people write: durations (`15s`, `1h30m`, `30d`), sizes (`512MiB`, `1.5GB`) and shares (`80%`).

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// Any YAML scalar, kept as its text, so that `retention: 0` and `retention: "0"` mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl de::Visitor<'_> for V {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Scalar, E> {
                Ok(Scalar(v.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }
        }
        d.deserialize_str(V)
    }
}

/// Prometheus durations: numbers with the units y, w, d, h, m, s, ms, largest first (`1d12h`); `0` is zero.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 7] = [
        ("ms", 1),
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ];
    let bad = || format!("{text:?} is not a duration, write for example 15s, 5m, 1h30m or 30d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total, mut last) = (text, 0u64, u64::MAX);
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let n: u64 = rest.get(..digits).and_then(|d| d.parse().ok()).ok_or_else(bad)?;
        rest = rest.get(digits..).ok_or_else(bad)?;
        let (unit, ms) = UNITS.iter().find(|(u, _)| rest.starts_with(u)).ok_or_else(bad)?;
        if *ms >= last {
            return Err(bad());
        }
        last = *ms;
        total = n.checked_mul(*ms).and_then(|x| total.checked_add(x)).ok_or_else(bad)?;
        rest = rest.get(unit.len()..).ok_or_else(bad)?;
    }
    Ok(Duration::from_millis(total))
}

/// A number of bytes, or a share of something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    Bytes(u64),
    /// 0 to 1.
    Share(f64),
}

impl Amount {
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Amount::Bytes(b) => b,
            Amount::Share(s) => (whole as f64 * s) as u64,
        }
    }
}

/// `512MiB`, `1.5GB`, plain bytes, or `80%`.
pub fn amount(text: &str) -> Result<Amount, String> {
    let bad = || format!("{text:?} is not a size, write for example 512MiB, 20GB or 80%");
    let t = text.trim();
    if let Some(p) = t.strip_suffix('%') {
        let p: f64 = p.trim().parse().map_err(|_| bad())?;
        if !(0.0..=100.0).contains(&p) {
            return Err(format!("{text:?} must lie between 0% and 100%"));
        }
        return Ok(Amount::Share(p / 100.0));
    }
    let split = t.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(t.len());
    let (number, unit) = t.split_at(split);
    let n: f64 = number.trim().parse().map_err(|_| bad())?;
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "k" | "ki" | "kib" => 1024.0,
        "m" | "mi" | "mib" => 1024f64.powi(2),
        "g" | "gi" | "gib" => 1024f64.powi(3),
        "t" | "ti" | "tib" => 1024f64.powi(4),
        _ => return Err(bad()),
    };
    if !n.is_finite() || n < 0.0 {
        return Err(bad());
    }
    Ok(Amount::Bytes((n * factor) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_prometheus_reads_them() {
        assert_eq!(duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("30d").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        for bad in ["", "5", "1m1h", "1h1h", "-1s", "1 s", "99999999999999999999d", "1x"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_bytes_or_shares() {
        assert_eq!(amount("512MiB").unwrap().of(0), 512 << 20);
        assert_eq!(amount("1.5GB").unwrap().of(0), 1_500_000_000);
        assert_eq!(amount("80%").unwrap().of(1000), 800);
        for bad in ["", "x", "-1", "101%", "5 parsecs", "nan"] {
            assert!(amount(bad).is_err(), "{bad}");
        }
    }
}
