//! map

pub mod platform;
pub mod store;
pub mod tape;
pub mod wire;
