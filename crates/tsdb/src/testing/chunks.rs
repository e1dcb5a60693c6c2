//! Chunk encoders, as the specification describes them.

use model::{
    Histogram,
    histogram::{CUSTOM_BUCKETS_SCHEMA, ResetHint},
    metric::is_stale_marker,
};

use super::{put_uvarint, put_varint};
use crate::Points;

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    used: usize,
}

impl Writer {
    fn bits(&mut self, v: u64, n: u32) {
        for i in (0..n).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (v >> i & 1) as u8;
            *self.bytes.last_mut().unwrap() |= bit << (7 - self.used % 8);
            self.used += 1;
        }
    }

    fn bytes(&mut self, with: impl FnOnce(&mut Vec<u8>)) {
        let mut b = Vec::new();
        with(&mut b);
        b.iter().for_each(|b| self.bits(u64::from(*b), 8));
    }

    fn varbit_int(&mut self, v: i64) {
        let fits = |n: u32| -(1i64 << (n - 1)) < v && v <= 1i64 << (n - 1);
        match [3, 6, 9, 12, 18, 25, 56].into_iter().enumerate().find(|(_, n)| fits(*n)) {
            _ if v == 0 => self.bits(0, 1),
            Some((i, n)) => {
                self.prefix(i as u32 + 1);
                self.bits(v as u64, n);
            }
            None => {
                self.bits(0xff, 8);
                self.bits(v as u64, 64);
            }
        }
    }

    fn varbit_uint(&mut self, v: u64) {
        match [3, 6, 9, 12, 18, 25, 56].into_iter().enumerate().find(|(_, n)| v >> n == 0) {
            _ if v == 0 => self.bits(0, 1),
            Some((i, n)) => {
                self.prefix(i as u32 + 1);
                self.bits(v, n);
            }
            None => {
                self.bits(0xff, 8);
                self.bits(v, 64);
            }
        }
    }

    /// That many ones and a zero.
    fn prefix(&mut self, ones: u32) {
        self.bits((1u64 << (ones + 1)) - 2, ones + 1);
    }

    fn renewed(&mut self, x: u64, w: &mut (u32, u32)) {
        let (lead, trail) = (x.leading_zeros().min(31), x.trailing_zeros());
        *w = (lead, trail);
        let length = 64 - lead - trail;
        self.bits(u64::from(lead), 5);
        self.bits(u64::from(length % 64), 6);
        self.bits(x >> trail, length);
    }

    fn xor(&mut self, x: u64, w: &mut (u32, u32)) {
        if x == 0 {
            return self.bits(0, 1);
        }
        if *w != (0, 0) && x.leading_zeros() >= w.0 && x.trailing_zeros() >= w.1 {
            self.bits(0b10, 2);
            self.bits(x >> w.1, 64 - w.0 - w.1);
        } else {
            self.bits(0b11, 2);
            self.renewed(x, w);
        }
    }

    fn dod(&mut self, v: i64) {
        let fits = |n: u32| -(1i64 << (n - 1)) < v && v <= 1i64 << (n - 1);
        match v {
            0 => self.bits(0, 1),
            _ if fits(14) => {
                self.bits(0b10, 2);
                self.bits(v as u64, 14);
            }
            _ if fits(17) => {
                self.bits(0b110, 3);
                self.bits(v as u64, 17);
            }
            _ if fits(20) => {
                self.bits(0b1110, 4);
                self.bits(v as u64, 20);
            }
            _ => {
                self.bits(0b1111, 4);
                self.bits(v as u64, 64);
            }
        }
    }
}

pub fn times(p: &Points) -> Vec<i64> {
    p.floats.iter().map(|f| f.timestamp_ms).chain(p.histograms.iter().map(|h| h.timestamp_ms)).collect()
}

pub fn encode(encoding: u8, p: &Points) -> Vec<u8> {
    match encoding {
        1 => xor(p),
        4 => xor2(p),
        _ => histograms(encoding, p),
    }
}

fn xor(p: &Points) -> Vec<u8> {
    let (mut w, mut window) = (Writer::default(), (0, 0));
    w.bits(p.floats.len() as u64, 16);
    let (mut t, mut delta, mut bits) = (0i64, 0i64, 0u64);
    for (i, f) in p.floats.iter().enumerate() {
        let (d, v) = (f.timestamp_ms.wrapping_sub(t), f.value.to_bits());
        match i {
            0 => {
                w.bytes(|b| put_varint(b, f.timestamp_ms));
                w.bits(v, 64);
            }
            1 => w.bytes(|b| put_uvarint(b, d as u64)),
            _ => w.dod(d.wrapping_sub(delta)),
        }
        if i > 0 {
            w.xor(v ^ bits, &mut window);
            delta = d;
        }
        (t, bits) = (f.timestamp_ms, v);
    }
    w.bytes
}

/// Where start timestamps begin to be written: the first known, and the first that differs.
fn starts(all: &[(i64, i64)]) -> (bool, usize) {
    let first = all.first().map_or(0, |a| a.1);
    let change = all.iter().position(|a| a.1 != first).unwrap_or(0);
    let change = if change == 0 && all.len() > 127 { 127 } else { change.min(127) };
    (first != 0, change)
}

/// Writes the start of sample `i`; `all` are times and starts.
fn put_start(
    w: &mut Writer,
    all: &[(i64, i64)],
    i: usize,
    (known, change): (bool, usize),
    distance: &mut i64,
) {
    let (t, start) = all[i];
    if i == 0 {
        if known {
            w.bytes(|b| put_varint(b, t - start));
        }
    } else if change > 0 && i >= change {
        let d = all[i - 1].0 - start;
        w.varbit_int(if i == change { d } else { d - *distance });
        *distance = d;
    }
}

fn xor2(p: &Points) -> Vec<u8> {
    let all: Vec<_> = p.floats.iter().map(|f| (f.timestamp_ms, f.start_ms)).collect();
    let header = starts(&all);
    let (mut w, mut window) = (Writer::default(), (0, 0));
    w.bits(p.floats.len() as u64, 16);
    w.bits(u64::from(header.0) << 7 | header.1 as u64, 8);
    let (mut t, mut delta, mut baseline, mut distance) = (0i64, 0i64, 0u64, 0i64);
    for (i, f) in p.floats.iter().enumerate() {
        let (d, v, stale) = (f.timestamp_ms - t, f.value.to_bits(), is_stale_marker(f.value));
        let dod = d - delta;
        match i {
            0 => {
                w.bytes(|b| put_varint(b, f.timestamp_ms));
                w.bits(v, 64);
            }
            1 => {
                w.bytes(|b| put_uvarint(b, d as u64));
                changed(&mut w, v, baseline, stale, &mut window);
            }
            _ if dod == 0 && stale => w.bits(0b11111, 5),
            _ if dod == 0 && v == baseline => w.bits(0, 1),
            _ if dod == 0 => {
                w.bits(0b10, 2);
                let x = v ^ baseline;
                if window != (0, 0) && x.leading_zeros() >= window.0 && x.trailing_zeros() >= window.1 {
                    w.bits(0, 1);
                    w.bits(x >> window.1, 64 - window.0 - window.1);
                } else {
                    w.bits(1, 1);
                    w.renewed(x, &mut window);
                }
            }
            _ => {
                match dod {
                    -4096..=4095 => {
                        w.bits(0b110, 3);
                        w.bits(dod as u64, 13);
                    }
                    -524_288..=524_287 => {
                        w.bits(0b1110, 4);
                        w.bits(dod as u64, 20);
                    }
                    _ => {
                        w.bits(0b11110, 5);
                        w.bits(dod as u64, 64);
                    }
                }
                changed(&mut w, v, baseline, stale, &mut window);
            }
        }
        if i > 0 {
            delta = d;
        }
        t = f.timestamp_ms;
        if !stale {
            baseline = v;
        }
        put_start(&mut w, &all, i, header, &mut distance);
    }
    w.bytes
}

fn changed(w: &mut Writer, v: u64, baseline: u64, stale: bool, window: &mut (u32, u32)) {
    let x = v ^ baseline;
    if stale {
        w.bits(0b111, 3);
    } else if x == 0 {
        w.bits(0, 1);
    } else if *window != (0, 0) && x.leading_zeros() >= window.0 && x.trailing_zeros() >= window.1 {
        w.bits(0b10, 2);
        w.bits(x >> window.1, 64 - window.0 - window.1);
    } else {
        w.bits(0b110, 3);
        w.renewed(x, window);
    }
}

/// All histograms must share the layout of the first, stale ones apart.
fn histograms(encoding: u8, p: &Points) -> Vec<u8> {
    let all: Vec<_> = p.histograms.iter().map(|h| (h.timestamp_ms, h.start_ms)).collect();
    let first = &p.histograms[0].histogram;
    let gauge = first.reset_hint == ResetHint::Gauge;
    let flags = if gauge { 3u64 } else { 0 };
    let header = if encoding >= 5 { starts(&all) } else { (false, 0) };
    let mut w = Writer::default();
    if encoding >= 5 {
        w.bits(flags, 2);
        w.bits(all.len() as u64, 14);
        w.bits(u64::from(header.0) << 7 | header.1 as u64, 8);
    } else {
        w.bits(all.len() as u64, 16);
        w.bits(flags << 6, 8);
    }
    layout(&mut w, first);
    let integers = encoding == 2 || encoding == 5;
    let (mut ts, mut count, mut zero) = (Dod::default(), Dod::default(), Dod::default());
    let mut buckets = vec![Dod::default(); first.positive_buckets.len() + first.negative_buckets.len()];
    let mut floats = vec![(0u64, (0, 0)); buckets.len() + 3];
    let mut distance = 0;
    for (i, hp) in p.histograms.iter().enumerate() {
        let h = &hp.histogram;
        let stale = is_stale_marker(h.sum);
        ts.put(&mut w, hp.timestamp_ms, i, true);
        if integers {
            count.put(&mut w, h.count as i64, i, false);
            zero.put(&mut w, h.zero_count as i64, i, false);
            float(&mut w, &mut floats[0], h.sum, i);
        } else {
            float(&mut w, &mut floats[1], h.count, i);
            float(&mut w, &mut floats[2], h.zero_count, i);
            float(&mut w, &mut floats[0], h.sum, i);
        }
        if !stale {
            let mut at = 0;
            for side in [&h.positive_buckets, &h.negative_buckets] {
                let mut last = 0;
                for b in side {
                    if integers {
                        buckets[at].put(&mut w, *b as i64 - last, i, true);
                        last = *b as i64;
                    } else {
                        float(&mut w, &mut floats[3 + at], *b, i);
                    }
                    at += 1;
                }
            }
        }
        put_start(&mut w, &all, i, header, &mut distance);
    }
    w.bytes
}

fn float(w: &mut Writer, state: &mut (u64, (u32, u32)), v: f64, i: usize) {
    if i == 0 {
        w.bits(v.to_bits(), 64);
    } else {
        w.xor(v.to_bits() ^ state.0, &mut state.1);
    }
    state.0 = v.to_bits();
}

#[derive(Clone, Copy, Default)]
struct Dod {
    value: i64,
    delta: i64,
}

impl Dod {
    fn put(&mut self, w: &mut Writer, v: i64, i: usize, signed: bool) {
        if i == 0 {
            if signed {
                w.varbit_int(v)
            } else {
                w.varbit_uint(v as u64)
            }
            self.value = v;
            return;
        }
        let delta = v.wrapping_sub(self.value);
        w.varbit_int(delta.wrapping_sub(self.delta));
        (self.value, self.delta) = (v, delta);
    }
}

fn layout(w: &mut Writer, h: &Histogram) {
    let t = h.zero_threshold;
    let exponent = (t.to_bits() >> 52 & 0x7ff) as i64 - 1023;
    if t == 0.0 {
        w.bits(0, 8);
    } else if t.to_bits() << 12 == 0 && (-243..=10).contains(&exponent) {
        w.bits((exponent + 244) as u64, 8);
    } else {
        w.bits(255, 8);
        w.bits(t.to_bits(), 64);
    }
    w.varbit_int(i64::from(h.schema));
    for spans in [&h.positive_spans, &h.negative_spans] {
        w.varbit_uint(spans.len() as u64);
        for s in spans {
            w.varbit_uint(u64::from(s.length));
            w.varbit_int(i64::from(s.offset));
        }
    }
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        w.varbit_uint(h.custom_values.len() as u64);
        for v in &h.custom_values {
            let scaled = v * 1000.0;
            if (0.0..=33_554_430.0).contains(&scaled)
                && (scaled.round() as u64 as f64 / 1000.0).to_bits() == v.to_bits()
            {
                w.varbit_uint(scaled.round() as u64 + 1);
            } else {
                w.bits(0, 1);
                w.bits(v.to_bits(), 64);
            }
        }
    }
}
