//! TraceQL by text scripts, against a brute-force oracle, and by expressions of other projects.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod corpus;
mod dealt;
mod limits;
mod notation;
mod oracle;
mod properties;
mod random;
mod script;
mod shape;
