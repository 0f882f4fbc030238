//! Results that roles write to stdout.
#![no_main]

use cargo_ansar::supervisor::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = judge::message(bytes);
});
