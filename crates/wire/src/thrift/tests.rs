pub(crate) mod writer;

use proptest::{collection::vec, prelude::*};

use super::*;
use writer::Writer;

const BOTH: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

/// A struct, as deep as it may be.
#[derive(Debug, Clone)]
enum Value {
    Bool(bool),
    I32(i32),
    I64(i64),
    Double(f64),
    Binary(Vec<u8>),
    Struct(Vec<(i16, Value)>),
    List(Vec<Vec<(i16, Value)>>),
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::I32),
        any::<i64>().prop_map(Value::I64),
        (-1e9..1e9).prop_map(Value::Double),
        vec(any::<u8>(), 0..20).prop_map(Value::Binary),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let fields = || vec((any::<i16>(), inner.clone()), 0..5);
        prop_oneof![fields().prop_map(Value::Struct), vec(fields(), 0..20).prop_map(Value::List)]
    })
}

fn write(w: &mut Writer, id: i16, value: &Value) {
    match value {
        Value::Bool(v) => w.bool(id, *v),
        Value::I32(v) => w.i32(id, *v),
        Value::I64(v) => w.i64(id, *v),
        Value::Double(v) => w.double(id, *v),
        Value::Binary(v) => w.binary(id, v),
        Value::Struct(fields) => {
            w.structure(id);
            fields.iter().for_each(|(id, v)| write(w, *id, v));
            w.end();
        }
        Value::List(all) => {
            w.structs(id, all.len());
            for fields in all {
                w.begin();
                fields.iter().for_each(|(id, v)| write(w, *id, v));
                w.end();
            }
        }
    }
}

/// Reads a field and compares.
fn same(r: &mut Reader<'_>, f: Field, want: &Value) {
    match want {
        Value::Bool(v) => assert_eq!(r.bool(f).unwrap(), *v),
        Value::I32(v) => assert_eq!(r.i32(f).unwrap(), *v),
        Value::I64(v) => assert_eq!(r.i64(f).unwrap(), *v),
        Value::Double(v) => assert_eq!(r.double(f).unwrap(), *v),
        Value::Binary(v) => assert_eq!(r.binary(f).unwrap(), v),
        Value::Struct(fields) => {
            r.structure(f).unwrap();
            same_fields(r, fields);
        }
        Value::List(all) => {
            assert_eq!(r.structs(f).unwrap(), all.len());
            all.iter().for_each(|fields| same_fields(r, fields));
        }
    }
}

fn same_fields(r: &mut Reader<'_>, fields: &[(i16, Value)]) {
    let mut last = 0;
    for (id, want) in fields {
        let f = r.field(&mut last).unwrap().unwrap();
        assert_eq!(f.id, *id);
        same(r, f, want);
    }
    assert!(r.field(&mut last).unwrap().is_none());
}

/// Skips every field of a struct.
fn skip_all(r: &mut Reader<'_>) -> Result<(), Fault> {
    let mut last = 0;
    while let Some(f) = r.field(&mut last)? {
        r.skip(f)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_a_writer_writes_is_read_and_skipped_to_its_last_byte(id in any::<i16>(), value in value()) {
        for protocol in BOTH {
            let mut w = Writer::new(protocol);
            write(&mut w, id, &value);
            w.end();
            let mut r = Reader::new(&w.bytes, protocol);
            let mut last = 0;
            let f = r.field(&mut last).unwrap().unwrap();
            prop_assert_eq!(f.id, id);
            same(&mut r, f, &value);
            prop_assert!(r.field(&mut last).unwrap().is_none());
            prop_assert_eq!(r.rest(), 0);
            let mut r = Reader::new(&w.bytes, protocol);
            skip_all(&mut r).unwrap();
            prop_assert_eq!(r.rest(), 0);
            // Shortened by anything it is an error.
            prop_assert!(skip_all(&mut Reader::new(&w.bytes[..w.bytes.len() - 1], protocol)).is_err());
        }
    }

    #[test]
    fn random_bytes_are_skipped_or_an_error(bytes in vec(any::<u8>(), 0..300)) {
        for protocol in BOTH {
            let _ = skip_all(&mut Reader::new(&bytes, protocol));
        }
    }
}

#[test]
fn nesting_past_the_bound_is_an_error_and_no_crash() {
    for protocol in BOTH {
        let nested = |depth: usize| {
            let mut w = Writer::new(protocol);
            (0..depth).for_each(|_| w.structure(1));
            (0..=depth).for_each(|_| w.end());
            skip_all(&mut Reader::new(&w.bytes, protocol))
        };
        nested(MAX_DEPTH as usize).unwrap();
        let err = nested(1_000_000).unwrap_err();
        assert!(err.to_string().contains("nested too deep"), "{err}");
    }
}

#[test]
fn counts_and_lengths_past_the_end_are_errors_at_once() {
    // A list of two billion structs; a text of as many bytes.
    for bytes in [&[15, 0, 1, 12, 0x7f, 0xff, 0xff, 0xff, 0][..], &[11, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0]] {
        let err = skip_all(&mut Reader::new(bytes, Protocol::Binary)).unwrap_err();
        assert!(err.to_string().contains("goes past the end at byte"), "{err}");
    }
    let negative = [11, 0, 1, 0xff, 0xff, 0xff, 0xff, 0];
    assert!(skip_all(&mut Reader::new(&negative, Protocol::Binary)).is_err());
    let compact = [0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
    assert!(skip_all(&mut Reader::new(&compact, Protocol::Compact)).is_err());
}

#[test]
fn a_field_of_another_type_is_named() {
    let mut w = Writer::new(Protocol::Binary);
    w.i32(7, 1);
    let mut r = Reader::new(&w.bytes, Protocol::Binary);
    let f = r.field(&mut 0).unwrap().unwrap();
    assert_eq!(r.i64(f).unwrap_err().to_string(), "field 7 has another type than its definition at byte 3");
}
