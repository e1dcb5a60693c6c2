//! Destinations against receivers of their protocols, which fail in the ways receivers do.

#![allow(clippy::unwrap_used)]

mod datadog;
mod grpc;
mod hec;
mod http;
mod kafka;
mod server;
mod whole;
