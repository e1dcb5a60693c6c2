//! step grid, window functions, vector matching, aggregation
