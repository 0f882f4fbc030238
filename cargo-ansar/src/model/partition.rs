//! A part of the test roles, for one of several jobs that share a run.

use std::fmt;
use std::str::FromStr;

use crate::model::name::RoleName;

/// One of several parts of the test roles, as in `2/4`.
///
/// The part of a role depends on its name alone, so a new role moves no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// From 1.
    number: u64,
    count: u64,
}

impl Partition {
    /// Returns true if a role belongs to this part.
    pub fn has(self, role: &RoleName) -> bool {
        let hash = blake3::hash(role.as_str().as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(first) % self.count == self.number - 1
    }
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(number, count)| {
            Some((number.parse::<u64>().ok()?, count.parse::<u64>().ok()?))
        });
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Self { number, count }),
            _ => Err("expected a part and the number of parts, as in `2/4`".to_owned()),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_is_in_one_part() {
        let mut sizes = [0; 4];
        for role in 0..400 {
            let role: RoleName = format!("test-{role}").parse().unwrap();
            let parts = (1..=4).filter(|part| {
                let part: Partition = format!("{part}/4").parse().unwrap();
                part.has(&role)
            });
            let parts: Vec<usize> = parts.collect();
            assert_eq!(parts.len(), 1, "{role}");
            sizes[parts[0] - 1] += 1;
        }
        assert!(sizes.iter().all(|size| *size > 60), "{sizes:?}");
    }

    #[test]
    fn the_part_of_a_role_never_changes() {
        let part = |role: &str| {
            let role: RoleName = role.parse().unwrap();
            let has = |part: &u64| format!("{part}/3").parse::<Partition>().unwrap().has(&role);
            (1..=3).find(has)
        };
        let parts = ["test-api", "test-client", "test-smoke"].map(part);
        assert_eq!(parts, [Some(3), Some(1), Some(1)]);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "2", "0/2", "3/2", "1/0", "1/2/3", "-1/2", "a/b"] {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
        assert_eq!("2/4".parse::<Partition>().unwrap().to_string(), "2/4");
    }
}
