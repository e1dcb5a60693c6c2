use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array},
    datatypes::{DataType, Field, Schema},
};

use super::*;

fn batch(columns: Vec<(&str, DataType, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> = columns.iter().map(|(n, t, _)| Field::new(*n, t.clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, _, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

#[test]
fn fields_that_hold_what_divides_fields_are_quoted() {
    let texts = StringArray::from(vec![Some("a,b"), Some("say \"x\""), Some("two\nlines"), Some(""), None]);
    let numbers = Int64Array::from(vec![Some(1), None, Some(3), None, Some(i64::MIN)]);
    let batch =
        batch(vec![("t", DataType::Utf8, Arc::new(texts)), ("n,m", DataType::Int64, Arc::new(numbers))]);
    let mut writer = Writer::csv(&batch.schema());
    let text = String::from_utf8(writer.batch(&batch).unwrap()).unwrap();
    assert_eq!(
        text,
        "t,\"n,m\"\r\n\"a,b\",1\r\n\"say \"\"x\"\"\",\r\n\"two\nlines\",3\r\n\"\",\r\n,-9223372036854775808\r\n"
    );
    assert!(writer.end().unwrap().is_empty());
}

#[test]
fn an_answer_without_rows_has_its_header_row() {
    let schema = batch(vec![("t", DataType::Utf8, Arc::new(StringArray::from(vec!["x"])))]).schema();
    assert_eq!(Writer::csv(&schema).end().unwrap(), b"t\r\n");
}

#[test]
fn json_says_what_its_numbers_cannot_as_texts() {
    let floats = Float64Array::from(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300]);
    let small = Float32Array::from(vec![0.1f32, 1.0, -0.0, f32::MAX]);
    let whole = UInt64Array::from(vec![u64::MAX, 9_007_199_254_740_991, 9_007_199_254_740_992, 0]);
    let batch = batch(vec![
        ("f", DataType::Float64, Arc::new(floats)),
        ("s", DataType::Float32, Arc::new(small)),
        ("u", DataType::UInt64, Arc::new(whole)),
    ]);
    let mut writer = Writer::json();
    let first = writer.batch(&batch.slice(0, 2)).unwrap();
    let rest = writer.batch(&batch.slice(2, 2)).unwrap();
    let all = format!("[{}{}]", String::from_utf8(first).unwrap(), String::from_utf8(rest).unwrap());
    let rows: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(rows[0], serde_json::json!(["+Inf", 0.1, "18446744073709551615"]));
    assert_eq!(rows[1], serde_json::json!(["-Inf", 1, 9_007_199_254_740_991u64]));
    assert_eq!(rows[2][0], "NaN");
    assert_eq!(rows[2][2], "9007199254740992");
    assert_eq!(rows[3][0], 1e300);
}
