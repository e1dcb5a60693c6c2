//! admission: decode, limits, validate, append
