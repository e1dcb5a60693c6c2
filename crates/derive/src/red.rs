//! RED: what was counted under each combination of labels, by its number.

use std::collections::HashMap;

use model::Labels;

use crate::{
    counts::{Book, Life, Measured, Of},
    histogram::Latencies,
    intern::OVERFLOW,
    observe::Seen,
};

/// All combinations of one tenant.
#[derive(Default)]
pub(crate) struct Red {
    slots: Vec<Option<Box<Slot>>>,
    /// What describes resources, by number.
    pub(crate) targets: HashMap<u32, Target>,
}

pub(crate) struct Slot {
    pub(crate) life: Life,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    pub(crate) latencies: Latencies,
    /// Made when it is written first.
    pub(crate) labels: Vec<Labels>,
}

pub(crate) struct Target {
    pub(crate) life: Life,
    pub(crate) labels: Option<Labels>,
}

impl Red {
    pub(crate) fn count(&mut self, number: u32, seen: &Seen, book: &mut Book<'_>) {
        let at = number as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        let Some(place) = self.slots.get_mut(at) else { return };
        let slot = place.get_or_insert_with(|| {
            let latencies = Latencies::new(&book.plan.red_bounds);
            Box::new(Slot { life: book.life(), calls: 0, bytes: 0, latencies, labels: Vec::new() })
        });
        slot.calls += 1;
        slot.bytes += u64::from(seen.bytes);
        slot.life.touch(book.now_ns);
        let measured = Measured {
            trace_id: seen.trace_id,
            span_id: seen.span_id,
            duration_ns: seen.duration_ns,
            end_ns: seen.end_ns,
        };
        book.observe(&mut slot.latencies, Of::Red(number), &measured);
        match number {
            OVERFLOW => book.tally.overflow += 1,
            _ => book.tally.spans += 1,
        }
    }

    /// Notes that a resource is still there.
    pub(crate) fn describe(&mut self, number: u32, book: &Book<'_>) {
        if number != OVERFLOW {
            let new = || Target { life: book.life(), labels: None };
            self.targets.entry(number).or_insert_with(new).life.touch(book.now_ns);
        }
    }

    pub(crate) fn slots_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot)> {
        self.slots.iter_mut().zip(0u32..).filter_map(|(slot, number)| Some((number, &mut **slot.as_mut()?)))
    }

    pub(crate) fn counts(&self, number: u32) -> bool {
        self.slots.get(number as usize).is_some_and(Option::is_some)
    }

    pub(crate) fn remove(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize) {
            *slot = None;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.iter().all(Option::is_none) && self.targets.is_empty()
    }
}
