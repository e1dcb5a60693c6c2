//! The notation of series in scripts: `http_requests{job="a"} 0+10x5 _ stale {{count:3 sum:2 buckets:[1 2]}}x2`.

use eval::histogram::HistogramSum;
use model::{
    Histogram, Labels,
    histogram::{BucketSpan, ResetHint},
};

use super::memory::Sample;

/// One place in a sequence; nothing where it is left out.
#[derive(Debug, Clone)]
pub struct Item {
    pub sample: Option<Sample>,
    /// The histogram's reset hint was written out and is to be compared.
    pub hinted: bool,
}

type Result<T> = std::result::Result<T, String>;

/// Labels, and the text after them.
pub fn metric(line: &str) -> Result<(Labels, &str)> {
    let line = line.trim();
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let inside = rest.trim_start();
    let (inner, rest) = if inside.starts_with('{') && !inside.starts_with("{{") {
        let close = closing_brace(inside).ok_or_else(|| format!("unclosed brace in {line:?}"))?;
        (inside[1..close].trim().trim_end_matches(',').trim(), &inside[close + 1..])
    } else {
        ("", rest)
    };
    let mut builder = Labels::default().to_builder();
    if !inner.is_empty() {
        let text = format!("{{{inner}, dummy__=\"x\"}}");
        let selector = promql::parse_selector(&text).map_err(|e| format!("{text}: {e}"))?;
        for m in selector.matchers.iter().filter(|m| m.name != "dummy__") {
            builder.set(m.name.clone(), m.value.clone());
        }
    }
    if !name.is_empty() {
        builder.set(model::labels::METRIC_NAME, name);
    }
    Ok((builder.build(), rest.trim()))
}

fn closing_brace(s: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in s.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) if c == '\\' && q != '`' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return Some(i),
            None => {}
        }
    }
    None
}

/// The values of a sequence.
pub fn values(text: &str) -> Result<Vec<Item>> {
    let mut out = Vec::new();
    for token in tokens(text) {
        item(&token, &mut out).map_err(|e| format!("{token:?}: {e}"))?;
    }
    Ok(out)
}

/// Blanks separate, except inside double braces.
fn tokens(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 {
            if !current.is_empty() {
                out.push(std::mem::take(&mut current));
            }
        } else {
            current.push(c);
        }
    }
    if !current.is_empty() {
        out.push(current);
    }
    out
}

fn item(token: &str, out: &mut Vec<Item>) -> Result<()> {
    if token.starts_with("{{") {
        return histogram_item(token, out);
    }
    let (base, times) = match token.rsplit_once('x') {
        Some((b, n)) => (b, n.parse::<u64>().map_err(|e| e.to_string())?),
        None => (token, 0),
    };
    let plain = |sample: Option<Sample>| Item { sample, hinted: false };
    if base == "_" {
        out.extend((0..times.max(1)).map(|_| plain(None)));
        return Ok(());
    }
    if base == "stale" {
        out.extend((0..=times).map(|_| plain(Some(Sample::Float(model::stale_marker())))));
        return Ok(());
    }
    // The sign of an increment is the first that is neither leading nor part of an exponent.
    let bytes = base.as_bytes();
    let sign =
        (1..bytes.len()).find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E'));
    let number = |s: &str| s.parse::<f64>().map_err(|e| format!("{s}: {e}"));
    let (mut v, step) = match sign {
        Some(i) => (number(&base[..i])?, number(&base[i..])?),
        None => (number(base)?, 0.0),
    };
    for _ in 0..=times {
        out.push(plain(Some(Sample::Float(v))));
        v += step;
    }
    Ok(())
}

fn histogram_item(token: &str, out: &mut Vec<Item>) -> Result<()> {
    let close = token.find("}}").ok_or("unclosed histogram")?;
    let (first, mut hinted) = histogram(&token[2..close])?;
    let rest = &token[close + 2..];
    let (step, times) = match rest.chars().next() {
        None => (None, 0),
        Some('x') => (None, rest[1..].parse::<u64>().map_err(|e| e.to_string())?),
        Some(sign) => {
            let close = rest.find("}}").ok_or("unclosed histogram")?;
            let (h, h_hinted) = histogram(&rest[3..close])?;
            hinted = h_hinted;
            let times = rest[close + 2..].trim_start_matches('x');
            (Some((sign, h)), times.parse::<u64>().map_err(|e| e.to_string())?)
        }
    };
    let mut current = first;
    for i in 0..=times {
        if i > 0
            && let Some((sign, h)) = &step
        {
            let mut sum = HistogramSum::new(&current);
            let added = if *sign == '-' { sum.subtract(h) } else { sum.add(h) };
            added.map_err(|_| "histograms do not go together")?;
            current = sum.finish();
        }
        out.push(Item { sample: Some(Sample::Histogram(Box::new(current.clone()))), hinted });
    }
    Ok(())
}

/// `schema:1 count:3 buckets:[1 2]`; true if a reset hint is among it.
fn histogram(text: &str) -> Result<(Histogram, bool)> {
    let mut h = Histogram::default();
    let mut hinted = false;
    let (mut offset, mut n_offset) = (0, 0);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| format!("no value in {rest:?}"))?;
        let end = if after.starts_with('[') {
            after.find(']').ok_or("unclosed list")? + 1
        } else {
            after.find(char::is_whitespace).unwrap_or(after.len())
        };
        let (value, next) = after.split_at(end);
        let number = || value.parse::<f64>().map_err(|e| format!("{key}:{value}: {e}"));
        let integer = || value.parse::<i32>().map_err(|e| format!("{key}:{value}: {e}"));
        let list = || -> Result<Vec<f64>> {
            let inner = value.trim_start_matches('[').trim_end_matches(']');
            inner.split_whitespace().map(|n| n.parse::<f64>().map_err(|e| format!("{n}: {e}"))).collect()
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "schema" => h.schema = integer()? as i8,
            "sum" => h.sum = number()?,
            "count" => h.count = number()?,
            "z_bucket" => h.zero_count = number()?,
            "z_bucket_w" => h.zero_threshold = number()?,
            "custom_values" => h.custom_values = list()?,
            "offset" => offset = integer()?,
            "n_offset" => n_offset = integer()?,
            "buckets" => h.positive_buckets = list()?,
            "n_buckets" => h.negative_buckets = list()?,
            "counter_reset_hint" => {
                hinted = true;
                h.reset_hint = match value {
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                };
            }
            other => return Err(format!("unknown part {other:?}")),
        }
        rest = next.trim_start();
    }
    let spans = |offset: i32, n: usize| match n {
        0 => Vec::new(),
        n => vec![BucketSpan { offset, length: n as u32 }],
    };
    h.positive_spans = spans(offset, h.positive_buckets.len());
    h.negative_spans = spans(n_offset, h.negative_buckets.len());
    Ok((h, hinted))
}

/// `-60s-1mx4 _ 0`: per place the milliseconds from the sample to its start.
pub fn starts(text: &str) -> Result<Vec<Option<i64>>> {
    let mut out = Vec::new();
    for token in text.split_whitespace() {
        if let Some(n) = token.strip_prefix('_') {
            let n: usize = if n.is_empty() { 1 } else { n[1..].parse().map_err(|_| token.to_owned())? };
            out.extend((0..n).map(|_| None));
            continue;
        }
        let (base, times) = match token.split_once('x') {
            Some((b, n)) => (b, n.parse::<usize>().map_err(|e| e.to_string())?),
            None => (token, 0),
        };
        let sign = base[1..].find(['+', '-']).map(|i| i + 1);
        let (mut at, step) = match sign {
            Some(i) => (signed(&base[..i])?, signed(&base[i..])?),
            None => (signed(base)?, 0),
        };
        for _ in 0..=times {
            out.push(Some(at));
            at += step;
        }
    }
    Ok(out)
}

fn signed(text: &str) -> Result<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(d) => (true, d),
        None => (false, text.trim_start_matches('+')),
    };
    let ms = promql::literal::parse_duration(digits)?;
    Ok(if negative { -ms } else { ms })
}
