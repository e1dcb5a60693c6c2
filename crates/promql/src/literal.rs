//! Numbers, durations and strings as they are written in queries, in both directions.

/// Milliseconds of each unit in falling order; a year has 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Durations are held in 64-bit nanoseconds elsewhere in the ecosystem; more is refused as there.
pub(crate) const MAX_DURATION_MS: i64 = i64::MAX / 1_000_000;

/// `1h30m` to milliseconds. Units fall and none repeats. The error is what to print.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let bad = || format!("not a valid duration string: {text:?}");
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err("empty duration string".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters =
            rest.get(digits..).unwrap_or_default().bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = rest.get(digits..digits + letters).unwrap_or_default();
        let at = UNITS.iter().position(|(u, _)| *u == unit).ok_or_else(bad)?;
        if digits == 0 || at < next_unit {
            return Err(bad());
        }
        let n: i64 = rest[..digits].parse().map_err(|_| "duration out of range".to_owned())?;
        total = n
            .checked_mul(UNITS[at].1)
            .and_then(|ms| ms.checked_add(total))
            .filter(|ms| *ms <= MAX_DURATION_MS)
            .ok_or("duration out of range")?;
        next_unit = at + 1;
        rest = &rest[digits + letters..];
    }
    Ok(total)
}

/// Milliseconds as Prometheus prints them: years, weeks and days only where nothing remains below.
pub fn format_duration(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    if ms < 0 {
        out.push('-');
    }
    let mut rest = ms.unsigned_abs();
    for (unit, size) in UNITS {
        let size = size as u64;
        let exact_only = matches!(unit, "y" | "w" | "d");
        if rest == 0 || (exact_only && !rest.is_multiple_of(size)) {
            continue;
        }
        if rest / size > 0 {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

/// A number token's value, as Go's `strconv` reads it: `0x` hexadecimal, `0b` binary, leading zero octal, else a
/// float; `Inf` and `NaN` in any case. `None` also for what fits into no float, or in hexadecimal into no 63 bits.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let lower = plain.to_ascii_lowercase();
    match lower.as_str() {
        "inf" => return Some(f64::INFINITY),
        "nan" => return Some(f64::NAN),
        _ => {}
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|n| n as f64);
    }
    let octal = lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| matches!(b, b'0'..=b'7'));
    if octal && let Ok(n) = i64::from_str_radix(&lower, 8) {
        return Some(n as f64);
    }
    lower.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The text inside a quoted string. The error is what to print. Escapes may spell bytes that are no UTF-8; neither
/// JSON nor labels can carry those, so each such piece becomes U+FFFD, as JSON encoders do.
pub(crate) fn unquote(quoted: &str) -> Result<String, String> {
    unquote_bytes(quoted).map(|b| String::from_utf8_lossy(&b).into_owned())
}

/// The bytes a quoted string spells.
pub(crate) fn unquote_bytes(quoted: &str) -> Result<Vec<u8>, String> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).ok_or("string is not quoted")?;
    let quote = quoted.as_bytes().first().copied().unwrap_or(b'"');
    if quote == b'`' {
        return Ok(inner.replace('\r', "").into_bytes());
    }
    if !inner.contains('\\') {
        return Ok(inner.as_bytes().to_vec());
    }
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = chars.next().ok_or("escape sequence not terminated")?;
        unescape(escape, quote, &mut chars, &mut out)?;
    }
    Ok(out)
}

fn unescape(
    escape: char,
    quote: u8,
    chars: &mut std::str::Chars<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let simple = match escape {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote as char => quote,
        _ => 0,
    };
    if simple != 0 {
        out.push(simple);
        return Ok(());
    }
    let mut digits = |first: Option<char>, n: usize, radix: u32| -> Result<u32, String> {
        let mut value = 0u32;
        for i in 0..n {
            let c = if i == 0 && first.is_some() { first } else { chars.next() };
            let c = c.ok_or("escape sequence not terminated")?;
            let d = c.to_digit(radix).ok_or_else(|| format!("illegal character {c:?} in escape sequence"))?;
            value = value.saturating_mul(radix).saturating_add(d);
        }
        Ok(value)
    };
    let invalid = "escape sequence is an invalid Unicode code point";
    match escape {
        '0'..='7' => {
            let v = digits(Some(escape), 3, 8)?;
            out.push(u8::try_from(v).map_err(|_| invalid)?);
        }
        'x' => {
            let v = digits(None, 2, 16)?;
            out.push(u8::try_from(v).map_err(|_| invalid)?);
        }
        'u' | 'U' => {
            let v = digits(None, if escape == 'u' { 4 } else { 8 }, 16)?;
            let c = char::from_u32(v).ok_or(invalid)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        c => return Err(format!("unknown escape sequence {c:?}")),
    }
    Ok(())
}

/// A string in double quotes that [`unquote`] reads back.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
