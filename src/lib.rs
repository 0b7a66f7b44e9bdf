//! map

pub mod platform;
pub mod proxy;
pub mod session;
pub mod store;
pub mod tape;
pub mod wire;
