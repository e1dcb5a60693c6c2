//! the Parquet file contract
