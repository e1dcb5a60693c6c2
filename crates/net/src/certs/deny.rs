//! The deny list: serial numbers of certificates that are refused though their authority stands for them. One
//! a line in hexadecimal, with or without colons; `#` begins a comment.

use std::{collections::HashSet, path::Path};

use super::{DENY_LIST, date, facts_of, make};
use crate::{
    Error,
    tls::{file_error, read_file},
};

/// The longest a serial number may be (RFC 5280, 4.1.2.2), and one byte that says it is positive.
const MAX_SERIAL_BYTES: usize = 21;

/// Serial numbers that are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denied(HashSet<String>);

impl Denied {
    /// Reads a list.
    ///
    /// # Errors
    /// A line is no serial number; the message names it. Nothing of a list with a mistake is used.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut denied = HashSet::new();
        for (n, line) in text.lines().enumerate() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            if !entry.is_empty() {
                denied.insert(serial(entry).map_err(|e| format!("line {}: {e}", n + 1))?);
            }
        }
        Ok(Denied(denied))
    }

    /// Whether a serial number as [`super::Facts`] writes it is on the list.
    pub fn has(&self, serial: &str) -> bool {
        self.0.contains(serial)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A serial number as people and programs write it, in our own notation.
fn serial(text: &str) -> Result<String, String> {
    let shown: String = text.chars().take(80).collect();
    let digits = text.strip_prefix("0x").unwrap_or(text).replace(':', "").to_ascii_lowercase();
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("{shown:?} is no serial number in hexadecimal"));
    }
    let whole = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
    if whole.len() > MAX_SERIAL_BYTES * 2 {
        return Err(format!("{shown:?} is longer than a serial number may be"));
    }
    let mut rest = whole.as_str();
    while rest.len() > 2
        && let Some(shorter) = rest.strip_prefix("00")
    {
        rest = shorter;
    }
    Ok(rest.to_owned())
}

/// What became of an addition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    pub serial: String,
    /// It was on the list before.
    pub known: bool,
    /// How many are on the list now.
    pub total: usize,
}

/// Adds a serial number, or that of the certificate in a file, to the list in `dir`.
///
/// # Errors
/// It is neither, or the list cannot be read or written.
pub fn deny(dir: &Path, what: &str, now_s: i64) -> Result<Added, Error> {
    let list = dir.join(DENY_LIST);
    let (serial, about) = match serial(what) {
        // A file may have a name that could be a number; nobody means the number then.
        Ok(serial) if !Path::new(what).exists() => (serial, String::new()),
        _ => {
            let facts = facts_of(Path::new(what))?;
            let about = format!("{}, ", facts.subject.replace(['\n', '\r'], " "));
            (facts.serial, about)
        }
    };
    let mut text = match list.exists() {
        true => String::from_utf8(read_file(&list)?).map_err(|_| file_error(&list, "it is not text"))?,
        false => String::new(),
    };
    let before = Denied::parse(&text).map_err(|e| file_error(&list, e))?;
    if before.has(&serial) {
        return Ok(Added { serial, known: true, total: before.len() });
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("{serial} # {about}denied {}\n", date(now_s)));
    make::replace(&list, &text, make::PUBLIC)?;
    Ok(Added { serial, known: false, total: before.len() + 1 })
}
