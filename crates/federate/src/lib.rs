//! Asks many and answers as one: [`Federation`] is a [`contract::Select`] over a list of members, each of which is
//! again a `Select` (the node's own store, a peer, a foreign system).
//!
//! This crate exists because its tests must link light, and because fan-out has a reader of its own: whoever wants to
//! know what becomes of an answer when somebody is slow, gone or wrong. It must never know storage, and of HTTP only
//! how to ask others ([`foreign`]). Start reading at [`Federation`], then [`routes`] (who asks whom), [`query`] (who was
//! asked and what became of it), [`feed`] (how one member is read), [`series`] (how answers become one) and [`replicas`]
//! (how several that hold the same are seen as one). Nodes of our own kind are watched by [`peers`] and speak [`peer`]'s
//! protocol.

mod counts;
mod dedup;
mod error;
mod federation;
mod feed;
pub mod foreign;
mod labelled;
mod lists;
mod logs;
mod member;
mod members;
mod parts;
mod patterns;
pub mod peer;
pub mod peers;
mod query;
mod replicas;
mod routes;
mod rules;
mod series;
mod spans;
pub mod storeapi;

#[cfg(test)]
mod fixtures;

pub use counts::Counts;
pub use error::Error;
pub use federation::Federation;
pub use labelled::Labelled;
pub use member::Member;
pub use members::Members;
pub use replicas::{Replicas, Replication};

pub type Result<T, E = Error> = std::result::Result<T, E>;
