//! Templates, and lines put together from them.

use std::{collections::HashMap, ops::Range};

use super::{
    BLOB,
    scan::{Kind, MAX_DIGITS, Slot},
    value,
};
use crate::{
    Result,
    codec::bits::Cursor,
    file::{
        File,
        blob::{Blob, pack_text, unpack_text},
    },
    terms::{each, fold, in_word},
};

const MARK: u8 = 1;
const END: char = '\0';

/// What a line is put together from, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text of the template, and its number among all texts of a table.
    Text(Range<usize>, u32),
    Number,
    /// A text of the template of which zeros are digits, its number, and how many digits.
    Pattern(Range<usize>, u32, usize),
    /// So many bytes.
    Hex(usize),
    Uuid,
    Token,
}

#[derive(Debug)]
pub(crate) struct Template {
    /// In its table.
    pub number: u32,
    text: Box<[u8]>,
    pub parts: Vec<Part>,
}

impl Template {
    fn parse(number: u32, text: &[u8], texts: &mut Texts) -> Option<Self> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(b) = text.get(at) {
            if *b != MARK {
                let end = text.iter().skip(at).position(|b| *b == MARK).map_or(text.len(), |n| at + n);
                parts.push(Part::Text(at..end, texts.number(text.get(at..end)?)));
                at = end;
                continue;
            }
            let kind = text.get(at + 1)?;
            at += 2;
            parts.push(match kind {
                b'n' => Part::Number,
                b'u' => Part::Uuid,
                b't' => Part::Token,
                b'x' => {
                    at += 1;
                    Part::Hex(usize::from(*text.get(at - 1)?))
                }
                b'p' => {
                    let range = at + 1..at + 1 + usize::from(*text.get(at)?);
                    let pattern = text.get(range.clone())?;
                    let digits = pattern.iter().filter(|b| **b == b'0').count();
                    at = range.end;
                    (digits <= MAX_DIGITS).then(|| Part::Pattern(range, texts.number(pattern), digits))?
                }
                _ => return None,
            });
        }
        Some(Template { number, text: text.into(), parts })
    }

    /// As it stands in the table.
    pub fn whole(&self) -> &[u8] {
        &self.text
    }

    pub fn text(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Bytes of the line that these values make.
    pub fn length(&self, values: &[u8]) -> Option<usize> {
        let mut values = Cursor(values);
        let mut sum = 0;
        for part in &self.parts {
            sum += match part {
                Part::Text(range, _) => range.len(),
                Part::Number => value::take_number(&mut values)?.0,
                Part::Pattern(range, _, digits) => {
                    values.take(value::width(*digits))?;
                    range.len()
                }
                Part::Hex(bytes) => values.take(*bytes)?.len() * 2,
                Part::Uuid => values.take(16)?.len() * 2 + 4,
                Part::Token => {
                    let length = usize::from(values.byte()?);
                    values.take(length)?.len()
                }
            };
        }
        Some(sum)
    }

    /// Appends the line that these values make; `None` where they are of no such line.
    pub fn assemble(&self, values: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.assemble_telling(values, out, &mut |_| {})
    }

    /// The same, and says where each slot is.
    pub fn assemble_telling(
        &self,
        values: &[u8],
        out: &mut Vec<u8>,
        slot: &mut impl FnMut(Range<usize>),
    ) -> Option<()> {
        let mut values = Cursor(values);
        for part in &self.parts {
            let from = out.len();
            match part {
                Part::Text(range, _) => out.extend_from_slice(self.text(range)),
                Part::Number => {
                    let (digits, n) = value::take_number(&mut values)?;
                    value::push_digits(out, digits, n);
                }
                Part::Pattern(range, _, digits) => {
                    let mut n = value::take_wide(&mut values, *digits)?;
                    let from = out.len();
                    out.extend_from_slice(self.text(range));
                    for place in out.iter_mut().skip(from).rev().filter(|b| **b == b'0') {
                        *place = b'0' + (n % 10) as u8;
                        n /= 10;
                    }
                }
                Part::Hex(bytes) => value::push_hex(out, values.take(*bytes)?),
                Part::Uuid => value::push_uuid(out, values.take(16)?),
                Part::Token => {
                    let length = usize::from(values.byte()?);
                    out.extend_from_slice(values.take(length)?);
                }
            }
            if !matches!(part, Part::Text(..)) {
                slot(from..out.len());
            }
        }
        values.is_empty().then_some(())
    }
}

/// Numbers for texts, equal ones the same.
#[derive(Default, Debug)]
pub(crate) struct Texts(HashMap<Box<[u8]>, u32>);

impl Texts {
    fn number(&mut self, text: &[u8]) -> u32 {
        let next = self.0.len() as u32;
        match self.0.get(text) {
            Some(n) => *n,
            None => *self.0.entry(text.into()).or_insert(next),
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The templates of a segment.
#[derive(Default, Debug)]
pub(crate) struct Table {
    pub templates: Vec<Template>,
    pub texts: Texts,
    bytes: usize,
}

impl Table {
    pub fn push(&mut self, text: &[u8]) -> Option<u32> {
        let number = self.templates.len() as u32;
        let template = Template::parse(number, text, &mut self.texts)?;
        self.bytes += text.len();
        self.templates.push(template);
        Some(number)
    }

    pub fn get(&self, number: u32) -> Option<&Template> {
        self.templates.get(number as usize)
    }

    /// Bytes of all templates.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn heap_bytes(&self) -> usize {
        let parts: usize = self.templates.iter().map(|t| t.parts.len()).sum();
        // Texts stand in a map beside.
        self.bytes * 2 + parts * (std::mem::size_of::<Part>() + 16) + self.templates.len() * 48
    }

    pub fn encode(&self) -> Result<Blob> {
        let mut all = String::with_capacity(self.bytes + self.templates.len());
        for t in &self.templates {
            all.push_str(std::str::from_utf8(&t.text).unwrap_or_default());
            all.push(END);
        }
        Ok(Blob::whole(BLOB, pack_text("templates of a log segment", &all)?))
    }

    /// Empty where the segment has none.
    pub async fn read(file: &File) -> Result<Self> {
        let mut table = Table::default();
        let Some(packed) = file.blob(BLOB).await? else { return Ok(table) };
        let text = unpack_text(&packed).ok_or_else(|| file.corrupt("packed text in the blob templates"))?;
        for one in text.split_terminator(END) {
            if table.push(one.as_bytes()).is_none() {
                return Err(file.corrupt(format!("a template in the blob templates, not {one:?}")));
            }
        }
        Ok(table)
    }
}

/// Writes a line as a template, with the slots that are `kept`, bit by bit, and the others as text.
pub(super) fn template_of(line: &[u8], slots: &[Slot], kept: u64, out: &mut Vec<u8>) {
    out.clear();
    let mut from = 0;
    for (_, slot) in slots.iter().enumerate().filter(|(i, _)| kept >> i & 1 == 1) {
        out.extend_from_slice(line.get(from..slot.at.start).unwrap_or_default());
        from = slot.at.end;
        out.push(MARK);
        match slot.kind {
            Kind::Number => out.push(b'n'),
            Kind::Uuid => out.push(b'u'),
            Kind::Token => out.push(b't'),
            Kind::Hex => out.extend([b'x', (slot.at.len() / 2) as u8]),
            Kind::Pattern => {
                out.extend([b'p', slot.at.len() as u8]);
                let text = line.get(slot.at.clone()).unwrap_or_default();
                out.extend(text.iter().map(|b| if b.is_ascii_digit() { b'0' } else { *b }));
            }
        }
    }
    out.extend_from_slice(line.get(from..).unwrap_or_default());
}

/// Writes the values of a line's slots that are `kept`.
pub(super) fn values_of(line: &[u8], slots: &[Slot], kept: u64, out: &mut Vec<u8>) {
    out.clear();
    for (_, slot) in slots.iter().enumerate().filter(|(i, _)| kept >> i & 1 == 1) {
        let text = line.get(slot.at.clone()).unwrap_or_default();
        match slot.kind {
            Kind::Number => value::put_number(out, text),
            Kind::Pattern => {
                let digits = || text.iter().copied().filter(u8::is_ascii_digit);
                value::put_wide(out, digits().count(), value::integer(digits()));
            }
            Kind::Hex => value::put_hex(out, text),
            Kind::Uuid => value::put_uuid(out, text),
            Kind::Token => {
                out.push(text.len() as u8);
                out.extend_from_slice(text);
            }
        }
    }
}

/// Which words of its lines a template says by itself.
pub(super) struct Words {
    pub terms: Vec<u64>,
    /// Bytes before and behind each slot that are in one word with it.
    pub beside: Vec<(u32, u32)>,
}

impl Words {
    pub fn of(template: &Template) -> Self {
        let (mut terms, mut beside): (Vec<u64>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
        let mut folded = Vec::new();
        let mut tail = 0;
        for (i, part) in template.parts.iter().enumerate() {
            let Part::Text(range, _) = part else {
                beside.push((tail as u32, 0));
                tail = 0;
                continue;
            };
            let text = template.text(range);
            let word = |bytes: &mut dyn Iterator<Item = &u8>| bytes.take_while(|b| in_word(**b)).count();
            let head = if i > 0 { word(&mut text.iter()) } else { 0 };
            tail = if i + 1 < template.parts.len() { word(&mut text.iter().rev()) } else { 0 };
            if let Some((_, behind)) = beside.last_mut() {
                *behind = head as u32;
            }
            let inner = text.get(head..text.len().saturating_sub(tail)).unwrap_or_default();
            folded.clear();
            fold(std::str::from_utf8(inner).unwrap_or_default(), &mut folded);
            each(&mut folded, |term| terms.push(term));
        }
        terms.sort_unstable();
        terms.dedup();
        Words { terms, beside }
    }
}
