//! Between StoreAPI's messages and ours; both sides of the API use it.

use base::Kind;
use model::{Labels, MatchOp, Matcher};
use proto::thanos as pb;
use tonic::{Code, Status};

pub(crate) fn labels(set: &Labels) -> Vec<pb::Label> {
    set.iter().map(|(n, v)| pb::Label { name: n.to_owned(), value: v.to_owned() }).collect()
}

pub(crate) fn from_labels(list: Vec<pb::Label>) -> Labels {
    Labels::from_pairs(list.into_iter().map(|l| (l.name, l.value)))
}

/// Matchers of a request; one that cannot be is the caller's fault.
pub(crate) fn matchers(list: &[pb::LabelMatcher]) -> Result<Vec<Matcher>, Status> {
    let one = |m: &pb::LabelMatcher| {
        let op = match m.r#type {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            other => {
                return Err(Status::invalid_argument(format!("matcher of type {other} on {:?}", m.name)));
            }
        };
        Matcher::new(&m.name, op, &m.value).map_err(|e| Status::invalid_argument(e.to_string()))
    };
    list.iter().map(one).collect()
}

pub(crate) fn from_matchers(list: &[Matcher]) -> Vec<pb::LabelMatcher> {
    let one = |m: &Matcher| pb::LabelMatcher {
        r#type: match m.op {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Regex => 2,
            MatchOp::NotRegex => 3,
        },
        name: m.name.clone(),
        value: m.value.clone(),
    };
    list.iter().map(one).collect()
}

/// An error of ours as gRPC has it.
pub(crate) fn status(e: contract::Error) -> Status {
    let code = match e.kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Denied => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::Conflict => Code::AlreadyExists,
        Kind::Limited => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::Timeout => Code::DeadlineExceeded,
        Kind::Corrupt => Code::DataLoss,
        Kind::Internal => Code::Internal,
    };
    Status::new(code, e.message)
}

/// An error of somebody else's server as ours.
pub(crate) fn from_status(name: &str, s: &Status) -> contract::Error {
    let kind = match s.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition | Code::Unimplemented => {
            Kind::Invalid
        }
        Code::NotFound => Kind::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Kind::Denied,
        Code::ResourceExhausted => Kind::Limited,
        Code::DeadlineExceeded => Kind::Timeout,
        Code::DataLoss => Kind::Corrupt,
        _ => Kind::Unavailable,
    };
    let words: String =
        s.message().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    match cause(s) {
        // Made here, not there: the connection broke or never was.
        Some(cause) => contract::Error::new(kind, format!("{name} is not reached: {words}: {cause}")),
        None => contract::Error::new(kind, format!("{name} answered {:?}: {words}", s.code())),
    }
}

/// What is at the bottom of an error that does not come from the other side.
fn cause(s: &Status) -> Option<String> {
    let mut at: &dyn std::error::Error = std::error::Error::source(s)?;
    // A chain this long is none.
    for _ in 0..16 {
        match at.source() {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(at.to_string())
}
