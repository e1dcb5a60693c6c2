//! Destinations against receivers of their protocols, which fail in the ways receivers do.

mod grpc;
mod http;
mod server;
mod whole;
