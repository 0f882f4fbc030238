//! Notifications: datagrams by which a component reports its state to its engine.
//!
//! They have the form of `sd_notify`: one variable per line. Unknown variables are
//! ignored, so that other libraries can use the same socket.

use std::fmt::Write as _;

const ROLE: &str = "X_ANSAR_ROLE";
const CONTRACT: &str = "X_ANSAR_CONTRACT";
const ANNOUNCES: &str = "X_ANSAR_ANNOUNCES";
const ATTEMPT: &str = "X_ANSAR_ATTEMPT";
const RETRY_IN: &str = "X_ANSAR_RETRY_IN";
const SLOW: &str = "X_ANSAR_SLOW";
const CHECK: &str = "X_ANSAR_CHECK";

/// The longest datagram that is read, in bytes.
pub const LONGEST: usize = 4096;

/// One notification.
///
/// ```
/// use ansar_contract::notice::Notice;
///
/// let notice = Notice::decode(b"X_ANSAR_ROLE=server-0\nREADY=1\n");
/// assert_eq!(notice.role.as_deref(), Some("server-0"));
/// assert!(notice.ready);
/// assert_eq!(notice.encode(), "X_ANSAR_ROLE=server-0\nREADY=1\n");
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notice {
    /// The role that reports.
    pub role: Option<String>,
    /// The contract version of its runtime.
    pub contract: Option<u32>,
    /// True if it will announce its readiness, false if it is ready from its start.
    pub announces: Option<bool>,
    /// True if it is ready.
    pub ready: bool,
    /// True if it is stopping.
    pub stopping: bool,
    /// The number of the attempt that begins, counted from 1.
    pub attempt: Option<u32>,
    /// Seconds until the next attempt.
    pub retry_in: Option<f64>,
    /// A test that is slow: the seconds since its start, and its name.
    pub slow: Option<(f64, String)>,
    /// A check that was made, as JSON on one line: a
    /// [`Check`](crate::test::Check).
    pub check: Option<String>,
}

impl Notice {
    /// Encodes the notification as a datagram.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let mut put = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(text, "{name}={value}");
        };
        if let Some(role) = &self.role {
            put(ROLE, role);
        }
        if let Some(version) = self.contract {
            put(CONTRACT, &version);
        }
        if let Some(announces) = self.announces {
            put(ANNOUNCES, &u8::from(announces));
        }
        if let Some(attempt) = self.attempt {
            put(ATTEMPT, &attempt);
        }
        if let Some(seconds) = self.retry_in {
            put(RETRY_IN, &seconds);
        }
        if let Some((seconds, name)) = &self.slow {
            put(SLOW, &format_args!("{seconds} {name}"));
        }
        if let Some(check) = &self.check {
            put(CHECK, check);
        }
        if self.ready {
            put("READY", &1);
        }
        if self.stopping {
            put("STOPPING", &1);
        }
        text
    }

    /// Decodes a datagram. Lines and values that are not understood are ignored.
    pub fn decode(datagram: &[u8]) -> Self {
        let mut notice = Self::default();
        for line in datagram.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            match name {
                ROLE => notice.role = Some(value.to_owned()),
                CONTRACT => notice.contract = value.parse().ok(),
                ANNOUNCES => notice.announces = Some(value == "1"),
                ATTEMPT => notice.attempt = value.parse().ok(),
                RETRY_IN => {
                    notice.retry_in = value
                        .parse()
                        .ok()
                        .filter(|s: &f64| s.is_finite() && *s >= 0.0);
                }
                SLOW => {
                    notice.slow = value.split_once(' ').and_then(|(seconds, name)| {
                        let seconds = seconds.parse().ok();
                        let seconds = seconds.filter(|s: &f64| s.is_finite() && *s >= 0.0)?;
                        Some((seconds, name.to_owned()))
                    });
                }
                CHECK => notice.check = Some(value.to_owned()),
                "READY" => notice.ready = value == "1",
                "STOPPING" => notice.stopping = value == "1",
                _ => {}
            }
        }
        notice
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_notice_survives_its_encoding(
            role in proptest::option::of("[a-z0-9_.-]{1,20}"),
            contract in proptest::option::of(any::<u32>()),
            announces in proptest::option::of(any::<bool>()),
            attempt in proptest::option::of(any::<u32>()),
            retry_in in proptest::option::of(0.0..1e6f64),
            slow in proptest::option::of((0.0..1e6f64, "[a-z:]{1,20}")),
            check in proptest::option::of("[a-z{}:\", ]{1,20}"),
            ready: bool,
            stopping: bool,
        ) {
            let notice = Notice {
                role, contract, announces, ready, stopping, attempt, retry_in, slow, check,
            };
            prop_assert_eq!(Notice::decode(notice.encode().as_bytes()), notice);
        }

        #[test]
        fn any_datagram_is_read_without_a_panic(bytes: Vec<u8>) {
            let _ = Notice::decode(&bytes);
        }
    }

    #[test]
    fn foreign_variables_are_passed_over() {
        let notice =
            Notice::decode(b"STATUS=working\nREADY=1\nWATCHDOG=1\n\xff=1\nX_ANSAR_RETRY_IN=inf");
        assert_eq!(
            notice,
            Notice {
                ready: true,
                ..Notice::default()
            }
        );
    }
}
