//! Formulas with regions may read other cells of their own measure: which ones, members decide. Here
//! it is found out whether one of them needs itself, by way of others or not.

use std::collections::BTreeSet;

use cube::Version;
use cube::region::Region;

use crate::check::Formula;
use crate::evaluate::Session;
use crate::evaluate::support::Filters;
use crate::node::{Kind, MemberMap, Node, Range};
use crate::tables::Tables;

/// The targets of formulas that need each other's cells of one measure, if there are any.
pub(crate) fn cycle<'a>(
    formulas: impl Iterator<Item = &'a Formula>,
    version: &Version,
    tables: &Tables,
) -> Option<Vec<&'a Formula>> {
    let with_regions: Vec<(&Formula, Filters, &Region)> = formulas
        .filter_map(|formula| {
            let region = version.regions.iter().find(|region| region.target == formula.target)?;
            let mut inside: Filters = vec![None; formula.frame.axes.len()];
            for (axis, members) in &region.members {
                inside[*axis] = Some(members.clone());
            }
            Some((formula, inside, region))
        })
        .collect();
    let mut needs: Vec<BTreeSet<usize>> = Vec::new();
    for (formula, inside, _) in &with_regions {
        let session = Session::new(version, tables, &formula.target);
        let mut reads = Vec::new();
        own_reads(&session, formula, &formula.node, inside, &mut reads);
        let of_read = |read: &Filters| {
            let hit = with_regions.iter().enumerate().filter(|(_, (other, inside, _))| {
                (other.cube, other.measure) == (formula.cube, formula.measure)
                    && meets(read, inside)
            });
            let hit: Vec<usize> = hit.map(|(at, _)| at).collect();
            // all of what is read may be computed by a formula within the others
            let owner = hit.iter().copied().find(|&at| {
                is_within(read, &with_regions[at].1)
                    && !hit
                        .iter()
                        .any(|&other| with_regions[at].2.contains_region(with_regions[other].2))
            });
            owner.map_or(hit, |owner| vec![owner])
        };
        needs.push(reads.iter().flat_map(of_read).collect());
    }
    let reach = |from: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            next.extend(needs[at].iter().copied().filter(|need| seen.insert(*need)));
        }
        seen
    };
    let circular: Vec<usize> = (0..needs.len()).filter(|at| reach(*at).contains(at)).collect();
    (!circular.is_empty()).then(|| circular.into_iter().map(|at| with_regions[at].0).collect())
}

/// The cells of its own measure that a formula reads now, not at an earlier member, per read.
fn own_reads(
    session: &Session<'_>,
    formula: &Formula,
    node: &Node,
    filters: &Filters,
    reads: &mut Vec<Filters>,
) {
    match &node.kind {
        Kind::Stored(cube, measure) if (*cube, *measure) == (formula.cube, formula.measure) => {
            reads.push(filters.clone());
        }
        Kind::At(scope, members) => {
            let is_lagged = members.iter().any(
                |member| matches!(member.kind, Kind::Map(_, _, MemberMap::Shift(_, by)) if by < 0),
            );
            if !is_lagged {
                let inner = members.iter().map(|member| session.filter_through(member, filters));
                own_reads(session, formula, &scope.node, &inner.collect(), reads);
            }
        }
        Kind::Reduce(reduce) => {
            let inner = session.inner_filters(reduce, filters);
            let nodes = reduce.by.iter().chain(&reduce.weight).chain([&reduce.inner.node]);
            nodes.for_each(|node| own_reads(session, formula, node, &inner, reads));
        }
        Kind::Window(window) => {
            if !matches!(window.range, Range::PeriodBefore(_)) {
                let mut inner = filters.clone();
                inner[window.axis] = None;
                own_reads(session, formula, &window.inner, &inner, reads);
            }
            return;
        }
        Kind::Share(share) => {
            let kept = filters.iter().enumerate();
            let kept =
                kept.map(|(axis, filter)| filter.clone().filter(|_| share.group.contains(&axis)));
            let inner: Filters = kept.collect();
            own_reads(session, formula, &share.amount, &inner, reads);
            own_reads(session, formula, &share.basis, &inner, reads);
            return;
        }
        _ => {}
    }
    node.children()
        .into_iter()
        .for_each(|child| own_reads(session, formula, child, filters, reads));
}

fn meets(a: &Filters, b: &Filters) -> bool {
    a.iter().zip(b).all(|pair| match pair {
        (Some(a), Some(b)) => !a.is_disjoint(b),
        (Some(one), None) | (None, Some(one)) => !one.is_empty(),
        (None, None) => true,
    })
}

fn is_within(a: &Filters, b: &Filters) -> bool {
    a.iter().zip(b).all(|pair| match pair {
        (Some(a), Some(b)) => a.is_subset(b),
        (None, Some(_)) => false,
        (_, None) => true,
    })
}
