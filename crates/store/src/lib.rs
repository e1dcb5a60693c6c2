//! append, head, flush, catalog, scan, retain
