//! `graphdeck_fuzz::request_text`, on bytes made up.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphdeck_fuzz::request_text::read(bytes));
