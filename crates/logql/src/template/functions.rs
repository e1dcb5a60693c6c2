//! The functions of templates: Go's own, those Loki adds, and the part of Sprig that Loki documents.
//!
//! Argument order follows each function's origin: Loki's `Trim s cutset` puts the text first, Sprig's
//! `trimAll cutset s` last, so that it can be piped.

use super::{
    MAX_OUTPUT, Template, time,
    value::{Val, print_float},
};
use crate::{
    pipeline::Row,
    units::{parse_bytes, parse_duration},
};

pub(super) struct Call<'a> {
    pub name: &'a str,
    pub args: Vec<Val>,
    pub template: &'a Template,
    pub row: &'a Row<'a>,
}

type Out = Result<Val, String>;

/// Every function with its least and most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    // Go.
    ("and", 1, 99),
    ("or", 1, 99),
    ("not", 1, 1),
    ("eq", 2, 99),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("len", 1, 1),
    ("index", 1, 9),
    ("slice", 1, 3),
    ("print", 0, 99),
    ("println", 0, 99),
    ("printf", 1, 99),
    ("html", 1, 1),
    ("urlquery", 1, 1),
    // Loki.
    ("__line__", 0, 0),
    ("__timestamp__", 0, 0),
    ("ToLower", 1, 1),
    ("ToUpper", 1, 1),
    ("Replace", 4, 4),
    ("Trim", 2, 2),
    ("TrimLeft", 2, 2),
    ("TrimRight", 2, 2),
    ("TrimPrefix", 2, 2),
    ("TrimSuffix", 2, 2),
    ("TrimSpace", 1, 1),
    ("regexReplaceAll", 3, 3),
    ("regexReplaceAllLiteral", 3, 3),
    ("count", 2, 2),
    ("urldecode", 1, 1),
    ("urlencode", 1, 1),
    ("bytes", 1, 1),
    ("duration", 1, 1),
    ("duration_seconds", 1, 1),
    ("unixEpoch", 1, 1),
    ("unixEpochMillis", 1, 1),
    ("unixEpochNanos", 1, 1),
    ("unixToTime", 1, 1),
    ("toDateInZone", 3, 3),
    ("alignLeft", 2, 2),
    ("alignRight", 2, 2),
    // Sprig.
    ("b64enc", 1, 1),
    ("b64dec", 1, 1),
    ("lower", 1, 1),
    ("upper", 1, 1),
    ("title", 1, 1),
    ("trunc", 2, 2),
    ("substr", 3, 3),
    ("contains", 2, 2),
    ("hasPrefix", 2, 2),
    ("hasSuffix", 2, 2),
    ("indent", 2, 2),
    ("nindent", 2, 2),
    ("replace", 3, 3),
    ("repeat", 2, 2),
    ("trim", 1, 1),
    ("trimAll", 2, 2),
    ("trimSuffix", 2, 2),
    ("trimPrefix", 2, 2),
    ("int", 1, 1),
    ("float64", 1, 1),
    ("add", 2, 99),
    ("sub", 2, 2),
    ("mul", 2, 99),
    ("div", 2, 2),
    ("mod", 2, 2),
    ("addf", 2, 99),
    ("subf", 2, 99),
    ("mulf", 2, 99),
    ("divf", 2, 99),
    ("max", 1, 99),
    ("min", 1, 99),
    ("maxf", 1, 99),
    ("minf", 1, 99),
    ("ceil", 1, 1),
    ("floor", 1, 1),
    ("round", 2, 3),
    ("fromJson", 1, 1),
    ("date", 2, 2),
    ("toDate", 2, 2),
    ("now", 0, 0),
    ("default", 2, 2),
];

pub(super) fn exists(name: &str) -> bool {
    FUNCTIONS.iter().any(|(n, ..)| *n == name)
}

pub(super) fn call(c: &Call<'_>) -> Out {
    let (_, least, most) =
        FUNCTIONS.iter().find(|(n, ..)| *n == c.name).ok_or_else(|| format!("function {:?} not defined", c.name))?;
    if c.args.len() < *least || c.args.len() > *most {
        let want = if least == most { least.to_string() } else { format!("at least {least}") };
        return Err(format!("wrong number of args for {}: want {want} got {}", c.name, c.args.len()));
    }
    language(c)
        .or_else(|| text(c))
        .or_else(|| numbers(c))
        .or_else(|| times(c))
        .unwrap_or_else(|| Err(format!("not yet supported: template function {}", c.name)))
}

impl Call<'_> {
    fn s(&self, i: usize) -> String {
        match &self.args[i] {
            Val::Str(s) => s.clone(),
            Val::Nil => String::new(),
            v => v.print(),
        }
    }

    fn i(&self, i: usize) -> i64 {
        self.args[i].to_int()
    }
}

fn str_val(s: impl Into<String>) -> Option<Out> {
    Some(Ok(Val::Str(s.into())))
}

/// Go's own functions.
fn language(c: &Call<'_>) -> Option<Out> {
    let a = &c.args;
    Some(match c.name {
        "not" => Ok(Val::Bool(!a[0].is_true())),
        "and" => Ok(a.iter().find(|v| !v.is_true()).unwrap_or(&a[a.len() - 1]).clone()),
        "or" => Ok(a.iter().find(|v| v.is_true()).unwrap_or(&a[a.len() - 1]).clone()),
        "eq" => equal_any(a),
        "ne" => equal_any(a).map(|v| Val::Bool(!v.is_true())),
        "lt" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_lt())),
        "le" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_le())),
        "gt" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_gt())),
        "ge" => order(&a[0], &a[1]).map(|o| Val::Bool(o.is_ge())),
        "len" => match &a[0] {
            Val::Str(s) => Ok(Val::Int(s.len() as i64)),
            Val::List(l) => Ok(Val::Int(l.len() as i64)),
            Val::Map(m) => Ok(Val::Int(m.len() as i64)),
            v => Err(format!("len of type {}", v.print())),
        },
        "index" => a[1..].iter().try_fold(a[0].clone(), |v, key| match (&v, key) {
            (Val::Map(_), Val::Str(k)) => Ok(v.field(k).unwrap_or(Val::Nil)),
            (Val::List(l), Val::Int(i)) => usize::try_from(*i)
                .ok()
                .and_then(|i| l.get(i).cloned())
                .ok_or_else(|| format!("index out of range: {i}")),
            _ => Err(format!("can't index item of {}", v.print())),
        }),
        "slice" => match &a[0] {
            Val::Str(s) => {
                let from = a.get(1).map_or(0, Val::to_int);
                let to = a.get(2).map_or(s.len() as i64, Val::to_int);
                let range = usize::try_from(from).ok().zip(usize::try_from(to).ok());
                range
                    .and_then(|(f, t)| s.get(f..t))
                    .map(Val::from)
                    .ok_or_else(|| format!("slice index out of range: {from}:{to}"))
            }
            v => Err(format!("can't slice item of {}", v.print())),
        },
        "print" => Ok(Val::Str(sprint(a))),
        "println" => {
            let all: Vec<String> = a.iter().map(Val::print).collect();
            Ok(Val::Str(all.join(" ") + "\n"))
        }
        "printf" => printf(&c.s(0), &a[1..]).map(Val::Str),
        "default" => Ok(if a[1].is_true() { a[1].clone() } else { a[0].clone() }),
        "fromJson" => match serde_json::from_str(&c.s(0)) {
            Ok(v) => Ok(Val::from_json(v)),
            Err(e) => Err(format!("fromJson: {e}")),
        },
        _ => return None,
    })
}

fn equal_any(a: &[Val]) -> Out {
    for other in &a[1..] {
        let same = match (&a[0], other) {
            (Val::Nil, Val::Nil) => true,
            (Val::Nil, _) | (_, Val::Nil) => false,
            (x, y) => order(x, y)?.is_eq(),
        };
        if same {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn order(a: &Val, b: &Val) -> Result<std::cmp::Ordering, String> {
    match (a, b) {
        (Val::Str(x), Val::Str(y)) => Ok(x.cmp(y)),
        (Val::Bool(x), Val::Bool(y)) => Ok(x.cmp(y)),
        (Val::Int(x), Val::Int(y)) => Ok(x.cmp(y)),
        (Val::Time(x, _), Val::Time(y, _)) => Ok(x.cmp(y)),
        (Val::Float(x), Val::Float(y)) => Ok(x.total_cmp(y)),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

/// A space between operands of which neither is a string, as `fmt.Sprint` does.
fn sprint(args: &[Val]) -> String {
    let mut out = String::new();
    for (i, v) in args.iter().enumerate() {
        if i > 0 && !matches!(v, Val::Str(_)) && !matches!(args[i - 1], Val::Str(_)) {
            out.push(' ');
        }
        out.push_str(&v.print());
    }
    out
}

/// `%v %s %d %f %q %x %t %e %g %%` with flags, width and precision.
fn printf(format: &str, args: &[Val]) -> Result<String, String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut minus, mut zero, mut plus) = (false, false, false);
        while let Some(f) = chars.next_if(|c| "-0+ #".contains(*c)) {
            minus |= f == '-';
            zero |= f == '0';
            plus |= f == '+';
        }
        let mut number = || {
            let mut n = None;
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                let digit = d.to_digit(10).unwrap_or(0) as usize;
                n = Some((n.unwrap_or(0) * 10 + digit).min(MAX_OUTPUT));
            }
            n
        };
        let width = number().unwrap_or(0);
        let precision = if chars.next_if_eq(&'.').is_some() {
            let mut n = 0usize;
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                n = (n * 10 + d.to_digit(10).unwrap_or(0) as usize).min(1000);
            }
            Some(n)
        } else {
            None
        };
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let text = match args.next() {
            None => format!("%!{verb}(MISSING)"),
            Some(v) => formatted(v, verb, precision, plus),
        };
        pad(&mut out, &text, width, minus, zero && !minus);
        if out.len() > MAX_OUTPUT {
            return Err(format!("the result is longer than {MAX_OUTPUT} bytes"));
        }
    }
    Ok(out)
}

fn formatted(v: &Val, verb: char, precision: Option<usize>, plus: bool) -> String {
    let sign = |negative: bool| if plus && !negative { "+" } else { "" };
    match (verb, v) {
        ('d', Val::Int(i)) => format!("{}{i}", sign(*i < 0)),
        ('x', Val::Int(i)) => format!("{i:x}"),
        ('x', Val::Str(s)) => s.bytes().map(|b| format!("{b:02x}")).collect(),
        ('t', Val::Bool(b)) => b.to_string(),
        ('f' | 'F', Val::Float(f)) => format!("{}{f:.*}", sign(*f < 0.0), precision.unwrap_or(6)),
        ('e', Val::Float(f)) => format!("{f:.*e}", precision.unwrap_or(6)),
        ('g', Val::Float(f)) => print_float(*f),
        ('q', Val::Str(s)) => format!("{s:?}"),
        ('s' | 'v', v) => {
            let text = v.print();
            match (precision, verb) {
                (Some(n), 's') => text.chars().take(n).collect(),
                _ => text,
            }
        }
        (verb, v) => format!("%!{verb}({})", v.print()),
    }
}

fn pad(out: &mut String, text: &str, width: usize, left: bool, zero: bool) {
    let missing = width.saturating_sub(text.chars().count());
    if left {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if zero && text.starts_with(['-', '+']) {
        out.push_str(&text[..1]);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(&text[1..]);
    } else {
        out.extend(std::iter::repeat_n(if zero { '0' } else { ' ' }, missing));
        out.push_str(text);
    }
}

/// Functions on text.
fn text(c: &Call<'_>) -> Option<Out> {
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
        "count" => {
            Some(c.template.regex(&s(0)).map(|r| Val::Int(r.find_iter(&s(1)).count() as i64)))
        }
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
        if start { out.extend(c.to_uppercase()) } else { out.push(c) }
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

/// Functions on numbers.
fn numbers(c: &Call<'_>) -> Option<Out> {
    let a = &c.args;
    let int = |v: i64| Some(Ok(Val::Int(v)));
    let float = |v: f64| Some(Ok(Val::Float(v)));
    let fold_i = |f: fn(i64, i64) -> i64| int(a[1..].iter().fold(a[0].to_int(), |x, y| f(x, y.to_int())));
    let fold_f = |f: fn(f64, f64) -> f64| float(a[1..].iter().fold(a[0].to_float(), |x, y| f(x, y.to_float())));
    match c.name {
        "int" => int(c.i(0)),
        "float64" => float(a[0].to_float()),
        "add" => fold_i(i64::wrapping_add),
        "sub" => fold_i(i64::wrapping_sub),
        "mul" => fold_i(i64::wrapping_mul),
        "div" | "mod" if c.i(1) == 0 => Some(Err(format!("{}: division by zero", c.name))),
        "div" => fold_i(i64::wrapping_div),
        "mod" => fold_i(i64::wrapping_rem),
        "max" => fold_i(i64::max),
        "min" => fold_i(i64::min),
        "addf" => fold_f(|x, y| x + y),
        "subf" => fold_f(|x, y| x - y),
        "mulf" => fold_f(|x, y| x * y),
        "divf" => fold_f(|x, y| x / y),
        "maxf" => fold_f(f64::max),
        "minf" => fold_f(f64::min),
        "ceil" => float(a[0].to_float().ceil()),
        "floor" => float(a[0].to_float().floor()),
        "round" => {
            let scale = 10f64.powi(c.i(1).clamp(-300, 300) as i32);
            let up_from = a.get(2).map_or(0.5, Val::to_float);
            let scaled = a[0].to_float() * scale;
            let (whole, part) = (scaled.trunc(), scaled.fract());
            let away = if part.abs() >= up_from { part.signum() } else { 0.0 };
            float((whole + away) / scale)
        }
        "bytes" => {
            Some(parse_bytes(&c.s(0)).map(|n| Val::Float(n as f64)).ok_or_else(|| format!("bytes: {:?} is no size", c.s(0))))
        }
        "duration" | "duration_seconds" => Some(
            parse_duration(&c.s(0))
                .map(|ns| Val::Float(ns as f64 / 1e9))
                .ok_or_else(|| format!("duration: {:?} is no duration", c.s(0))),
        ),
        _ => None,
    }
}

/// Functions on times. Zones other than UTC need a zone database, which this does not carry.
fn times(c: &Call<'_>) -> Option<Out> {
    let time_of = |v: &Val| match v {
        Val::Time(ns, zone) => (*ns, *zone),
        other => (other.to_int().saturating_mul(1_000_000_000), 0),
    };
    Some(match c.name {
        "__timestamp__" => Ok(Val::Time(c.row.ts_ns, 0)),
        "now" => Ok(Val::Time(c.template.clock.now_ns(), 0)),
        "unixEpoch" => Ok(Val::Str((time_of(&c.args[0]).0.div_euclid(1_000_000_000)).to_string())),
        "unixEpochMillis" => Ok(Val::Str(time_of(&c.args[0]).0.div_euclid(1_000_000).to_string())),
        "unixEpochNanos" => Ok(Val::Str(time_of(&c.args[0]).0.to_string())),
        "date" => {
            let (ns, zone) = time_of(&c.args[1]);
            Ok(Val::Str(time::format(ns, zone, &c.s(0))))
        }
        "toDate" => read_time(&c.s(0), &c.s(1)),
        "toDateInZone" => match c.s(1).as_str() {
            "UTC" | "" | "GMT" => read_time(&c.s(0), &c.s(2)),
            zone => Err(format!("not yet supported: time zone {zone:?}")),
        },
        "unixToTime" => unix_to_time(&c.s(0)),
        _ => return None,
    })
}

fn read_time(layout: &str, text: &str) -> Out {
    match time::parse(layout, text) {
        Some((ns, zone)) => Ok(Val::Time(ns, zone)),
        None => Err(format!("parsing time {text:?} as {layout:?}: cannot parse")),
    }
}

/// Days, seconds, milli-, micro- or nanoseconds, told apart by the number of digits, as Loki does.
fn unix_to_time(text: &str) -> Out {
    let fail = || format!("unable to parse time {text:?}");
    let n: i64 = text.trim().parse().map_err(|_| fail())?;
    let scale: i64 = match text.trim().trim_start_matches('-').len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return Err(fail()),
    };
    n.checked_mul(scale).map(|ns| Val::Time(ns, 0)).ok_or_else(fail)
}
