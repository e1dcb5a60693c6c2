//! SQL, where the build has it: the feature `lake`, which is most of what the program weighs.

use std::sync::Arc;

use base::Clock;
use contract::{Select, Sql};

/// What answers SQL, if anything does.
#[cfg(feature = "lake")]
pub fn engine(select: Arc<dyn Select>, clock: &Clock) -> Option<Arc<dyn Sql>> {
    Some(Arc::new(lake::Engine::new(select, clock.clone())))
}

#[cfg(not(feature = "lake"))]
pub fn engine(_: Arc<dyn Select>, _: &Clock) -> Option<Arc<dyn Sql>> {
    None
}

/// Flight SQL, if there is any.
#[cfg(feature = "lake")]
pub fn flight(select: Arc<dyn Select>, clock: &Clock) -> Option<api::GrpcRoutes> {
    let engine = lake::Engine::new(select, clock.clone());
    Some(lake::flight::routes(engine, env!("CARGO_PKG_VERSION"), api::status::grpc))
}

#[cfg(not(feature = "lake"))]
pub fn flight(_: Arc<dyn Select>, _: &Clock) -> Option<api::GrpcRoutes> {
    tracing::warn!("this build answers no SQL: it was made without the feature lake");
    None
}
