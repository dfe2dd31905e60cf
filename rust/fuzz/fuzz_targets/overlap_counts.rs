#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bridgex_fuzz::overlap_counts(data));
