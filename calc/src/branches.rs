//! Other branches as formulas see them: `x[ON whatif]` is what x is there, at the members of the
//! same keys.
//!
//! A checked formula holds the revision of each branch that it reads, so nothing looks a branch up
//! while it evaluates. When such a branch gets a new head, [`crate::Revision::follow`] checks the
//! formula against it and computes it where the branch has other values.
//!
//! Invariant: branches never read each other in a circle, so their heads can be computed one after
//! the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::{CubeId, MeasureId, Version};

use crate::Revision;
use crate::evaluate::Session;
use crate::node::{Frame, Scope};
use crate::points::Points;

/// The branches of a tenant, as the formulas of one of them see the others.
pub trait Branches {
    /// The name of the branch whose formulas are checked.
    fn own(&self) -> &str;
    /// The branch of a name, by the name it goes by, with its head.
    fn find(&self, name: &str) -> Option<(Arc<str>, Revision)>;
    /// All names, for hints.
    fn names(&self) -> Vec<Arc<str>>;
    /// What the branch holds, for hints that name members; before the command, or after it.
    fn held(&self) -> Option<&Version> {
        None
    }
}

/// Branches, with what the own one holds.
pub struct WithMembers<'a> {
    /// The branches.
    pub branches: &'a dyn Branches,
    /// What the own one holds.
    pub version: &'a Version,
}

impl Branches for WithMembers<'_> {
    fn own(&self) -> &str {
        self.branches.own()
    }

    fn find(&self, name: &str) -> Option<(Arc<str>, Revision)> {
        self.branches.find(name)
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.branches.names()
    }

    fn held(&self) -> Option<&Version> {
        Some(self.version)
    }
}

/// A branch that knows no other.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Branches for Alone {
    fn own(&self) -> &'static str {
        "main"
    }

    fn find(&self, _name: &str) -> Option<(Arc<str>, Revision)> {
        None
    }

    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// An expression on another branch.
#[derive(Debug, Clone)]
pub struct OnBranch {
    /// The branch's name.
    pub branch: Arc<str>,
    /// Its head when the formula was computed last.
    pub head: Arc<Revision>,
    /// What is read there, in that branch's model.
    pub scope: Scope,
    /// The same axes in the own model.
    pub frame: Frame,
}

impl OnBranch {
    /// A calculation on the other branch.
    pub(crate) fn session<'a>(&'a self, target: &'a str) -> Session<'a> {
        Session::new(&self.head.version, &self.head.plan.tables, target)
    }

    /// The branches that it reads, with their heads.
    pub(crate) fn collect_heads(&self, heads: &mut BTreeMap<Arc<str>, Arc<Revision>>) {
        heads.insert(Arc::clone(&self.branch), Arc::clone(&self.head));
        self.scope.node.on_branches().into_iter().for_each(|on| on.collect_heads(heads));
    }

    /// The measures that it reads of a branch.
    fn collect_reads(&self, branch: &str, reads: &mut BTreeSet<(CubeId, MeasureId)>) {
        if *self.branch == *branch {
            reads.extend(self.scope.node.reads());
        }
        self.scope.node.on_branches().into_iter().for_each(|on| on.collect_reads(branch, reads));
    }
}

/// How a branch's head differs from the one before.
#[derive(Debug)]
pub struct BranchChange {
    /// The branch.
    pub branch: Arc<str>,
    /// Coordinates at which measures have other values; none where definitions or members are
    /// other ones, so that everything may be.
    pub values: Option<Vec<(CubeId, MeasureId, Points)>>,
}

impl BranchChange {
    /// What differs of what an expression reads there.
    pub(crate) fn between(
        branch: &Arc<str>,
        before: &Version,
        after: &Version,
        expressions: &[&OnBranch],
    ) -> Self {
        let branch = Arc::clone(branch);
        let dimensions = before.dimensions.iter().zip(&after.dimensions);
        let means_the_same = Arc::ptr_eq(&before.model, &after.model)
            && { dimensions }.all(|(a, b)| Arc::ptr_eq(a, b))
            && before.texts.has_codes_of(&after.texts);
        if !means_the_same {
            return Self { branch, values: None };
        }
        let mut reads = BTreeSet::new();
        expressions.iter().for_each(|on| on.collect_reads(&branch, &mut reads));
        let changed = |(cube, measure): (CubeId, MeasureId)| {
            let axes = after.model.cube_def(cube).dimensions.len();
            let columns = after.rows(cube).changed_at(before.rows(cube), measure, axes);
            let len = columns.first().map_or(0, Vec::len);
            let columns = columns.into_iter().map(Some).collect();
            (len > 0).then_some((cube, measure, Points { len, columns }))
        };
        Self { branch, values: Some(reads.into_iter().filter_map(changed).collect()) }
    }

    /// Whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.as_ref().is_some_and(Vec::is_empty)
    }
}
