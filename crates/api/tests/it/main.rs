//! The API from outside: a router over [`contract::fake::Fake`], asked in HTTP.

mod hostile;
mod layers;
mod listeners;
mod node;
mod scenario;
mod shapes;
