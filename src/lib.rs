//! map
pub mod app;
pub mod child;
pub mod cli;
pub mod config;
pub mod platform;
pub mod proxy;
pub mod session;
pub mod store;
pub mod tape;
pub mod wire;
