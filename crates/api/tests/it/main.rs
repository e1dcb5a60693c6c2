//! The API from outside: a router over [`contract::fake::Fake`], asked in HTTP.

mod hostile;
mod jaeger;
mod layers;
mod listeners;
mod node;
mod scenario;
mod shapes;
