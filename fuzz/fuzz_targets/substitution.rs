//! `graphdeck_fuzz::substitution`, on bytes made up.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graphdeck_fuzz::substitution::there_and_back(bytes));
