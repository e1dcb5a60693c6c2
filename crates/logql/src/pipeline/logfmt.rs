//! `key=value key="quoted value" flag`, as go-logfmt reads it.

use std::borrow::Cow;

/// Calls `f` with each pair; a key alone has the value "". A pair that breaks the format ends a strict reading
/// with an error and is skipped otherwise.
pub fn decode(line: &str, strict: bool, f: &mut dyn FnMut(&str, &str)) -> Result<(), String> {
    let mut at = 0;
    let bytes = line.as_bytes();
    while at < bytes.len() {
        if bytes[at] <= b' ' {
            at += 1;
            continue;
        }
        match pair(line, at) {
            Ok((key, value, end)) => {
                f(key, &value);
                at = end;
            }
            Err((_, end)) if !strict => {
                at = end + bytes[end..].iter().position(|b| *b <= b' ').unwrap_or(bytes.len() - end);
            }
            Err((what, end)) => return Err(format!("logfmt syntax error at pos {} : {what}", end + 1)),
        }
    }
    Ok(())
}

type Pair<'a> = (&'a str, Cow<'a, str>, usize);

/// The pair that starts at `start`, or what is wrong and where.
fn pair(line: &str, start: usize) -> Result<Pair<'_>, (String, usize)> {
    let bytes = line.as_bytes();
    let unexpected = |at: usize| (format!("unexpected {:?}", bytes[at] as char), at);
    let mut at = start;
    while at < bytes.len() && bytes[at] > b' ' && bytes[at] != b'=' {
        if bytes[at] == b'"' {
            return Err(unexpected(at));
        }
        at += 1;
    }
    let key = &line[start..at];
    if key.is_empty() {
        return Err(unexpected(at));
    }
    if bytes.get(at) != Some(&b'=') {
        return Ok((key, Cow::Borrowed(""), at));
    }
    at += 1;
    if bytes.get(at) == Some(&b'"') {
        return quoted(line, key, at);
    }
    let from = at;
    while at < bytes.len() && bytes[at] > b' ' {
        if bytes[at] == b'=' || bytes[at] == b'"' {
            return Err(unexpected(at));
        }
        at += 1;
    }
    Ok((key, Cow::Borrowed(&line[from..at]), at))
}

fn quoted<'a>(line: &'a str, key: &'a str, open: usize) -> Result<Pair<'a>, (String, usize)> {
    let bytes = line.as_bytes();
    let mut at = open + 1;
    let mut escaped = false;
    loop {
        match bytes.get(at) {
            None => return Err(("unterminated quoted value".to_owned(), bytes.len())),
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(b'"') => break,
            Some(_) => at += 1,
        }
    }
    let raw = &line[open + 1..at];
    // A quoted string's escapes are those of JSON; the scanner of a string does the work.
    let value = if escaped { super::json::Value::String(raw).text() } else { Cow::Borrowed(raw) };
    Ok((key, value, at + 1))
}
