//! What a collector answers: `{"text": …, "code": …, "invalid-event-number": …, "ackId": …}`
//! (help.splunk.com, "Troubleshoot HTTP Event Collector", "Possible error codes").

use serde_json::Value;

use crate::destination::Outcome;

#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// All of it, under this number where it will be acknowledged.
    Taken(Option<u64>),
    /// The event at this index, from 0, will never be taken.
    Invalid {
        event: usize,
        reason: String,
    },
    Other(Outcome),
}

/// `judged` is what the status alone says.
pub(super) fn read(body: &Value, status: u16, excerpt: &str, judged: impl Fn() -> Option<Outcome>) -> Said {
    let number = |name| body.get(name).and_then(Value::as_u64);
    let detail = format!("{status} {excerpt}");
    let Some(code) = number("code") else {
        return Said::Other(
            judged().unwrap_or_else(|| Outcome::down(format!("the answer is none of HEC: {detail}"))),
        );
    };
    match code {
        0 if (200..300).contains(&status) => Said::Taken(number("ackId")),
        // No data, not JSON, no event, a blank one, fields that are nested.
        5 | 6 | 12 | 13 | 15 => {
            let reason = format!("hec_{code}");
            match number("invalid-event-number").and_then(|n| usize::try_from(n).ok()) {
                Some(event) => Said::Invalid { event, reason },
                None => Said::Other(Outcome::refused(reason, detail)),
            }
        }
        // Tokens, indexes and channels are settings of the collector: no item is to blame.
        1..=4 | 7 | 10 | 11 | 14 | 16 | 21 | 22 => Said::Other(Outcome::down(detail)),
        // Queues and channels at capacity.
        24..=27 => Said::Other(Outcome::Later { after: None, down: false, detail }),
        _ => Said::Other(judged().unwrap_or(Outcome::Later { after: None, down: true, detail })),
    }
}

/// `{"acks": {"0": true}}`.
pub(super) fn is_acknowledged(body: &[u8], id: u64) -> bool {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let ack = answer.as_ref().and_then(|a| a.get("acks")?.get(id.to_string()));
    ack.and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_code_says_whose_fault_it_is() {
        let said = |body: Value, status| read(&body, status, "", || None);
        assert_eq!(said(json!({"text": "Success", "code": 0}), 200), Said::Taken(None));
        assert_eq!(said(json!({"text": "Success", "code": 0, "ackId": 7}), 200), Said::Taken(Some(7)));
        let invalid = json!({"text": "Invalid data format", "code": 6, "invalid-event-number": 2});
        assert_eq!(said(invalid, 400), Said::Invalid { event: 2, reason: "hec_6".to_owned() });
        for (code, status) in [(1, 403), (2, 401), (7, 400), (10, 400), (8, 500), (9, 503), (23, 503)] {
            let said = said(json!({"code": code}), status);
            assert!(matches!(said, Said::Other(Outcome::Later { down: true, .. })), "{code}: {said:?}");
        }
        let full = said(json!({"code": 26}), 429);
        assert!(matches!(full, Said::Other(Outcome::Later { down: false, .. })));
        assert!(matches!(said(json!({"code": 15}), 400), Said::Other(Outcome::Refused { .. })));
        assert!(matches!(said(Value::Null, 200), Said::Other(Outcome::Later { down: true, .. })));
    }

    #[test]
    fn only_true_is_an_acknowledgement() {
        assert!(is_acknowledged(br#"{"acks":{"3":true}}"#, 3));
        for not in [r#"{"acks":{"3":false}}"#, r#"{"acks":{"4":true}}"#, r#"{"acks":{}}"#, "", "[]"] {
            assert!(!is_acknowledged(not.as_bytes(), 3), "{not}");
        }
    }
}
