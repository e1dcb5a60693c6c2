//! A value of any column as JSON, or as text.

use std::io::Write as _;

use datafusion::arrow::{
    array::{Array, AsArray},
    datatypes::{
        DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
    util::display::{ArrayFormatter, FormatOptions},
};

use crate::Error;

/// Whole numbers that every reader of JSON keeps: those of a double.
const SAFE: i128 = (1 << 53) - 1;
/// Values inside values are written this deep; statements cannot nest deeper by themselves.
const MAX_DEPTH: usize = 64;

/// Appends the value as JSON.
pub(crate) fn json(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), Error> {
    write(out, array, row, MAX_DEPTH)
}

fn write(out: &mut Vec<u8>, array: &dyn Array, row: usize, depth: usize) -> Result<(), Error> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    if depth == 0 {
        return Err(Error::Statement(format!("values are nested more than {MAX_DEPTH} deep")));
    }
    macro_rules! whole {
        ($t:ty) => {
            integer(out, i128::from(array.as_primitive::<$t>().value(row)))
        };
    }
    match array.data_type() {
        DataType::Null => out.extend_from_slice(b"null"),
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" })
        }
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            // By its shortest decimal, not by that of the double it becomes.
            float(out, f64::from(value), &value.to_string());
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(out, value, &value.to_string());
        }
        DataType::Utf8 => string(out, array.as_string::<i32>().value(row))?,
        DataType::LargeUtf8 => string(out, array.as_string::<i64>().value(row))?,
        DataType::Utf8View => string(out, array.as_string_view().value(row))?,
        DataType::Map(..) => map(out, array, row, depth)?,
        DataType::List(_) => list(out, &*array.as_list::<i32>().value(row), depth)?,
        DataType::LargeList(_) => list(out, &*array.as_list::<i64>().value(row), depth)?,
        DataType::FixedSizeList(..) => list(out, &*array.as_fixed_size_list().value(row), depth)?,
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            out.push(b'{');
            for (at, field) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                string(out, field.name())?;
                out.push(b':');
                write(out, &**columns.column(at), row, depth - 1)?;
            }
            out.push(b'}');
        }
        _ => string(out, &text(array, row)?)?,
    }
    Ok(())
}

fn map(out: &mut Vec<u8>, array: &dyn Array, row: usize, depth: usize) -> Result<(), Error> {
    let entries = array.as_map().value(row);
    let [keys, values] = entries.columns() else {
        return Err(Error::Internal("a map that has no keys and values".to_owned()));
    };
    out.push(b'{');
    for at in 0..entries.len() {
        if at > 0 {
            out.push(b',');
        }
        string(out, &text(&**keys, at)?)?;
        out.push(b':');
        write(out, &**values, at, depth - 1)?;
    }
    out.push(b'}');
    Ok(())
}

fn list(out: &mut Vec<u8>, values: &dyn Array, depth: usize) -> Result<(), Error> {
    out.push(b'[');
    for at in 0..values.len() {
        if at > 0 {
            out.push(b',');
        }
        write(out, values, at, depth - 1)?;
    }
    out.push(b']');
    Ok(())
}

fn integer(out: &mut Vec<u8>, value: i128) {
    let quote = if value.abs() > SAFE { "\"" } else { "" };
    // Writing to a vector cannot fail.
    let _ = write!(out, "{quote}{value}{quote}");
}

fn float(out: &mut Vec<u8>, value: f64, shown: &str) {
    let _ = match value {
        v if v.is_finite() => write!(out, "{shown}"),
        v if v.is_nan() => write!(out, "\"NaN\""),
        v if v > 0.0 => write!(out, "\"+Inf\""),
        _ => write!(out, "\"-Inf\""),
    };
}

pub(crate) fn string(out: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    serde_json::to_writer(out, text).map_err(|e| Error::Internal(format!("writing a text as JSON: {e}")))
}

/// The value as text; times are RFC 3339. Null is empty.
pub(crate) fn text(array: &dyn Array, row: usize) -> Result<String, Error> {
    if array.is_null(row) {
        return Ok(String::new());
    }
    if let DataType::Timestamp(unit, zone) = array.data_type()
        && zone.as_deref().is_none_or(|z| z == "UTC" || z == "+00:00")
    {
        let (value, scale) = match unit {
            TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000),
            TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000),
            TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 1000),
            TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1),
        };
        if let Some(ns) = value.checked_mul(scale) {
            return Ok(rfc3339(ns));
        }
    }
    match array.data_type() {
        DataType::Utf8 => return Ok(array.as_string::<i32>().value(row).to_owned()),
        DataType::Map(..) | DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_) => {
            let mut out = Vec::new();
            json(&mut out, array, row)?;
            return String::from_utf8(out).map_err(|e| Error::Internal(e.to_string()));
        }
        _ => {}
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    let value = formatter.value(row);
    Ok(value.try_to_string()?)
}

/// With as many digits as it needs of a second.
fn rfc3339(ns: i64) -> String {
    let at = chrono::DateTime::from_timestamp_nanos(ns);
    let whole = at.format("%Y-%m-%dT%H:%M:%S").to_string();
    match ns.rem_euclid(1_000_000_000) {
        0 => format!("{whole}Z"),
        fraction => format!("{whole}.{}Z", format!("{fraction:09}").trim_end_matches('0')),
    }
}
