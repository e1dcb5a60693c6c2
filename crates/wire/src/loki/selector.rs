//! Stream labels in text form, as the protobuf push carries them: `{app="a", env="b"}`. Values are Go strings:
//! double-quoted with escapes, or raw between backquotes.

use std::{borrow::Cow, fmt::Write};

use model::{Labels, labels::is_classic_label_name};

use crate::{Error, text::clip};

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads the pairs in the order written.
pub fn parse_labels(text: &str) -> Result<Pairs<'_>, Error> {
    let mut p = Parser { text, at: 0 };
    p.labels().map_err(|reason| Error::StreamLabels { labels: clip(text), at: p.at, reason })
}

/// Writes labels so that [`parse_labels`] reads them back.
pub(super) fn write(labels: &Labels) -> String {
    let mut out = String::from("{");
    for (i, (n, v)) in labels.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        if is_classic_label_name(n) {
            out.push_str(n);
        } else {
            quote(&mut out, n);
        }
        out.push('=');
        quote(&mut out, v);
    }
    out.push('}');
    out
}

fn quote(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, c: char) -> bool {
        let is = self.rest().starts_with(c);
        if is {
            self.at += c.len_utf8();
        }
        is
    }

    fn labels(&mut self) -> Result<Pairs<'a>, &'static str> {
        let mut out = Pairs::new();
        self.blanks();
        if !self.eat('{') {
            return Err("expected '{'");
        }
        loop {
            self.blanks();
            if self.eat('}') {
                break;
            }
            let name = self.name()?;
            self.blanks();
            if !self.eat('=') {
                return Err("expected '='");
            }
            self.blanks();
            let value = self.value()?;
            out.push((name, value));
            self.blanks();
            if !self.eat(',') {
                if self.eat('}') {
                    break;
                }
                return Err("expected ',' or '}'");
            }
        }
        self.blanks();
        if self.rest().is_empty() { Ok(out) } else { Err("text follows the closing brace") }
    }

    fn name(&mut self) -> Result<Cow<'a, str>, &'static str> {
        if self.rest().starts_with('"') {
            return self.value();
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if !is_classic_label_name(name) {
            return Err("expected a label name");
        }
        self.at += end;
        Ok(Cow::Borrowed(name))
    }

    fn value(&mut self) -> Result<Cow<'a, str>, &'static str> {
        if self.eat('`') {
            let rest = self.rest();
            let end = rest.find('`').ok_or("a backquote is not closed")?;
            self.at += end + 1;
            return Ok(Cow::Borrowed(rest.get(..end).unwrap_or_default()));
        }
        if !self.eat('"') {
            return Err("expected a quoted string");
        }
        let rest = self.rest();
        let plain = rest.find(['"', '\\', '\n']).ok_or("a quote is not closed")?;
        self.at += plain;
        let head = rest.get(..plain).unwrap_or_default();
        if self.eat('"') {
            return Ok(Cow::Borrowed(head));
        }
        let mut out: Vec<u8> = head.as_bytes().to_vec();
        loop {
            let c = self.rest().chars().next().ok_or("a quote is not closed")?;
            self.at += c.len_utf8();
            match c {
                '"' => break,
                '\n' => return Err("a line feed inside quotes"),
                '\\' => self.escape(&mut out)?,
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(out).map(Cow::Owned).map_err(|_| "escapes spell bytes that are not UTF-8")
    }

    /// What follows a backslash, as Go's strconv.Unquote reads it.
    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let c = self.rest().chars().next().ok_or("a quote is not closed")?;
        self.at += c.len_utf8();
        let byte = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '"' => c as u8,
            'x' => self.digits(2, 16)? as u8,
            'u' | 'U' => {
                let n = self.digits(if c == 'u' { 4 } else { 8 }, 16)?;
                let c = char::from_u32(n).ok_or("an escape is no character")?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            '0'..='7' => {
                self.at -= 1;
                u8::try_from(self.digits(3, 8)?).map_err(|_| "an octal escape is past 255")?
            }
            _ => return Err("an escape is not known"),
        };
        out.push(byte);
        Ok(())
    }

    fn digits(&mut self, n: usize, radix: u32) -> Result<u32, &'static str> {
        let digits = self.rest().get(..n).filter(|d| d.bytes().all(|b| (b as char).is_digit(radix)));
        let value =
            digits.and_then(|d| u32::from_str_radix(d, radix).ok()).ok_or("an escape is cut short")?;
        self.at += n;
        Ok(value)
    }
}
