//! Scalars of protobuf's JSON mapping (`protobuf.dev/programming-guides/json`), with OTLP's exception that ids
//! are hex.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, Visitor},
};

use crate::text::quoted;

/// A value that JSON may spell as a string, a number or a bool. Each returns `None` where that spelling is not
/// allowed or out of range.
pub(crate) trait Scalar: Default {
    const EXPECTS: &'static str;

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_integer(_: i128) -> Option<Self> {
        None
    }

    fn from_float(_: f64) -> Option<Self> {
        None
    }

    fn from_bool(_: bool) -> Option<Self> {
        None
    }
}

/// The whole number a float spells, such as `1e3`.
fn whole(v: f64) -> Option<i128> {
    (v.fract() == 0.0 && v.abs() < 1e20).then_some(v as i128)
}

macro_rules! integer {
    ($($t:ty),*) => {$(
        impl Scalar for $t {
            const EXPECTS: &'static str = concat!("a number or string that fits ", stringify!($t));

            fn from_text(s: &str) -> Option<Self> {
                s.parse().ok()
            }

            fn from_integer(n: i128) -> Option<Self> {
                n.try_into().ok()
            }

            fn from_float(v: f64) -> Option<Self> {
                whole(v)?.try_into().ok()
            }
        }
    )*};
}

integer!(u64, i64, u32, i32);

impl Scalar for f64 {
    const EXPECTS: &'static str = "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";

    fn from_text(s: &str) -> Option<Self> {
        s.parse().ok()
    }

    fn from_integer(n: i128) -> Option<Self> {
        Some(n as f64)
    }

    fn from_float(v: f64) -> Option<Self> {
        Some(v)
    }
}

impl Scalar for bool {
    const EXPECTS: &'static str = "true or false";

    fn from_bool(b: bool) -> Option<Self> {
        Some(b)
    }
}

impl Scalar for String {
    const EXPECTS: &'static str = "a string";

    fn from_text(s: &str) -> Option<Self> {
        Some(s.to_owned())
    }
}

/// A field with presence: `null` leaves it absent.
impl<T: Scalar> Scalar for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn from_text(s: &str) -> Option<Self> {
        T::from_text(s).map(Some)
    }

    fn from_integer(n: i128) -> Option<Self> {
        T::from_integer(n).map(Some)
    }

    fn from_float(v: f64) -> Option<Self> {
        T::from_float(v).map(Some)
    }

    fn from_bool(b: bool) -> Option<Self> {
        T::from_bool(b).map(Some)
    }
}

/// A trace or span id.
#[derive(Default)]
pub(crate) struct Hex(pub Vec<u8>);

impl Scalar for Hex {
    const EXPECTS: &'static str = "a hex string";

    fn from_text(s: &str) -> Option<Self> {
        let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
        let (pairs, rest) = s.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let bytes: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
        bytes.map(Hex)
    }
}

/// Bytes; standard or URL-safe alphabet, with or without padding.
#[derive(Default)]
pub(crate) struct Base64(pub Vec<u8>);

impl Scalar for Base64 {
    const EXPECTS: &'static str = "a base64 string";

    fn from_text(s: &str) -> Option<Self> {
        let s = s.trim_end_matches('=');
        let mut out = Vec::with_capacity(s.len() / 4 * 3 + 2);
        let (mut bits, mut held) = (0u32, 0u32);
        for b in s.bytes() {
            let six = match b {
                b'A'..=b'Z' => b - b'A',
                b'a'..=b'z' => b - b'a' + 26,
                b'0'..=b'9' => b - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
            held += 6;
            if held >= 8 {
                held -= 8;
                out.push((bits >> held) as u8);
                bits &= (1 << held) - 1;
            }
        }
        // Six bits alone are no byte.
        (held < 6).then_some(Base64(out))
    }
}

/// An enum by number or name; a number we do not know stays as it is.
pub(crate) struct Enum<E>(pub i32, PhantomData<E>);

impl<E> Default for Enum<E> {
    fn default() -> Self {
        Enum(0, PhantomData)
    }
}

/// The names of a generated enum.
pub(crate) trait Named {
    fn number(name: &str) -> Option<i32>;
}

impl<E: Named> Scalar for Enum<E> {
    const EXPECTS: &'static str = "an enum's number or name";

    fn from_text(s: &str) -> Option<Self> {
        E::number(s).or_else(|| s.parse().ok()).map(|n| Enum(n, PhantomData))
    }

    fn from_integer(n: i128) -> Option<Self> {
        Some(Enum(n.try_into().ok()?, PhantomData))
    }
}

/// Reads one scalar; `null` is its default.
pub(crate) struct Read<T>(PhantomData<T>);

impl<T> Read<T> {
    pub(crate) fn new() -> Self {
        Read(PhantomData)
    }
}

impl<'de, T: Scalar> DeserializeSeed<'de> for Read<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<T, D::Error> {
        d.deserialize_any(self)
    }
}

impl<T: Scalar> Visitor<'_> for Read<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTS)
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E: Error>(self, s: &str) -> Result<T, E> {
        T::from_text(s).ok_or_else(|| E::custom(format_args!("{} is not {}", quoted(s), T::EXPECTS)))
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<T, E> {
        T::from_integer(n.into()).ok_or_else(|| E::custom(format_args!("{n} is not {}", T::EXPECTS)))
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<T, E> {
        T::from_integer(n.into()).ok_or_else(|| E::custom(format_args!("{n} is not {}", T::EXPECTS)))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<T, E> {
        T::from_float(v).ok_or_else(|| E::custom(format_args!("{v} is not {}", T::EXPECTS)))
    }

    fn visit_bool<E: Error>(self, b: bool) -> Result<T, E> {
        T::from_bool(b).ok_or_else(|| E::custom(format_args!("{b} is not {}", T::EXPECTS)))
    }
}
