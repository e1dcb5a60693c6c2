//! The API from outside: a router over [`contract::fake::Fake`], asked in HTTP.

// Helpers of tests may panic like the tests themselves.
#![allow(clippy::unwrap_used)]

mod elastic;
mod hostile;
mod jaeger;
mod layers;
mod listeners;
mod loki_push;
mod node;
mod read;
mod readers;
mod remote_write;
mod scenario;
mod secure;
mod shapes;
mod spans;
mod tail;
mod tempo;
