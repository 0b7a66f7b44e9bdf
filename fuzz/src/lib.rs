//! What must hold whatever bytes come from outside: a law for each reader. `fuzz_targets` tries them on bytes that
//! libFuzzer makes up, and the project's own tests on those in `corpus`.

pub mod batch;
pub mod cassette;
pub mod config;
pub mod formats;
pub mod framing;
pub mod messages;
pub mod paths;
pub mod redaction;
pub mod request_text;
pub mod shapes;
pub mod substitution;
