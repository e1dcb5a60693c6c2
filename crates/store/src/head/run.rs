//! Float samples of one series in ascending time, as a byte string that is appended to. Only the count of
//! repetitions at its end is ever changed. The end of the string lies in the series itself: what a scrape brings
//! goes to a place that is looked at anyway, and only every fifth sample or so waits for memory of its own.
//!
//! ```text
//! control 0x80 | n   n + 1 samples (n up to 127), each with the step in time and the value of the one before
//!         0x40 | v   a sample whose step in time is that of the one before, then by v
//!         v          a sample: varint zigzag(step - step before, in ms), then by v
//! v = 0              the value of the sample before
//!     1..=8          both values are integers below 2^53: zigzag of their difference in v bytes
//!     9 + p          XOR with the value before: n bytes (1..=8), then t zero bytes follow (0..=8 - n), where p
//!                    counts the pairs (n, t) in order
//! ```
//! Before the first sample stand timestamp 0, step 0 and value +0.0; the first step, and one past 32 bits, count
//! as 0 for the next. Value bytes are little-endian. The form lives in memory only and carries no version.

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// All but the end; samples are not cut in two.
    bytes: Vec<u8>,
    /// Of the newest sample, also when it was taken.
    last_ms: i64,
    last_bits: u64,
    last_step: i32,
    count: u32,
    /// The end of the bytes.
    tail: [u8; TAIL],
    tail_len: u8,
    /// The last byte is a count of repetitions.
    repeating: bool,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            bytes: Vec::new(),
            last_ms: i64::MIN,
            last_bits: 0,
            last_step: 0,
            count: 0,
            tail: [0; TAIL],
            tail_len: 0,
            repeating: false,
        }
    }
}

/// Room for any one sample, and what fills the struct up to a multiple of eight.
const TAIL: usize = 22;

const REPEATED: u8 = 0x80;
const STEADY: u8 = 0x40;
/// The first value code of a XOR, and the place of (n, 0) among the pairs, for n from 1.
const XOR: u8 = 9;
const PLACES: [u8; 8] = [0, 8, 15, 21, 26, 30, 33, 35];

/// Largest magnitude at which every integer has a float of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Run {
    /// Appends a sample later than the last one. The caller keeps the order.
    pub(crate) fn push(&mut self, timestamp_ms: i64, value: f64) {
        let bits = value.to_bits();
        let (before_ms, before_bits) = if self.count == 0 { (0, 0) } else { (self.last_ms, self.last_bits) };
        let step = timestamp_ms.wrapping_sub(before_ms);
        let steady = step == i64::from(self.last_step);
        if steady && bits == before_bits && self.count > 0 {
            self.repeat();
        } else {
            let mut made = Made::default();
            let (v, payload, n) = encode_value(before_bits, bits);
            if steady {
                made.byte(STEADY | v);
            } else {
                made.byte(v);
                made.varint(zigzag(step.wrapping_sub(i64::from(self.last_step))));
            }
            made.extend(payload.get(..n).unwrap_or_default());
            self.append(made.bytes());
            self.repeating = false;
            // The first step is the distance from 1970 and predicts nothing.
            self.last_step = if self.count == 0 { 0 } else { predicts(step) };
        }
        self.count += 1;
        self.last_ms = timestamp_ms;
        self.last_bits = bits;
    }

    fn repeat(&mut self) {
        let last = usize::from(self.tail_len).checked_sub(1).and_then(|at| self.tail.get_mut(at));
        match last {
            Some(n) if self.repeating && *n < u8::MAX => *n += 1,
            _ => {
                self.append(&[REPEATED]);
                self.repeating = true;
            }
        }
    }

    fn append(&mut self, made: &[u8]) {
        if usize::from(self.tail_len) + made.len() > TAIL {
            self.spill();
        }
        let from = usize::from(self.tail_len);
        if let Some(room) = self.tail.get_mut(from..from + made.len()) {
            room.copy_from_slice(made);
            self.tail_len += made.len() as u8;
        }
    }

    /// There are very many runs, so each has little room to spare.
    fn spill(&mut self) {
        let Some(tail) = self.tail.get(..usize::from(self.tail_len)) else { return };
        let (len, room) = (self.bytes.len(), self.bytes.capacity() - self.bytes.len());
        if room < tail.len() {
            self.bytes.reserve_exact(allocated(len + tail.len()) - len);
        }
        self.bytes.extend_from_slice(tail);
        self.tail_len = 0;
    }

    /// Takes the samples out; which was newest is still known.
    pub(crate) fn take(&mut self) -> Run {
        let left = Run { last_ms: self.last_ms, last_bits: self.last_bits, ..Run::default() };
        std::mem::replace(self, left)
    }

    /// Time and bits of the newest sample, taken ones included; `i64::MIN` before the first.
    pub(crate) fn newest(&self) -> (i64, u64) {
        (self.last_ms, self.last_bits)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Times of the first and the last sample held.
    pub(crate) fn bounds_ms(&self) -> Option<(i64, i64)> {
        self.samples().next().map(|(first, _)| (first, self.last_ms))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Samples in order.
    pub(crate) fn iter(&self) -> Samples<'_> {
        #[cfg(test)]
        tests::DECODED.with(|n| n.set(n.get() + 1));
        self.samples()
    }

    fn samples(&self) -> Samples<'_> {
        Samples {
            bytes: &self.bytes,
            tail: self.tail.get(..usize::from(self.tail_len)).unwrap_or_default(),
            left: self.count,
            repeat: 0,
            first: true,
            last_ms: 0,
            last_step: 0,
            last_bits: 0,
        }
    }
}

/// What jemalloc gives to who asks for so many bytes, a tenth more than they are on average: four sizes for each
/// power of two. Asking for less than that leaves room that nobody uses, and moves the run more often.
fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}

/// A step as the next one is compared with it.
fn predicts(step: i64) -> i32 {
    i32::try_from(step).unwrap_or(0)
}

/// The value code, and the first bytes of an array with how many of them follow it.
fn encode_value(before: u64, bits: u64) -> (u8, [u8; 8], usize) {
    if bits == before {
        return (0, [0; 8], 0);
    }
    if let (Some(a), Some(b)) = (as_integer(f64::from_bits(before)), as_integer(f64::from_bits(bits))) {
        let difference = zigzag(b - a);
        let n = 8 - difference.leading_zeros() as usize / 8;
        return (n as u8, difference.to_le_bytes(), n);
    }
    let xor = bits ^ before;
    let zeros = xor.trailing_zeros() / 8;
    let n = 8 - zeros as usize - xor.leading_zeros() as usize / 8;
    let place = PLACES.get(n - 1).copied().unwrap_or(0) + zeros as u8;
    (XOR + place, (xor >> (8 * zeros)).to_le_bytes(), n)
}

/// An integer that survives the way there and back, the sign of zero included.
fn as_integer(v: f64) -> Option<i64> {
    (v.abs() < EXACT && v.fract() == 0.0 && !(v == 0.0 && v.is_sign_negative())).then_some(v as i64)
}

fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

/// One encoded sample: a varint of at most 10 bytes, the control byte, and 8 of the value.
#[derive(Default)]
struct Made {
    held: [u8; 19],
    len: usize,
}

impl Made {
    fn byte(&mut self, b: u8) {
        if let Some(slot) = self.held.get_mut(self.len) {
            *slot = b;
            self.len += 1;
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.byte(*b));
    }

    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.byte(v as u8 | 0x80);
            v >>= 7;
        }
        self.byte(v as u8);
    }

    fn bytes(&self) -> &[u8] {
        self.held.get(..self.len).unwrap_or_default()
    }
}

/// See [`Run::iter`]. The bytes are our own; were they damaged, it would end early.
pub(crate) struct Samples<'a> {
    bytes: &'a [u8],
    /// What follows the bytes.
    tail: &'a [u8],
    left: u32,
    /// Repetitions that are left of a control byte.
    repeat: u8,
    first: bool,
    last_ms: i64,
    last_step: i32,
    last_bits: u64,
}

impl Samples<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&b, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(b)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let b = self.byte()?;
            v |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }

    fn little_endian(&mut self, n: usize) -> Option<u64> {
        let (head, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        let mut le = [0; 8];
        le.get_mut(..n)?.copy_from_slice(head);
        Some(u64::from_le_bytes(le))
    }
}

impl Iterator for Samples<'_> {
    type Item = (i64, f64);

    fn next(&mut self) -> Option<(i64, f64)> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if self.repeat > 0 {
            self.repeat -= 1;
            self.last_ms = self.last_ms.wrapping_add(i64::from(self.last_step));
            return Some((self.last_ms, f64::from_bits(self.last_bits)));
        }
        if self.bytes.is_empty() {
            self.bytes = std::mem::take(&mut self.tail);
        }
        let control = self.byte()?;
        let mut step = i64::from(self.last_step);
        if control & REPEATED != 0 {
            self.repeat = control & !REPEATED;
        } else {
            if control & STEADY == 0 {
                step = unzigzag(self.varint()?).wrapping_add(step);
            }
            self.last_step = if self.first { 0 } else { predicts(step) };
            self.last_bits = self.value(control & !STEADY)?;
        }
        self.first = false;
        self.last_ms = self.last_ms.wrapping_add(step);
        Some((self.last_ms, f64::from_bits(self.last_bits)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

impl Samples<'_> {
    fn value(&mut self, code: u8) -> Option<u64> {
        match code {
            0 => Some(self.last_bits),
            n if n < XOR => {
                let by = unzigzag(self.little_endian(usize::from(n))?);
                Some(((f64::from_bits(self.last_bits) as i64).wrapping_add(by) as f64).to_bits())
            }
            xor => {
                let place = xor - XOR;
                let n = PLACES.partition_point(|p| *p <= place);
                let zeros = place - PLACES.get(n.checked_sub(1)?)?;
                let xor = self.little_endian(n)?.checked_shl(8 * u32::from(zeros))?;
                Some(self.last_bits ^ xor)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    thread_local! {
        /// Runs that this thread began to decode: what a look-up must not do once per sample.
        pub(crate) static DECODED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    #[test]
    fn room_is_asked_for_in_the_sizes_of_the_allocator() {
        let sizes: Vec<usize> = (1..=640).map(allocated).collect();
        let mut steps = sizes.clone();
        steps.dedup();
        let small = (1..=8).map(|n| n * 16);
        let large = [160, 192, 224, 256, 320, 384, 448, 512, 640];
        assert_eq!(steps, small.chain(large).collect::<Vec<_>>());
        assert!(sizes.iter().zip(1..).all(|(size, asked)| *size >= asked));
    }

    fn round_trip(samples: &[(i64, u64)]) {
        let mut run = Run::default();
        for (t, bits) in samples {
            run.push(*t, f64::from_bits(*bits));
        }
        let back: Vec<_> = run.iter().map(|(t, v)| (t, v.to_bits())).collect();
        assert_eq!(back, samples);
    }

    #[test]
    fn every_kind_of_value_comes_back_bit_for_bit() {
        let values = [
            0.0,
            -0.0,
            1.0,
            f64::NAN,
            model::stale_marker(),
            f64::INFINITY,
            -7.25,
            9_007_199_254_740_991.0,
            -9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            1e300,
            5e-324,
            0.1,
            0.30000000000000004,
        ];
        let samples: Vec<_> =
            values.iter().enumerate().map(|(i, v)| (i as i64 * 15_000 - 40_000, v.to_bits())).collect();
        round_trip(&samples);
    }

    #[test]
    fn a_steady_counter_takes_about_three_bytes_a_sample() {
        let mut run = Run::default();
        for i in 0..1000 {
            run.push(1_700_000_000_000 + i * 15_000, (i * 17) as f64);
        }
        assert!(
            run.bytes.len() < 2100 && run.heap_bytes() < 2400,
            "{} in {}",
            run.bytes.len(),
            run.heap_bytes()
        );
    }

    #[test]
    fn a_value_that_stays_takes_a_byte_for_128_samples() {
        let mut run = Run::default();
        let samples: Vec<(i64, f64)> = (0..1000).map(|i| (1_700_000_000_000 + i * 15_000, 4.5)).collect();
        for (t, v) in &samples {
            run.push(*t, *v);
        }
        let held = run.bytes.len() + usize::from(run.tail_len);
        assert!(held < 30, "{held}");
        assert_eq!(run.iter().collect::<Vec<_>>(), samples);
        assert_eq!(run.bounds_ms(), Some((samples[0].0, samples[999].0)));
        let taken = run.take();
        assert_eq!((taken.iter().count(), run.is_empty(), run.bounds_ms()), (1000, true, None));
        assert_eq!(run.newest(), (samples[999].0, 4.5f64.to_bits()));
        run.push(samples[999].0 + 1, 4.5);
        assert_eq!(run.iter().collect::<Vec<_>>(), [(samples[999].0 + 1, 4.5)]);
    }

    #[test]
    fn a_short_run_takes_no_memory_of_its_own() {
        let mut run = Run::default();
        for i in 0..5 {
            run.push(1_700_000_000_000 + i * 15_000, i as f64);
        }
        assert_eq!((run.heap_bytes(), run.iter().count()), (0, 5));
        assert!(std::mem::size_of::<Run>() <= 72);
    }

    proptest! {
        #[test]
        fn any_samples_come_back(
            samples in proptest::collection::vec((any::<i64>(), any::<u64>()), 0..60)
        ) {
            round_trip(&samples);
        }

        #[test]
        fn samples_like_those_of_scrapes_come_back(
            steps in proptest::collection::vec(
                (prop_oneof![6 => Just(15_000i64), 1 => 0..60_000i64], prop_oneof![
                    4 => Just(None),
                    2 => (-300i32..300).prop_map(|v| Some(f64::from(v))),
                    2 => (-300i32..300).prop_map(|v| Some(f64::from(v) / 8.0)),
                    1 => any::<u64>().prop_map(|v| Some(f64::from_bits(v))),
                ]),
                0..300,
            )
        ) {
            let (mut t, mut v) = (1_700_000_000_000, 0.0);
            let samples: Vec<(i64, u64)> = steps.into_iter().map(|(step, value)| {
                t += step;
                v = value.unwrap_or(v);
                (t, f64::to_bits(v))
            }).collect();
            round_trip(&samples);
        }

        #[test]
        fn damaged_bytes_end_early_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let run = Run { bytes, count: 100, ..Run::default() };
            run.iter().for_each(drop);
        }
    }
}
