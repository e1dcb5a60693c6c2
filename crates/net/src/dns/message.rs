//! DNS messages (RFC 1035 §4, SRV by RFC 2782), as far as a stub resolver needs them.
//!
//! ```text
//! | id 2 | flags 2 | questions 2 | answers 2 | authorities 2 | additionals 2 |   all big-endian
//! | question: name, type 2, class 2 |
//! | record:   name, type 2, class 2, ttl 4, length 2, data |
//! name: | length 1..63 | bytes | ... | 0 |, or a pointer: two bytes whose highest bits are 11
//! ```

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

pub(super) const SUCCESS: u8 = 0;
pub(super) const NAME_ERROR: u8 = 3;

/// Longest name with its dots (RFC 1035 §2.3.4).
const MAX_NAME: usize = 255;
/// Pointers followed within one name; more than labels fit into a name is a loop.
const MAX_POINTERS: usize = 128;
/// Records read from one answer.
const MAX_RECORDS: usize = 4096;
const CLASS_INTERNET: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_OPT: u16 = 41;

/// Record types that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    A,
    Aaaa,
    Srv,
    Mx,
    Ns,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Ns => 2,
            Kind::Mx => 15,
            Kind::Aaaa => 28,
            Kind::Srv => 33,
        }
    }
}

/// One record of the type asked for. Names end with a dot, as servers write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Srv { target: String, port: u16 },
    Mx { target: String },
    Ns { target: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) truncated: bool,
    pub(super) records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    /// It answers another question than ours.
    Foreign,
    Malformed(&'static str),
}

impl Unread {
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Unread::Foreign)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Foreign => f.write_str("the answer belongs to another question"),
            Unread::Malformed(what) => write!(f, "the answer is not valid: {what}"),
        }
    }
}

/// A question with recursion desired, announcing 4096 bytes over UDP (EDNS0, RFC 6891).
pub(super) fn encode(id: u16, name: &str, kind: Kind) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(64);
    for word in [id, 0x0100, 1, 0, 0, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    if name.is_empty() || name.len() > MAX_NAME - 2 {
        return Err(format!("a name of {} bytes cannot be asked for", name.len()));
    }
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|l| (1..64).contains(l));
        let length = length.ok_or_else(|| format!("{name:?} is not a domain name"))?;
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    for word in [kind.number(), CLASS_INTERNET] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    // The additional record: the root, OPT, size, no flags, no data.
    out.push(0);
    for word in [TYPE_OPT, 4096, 0, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    Ok(out)
}

/// Reads the answer to the question that [`encode`] made of the same arguments.
pub(super) fn decode(bytes: &[u8], id: u16, name: &str, kind: Kind) -> Result<Answer, Unread> {
    let mut r = Reader { bytes, at: 0 };
    let (got, flags) = (r.u16()?, r.u16()?);
    let (questions, answers) = (r.u16()?, r.u16()?);
    r.skip(4)?;
    if got != id || flags & 0x8000 == 0 {
        return Err(Unread::Foreign);
    }
    let code = (flags & 0x000f) as u8;
    let truncated = flags & 0x0200 != 0;
    for _ in 0..questions {
        let asked = r.name()?;
        let number = r.u16()?;
        r.skip(2)?;
        if !asked.trim_end_matches('.').eq_ignore_ascii_case(name) || number != kind.number() {
            return Err(Unread::Foreign);
        }
    }
    let mut records = Vec::new();
    if truncated {
        return Ok(Answer { code, truncated, records });
    }
    for _ in 0..usize::from(answers).min(MAX_RECORDS) {
        r.name()?;
        let (number, class) = (r.u16()?, r.u16()?);
        r.skip(4)?;
        let length = usize::from(r.u16()?);
        let end = r.at + length;
        if end > bytes.len() {
            return Err(Unread::Malformed("a record ends after the message"));
        }
        if class == CLASS_INTERNET && number == kind.number() && number != TYPE_CNAME {
            records.push(r.data(kind)?);
        }
        r.at = end;
    }
    Ok(Answer { code, truncated, records })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unread> {
        let end = self.at + N;
        let part = self.bytes.get(self.at..end).and_then(|b| b.try_into().ok());
        self.at = end;
        part.ok_or(Unread::Malformed("it is cut short"))
    }

    fn u16(&mut self) -> Result<u16, Unread> {
        self.take().map(u16::from_be_bytes)
    }

    fn skip(&mut self, n: usize) -> Result<(), Unread> {
        self.at += n;
        match self.at <= self.bytes.len() {
            true => Ok(()),
            false => Err(Unread::Malformed("it is cut short")),
        }
    }

    fn data(&mut self, kind: Kind) -> Result<Record, Unread> {
        Ok(match kind {
            Kind::A => Record::A(Ipv4Addr::from(self.take::<4>()?)),
            Kind::Aaaa => Record::Aaaa(Ipv6Addr::from(self.take::<16>()?)),
            Kind::Ns => Record::Ns { target: self.name()? },
            Kind::Mx => {
                self.skip(2)?;
                Record::Mx { target: self.name()? }
            }
            Kind::Srv => {
                self.skip(4)?;
                let port = self.u16()?;
                Record::Srv { target: self.name()?, port }
            }
        })
    }

    /// A name with a dot after each label, following pointers; ends after the name's own bytes.
    fn name(&mut self) -> Result<String, Unread> {
        let mut out = String::new();
        let mut at = self.at;
        let mut after = None;
        let mut pointers = 0;
        loop {
            let length = *self.bytes.get(at).ok_or(Unread::Malformed("a name is cut short"))?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + usize::from(length));
                    let label = label.ok_or(Unread::Malformed("a name is cut short"))?;
                    if out.len() + label.len() + 1 > MAX_NAME {
                        return Err(Unread::Malformed("a name is longer than 255 bytes"));
                    }
                    // Bytes beyond ASCII do not occur in host names; they are made visible, not lost.
                    label.iter().for_each(|b| match b {
                        b if b.is_ascii_graphic() => out.push(char::from(*b)),
                        _ => out.push('?'),
                    });
                    out.push('.');
                    at += 1 + usize::from(length);
                }
                192.. => {
                    let low = *self.bytes.get(at + 1).ok_or(Unread::Malformed("a name is cut short"))?;
                    after.get_or_insert(at + 2);
                    at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return Err(Unread::Malformed("a name points to itself"));
                    }
                }
                _ => return Err(Unread::Malformed("a label of an unknown kind")),
            }
        }
        self.at = after.unwrap_or(at + 1);
        if out.is_empty() {
            out.push('.');
        }
        Ok(out)
    }
}
