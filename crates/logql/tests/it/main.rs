//! LogQL by text scripts, by properties, and by expressions of other projects.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

mod corpus;
mod divided;
mod properties;
mod script;
mod seen;
mod shape;
