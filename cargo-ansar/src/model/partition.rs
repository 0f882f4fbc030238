//! Division of test roles, and of the tests of a target, into parts of equal size:
//! for the jobs that share a run, and for the shards of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several parts of the test roles, as in `2/4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Partition {
    /// From 1.
    number: usize,
    count: usize,
}

impl Partition {
    /// Returns the part of this index, from 0, out of `count`.
    pub fn nth(index: usize, count: usize) -> Self {
        Self {
            number: index + 1,
            count,
        }
    }

    /// Returns the names of this part, out of all that are divided.
    pub fn of<'n, N: Ord + Clone + AsRef<str> + 'n>(
        self,
        names: impl IntoIterator<Item = &'n N>,
    ) -> BTreeSet<N> {
        let parts = divide(names, self.count).into_iter();
        let own = parts.filter(|(_, part)| *part == self.number - 1);
        own.map(|(name, _)| name.clone()).collect()
    }

    /// Returns true if this is the first part, which runs targets that do not list their
    /// tests.
    pub fn is_first(self) -> bool {
        self.number == 1
    }

    /// Returns the number of parts.
    pub fn count(self) -> usize {
        self.count
    }

    /// Returns all parts, if the whole is divided in as many.
    pub fn all(self) -> impl Iterator<Item = Self> {
        let count = self.count;
        (0..count).map(move |index| Self::nth(index, count))
    }
}

/// Divides the names of roles or tests into `count` parts, numbered from 0, whose
/// sizes differ by at most one.
///
/// A name alone decides its part, unless that part has more names than its share:
/// then those with the highest hashes move to parts with room. So a new name moves
/// at most a few others.
pub fn divide<'n, N: Ord + AsRef<str> + 'n>(
    names: impl IntoIterator<Item = &'n N>,
    count: usize,
) -> BTreeMap<&'n N, usize> {
    let count = count.max(1);
    let names: BTreeSet<&N> = names.into_iter().collect();
    let mut parts: Vec<Vec<(u64, &N)>> = (0..count).map(|_| Vec::new()).collect();
    for &name in &names {
        let (part, rank) = hashes(name.as_ref());
        let part = usize::try_from(part % count as u64).unwrap_or(0);
        parts[part].push((rank, name));
    }
    // The largest parts keep one more than the others, where the number of names
    // leaves a remainder.
    let mut by_size: Vec<usize> = (0..count).collect();
    by_size.sort_by_key(|&part| std::cmp::Reverse(parts[part].len()));
    let (share, remainder) = (names.len() / count, names.len() % count);
    let mut moved = Vec::new();
    let mut room = Vec::new();
    for (nth, part) in by_size.into_iter().enumerate() {
        let size = share + usize::from(nth < remainder);
        parts[part].sort_unstable();
        let end = size.min(parts[part].len());
        moved.extend(parts[part].split_off(end));
        room.extend(std::iter::repeat_n(part, size - end));
    }
    moved.sort_unstable();
    room.sort_unstable();
    for (part, name) in room.into_iter().zip(moved) {
        parts[part].push(name);
    }
    let parts = parts.into_iter().enumerate();
    parts
        .flat_map(|(part, names)| names.into_iter().map(move |(_, name)| (name, part)))
        .collect()
}

/// Returns two hashes of a name: the first chooses the part, the second the
/// order in it.
fn hashes(name: &str) -> (u64, u64) {
    let hash = blake3::hash(name.as_bytes());
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    (number(0), number(8))
}

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(number, count)| {
            Some((number.parse::<u16>().ok()?, count.parse::<u16>().ok()?))
        });
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Self {
                number: number.into(),
                count: count.into(),
            }),
            _ => Err("expected a part and the number of parts, as in `2/4`".to_owned()),
        }
    }
}

impl TryFrom<String> for Partition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> Self {
        partition.to_string()
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::name::RoleName;

    fn names() -> impl Strategy<Value = BTreeSet<RoleName>> {
        let name = "test-[a-z]{1,6}-[0-9]{1,3}";
        let name = name.prop_map(|name| name.parse::<RoleName>().unwrap());
        proptest::collection::btree_set(name, 0..120)
    }

    /// Returns the part that the name of a role chooses.
    fn chosen(role: &RoleName, count: usize) -> usize {
        usize::try_from(hashes(role.as_str()).0 % count as u64).unwrap()
    }

    fn many(count: usize) -> BTreeSet<RoleName> {
        let names = (0..count).map(|number| format!("test-{number}").parse().unwrap());
        names.collect()
    }

    proptest! {
        #[test]
        fn parts_are_even_and_complete(roles in names(), count in 1_usize..9) {
            let divided = divide(&roles, count);
            prop_assert!(divided.keys().copied().eq(&roles));
            let mut sizes = vec![0; count];
            for part in divided.values() {
                sizes[*part] += 1;
            }
            let (most, least) = (sizes.iter().max().unwrap(), sizes.iter().min().unwrap());
            prop_assert!(most - least <= 1, "{sizes:?}");
            let partition = |number: usize| format!("{number}/{count}").parse::<Partition>().unwrap();
            let parts = (1..=count).flat_map(|number| partition(number).of(&roles));
            prop_assert_eq!(parts.collect::<BTreeSet<_>>(), roles);
        }

        /// Only roles that are not where their names put them can move.
        #[test]
        fn new_roles_move_few_others(roles in names(), new in names(), count in 1_usize..9) {
            let all: BTreeSet<RoleName> = roles.union(&new).cloned().collect();
            let (before, after) = (divide(&roles, count), divide(&all, count));
            for role in &roles {
                let is_at_home = |parts: &BTreeMap<&RoleName, usize>| parts[role] == chosen(role, count);
                if is_at_home(&before) && is_at_home(&after) {
                    prop_assert_eq!(before[role], after[role]);
                }
            }
            // Those are at most the ones beyond the share of their part.
            let mut sizes = vec![0; count];
            for role in &all {
                sizes[chosen(role, count)] += 1;
            }
            let share = all.len() / count;
            let beyond: usize = sizes.iter().map(|size: &usize| size.saturating_sub(share)).sum();
            let away = all.iter().filter(|role| after[role] != chosen(role, count)).count();
            prop_assert!(away <= beyond);
        }
    }

    #[test]
    fn one_new_role_among_many_moves_hardly_any() {
        let roles = many(1000);
        let before = divide(&roles, 4);
        for new in ["test-api", "test-smoke", "test-client"] {
            let mut all = roles.clone();
            all.insert(new.parse().unwrap());
            let after = divide(&all, 4);
            let moved = roles.iter().filter(|role| before[role] != after[role]);
            assert!(moved.count() <= 4, "{new}");
        }
    }

    #[test]
    fn the_part_of_a_role_is_the_same_everywhere() {
        let roles = ["test-api", "test-client", "test-smoke"];
        let roles: BTreeSet<RoleName> = roles.iter().map(|role| role.parse().unwrap()).collect();
        let parts: Vec<usize> = divide(&roles, 3).into_values().collect();
        assert_eq!(parts, [2, 1, 0]);
        let tests = ["orders::cancels", "orders::exits", "ships"].map(str::to_owned);
        let parts: Vec<usize> = divide(&tests, 3).into_values().collect();
        assert_eq!(parts, [0, 2, 1]);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "2", "0/2", "3/2", "1/0", "1/2/3", "-1/2", "a/b"] {
            assert!(text.parse::<Partition>().is_err(), "{text}");
        }
        assert_eq!("2/4".parse::<Partition>().unwrap().to_string(), "2/4");
    }
}
