//! The dependency order in which roles start.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::name::RoleName;

/// Dependencies of each role: the roles that must be ready before it starts.
pub type Order = BTreeMap<RoleName, Vec<RoleName>>;

/// Returns a dependency cycle: each role depends on the next, and the first is
/// repeated at the end. Returns `None` if there is no cycle.
///
/// Dependencies that are not keys of `order` are ignored.
pub fn cycle(order: &Order) -> Option<Vec<RoleName>> {
    // Removes roles without dependencies until only roles are left that depend
    // on a cycle. Not recursive: a chain may be as long as the number of roles.
    let mut stuck: BTreeSet<&RoleName> = order.keys().collect();
    let mut waits: BTreeMap<&RoleName, usize> = BTreeMap::new();
    let mut waiting: BTreeMap<&RoleName, Vec<&RoleName>> = BTreeMap::new();
    for (role, after) in order {
        let there = after.iter().filter(|after| order.contains_key(*after));
        for after in there {
            *waits.entry(role).or_default() += 1;
            waiting.entry(after).or_default().push(role);
        }
    }
    let mut free: Vec<&RoleName> = stuck.iter().copied().collect();
    free.retain(|role| !waits.contains_key(role));
    while let Some(role) = free.pop() {
        stuck.remove(role);
        for next in waiting.remove(role).unwrap_or_default() {
            let left = waits.entry(next).or_default();
            *left -= 1;
            if *left == 0 {
                free.push(next);
            }
        }
    }
    let mut way = vec![*stuck.first()?];
    loop {
        let last = *way.last()?;
        // Each remaining role depends on a remaining one.
        let next = order[last].iter().find(|after| stuck.contains(after))?;
        if let Some(start) = way.iter().position(|role| *role == next) {
            let mut cycle: Vec<RoleName> = way.split_off(start).into_iter().cloned().collect();
            cycle.push(next.clone());
            return Some(cycle);
        }
        way.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(lines: &[(&str, &[&str])]) -> Order {
        let name = |name: &&str| name.parse::<RoleName>().unwrap();
        let lines = lines.iter();
        lines
            .map(|(role, after)| (name(role), after.iter().map(name).collect()))
            .collect()
    }

    fn found(lines: &[(&str, &[&str])]) -> Option<String> {
        let cycle = cycle(&order(lines))?;
        let names: Vec<_> = cycle.iter().map(RoleName::as_str).collect();
        Some(names.join(" "))
    }

    #[test]
    fn a_cycle_repeats_its_first_role() {
        assert_eq!(found(&[("a", &["b"]), ("b", &["gone"])]), None);
        assert_eq!(found(&[("a", &["a"])]).as_deref(), Some("a a"));
        assert_eq!(
            found(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]).as_deref(),
            Some("b c b")
        );
    }

    proptest! {
        #[test]
        fn only_backward_edges_make_a_cycle(
            edges in proptest::collection::vec((0_usize..40, 0_usize..40), 0..120),
        ) {
            let name = |number: usize| format!("r{number}").parse::<RoleName>().unwrap();
            let mut order = Order::new();
            for (one, other) in edges {
                let (early, late) = (one.min(other), one.max(other));
                order.entry(name(early)).or_default();
                if early != late {
                    order.entry(name(late)).or_default().push(name(early));
                }
            }
            prop_assert_eq!(cycle(&order), None);
            let ends: Vec<_> = order.keys().cloned().collect();
            if let [first, .., last] = &*ends {
                order.entry(first.clone()).or_default().push(last.clone());
                order.entry(last.clone()).or_default().push(first.clone());
                let cycle = cycle(&order).unwrap();
                for pair in cycle.windows(2) {
                    prop_assert!(order[&pair[0]].contains(&pair[1]));
                }
                prop_assert_eq!(cycle.first(), cycle.last());
            }
        }
    }
}
