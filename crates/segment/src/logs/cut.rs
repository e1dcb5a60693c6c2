//! Bodies cut into what programs print always and what differs: a template, and the values of its slots.
//!
//! ```text
//! body       user=4711 took 3.25ms id=9f86d081884c7d65
//! template   user=<n> took <n>.<n>ms id=<x16>
//! values     1f de 24 | 03 | 23 | 9f 86 d0 81 88 4c 7d 65          one after the other
//! ```
//! What is a slot depends on a line alone ([`scan`]):
//!
//! ```text
//! slot       in a template          of a line                         in values
//! number     01 'n'                 1 to 18 digits                    varint: texts are numbered by length, then digits
//! pattern    01 'p' length text     date or time of day               its digits as one integer, big-endian, in as
//!                                   ("0000-00-00", "00:00:00.000")    few bytes as all nines take
//! hex        01 'x' bytes           8 to 128 digits, lower case       the bytes
//! uuid       01 'u'                 8-4-4-4-12 digits, lower case     the bytes
//! token      01 't'                 any other word with a digit       length u8, the word
//! ```
//! Slots that say the same in every line of a sample are text of the template. A line stays plain where a byte below 3
//! is in it, where it is longer than [`scan::MAX_LINE`] or has more slots than [`scan::MAX_SLOTS`], where a word with a
//! digit has more than 255 bytes, or where no second one was like it.
//!
//! The blob `templates` is packed text ([`crate::file::blob`]): all templates, each ended by a zero byte; the column
//! `template` counts them from 0. The way is that of CLP (Rodrigues, Luo, Yuan, "CLP: Efficient and Scalable Search on
//! Compressed Text Logs", OSDI 2021); values stand by row here, so that one line is read by itself.

pub(super) mod bodies;
pub(super) mod cutter;
mod plan;
pub(super) mod scan;
pub(super) mod sieve;
pub(super) mod template;
mod value;
mod walk;

pub(super) const BLOB: &str = "templates";

#[cfg(test)]
mod tests;
