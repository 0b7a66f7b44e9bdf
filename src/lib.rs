//! map

pub mod tape;
