//! One action of a bulk request, and what became of it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Error, Reason, text::clip};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Index,
    Create,
    Update,
    Delete,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Index => "index",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// One item of a request, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub action: Action,
    pub index: String,
    /// As given, or as made from the content.
    pub id: Option<String>,
    /// It creates a document under an id that was given and was new.
    pub claimed: bool,
    /// Position of its record in the batch, or why it has none.
    pub outcome: Result<u32, Problem>,
}

/// What is known of an id that is to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    New,
    /// It exists.
    Known,
    /// Another request is about to create it.
    Pending,
}

/// Why an item is not stored, as Elasticsearch would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status of the item.
    pub status: u16,
    /// Elasticsearch's name of the error.
    pub kind: &'static str,
    pub message: String,
}

impl Problem {
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Problem { status, kind, message: message.into() }
    }

    pub(super) fn illegal(message: String) -> Self {
        Self::new(400, "illegal_argument_exception", message)
    }

    pub(super) fn document(message: String) -> Self {
        Self::new(400, "document_parsing_exception", message)
    }

    pub(super) fn too_large(message: String) -> Self {
        Self::new(413, "circuit_breaking_exception", message)
    }

    pub(super) fn unsupported(action: Action) -> Self {
        let what = action.as_str();
        Self::illegal(format!(
            "{what} is not supported: a document stays as it was logged, use create or index"
        ))
    }

    pub(super) fn conflict(id: &str) -> Self {
        let why = format!("[{}]: version conflict, document already exists (current version [1])", clip(id));
        Self::new(409, "version_conflict_engine_exception", why)
    }

    pub(super) fn pending(id: &str) -> Self {
        let why = format!("[{}]: another request is creating this document, try again", clip(id));
        Self::new(429, "es_rejected_execution_exception", why)
    }

    /// The reason it is counted under.
    pub(super) fn reason(&self) -> Reason {
        match self.kind {
            "circuit_breaking_exception" => Reason::TooLarge,
            "invalid_index_name_exception" => Reason::InvalidLabels,
            _ => Reason::InvalidItem,
        }
    }
}

/// What an action line says.
pub(super) struct Head {
    pub action: Action,
    pub index: Option<String>,
    pub id: Option<String>,
}

/// Reads the action line with this number.
pub(super) fn head(line: &[u8], number: usize) -> Result<Head, Error> {
    let Meta(name, fields) = serde_json::from_slice(line).map_err(|e| Error::Bulk {
        line: number,
        reason: format!("it is no action: {}", clip(&e.to_string())),
    })?;
    let action = match name.as_str() {
        "index" => Action::Index,
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Delete,
        other => {
            let reason = format!("expected index, create, update or delete, found {:?}", clip(other));
            return Err(Error::Bulk { line: number, reason });
        }
    };
    let Fields { index, id } = fields;
    Ok(Head { action, index, id })
}

/// The one key of an action line, and what it holds.
struct Meta(String, Fields);

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Meta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with one action")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Meta, A::Error> {
                let first = map.next_entry::<String, Fields>()?;
                let (name, fields) = first.ok_or_else(|| serde::de::Error::custom("it is empty"))?;
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(Meta(name, fields)),
                    Some(_) => Err(serde::de::Error::custom("it has more than one action")),
                }
            }
        }
        d.deserialize_map(V)
    }
}

/// What we read of an action's parameters. The others steer shards, versions and pipelines, none of which are here.
#[derive(Default)]
struct Fields {
    index: Option<String>,
    id: Option<String>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut out = Fields::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "_index" => out.index = map.next_value::<Option<Text>>()?.map(|t| t.0),
                        "_id" => out.id = map.next_value::<Option<Text>>()?.map(|t| t.0),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(out)
            }
        }
        d.deserialize_map(V)
    }
}

/// A text, or a number written as one.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }

            fn visit_str<E>(self, v: &str) -> Result<Text, E> {
                Ok(Text(v.to_owned()))
            }

            fn visit_i64<E>(self, v: i64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }

            fn visit_u64<E>(self, v: u64) -> Result<Text, E> {
                Ok(Text(v.to_string()))
            }
        }
        d.deserialize_any(V)
    }
}

/// Elasticsearch's rules for the name of an index.
pub(super) fn check_index(name: &str) -> Result<(), Problem> {
    let why = if name.is_empty() || name == "." || name == ".." {
        "must not be empty, '.' or '..'"
    } else if name.len() > 255 {
        "must not be longer than 255 bytes"
    } else if name.starts_with(['-', '_', '+']) {
        "must not start with '_', '-' or '+'"
    } else if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'])
        || name.chars().any(char::is_control)
    {
        "must not contain \\, /, *, ?, \", <, >, |, ' ', ',', '#', ':' or control characters"
    } else if name.chars().any(char::is_uppercase) {
        "must be lowercase"
    } else {
        return Ok(());
    };
    let message = format!("Invalid index name [{}], {why}", clip(name));
    Err(Problem::new(400, "invalid_index_name_exception", message))
}
