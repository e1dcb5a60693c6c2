//! JSON read in place: no tree is built, numbers keep their text, and nesting is bounded.

use std::borrow::Cow;

use super::labels::sanitise;

/// Levels of objects and arrays a line may have.
const MAX_DEPTH: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    /// Numbers, `true` and `false`, as written.
    Plain(&'a str),
    /// Between the quotes, escapes as written.
    String(&'a str),
    /// From bracket to bracket.
    Object(&'a str),
    Array(&'a str),
}

impl<'a> Value<'a> {
    /// As a label value: strings unescaped, objects and arrays as their JSON, null empty.
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            Value::Null => Cow::Borrowed(""),
            Value::Plain(t) | Value::Object(t) | Value::Array(t) => Cow::Borrowed(t),
            Value::String(t) => unescape(t),
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

type Scan<T> = Result<T, String>;

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Scanner { text, at: 0 }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Scan<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected())
    }

    fn unexpected(&mut self) -> String {
        match self.peek() {
            Some(_) => {
                let c = self.text[self.at..].chars().next().unwrap_or(' ');
                format!("unexpected {c:?} at byte {} of the JSON", self.at)
            }
            None => "the JSON ends too early".to_owned(),
        }
    }

    /// The inside of a string; `at` is on its opening quote.
    fn string(&mut self) -> Scan<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                // The byte after a backslash is ASCII in valid JSON; stepping over it keeps us between
                // characters otherwise too, since a quote never is a continuation byte.
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return Err("a string of the JSON does not end".to_owned()),
            }
        }
    }

    fn value(&mut self) -> Scan<Value<'a>> {
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{') => Ok(Value::Object(self.bracketed()?)),
            Some(b'[') => Ok(Value::Array(self.bracketed()?)),
            Some(_) => {
                let start = self.at;
                let bytes = self.text.as_bytes();
                while bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)) {
                    self.at += 1;
                }
                match &self.text[start..self.at] {
                    "null" => Ok(Value::Null),
                    t @ ("true" | "false") => Ok(Value::Plain(t)),
                    t if t.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                        && t.parse::<f64>().is_ok() =>
                    {
                        Ok(Value::Plain(t))
                    }
                    _ => {
                        self.at = start;
                        Err(self.unexpected())
                    }
                }
            }
            None => Err(self.unexpected()),
        }
    }

    /// Skips an object or array whose bracket is at hand and returns its text.
    fn bracketed(&mut self) -> Scan<&'a str> {
        let start = self.at;
        let mut open = 0usize;
        loop {
            match self.peek() {
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    open -= 1;
                    self.at += 1;
                    if open == 0 {
                        return Ok(&self.text[start..self.at]);
                    }
                }
                Some(b'"') => {
                    self.string()?;
                }
                Some(b) if b.is_ascii() => self.at += 1,
                _ => return Err(self.unexpected()),
            }
        }
    }
}

/// Calls `f` with each member of the object `text` starts with. What follows the object is not looked at.
pub(crate) fn each_member<'a>(text: &'a str, f: &mut dyn FnMut(&str, Value<'a>)) -> Scan<()> {
    let mut s = Scanner::new(text);
    if s.peek() != Some(b'{') {
        return Err("expecting a JSON object".to_owned());
    }
    s.at += 1;
    if s.peek() == Some(b'}') {
        return Ok(());
    }
    loop {
        let key = unescape(s.string()?);
        s.expect(b':')?;
        f(&key, s.value()?);
        match s.peek() {
            Some(b',') => s.at += 1,
            Some(b'}') => return Ok(()),
            _ => return Err(s.unexpected()),
        }
    }
}

/// Calls `f` with every scalar below the object, names joined by `_`; arrays are left out. Members found before
/// a mistake in the text have been handed over when it is reported.
pub(crate) fn flatten(text: &str, f: &mut dyn FnMut(&str, &str)) -> Scan<()> {
    scalars_below(text, &mut None, ("", 0), &mut |_, name, value| f(name, value))
}

/// The same with the names that lead to it, for who wants to know the way.
pub(crate) fn each_scalar(text: &str, f: &mut dyn FnMut(&[String], &str, &str)) -> Scan<()> {
    scalars_below(text, &mut Some(Vec::new()), ("", 0), f)
}

/// `way` is written down where there is one.
fn scalars_below(
    text: &str,
    way: &mut Option<Vec<String>>,
    (prefix, depth): (&str, usize),
    f: &mut dyn FnMut(&[String], &str, &str),
) -> Scan<()> {
    if depth > MAX_DEPTH {
        return Err(format!("the JSON is nested deeper than {MAX_DEPTH} levels"));
    }
    let mut inner = Ok(());
    each_member(text, &mut |key, value| {
        let name = match prefix {
            "" => sanitise(key),
            p => format!("{p}_{}", key.chars().map(plain_char).collect::<String>()),
        };
        if let Some(way) = way {
            way.push(key.to_owned());
        }
        match value {
            Value::Object(o) if inner.is_ok() => inner = scalars_below(o, way, (&name, depth + 1), f),
            Value::Object(_) | Value::Array(_) => {}
            scalar => f(way.as_deref().unwrap_or_default(), &name, &scalar.text()),
        }
        if let Some(way) = way {
            way.pop();
        }
    })?;
    inner
}

fn plain_char(c: char) -> char {
    if c.is_ascii_alphanumeric() { c } else { '_' }
}

fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let mut unit = hex4(&mut chars);
                // Two halves of a pair make one character; a lone half is replaced.
                if let Some(high @ 0xd800..=0xdbff) = unit
                    && chars.as_str().starts_with("\\u")
                {
                    let mut ahead = chars.clone();
                    ahead.nth(1);
                    if let Some(low @ 0xdc00..=0xdfff) = hex4(&mut ahead) {
                        unit = Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                        chars = ahead;
                    }
                }
                out.push(unit.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(c) => out.push(c),
            None => {}
        }
    }
    Cow::Owned(out)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let text = chars.as_str().get(..4)?;
    let value = u32::from_str_radix(text, 16).ok()?;
    chars.nth(3);
    Some(value)
}

/// Where a value lies: `a.b[0]["c d"]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path(Vec<Hop>);

#[derive(Debug, Clone, PartialEq)]
enum Hop {
    Key(String),
    Index(usize),
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, String> {
        let fail = || format!("cannot parse JSON expression [{text}]");
        let mut hops = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                if inner.starts_with('"') {
                    let mut s = Scanner::new(inner);
                    hops.push(Hop::Key(unescape(s.string().map_err(|_| fail())?).into_owned()));
                    rest = inner[s.at..].trim_start().strip_prefix(']').ok_or_else(fail)?;
                } else {
                    let (number, after) = inner.split_once(']').ok_or_else(fail)?;
                    hops.push(Hop::Index(number.trim().parse().map_err(|_| fail())?));
                    rest = after;
                }
                continue;
            }
            let name = match rest.strip_prefix('.') {
                Some(after) if !hops.is_empty() => after,
                None if hops.is_empty() => rest,
                _ => return Err(fail()),
            };
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (key, after) = name.split_at(end);
            if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
                return Err(fail());
            }
            hops.push(Hop::Key(key.to_owned()));
            rest = after;
        }
        if hops.is_empty() { Err(fail()) } else { Ok(Path(hops)) }
    }

    /// The value in `text`, `None` where there is none. An error where `text` is no JSON object or array.
    pub fn find<'a>(&self, text: &'a str) -> Scan<Option<Value<'a>>> {
        let mut here = Scanner::new(text).value()?;
        for hop in &self.0 {
            let next = match (hop, here) {
                (Hop::Key(key), Value::Object(o)) => {
                    let mut found = None;
                    each_member(o, &mut |k, v| {
                        if k == key {
                            found = Some(v);
                        }
                    })?;
                    found
                }
                (Hop::Index(i), Value::Array(a)) => element(a, *i)?,
                (_, Value::Object(_) | Value::Array(_)) => None,
                _ if std::ptr::eq(hop, &self.0[0]) => return Err("expecting a JSON object".to_owned()),
                _ => None,
            };
            match next {
                Some(v) => here = v,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }
}

fn element(array: &str, index: usize) -> Scan<Option<Value<'_>>> {
    let mut s = Scanner::new(array);
    s.expect(b'[')?;
    if s.peek() == Some(b']') {
        return Ok(None);
    }
    for i in 0.. {
        let v = s.value()?;
        if i == index {
            return Ok(Some(v));
        }
        match s.peek() {
            Some(b',') => s.at += 1,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
