use super::*;

#[test]
fn durations_read_and_print_the_same() {
    for (text, ms) in [
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1y", 31_536_000_000),
        ("1d1ms", 86_400_001),
        ("2w", 1_209_600_000),
    ] {
        assert_eq!(parse_duration(text), Ok(ms), "{text}");
        assert_eq!(parse_duration(&format_duration(ms)), Ok(ms), "{text}");
    }
    assert_eq!(format_duration(5_400_000), "1h30m");
    assert_eq!(format_duration(86_400_001), "24h1ms");
    assert_eq!(format_duration(-300_000), "-5m");
}

#[test]
fn a_duration_with_units_out_of_order_or_too_long_is_refused() {
    for bad in ["", "5", "m", "5m1h", "1m1m", "5x", "99999999999y", "1hs"] {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn numbers_read_as_go_reads_them() {
    for (text, v) in [
        ("0x10", 16.0),
        ("1e3", 1000.0),
        ("1_000", 1000.0),
        ("017", 15.0),
        ("08", 8.0),
        (".5", 0.5),
        ("2.", 2.0),
    ] {
        assert_eq!(parse_number(text), Some(v), "{text}");
    }
    assert_eq!(parse_number("InF"), Some(f64::INFINITY));
    assert!(parse_number("nan").unwrap().is_nan());
    for text in ["1e999", "0x", "0x10000000000000000", "1e", "infinity"] {
        assert_eq!(parse_number(text), None, "{text}");
    }
}

#[test]
fn strings_keep_every_character_through_quoting() {
    let s = "a\"b\\c\n\t\u{7}\u{1}é日\u{7f}";
    assert_eq!(unquote(&quote(s)).unwrap(), s);
    assert_eq!(unquote(r#"'it\'s \x41\101A'"#).unwrap(), "it's AAA");
    assert_eq!(unquote("`raw\\n`").unwrap(), "raw\\n");
    assert_eq!(unquote(r#""a\xffb""#).unwrap(), "a\u{fffd}b");
    assert!(unquote(r#""\q""#).unwrap_err().contains("unknown escape"));
}
