//! W3C Trace Context, level 1 (`w3.org/TR/trace-context`): the header that joins the spans of two processes.

use std::fmt;

/// What a caller says about the trace a request belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// Never all zero.
    pub trace_id: [u8; 16],
    /// The caller's span; never all zero.
    pub span_id: [u8; 8],
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`: `<2 hex>-<32 hex>-<16 hex>-<2 hex>` in lower case. A version later than 00 may
    /// append fields; version ff and ids of zeros are invalid, and an invalid header starts a new trace.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.trim().split('-');
        let [version] = hex(fields.next()?)?;
        let trace_id: [u8; 16] = hex(fields.next()?)?;
        let span_id: [u8; 8] = hex(fields.next()?)?;
        let [flags] = hex(fields.next()?)?;
        let whole = version != 0xff && (version != 0 || fields.next().is_none());
        let valid = whole && trace_id != [0; 16] && span_id != [0; 8];
        valid.then_some(TraceContext { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

/// Exactly `N` bytes in lower-case hex.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_specification_calls_invalid_starts_a_new_trace() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(good).unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), good);
        assert!(!TraceContext::parse(&good.replace("-01", "-00")).unwrap().sampled);
        assert_eq!(TraceContext::parse(&format!("cc{}-more", &good[2..])), Some(context));
        for bad in [
            format!("{good}-more"),
            format!("ff{}", &good[2..]),
            good.to_uppercase(),
            good.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            good.replace("00f067aa0ba902b7", &"0".repeat(16)),
            good[..good.len() - 3].to_owned(),
        ] {
            assert_eq!(TraceContext::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_written_is_read_back(
            text in "\\PC{0,80}",
            trace_id in any::<[u8; 16]>().prop_filter("zero", |t| *t != [0; 16]),
            span_id in any::<[u8; 8]>().prop_filter("zero", |s| *s != [0; 8]),
            sampled in any::<bool>(),
        ) {
            let _ = TraceContext::parse(&text);
            let context = TraceContext { trace_id, span_id, sampled };
            prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn a_header_with_anything_in_it_is_read_without_panic(
            at in 0usize..55,
            with in "\\PC{0,4}",
        ) {
            let mut text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned();
            text.replace_range(at..at + 1, &with);
            let _ = TraceContext::parse(&text);
        }
    }
}
