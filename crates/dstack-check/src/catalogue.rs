//! The list of the checks a crate knows, in an order in which they can be carried out.

use std::collections::{BTreeSet, HashMap};

use crate::CheckDef;

/// What is wrong with a list of checks. It is a mistake in a program, best caught by a test of the crate that has the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// The id does not follow the grammar of [`CheckId`](crate::CheckId).
    #[error(
        "check id `{id}` is not two or more dot-separated segments of lower-case letters, digits and hyphens"
    )]
    MalformedId {
        /// The id.
        id: &'static str,
    },
    /// Two checks have the same id.
    #[error("check id `{id}` is used twice")]
    DuplicateId {
        /// The id.
        id: &'static str,
    },
    /// A check stands on one that is not in the list.
    #[error("check `{id}` stands on `{parent}`, which is not in the catalogue")]
    UnknownParent {
        /// The check.
        id: &'static str,
        /// What it names as its parent.
        parent: &'static str,
    },
    /// Checks stand on each other in a circle.
    #[error("checks stand on each other in a circle: {}", .path.join(" -> "))]
    Cycle {
        /// The way round, each check followed by a parent of it; the first id is repeated at the end.
        path: Vec<&'static str>,
    },
    /// A selection names a check that is not in the list.
    #[error("there is no check `{id}`")]
    NoSuchCheck {
        /// The id asked for.
        id: String,
    },
}

/// A validated list of checks, in an order in which every check comes after those it stands on.
///
/// The order is stable: checks stay in the order they were declared, except that parents are moved before their
/// children.
///
/// ```
/// use dstack_check::{Catalogue, CheckDef};
///
/// let catalogue = Catalogue::new([
///     CheckDef::new("dns.caa.issue", "the CAA record names the issuer").parents(&["dns.zone.delegated"]),
///     CheckDef::new("dns.zone.delegated", "the zone is delegated"),
/// ])?;
/// let order: Vec<&str> = catalogue.iter().map(|check| check.id).collect();
/// assert_eq!(order, ["dns.zone.delegated", "dns.caa.issue"]);
/// # Ok::<(), dstack_check::CatalogueError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    checks: Vec<CheckDef>,
    position: HashMap<&'static str, usize>,
}

impl Catalogue {
    /// Validates the checks and brings them into dependency order. Lists of several crates are joined by chaining them.
    ///
    /// # Errors
    /// The first thing found wrong: a malformed or doubled id, a parent that is not there, a circle.
    pub fn new(checks: impl IntoIterator<Item = CheckDef>) -> Result<Self, CatalogueError> {
        let declared: Vec<CheckDef> = checks.into_iter().collect();
        let mut index = HashMap::with_capacity(declared.len());
        for (at, check) in declared.iter().enumerate() {
            if !check.check_id().is_well_formed() {
                return Err(CatalogueError::MalformedId { id: check.id });
            }
            if index.insert(check.id, at).is_some() {
                return Err(CatalogueError::DuplicateId { id: check.id });
            }
        }
        let mut parents = Vec::with_capacity(declared.len());
        for check in &declared {
            let mut row = Vec::with_capacity(check.parents.len());
            for &parent in check.parents {
                let unknown = CatalogueError::UnknownParent { id: check.id, parent };
                row.push(*index.get(parent).ok_or(unknown)?);
            }
            parents.push(row);
        }
        let order = dependency_order(&parents).map_err(|path| CatalogueError::Cycle {
            path: path.iter().map(|&at| declared[at].id).collect(),
        })?;
        let checks: Vec<CheckDef> = order.into_iter().map(|at| declared[at]).collect();
        let position = checks.iter().enumerate().map(|(at, check)| (check.id, at)).collect();
        Ok(Self { checks, position })
    }

    /// The checks, parents before children.
    pub fn iter(&self) -> std::slice::Iter<'_, CheckDef> {
        self.checks.iter()
    }

    /// How many checks there are.
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether there is no check.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }

    /// The check with this id.
    pub fn get(&self, id: &str) -> Option<&CheckDef> {
        self.position.get(id).map(|&at| &self.checks[at])
    }

    /// The checks that stand directly on this one.
    pub fn children<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a CheckDef> {
        self.checks.iter().filter(move |check| check.parents.contains(&id))
    }

    /// The layers, in the order of their first check.
    pub fn layers(&self) -> Vec<&'static str> {
        let mut layers = Vec::new();
        for check in &self.checks {
            if !layers.contains(&check.layer) {
                layers.push(check.layer);
            }
        }
        layers
    }

    /// The checks named and everything they stand on, as a catalogue of its own.
    ///
    /// # Errors
    /// [`CatalogueError::NoSuchCheck`] for an id that is not there.
    pub fn select<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Result<Self, CatalogueError> {
        let mut wanted = BTreeSet::new();
        let mut open = Vec::new();
        for id in ids {
            let at =
                *self.position.get(id).ok_or_else(|| CatalogueError::NoSuchCheck { id: id.to_owned() })?;
            open.push(at);
        }
        while let Some(at) = open.pop() {
            if wanted.insert(at) {
                open.extend(self.checks[at].parents.iter().map(|parent| self.position[parent]));
            }
        }
        let checks: Vec<CheckDef> = wanted.into_iter().map(|at| self.checks[at]).collect();
        let position = checks.iter().enumerate().map(|(at, check)| (check.id, at)).collect();
        Ok(Self { checks, position })
    }
}

impl<'a> IntoIterator for &'a Catalogue {
    type Item = &'a CheckDef;
    type IntoIter = std::slice::Iter<'a, CheckDef>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The nodes with parents first, else in their given order; or the way round a circle.
fn dependency_order(parents: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; parents.len()];
    let mut order = Vec::with_capacity(parents.len());
    // A path of nodes whose parents are being visited, with how many parents are done: no recursion, so that the depth
    // of a list is no concern.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for root in 0..parents.len() {
        if marks[root] != Mark::New {
            continue;
        }
        marks[root] = Mark::Open;
        path.push((root, 0));
        while let Some(&mut (node, ref mut next)) = path.last_mut() {
            let Some(&parent) = parents[node].get(*next) else {
                marks[node] = Mark::Done;
                order.push(node);
                path.pop();
                continue;
            };
            *next += 1;
            match marks[parent] {
                Mark::Done => {}
                Mark::New => {
                    marks[parent] = Mark::Open;
                    path.push((parent, 0));
                }
                Mark::Open => {
                    let mut circle: Vec<usize> =
                        path.iter().map(|&(at, _)| at).skip_while(|&at| at != parent).collect();
                    circle.push(parent);
                    return Err(circle);
                }
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::CheckId;

    const A: CheckDef = CheckDef::new("t.a", "a holds").layer("one");
    const B: CheckDef = CheckDef::new("t.b", "b holds").layer("two").parents(&["t.a"]);
    const C: CheckDef = CheckDef::new("t.c", "c holds").layer("one").parents(&["t.b", "t.a"]);
    const D: CheckDef = CheckDef::new("t.d", "d holds");

    fn order(checks: &[CheckDef]) -> Vec<&'static str> {
        Catalogue::new(checks.iter().copied()).unwrap().iter().map(|check| check.id).collect()
    }

    #[test]
    fn parents_come_first_and_the_declared_order_stays() {
        assert_eq!(order(&[A, B, C, D]), ["t.a", "t.b", "t.c", "t.d"]);
        assert_eq!(order(&[D, C, B, A]), ["t.d", "t.a", "t.b", "t.c"]);
        assert_eq!(order(&[]), [""; 0]);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |checks: &[CheckDef]| Catalogue::new(checks.iter().copied()).unwrap_err().to_string();
        let all = [
            message(&[CheckDef::new("Hw.CPU", "t")]),
            message(&[CheckDef::new("single", "t")]),
            message(&[A, A]),
            message(&[B]),
            message(&[
                D,
                CheckDef::new("t.x", "x").parents(&["t.y"]),
                CheckDef::new("t.y", "y").parents(&["t.d", "t.z"]),
                CheckDef::new("t.z", "z").parents(&["t.x"]),
            ]),
            message(&[CheckDef::new("t.self", "s").parents(&["t.self"])]),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn lookups() {
        let catalogue = Catalogue::new([D, C, B, A]).unwrap();
        assert_eq!(catalogue.len(), 4);
        assert_eq!(catalogue.get("t.b"), Some(&B));
        assert_eq!(catalogue.get("t.nope"), None);
        assert_eq!(catalogue.layers(), ["", "one", "two"]);
        let children: Vec<&str> = catalogue.children("t.a").map(|check| check.id).collect();
        assert_eq!(children, ["t.b", "t.c"]);
    }

    #[test]
    fn a_selection_brings_its_parents() {
        let catalogue = Catalogue::new([A, B, C, D]).unwrap();
        let ids = |catalogue: Catalogue| catalogue.iter().map(|check| check.id).collect::<Vec<_>>();
        assert_eq!(ids(catalogue.select(["t.b"]).unwrap()), ["t.a", "t.b"]);
        assert_eq!(ids(catalogue.select(["t.d", "t.c"]).unwrap()), ["t.a", "t.b", "t.c", "t.d"]);
        let gone = catalogue.select(["t.q"]).unwrap_err();
        assert_eq!(gone, CatalogueError::NoSuchCheck { id: "t.q".to_owned() });
    }

    #[test]
    fn findings_carry_layer_and_parents() {
        let finding = C.fail();
        assert_eq!(finding.layer.as_deref(), Some("one"));
        assert_eq!(finding.parents, [CheckId::from("t.b"), CheckId::from("t.a")]);
        assert_eq!(finding.title, "c holds");
    }

    proptest! {
        #[test]
        fn any_acyclic_graph_is_ordered(edges in prop::collection::vec((0usize..30, 0usize..30), 0..120)) {
            // Edges from a higher to a lower number cannot form a circle.
            let mut parents = vec![Vec::new(); 30];
            for (a, b) in edges {
                if a != b {
                    parents[a.max(b)].push(a.min(b));
                }
            }
            let order = dependency_order(&parents).unwrap();
            prop_assert_eq!(order, (0..30).collect::<Vec<_>>());
            // Numbered the other way round, every parent is declared after its child.
            let flipped: Vec<Vec<usize>> =
                parents.iter().rev().map(|row| row.iter().map(|p| 29 - p).collect()).collect();
            let order = dependency_order(&flipped).unwrap();
            let place = |node: usize| order.iter().position(|&n| n == node).unwrap();
            for (node, row) in flipped.iter().enumerate() {
                for &parent in row {
                    prop_assert!(place(parent) < place(node));
                }
            }
        }
    }
}
