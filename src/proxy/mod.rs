//! Floor 4, what listens: one port for every way in which a client may come.

pub mod answer;
pub mod connection;
pub mod control;
pub mod forward;
pub mod front;
pub mod naming;
pub mod preface;
pub mod reverse;
pub mod server;
