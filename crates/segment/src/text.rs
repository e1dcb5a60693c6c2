//! Typed values as JSON text that gives every value back exactly, and that other readers can still use as JSON.
//!
//! | value | text |
//! |---|---|
//! | empty, string, bool | `null`, `"text"`, `true` |
//! | integer | `42` |
//! | finite float | always with a point or an exponent: `42.0`, `1e300`, `-0.0` |
//! | other float | `{"$float":"7ff8000000000001"}`, its bits in hex |
//! | bytes | `{"$bytes":"0a1b"}` |
//! | array | `[…]` |
//! | map | `{…}`, pairs in order, a key may come twice |
//! | map whose first key starts with `$` | `{"$map":{…}}` |

use model::{AnyValue, Attributes};

use crate::{Error, Result};

/// Values nested deeper are refused by writer and reader; both recurse once per level.
pub(crate) const MAX_DEPTH: usize = 128;

pub(crate) fn encode(value: &AnyValue) -> Result<String> {
    let mut out = String::new();
    put_value(value, MAX_DEPTH, &mut out)?;
    Ok(out)
}

/// The pairs as one JSON object.
pub(crate) fn encode_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a AnyValue)>) -> Result<String> {
    let mut out = String::new();
    put_pairs(pairs, MAX_DEPTH, &mut out)?;
    Ok(out)
}

fn put_value(value: &AnyValue, depth: usize, out: &mut String) -> Result<()> {
    if depth == 0 {
        return Err(Error::Invalid(format!("a value is nested deeper than {MAX_DEPTH} levels")));
    }
    match value {
        AnyValue::Empty => out.push_str("null"),
        AnyValue::String(s) => put_string(s, out),
        AnyValue::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        AnyValue::Int(i) => out.push_str(&i.to_string()),
        // Debug always shows a point or an exponent, and the shortest digits that give the value back.
        AnyValue::Double(d) if d.is_finite() => out.push_str(&format!("{d:?}")),
        AnyValue::Double(d) => out.push_str(&format!("{{\"$float\":\"{:016x}\"}}", d.to_bits())),
        AnyValue::Bytes(b) => {
            out.push_str("{\"$bytes\":\"");
            b.iter().for_each(|x| {
                out.push(char::from(b"0123456789abcdef"[usize::from(x >> 4)]));
                out.push(char::from(b"0123456789abcdef"[usize::from(x & 15)]));
            });
            out.push_str("\"}");
        }
        AnyValue::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                put_value(item, depth - 1, out)?;
            }
            out.push(']');
        }
        AnyValue::Map(m) => put_map(m, depth, out)?,
    }
    Ok(())
}

/// A map as a value that may hold others so deep.
pub(crate) fn put_map(m: &Attributes, depth: usize, out: &mut String) -> Result<()> {
    if depth == 0 {
        return Err(Error::Invalid(format!("a value is nested deeper than {MAX_DEPTH} levels")));
    }
    let escape = m.iter().next().is_some_and(|(k, _)| k.starts_with('$'));
    out.push_str(if escape { "{\"$map\":" } else { "" });
    put_pairs(m.iter(), depth - 1, out)?;
    out.push_str(if escape { "}" } else { "" });
    Ok(())
}

fn put_pairs<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a AnyValue)>,
    depth: usize,
    out: &mut String,
) -> Result<()> {
    out.push('{');
    for (i, (k, v)) in pairs.enumerate() {
        if i > 0 {
            out.push(',');
        }
        put_string(k, out);
        out.push(':');
        put_value(v, depth, out)?;
    }
    out.push('}');
    Ok(())
}

pub(crate) fn put_string(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The error says what was expected.
pub(crate) fn decode(text: &str) -> std::result::Result<AnyValue, String> {
    let mut p = Parser { text, at: 0 };
    let v = p.value(MAX_DEPTH)?;
    p.end()?;
    Ok(v)
}

/// One JSON object as pairs, `$` keys taken literally.
pub(crate) fn decode_pairs(text: &str) -> std::result::Result<Attributes, String> {
    let mut p = Parser { text, at: 0 };
    let pairs = p.pairs(MAX_DEPTH)?;
    p.end()?;
    Ok(pairs)
}

/// Reads exactly what the writer makes: no white space between tokens.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = std::result::Result<T, String>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn fail<T>(&self, expected: &str) -> Parsed<T> {
        let near: String = self.rest().chars().take(20).collect();
        Err(format!("{expected} at byte {} of a typed value, near {near:?}", self.at))
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { self.fail(&format!("{token:?}")) }
    }

    fn end(&self) -> Parsed<()> {
        if self.rest().is_empty() { Ok(()) } else { self.fail("the end") }
    }

    fn value(&mut self, depth: usize) -> Parsed<AnyValue> {
        let Some(below) = depth.checked_sub(1) else { return self.fail("at most 128 levels") };
        match self.rest().as_bytes().first() {
            Some(b'n') => self.expect("null").map(|()| AnyValue::Empty),
            Some(b't') => self.expect("true").map(|()| AnyValue::Bool(true)),
            Some(b'f') => self.expect("false").map(|()| AnyValue::Bool(false)),
            Some(b'"') => self.string().map(AnyValue::String),
            Some(b'[') => self.array(below),
            Some(b'{') => self.object(below),
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Parsed<AnyValue> {
        let len = self.rest().bytes().take_while(|b| b"+-.0123456789eE".contains(b)).count();
        let digits = self.rest().get(..len).unwrap_or("");
        let value = if digits.contains(['.', 'e', 'E']) {
            digits.parse().ok().map(AnyValue::Double)
        } else {
            digits.parse().ok().map(AnyValue::Int)
        };
        match value {
            Some(v) => {
                self.at += len;
                Ok(v)
            }
            None => self.fail("a value"),
        }
    }

    fn array(&mut self, below: usize) -> Parsed<AnyValue> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.eat("]") {
            return Ok(AnyValue::Array(items));
        }
        loop {
            items.push(self.value(below)?);
            if self.eat("]") {
                return Ok(AnyValue::Array(items));
            }
            self.expect(",")?;
        }
    }

    fn object(&mut self, below: usize) -> Parsed<AnyValue> {
        if self.eat("{\"$float\":") {
            let bits = u64::from_str_radix(&self.string()?, 16).or_else(|_| self.fail("16 hex digits"))?;
            self.expect("}")?;
            return Ok(AnyValue::Double(f64::from_bits(bits)));
        }
        if self.eat("{\"$bytes\":") {
            let hex = self.string()?;
            self.expect("}")?;
            return match unhex(&hex) {
                Some(b) => Ok(AnyValue::Bytes(b)),
                None => self.fail("bytes in hex"),
            };
        }
        if self.eat("{\"$map\":") {
            let m = self.pairs(below)?;
            self.expect("}")?;
            return Ok(AnyValue::Map(m));
        }
        self.pairs(below).map(AnyValue::Map)
    }

    fn pairs(&mut self, below: usize) -> Parsed<Attributes> {
        self.expect("{")?;
        let mut pairs = Vec::new();
        if self.eat("}") {
            return Ok(Attributes(pairs));
        }
        loop {
            let key = self.string()?;
            self.expect(":")?;
            pairs.push((key, self.value(below)?));
            if self.eat("}") {
                return Ok(Attributes(pairs));
            }
            self.expect(",")?;
        }
    }

    fn string(&mut self) -> Parsed<String> {
        self.expect("\"")?;
        let mut out = String::new();
        loop {
            let run = self.rest().find(['"', '\\']);
            let Some(run) = run else { return self.fail("the end of a string") };
            out.push_str(self.rest().get(..run).unwrap_or(""));
            self.at += run;
            if self.eat("\"") {
                return Ok(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        for (escape, c) in [("\\\"", '"'), ("\\\\", '\\'), ("\\n", '\n'), ("\\r", '\r'), ("\\t", '\t')] {
            if self.eat(escape) {
                return Ok(c);
            }
        }
        self.expect("\\u")?;
        let c = self.rest().get(..4).and_then(|h| u32::from_str_radix(h, 16).ok()).and_then(char::from_u32);
        match c {
            Some(c) => {
                self.at += 4;
                Ok(c)
            }
            None => self.fail("four hex digits"),
        }
    }
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| match pair {
            [a, b] => Some((char::from(*a).to_digit(16)? * 16 + char::from(*b).to_digit(16)?) as u8),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
