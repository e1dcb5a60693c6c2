//! sources: host metrics, scrape, file tail, own traces
