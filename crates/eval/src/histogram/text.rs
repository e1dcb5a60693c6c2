//! A histogram in words, as `count_values` makes it a label.

use model::Histogram;

use super::buckets::all_buckets;

/// `{count:5, sum:3.5, [-0.001,0.001]:1, (0.5,1]:4}` as Prometheus prints it.
pub fn describe(h: &Histogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", general(h.count), general(h.sum));
    for b in all_buckets(h).iter().filter(|b| b.count != 0.0) {
        let (open, close) =
            (if b.lower_inclusive { '[' } else { '(' }, if b.upper_inclusive { ']' } else { ')' });
        out.push_str(&format!(
            ", {open}{},{}{close}:{}",
            general(b.lower),
            general(b.upper),
            general(b.count)
        ));
    }
    out.push('}');
    out
}

/// A float as Go's `%.{digits}g` prints it.
pub fn significant(v: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let rounded: f64 = format!("{v:.*e}", digits - 1).parse().unwrap_or(v);
    let exponent = if rounded == 0.0 { 0.0 } else { rounded.abs().log10().floor() };
    if !rounded.is_finite() || (-4.0..digits as f64).contains(&exponent) {
        return if rounded.is_finite() { format!("{rounded}") } else { general(rounded) };
    }
    let text = format!("{rounded:e}");
    match text.split_once('e') {
        Some((m, e)) => {
            let e: i32 = e.parse().unwrap_or(0);
            format!("{m}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs())
        }
        None => text,
    }
}

/// A float as Go's `%g` prints it: the fewest digits, with an exponent below 1e-4 and from 1e6 on.
pub fn general(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{v:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if v == 0.0 || (-4..6).contains(&exponent) {
        return format!("{v}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
