//! `graphdeck_fuzz::framing`, on bytes made up.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphdeck_fuzz::framing::follow(bytes));
