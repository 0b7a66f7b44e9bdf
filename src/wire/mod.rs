//! Floor 2, the network seen from inside: messages, TLS, the certificate authority and the way to Graph.

pub mod authority;
pub mod coding;
mod constraints;
pub mod framing;
mod head;
pub mod message;
pub mod reach;
pub mod root;
pub mod tls;
pub mod upstream;
