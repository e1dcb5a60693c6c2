//! Functions on text.

use super::{Call, Out, pad, str_val};
use crate::template::{MAX_OUTPUT, value::Val};

pub(super) fn call(c: &Call<'_>) -> Option<Out> {
    let s = |i: usize| c.s(i);
    let set = |i: usize| s(i).chars().collect::<Vec<char>>();
    match c.name {
        "__line__" => str_val(c.row.line.as_ref()),
        "ToLower" | "lower" => str_val(s(0).to_lowercase()),
        "ToUpper" | "upper" => str_val(s(0).to_uppercase()),
        "title" => str_val(title(&s(0))),
        "Replace" => {
            let (text, from, to, n) = (s(0), s(1), s(2), c.i(3));
            bounded(text.len(), to.len(), || match usize::try_from(n) {
                Ok(n) => text.replacen(&from, &to, n),
                Err(_) => text.replace(&from, &to),
            })
        }
        "replace" => {
            let (from, to, text) = (s(0), s(1), s(2));
            bounded(text.len(), to.len(), || text.replace(&from, &to))
        }
        "Trim" => str_val(s(0).trim_matches(set(1).as_slice())),
        "TrimLeft" => str_val(s(0).trim_start_matches(set(1).as_slice())),
        "TrimRight" => str_val(s(0).trim_end_matches(set(1).as_slice())),
        "trimAll" => str_val(s(1).trim_matches(set(0).as_slice())),
        "TrimPrefix" => str_val(s(0).strip_prefix(&s(1)).unwrap_or(&s(0))),
        "TrimSuffix" => str_val(s(0).strip_suffix(&s(1)).unwrap_or(&s(0))),
        "trimPrefix" => str_val(s(1).strip_prefix(&s(0)).unwrap_or(&s(1))),
        "trimSuffix" => str_val(s(1).strip_suffix(&s(0)).unwrap_or(&s(1))),
        "TrimSpace" | "trim" => str_val(s(0).trim()),
        "regexReplaceAll" | "regexReplaceAllLiteral" => Some(regex_replace(c)),
        "count" => Some(c.template.regex(&s(0)).map(|r| Val::Int(r.find_iter(&s(1)).count() as i64))),
        "urlencode" | "urlquery" => str_val(url_encode(&s(0))),
        "urldecode" => Some(url_decode(&s(0)).map(Val::Str)),
        "html" => str_val(
            s(0).replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;"),
        ),
        "alignLeft" => Some(align(c.i(0), &s(1), true)),
        "alignRight" => Some(align(c.i(0), &s(1), false)),
        "b64enc" => str_val(base64_encode(s(0).as_bytes())),
        "b64dec" => Some(base64_decode(&s(0)).map(Val::Str)),
        "trunc" => {
            let (n, text) = (c.i(0), s(1));
            let len = text.chars().count() as i64;
            str_val(match n {
                n if n >= 0 => text.chars().take(n as usize).collect::<String>(),
                n => text.chars().skip((len + n.max(-len)) as usize).collect(),
            })
        }
        "substr" => {
            let (from, to, text) = (c.i(0).max(0), c.i(1), s(2));
            let len = text.chars().count() as i64;
            let to = if to < 0 || to > len { len } else { to };
            str_val(text.chars().skip(from as usize).take((to - from).max(0) as usize).collect::<String>())
        }
        "contains" => Some(Ok(Val::Bool(s(1).contains(&s(0))))),
        "hasPrefix" => Some(Ok(Val::Bool(s(1).starts_with(&s(0))))),
        "hasSuffix" => Some(Ok(Val::Bool(s(1).ends_with(&s(0))))),
        "indent" | "nindent" => {
            let text = s(1);
            let width = c.i(0).clamp(0, 10_000) as usize;
            let start = if c.name == "nindent" { "\n" } else { "" };
            bounded(text.lines().count().max(1), width, || {
                let gap = " ".repeat(width);
                format!("{start}{gap}{}", text.replace('\n', &format!("\n{gap}")))
            })
        }
        "repeat" => {
            let (n, text) = (c.i(0).max(0) as usize, s(1));
            bounded(n, text.len(), || text.repeat(n))
        }
        _ => None,
    }
}

/// Runs `f` unless what it makes could be `n * each` bytes beyond the limit.
fn bounded(n: usize, each: usize, f: impl FnOnce() -> String) -> Option<Out> {
    if n.saturating_mul(each) > MAX_OUTPUT {
        return Some(Err(format!("the result is longer than {MAX_OUTPUT} bytes")));
    }
    str_val(f())
}

fn regex_replace(c: &Call<'_>) -> Out {
    let regex = c.template.regex(&c.s(0))?;
    let (text, to) = (c.s(1), c.s(2));
    let matches = regex.find_iter(&text).count();
    if matches.saturating_mul(to.len().max(1)) > MAX_OUTPUT {
        return Err(format!("the result is longer than {MAX_OUTPUT} bytes"));
    }
    Ok(Val::Str(if c.name == "regexReplaceAll" {
        regex.replace_all(&text, to.as_str()).into_owned()
    } else {
        regex.replace_all(&text, regex::NoExpand(&to)).into_owned()
    }))
}

fn align(width: i64, text: &str, left: bool) -> Out {
    let Some(width) = usize::try_from(width).ok().filter(|w| *w <= MAX_OUTPUT) else {
        return Ok(Val::from(text));
    };
    let len = text.chars().count();
    let mut out = String::new();
    match (len >= width, left) {
        (true, true) => out.extend(text.chars().take(width)),
        (true, false) => out.extend(text.chars().skip(len - width)),
        (false, _) => pad(&mut out, text, width, left, false),
    }
    Ok(Val::Str(out))
}

fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut start = true;
    for c in s.chars() {
        if start {
            out.extend(c.to_uppercase())
        } else {
            out.push(c)
        }
        start = !c.is_alphanumeric() && c != '\'' && c != '_';
    }
    out
}

fn url_encode(s: &str) -> String {
    let mut out = String::new();
    for b in s.bytes() {
        match b {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(b as char),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn url_decode(s: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let mut bytes = s.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16));
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(h), Some(l)) => out.push((h * 16 + l) as u8),
                    _ => return Err(format!("invalid URL escape in {s:?}")),
                }
            }
            b => out.push(b),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().enumerate().fold(0u32, |n, (i, b)| n | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            match i <= chunk.len() {
                true => out.push(BASE64[(n >> (18 - 6 * i) & 63) as usize] as char),
                false => out.push('='),
            }
        }
    }
    out
}

fn base64_decode(s: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let (mut n, mut bits) = (0u32, 0);
    for b in s.trim_end_matches('=').bytes() {
        let Some(v) = BASE64.iter().position(|x| *x == b) else {
            return Err(format!("illegal base64 data in {s:?}"));
        };
        n = n << 6 | v as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((n >> bits) as u8);
            n &= (1 << bits) - 1;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
