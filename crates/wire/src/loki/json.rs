//! The JSON form, read without an intermediate tree. Text borrows from the body where it holds no escape.

use std::{borrow::Cow, fmt};

use model::{AnyValue, Attributes};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Parts;
use crate::text::quoted;

/// Pairs in the order written.
type TextPairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

#[derive(Deserialize)]
pub(super) struct Push<'a> {
    #[serde(borrow)]
    pub streams: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
pub(super) struct Stream<'a> {
    #[serde(borrow, rename = "stream", deserialize_with = "pairs")]
    pub labels: TextPairs<'a>,
    pub values: Vec<Entry<'a>>,
}

/// `["<nanoseconds>", "<line>"]` with an optional third element, an object of structured metadata.
pub(super) struct Entry<'a> {
    time: Cow<'a, str>,
    line: Cow<'a, str>,
    metadata: TextPairs<'a>,
}

impl Entry<'_> {
    pub(super) fn into_parts(self) -> Parts<'static> {
        let time = self.time.parse::<i64>();
        let time =
            time.map_err(|_| format!("timestamp {} is not a number of nanoseconds", quoted(&self.time)));
        let attributes =
            self.metadata.into_iter().map(|(k, v)| (k.into_owned(), AnyValue::String(v.into_owned())));
        (time, Cow::Owned(self.line.into_owned()), Attributes(attributes.collect()))
    }
}

/// A string, borrowed where possible.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, s: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(s)))
            }

            fn visit_str<E>(self, s: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(s.to_owned())))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(n.to_string())))
            }

            fn visit_u64<E>(self, n: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(n.to_string())))
            }
        }
        d.deserialize_any(V)
    }
}

/// An object of strings as pairs; `null` is an empty one. A key given twice stays twice, to be refused later.
struct Pairs<'a>(TextPairs<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_unit<E>(self) -> Result<Pairs<'de>, E> {
                Ok(Pairs(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut out = Vec::new();
                while let Some((Text(k), Text(v))) = map.next_entry()? {
                    out.push((k, v));
                }
                Ok(Pairs(out))
            }
        }
        d.deserialize_any(V)
    }
}

fn pairs<'de: 'a, 'a, D: Deserializer<'de>>(d: D) -> Result<TextPairs<'a>, D::Error> {
    Ok(Pairs::deserialize(d)?.0)
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of timestamp, line and optional structured metadata")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry<'de>, A::Error> {
                let short = || A::Error::custom("an entry needs a timestamp and a line");
                let Text(time) = seq.next_element()?.ok_or_else(short)?;
                let Text(line) = seq.next_element()?.ok_or_else(short)?;
                let metadata = seq.next_element::<Pairs<'de>>()?.map_or_else(Vec::new, |p| p.0);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry { time, line, metadata })
            }
        }
        d.deserialize_seq(V)
    }
}
