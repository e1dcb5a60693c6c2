//! The HTTP and gRPC face of a node: listeners, routes, JSON shapes, tenants, error mapping, embedded UI.
//!
//! This crate exists because it fences in the listeners (axum, tonic, hyper): no other part of a node accepts a
//! connection. It knows protocols and what their clients expect. It must never know storage, and holds no
//! state of its own beyond counters and the gate that bounds running queries: reads go to the engines and
//! [`contract::Select`], writes to [`ingest::Ingest`].
//!
//! Start reading at [`router`] (every route on one page), then [`state`] (what a handler is given), then
//! [`status`] (what an error becomes). One request passes: [`listen`] → [`layers`] → a handler in [`prom`],
//! [`loki`], [`tempo`], [`es`], [`otlp`], [`spans`], [`jaeger`], [`sql`], [`flight`], [`admin`] or [`ui`].

pub mod admin;
pub mod ask;
pub mod body;
pub mod coverage;
pub mod error;
pub mod es;
pub mod flight;
pub mod gate;
pub mod jaeger;
pub mod layers;
pub mod listen;
pub mod loki;
pub mod otlp;
pub mod params;
pub mod prom;
pub mod push;
pub mod router;
pub mod spans;
pub mod sql;
pub mod state;
pub mod status;
pub mod tempo;
pub mod tenant;
pub mod ui;

pub use error::Error;
pub use listen::{Bound, Doors, Listener, Listeners, PeerConnection, PeerConnections, Token, open, serve};
pub use router::router;
pub use state::{
    ApiOptions, AppState, DroppedTarget, GrpcRoutes, LogDeletion, LogOptions, NodeHooks, Parts, Reads,
    Running, TargetHealth, TargetStatus, VersionInfo,
};
