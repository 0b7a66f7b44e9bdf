//! Floor 4, what listens: one port for every way in which a client may come.

pub mod activity;
pub mod answer;
pub mod batched;
pub mod connection;
pub mod control;
pub mod fields;
pub mod forward;
pub mod framed;
pub mod front;
pub mod lingering;
pub mod naming;
mod outgoing;
pub mod preface;
pub mod protocol;
pub mod refusal;
pub mod resetting;
pub mod reverse;
pub mod seldom;
pub mod server;
pub mod shortcut;
pub mod troubled;
pub mod wire_answer;
