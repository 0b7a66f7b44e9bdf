//! `graphdeck_fuzz::cassette`, on bytes made up.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphdeck_fuzz::cassette::read(bytes));
