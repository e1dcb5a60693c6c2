//! routes, shapes, listeners, error mapping
