//! The store as its users see it: both seams, flushes, restarts, crashes, limits. One binary, so that two
//! cores link once.

mod crash;
mod limits;
mod property;
mod rig;
mod together;
mod upkeep;
mod views;
