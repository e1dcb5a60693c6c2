//! Floats in label values, as OpenMetrics writes them: `le="1"` and `le="1.0"` are one bucket, so Prometheus 3
//! gives both the second form.

use std::borrow::Cow;

use model::MetricKind;

/// Exponents from here on are written as such.
const MAX_PLAIN_EXPONENT: i32 = 5;
/// Exponents down to here are written as zeros.
const MIN_PLAIN_EXPONENT: i32 = -4;

/// The value of a bound or a quantile in the one form; every other label's value as it is.
pub(super) fn label_value<'v>(kind: MetricKind, name: &str, value: &'v str) -> Cow<'v, str> {
    let counts = matches!((kind, name), (MetricKind::Histogram, "le") | (MetricKind::Summary, "quantile"));
    if !counts || is_in_form(value) {
        return Cow::Borrowed(value);
    }
    match value.parse::<f64>() {
        Ok(v) => {
            let one = open_metrics(v);
            if one == value { Cow::Borrowed(value) } else { Cow::Owned(one) }
        }
        Err(_) => Cow::Borrowed(value),
    }
}

/// Whether the value is surely written that way already, seen without parsing it: most are. At most 15 digits come
/// back as they went in.
fn is_in_form(value: &str) -> bool {
    if value == "+Inf" {
        return true;
    }
    let Some((whole, fraction)) = value.split_once('.') else { return false };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && whole.len() <= MAX_PLAIN_EXPONENT as usize + 1
        && whole.len() + fraction.len() <= 15
        && (whole == "0" || !whole.starts_with('0'))
        && (fraction == "0" || !fraction.ends_with('0'))
        && (whole != "0" || !fraction.starts_with("0000"))
}

/// Shortest digits with a point or an exponent: `1.0`, `0.25`, `1e+06`, `+Inf`, `NaN`.
pub(super) fn open_metrics(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if v == 0.0 {
        return "0.0".to_owned();
    }
    let scientific = format!("{v:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(MIN_PLAIN_EXPONENT..=MAX_PLAIN_EXPONENT).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = v.to_string();
    if plain.contains('.') { plain } else { plain + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (v, want) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (-1.0, "-1.0"),
            (0.25, "0.25"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (2.5e-10, "2.5e-10"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(open_metrics(v), want);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_looks_written_that_way_is(text in "0{0,2}[0-9]{0,7}[.]?0{0,5}[0-9]{0,9}0?") {
            if is_in_form(&text) {
                proptest::prop_assert_eq!(open_metrics(text.parse().unwrap()), text);
            }
        }
    }

    #[test]
    fn only_bounds_of_histograms_and_quantiles_of_summaries_are_rewritten() {
        assert_eq!(label_value(MetricKind::Histogram, "le", "10"), "10.0");
        assert_eq!(label_value(MetricKind::Histogram, "le", "Inf"), "+Inf");
        assert_eq!(label_value(MetricKind::Summary, "quantile", "1e-0"), "1.0");
        assert_eq!(label_value(MetricKind::Summary, "le", "10"), "10");
        assert_eq!(label_value(MetricKind::Unknown, "le", "10"), "10");
        assert_eq!(label_value(MetricKind::Histogram, "le", "ten"), "ten");
    }
}
