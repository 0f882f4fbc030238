//! Notifications from any process of the user.
#![no_main]

use ansar_contract::notice::Notice;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let notice = Notice::decode(bytes);
    assert_eq!(Notice::decode(notice.encode().as_bytes()), notice);
});
