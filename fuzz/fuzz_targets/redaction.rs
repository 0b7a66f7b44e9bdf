//! `graphdeck_fuzz::redaction`, on bytes made up.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphdeck_fuzz::redaction::redact(bytes));
