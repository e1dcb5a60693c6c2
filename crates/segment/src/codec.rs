//! Chunk codecs: how the samples of one series in one window become bytes.
//!
//! A chunk is one codec byte and a payload:
//!
//! ```text
//! | codec u8 | payload |
//!
//!   floats ([`floats`])      0 raw      n x f64 bits, little-endian
//!                            1 const    f64 bits once
//!                            2 decimal  integers over a power of ten, exceptions patched ([`decimal`])
//!                            3 xor      bit stream of differences to the value before ([`xor`])
//!   integers ([`ints`])     16 packed   best of delta 0, 1, 2; divided; bit-packed in blocks of 128
//!   histograms              32 runs     columns per run of equal bucket layout ([`histograms`])
//! ```
//! Times and starts are integers; a series of constant step costs a few bytes. The number of values stands
//! outside the chunk, in the row's `n` column. Floats are exact to the bit, NaN payloads included: the
//! encoder decodes what it made and compares before it chooses it.
//!
//! Decoders take any bytes: they return `None` instead of panicking and allocate no more than the caller's
//! count of values asks for.

pub(crate) mod bits;
pub(crate) mod decimal;
pub(crate) mod floats;
pub(crate) mod histograms;
pub(crate) mod ints;
pub(crate) mod xor;

/// Samples one chunk may have: a bound for what a decoder allocates, 46 hours at one sample per 10 ms.
pub(crate) const MAX_SAMPLES: usize = 1 << 24;

#[cfg(test)]
pub(crate) mod tests;
