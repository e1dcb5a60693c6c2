//! fault disks and stores, cluster harness
