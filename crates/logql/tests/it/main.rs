//! LogQL by text scripts, by properties, and by expressions of other projects.

mod corpus;
mod properties;
mod script;
mod seen;
