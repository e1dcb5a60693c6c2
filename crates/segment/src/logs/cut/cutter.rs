//! Lines in, templates and values out.

use std::{collections::HashMap, ops::Range};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    scan::{Kind, Scanner, Slot},
    template::{Table, Words, template_of, values_of},
};

/// Templates of a segment at most, and their bytes: what a reader holds while it is open.
const MAX_TEMPLATES: usize = 1 << 14;
const MAX_TEMPLATE_BYTES: usize = 1 << 20;
/// Shapes of lines that are remembered, most of them met once.
const MAX_SHAPES: usize = 1 << 15;
/// Lines of a shape after which it is known which of its slots vary.
const SAMPLE: u32 = 16;
/// Lines of a shape that do, where no more are to be had.
const SMALL_SAMPLE: u32 = 6;

/// Makes templates of the lines it is given.
#[derive(Default)]
pub(in crate::logs) struct Cutter {
    scanner: Scanner,
    shapes: HashMap<u64, Shape>,
    pub table: Table,
    numbers: HashMap<Box<[u8]>, u32>,
    words: Vec<Words>,
    /// Of each template the block of rows in which its words were told last.
    told: Vec<u64>,
    text: Vec<u8>,
    /// Of the line that was cut last.
    pub values: Vec<u8>,
    kept: u64,
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
                if self.shapes.len() < MAX_SHAPES {
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
        self.kept = kept;
        values_of(bytes, &self.scanner.slots, kept, &mut self.values);
        Some(number)
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

    /// Where the words are, of the line that was cut last, that its template does not say.
    pub fn regions(&self, number: u32) -> impl Iterator<Item = Range<usize>> {
        let kept = move |(i, _): &(usize, &Slot)| self.kept >> i & 1 == 1;
        let slots = self.scanner.slots.iter().enumerate().filter(kept).map(|(_, s)| s.at.clone());
        let beside = self.words.get(number as usize).map_or(&[][..], |w| &w.beside);
        let mut wide = slots
            .zip(beside)
            .map(|(at, (before, behind))| {
                at.start.saturating_sub(*before as usize)..at.end + *behind as usize
            })
            .peekable();
        std::iter::from_fn(move || {
            let mut region = wide.next()?;
            while let Some(more) = wide.next_if(|next| next.start <= region.end) {
                region.end = region.end.max(more.end);
            }
            Some(region)
        })
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

/// Slots of a line that say something else than those of the shape's sample.
fn unlike(shape: &Shape, line: &[u8], slots: &[Slot]) -> u64 {
    let differ =
        |(own, other): (&Slot, &Slot)| shape.sample.get(own.at.clone()) != line.get(other.at.clone());
    let pairs = shape.slots.iter().zip(slots).enumerate();
    // Those that vary need no look.
    let looked_at = pairs.filter(|(i, _)| shape.vary >> i & 1 == 0);
    looked_at.filter(|(_, pair)| differ(*pair)).fold(0, |bits, (i, _)| bits | 1 << i)
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
