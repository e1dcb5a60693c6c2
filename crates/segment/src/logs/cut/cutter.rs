//! Lines in, templates and values out.

use std::{collections::HashMap, ops::Range};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    scan::{Kind, Scanner, Slot},
    template::{Table, Words, template_of, values_of},
};
use crate::{Error, Result, terms::index::Builder};

/// Templates of a segment at most, and their bytes: what a reader holds while it is open.
const MAX_TEMPLATES: usize = 1 << 14;
const MAX_TEMPLATE_BYTES: usize = 1 << 20;
/// Shapes of lines that are remembered, most of them met once, and bytes of their texts.
const MAX_SHAPES: usize = 1 << 15;
const MAX_SHAPE_BYTES: usize = 16 << 20;
/// Lines of a shape after which it is known which of its slots vary.
const SAMPLE: u32 = 16;
/// Lines of a shape that do, where no more are to be had.
const SMALL_SAMPLE: u32 = 6;

/// Makes templates of the lines it is given.
#[derive(Default)]
pub(in crate::logs) struct Cutter {
    scanner: Scanner,
    shapes: HashMap<u64, Shape>,
    shape_bytes: usize,
    pub table: Table,
    numbers: HashMap<Box<[u8]>, u32>,
    words: Vec<Words>,
    /// Of each template the block of rows in which its words were told last.
    told: Vec<u64>,
    text: Vec<u8>,
    /// Of the line that was cut last.
    pub values: Vec<u8>,
    /// Its slots.
    at: Vec<Range<usize>>,
    regions: Vec<Range<usize>>,
    /// The line that was carried over last.
    line: Vec<u8>,
    /// By segment that lines come from, and number there: the number here.
    carried: Vec<Vec<Option<Carry>>>,
}

/// A body that is cut already, by the table of another segment.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::logs) struct Cut {
    pub template: u32,
    pub values: Box<[u8]>,
}

#[derive(Clone, Copy)]
enum Carry {
    As(u32),
    /// There is no room for its template.
    NoRoom,
}

/// Lines that look alike when every number is a slot.
struct Shape {
    text: Box<[u8]>,
    seen: u32,
    /// The first line, and its slots.
    sample: Box<[u8]>,
    slots: Box<[Slot]>,
    /// Slots that were not always what they are in the sample.
    vary: u64,
    /// The number of the template in which every slot is one.
    whole: Option<u32>,
    narrow: Narrow,
}

/// The template in which slots that do not vary are text.
enum Narrow {
    Unknown,
    None,
    Is(u32),
}

impl Cutter {
    /// Looks at a line that is going to come, to know sooner which slots vary.
    pub fn teach(&mut self, line: &str) {
        if self.scanner.scan(line) {
            self.meet(line.as_bytes());
        }
    }

    /// No more lines are looked at in advance.
    pub fn taught(&mut self) {
        // A line that is the only one of its shape is not worth a template.
        self.shapes.retain(|_, shape| shape.seen > 1);
        self.shape_bytes = self.shapes.values().map(|s| s.text.len() + s.sample.len()).sum();
        let mut known: Vec<&mut Shape> =
            self.shapes.values_mut().filter(|shape| shape.seen >= SMALL_SAMPLE).collect();
        // The same lines give the same bytes.
        known.sort_unstable_by(|a, b| b.seen.cmp(&a.seen).then_with(|| a.text.cmp(&b.text)));
        for shape in known {
            narrow(shape, &mut self.table, &mut self.numbers, &mut self.words);
        }
    }

    /// Counts a line that was scanned under its shape.
    fn meet(&mut self, line: &[u8]) -> Option<u64> {
        template_of(line, &self.scanner.slots, u64::MAX, &mut self.text);
        let key = xxh3_64(&self.text);
        match self.shapes.get_mut(&key) {
            Some(shape) if *shape.text == *self.text => {
                shape.seen = shape.seen.saturating_add(1);
                if matches!(shape.narrow, Narrow::Unknown) {
                    shape.vary |= unlike(shape, line, &self.scanner.slots);
                }
                Some(key)
            }
            Some(_) => None,
            None => {
                let bytes = self.text.len() + line.len();
                if self.shapes.len() < MAX_SHAPES && self.shape_bytes + bytes <= MAX_SHAPE_BYTES {
                    self.shape_bytes += bytes;
                    self.shapes.insert(key, Shape::of(&self.text, line, &self.scanner.slots));
                }
                None
            }
        }
    }

    /// The number of a line's template, its values in `values`; `None` where it stays plain.
    pub fn cut(&mut self, line: &str) -> Option<u32> {
        if !self.scanner.scan(line) {
            return None;
        }
        let bytes = line.as_bytes();
        let key = self.meet(bytes)?;
        let shape = self.shapes.get_mut(&key)?;
        if matches!(shape.narrow, Narrow::Unknown) && shape.seen >= SAMPLE {
            narrow(shape, &mut self.table, &mut self.numbers, &mut self.words);
        }
        let (kept, number) = match shape.narrow {
            Narrow::Is(number) if unlike(shape, bytes, &self.scanner.slots) == 0 => (shape.vary, number),
            _ => {
                if shape.whole.is_none() {
                    shape.whole = add(&shape.text, &mut self.table, &mut self.numbers, &mut self.words);
                }
                (u64::MAX, shape.whole?)
            }
        };
        self.at.clear();
        let kept_slots = self.scanner.slots.iter().enumerate().filter(|(i, _)| kept >> i & 1 == 1);
        self.at.extend(kept_slots.map(|(_, slot)| slot.at.clone()));
        values_of(bytes, &self.scanner.slots, kept, &mut self.values);
        Some(number)
    }

    /// The number here of the template of a body that is cut already, its values in `values` and its line beside; `None`
    /// where there is no room for the template. `source` tells the tables apart that bodies come from.
    pub fn carry(&mut self, source: usize, table: &Table, cut: &Cut) -> Result<Option<u32>> {
        let broken = || Error::Encode("a body does not fit the template it was cut by".to_owned());
        let template = table.get(cut.template).ok_or_else(broken)?;
        if self.carried.len() <= source {
            self.carried.resize_with(source + 1, Vec::new);
        }
        let known = self.carried.get_mut(source).ok_or_else(broken)?;
        if known.len() < table.templates.len() {
            known.resize(table.templates.len(), None);
        }
        let place = known.get_mut(cut.template as usize).ok_or_else(broken)?;
        let carry = *place.get_or_insert_with(|| {
            let number = add(template.whole(), &mut self.table, &mut self.numbers, &mut self.words);
            number.map_or(Carry::NoRoom, Carry::As)
        });
        self.line.clear();
        self.at.clear();
        let at = &mut self.at;
        template
            .assemble_telling(&cut.values, &mut self.line, &mut |slot| at.push(slot))
            .ok_or_else(broken)?;
        self.values.clear();
        self.values.extend_from_slice(&cut.values);
        Ok(match carry {
            Carry::As(number) => Some(number),
            Carry::NoRoom => None,
        })
    }

    /// The line that was carried over last.
    pub fn line(&self) -> Result<&str> {
        std::str::from_utf8(&self.line)
            .map_err(|e| Error::Encode(format!("text in the values of a body: {e}")))
    }

    /// Tells the terms of the line that was cut last: those of its template once for each block of rows.
    pub fn tell(&mut self, number: u32, line: &str, found_by: &mut Builder) {
        found_by.terms(self.untold(number, found_by.block()));
        found_by.parts(line, self.regions(number));
    }

    /// The same for a line that was carried over.
    pub fn tell_carried(&mut self, number: u32, found_by: &mut Builder) -> Result<()> {
        found_by.terms(self.untold(number, found_by.block()));
        self.regions(number);
        found_by.parts(self.line()?, &self.regions);
        Ok(())
    }

    /// Terms of a template's own words, where they were not told for this block of rows yet.
    pub fn untold(&mut self, number: u32, block: u64) -> &[u64] {
        let number = number as usize;
        if self.told.len() <= number {
            self.told.resize(number + 1, u64::MAX);
        }
        match (self.told.get_mut(number), self.words.get(number)) {
            (Some(told), Some(words)) if *told != block => {
                *told = block;
                &words.terms
            }
            _ => &[],
        }
    }

    /// Where the words are, of the line that was cut or carried over last, that its template does not say.
    pub fn regions(&mut self, number: u32) -> &[Range<usize>] {
        self.regions.clear();
        let beside = self.words.get(number as usize).map_or(&[][..], |w| &w.beside);
        for (at, (before, behind)) in self.at.iter().zip(beside) {
            let region = at.start.saturating_sub(*before as usize)..at.end + *behind as usize;
            match self.regions.last_mut() {
                Some(last) if region.start <= last.end => last.end = last.end.max(region.end),
                _ => self.regions.push(region),
            }
        }
        &self.regions
    }
}

impl Shape {
    fn of(text: &[u8], sample: &[u8], slots: &[Slot]) -> Self {
        // A time of day stands still for some lines only.
        let clock =
            |s: &Slot| s.kind == Kind::Pattern && sample.get(s.at.clone()).is_some_and(|t| t.contains(&b':'));
        let vary = slots.iter().enumerate().filter(|(_, s)| clock(s)).fold(0, |bits, (i, _)| bits | 1 << i);
        Shape {
            text: text.into(),
            seen: 1,
            sample: sample.into(),
            slots: slots.into(),
            vary,
            whole: None,
            narrow: Narrow::Unknown,
        }
    }
}

/// Slots of a line that say something else than those of the shape's sample, among those that did not so far.
fn unlike(shape: &Shape, line: &[u8], slots: &[Slot]) -> u64 {
    let mut found = 0;
    let mut left = !shape.vary;
    while left != 0 {
        let i = left.trailing_zeros() as usize;
        let (Some(own), Some(other)) = (shape.slots.get(i), slots.get(i)) else { break };
        let same = own.at.len() == other.at.len() && {
            let (a, b) = (shape.sample.get(own.at.clone()), line.get(other.at.clone()));
            a.into_iter().flatten().eq(b.into_iter().flatten())
        };
        found |= u64::from(!same) << i;
        left &= left - 1;
    }
    found
}

fn narrow(
    shape: &mut Shape,
    table: &mut Table,
    numbers: &mut HashMap<Box<[u8]>, u32>,
    words: &mut Vec<Words>,
) {
    let all = shape.slots.iter().enumerate().fold(0u64, |bits, (i, _)| bits | 1 << i);
    shape.narrow = Narrow::None;
    if shape.vary & all == all {
        return;
    }
    let mut text = Vec::new();
    template_of(&shape.sample, &shape.slots, shape.vary, &mut text);
    if let Some(number) = add(&text, table, numbers, words) {
        shape.narrow = Narrow::Is(number);
    }
}

/// The number of a template, which joins the table while there is room.
fn add(
    text: &[u8],
    table: &mut Table,
    numbers: &mut HashMap<Box<[u8]>, u32>,
    words: &mut Vec<Words>,
) -> Option<u32> {
    if let Some(number) = numbers.get(text) {
        return Some(*number);
    }
    if table.templates.len() >= MAX_TEMPLATES || table.bytes() + text.len() > MAX_TEMPLATE_BYTES {
        return None;
    }
    let number = table.push(text)?;
    words.push(Words::of(table.get(number)?));
    numbers.insert(text.into(), number);
    Some(number)
}
