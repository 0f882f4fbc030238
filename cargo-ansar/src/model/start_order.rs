//! The order that roles start in, as their properties say it.
//!
//! Owns what makes an order impossible. Does not know where it is written.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::name::RoleName;

/// For each role, those that are ready before it starts.
pub type Order = BTreeMap<RoleName, Vec<RoleName>>;

/// Roles of which each waits for the next, and the last for the first; the
/// first is repeated at the end. `None` where everybody can start.
///
/// Names that are no roles of the order are waited for by nobody.
pub fn cycle(order: &Order) -> Option<Vec<RoleName>> {
    // Takes away, over and over, whoever waits for nobody; a chain may be as
    // long as there are roles, so nothing here is recursive.
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
        // Whoever is stuck waits for somebody who is.
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
    fn a_cycle_is_told_from_its_first_role_to_itself() {
        assert_eq!(found(&[("a", &["b"]), ("b", &["gone"])]), None);
        assert_eq!(found(&[("a", &["a"])]).as_deref(), Some("a a"));
        assert_eq!(
            found(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]).as_deref(),
            Some("b c b")
        );
    }

    proptest! {
        #[test]
        fn whoever_waits_only_for_earlier_ones_can_start(
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
            if let (Some(first), Some(last)) = (ends.first(), ends.last())
                && first != last
            {
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
