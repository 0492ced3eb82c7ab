//! Formulas that need each other. They may where one cell never needs itself: along one dimension each
//! way around leads to earlier members, as an opening balance is the closing balance of the month before.
//!
//! How far a read may look ahead is followed through the tree of a formula, and so are the members it
//! can meet: a formula of one member reads the same measure at another one. What cannot be followed may
//! be anywhere.

use std::collections::BTreeSet;

use cube::region::Region;
use cube::{CubeId, DimensionId, LevelId, MeasureId, Model, Version};

use crate::check::Formula;
use crate::evaluate::Session;
use crate::evaluate::support::Filters;
use crate::node::{Axis, Frame, Kind, MemberMap, Node, Range, Reduce, WindowHow};
use crate::syntax::Span;
use crate::tables::Tables;

/// Cells of a measure that a formula reads.
pub(crate) struct Read {
    pub of: (CubeId, MeasureId),
    /// The members they are of, per axis of the cube.
    filters: Filters,
    /// So many members after the formula's own cell at most, along the axis asked about.
    pub ahead: Option<i64>,
    /// Where it stands in the formula's text.
    span: Span,
}

/// A formula that reads another, by their places in a list.
pub(crate) struct Edge {
    pub reader: usize,
    pub read: usize,
    pub ahead: Option<i64>,
}

/// The axis along which formulas can be computed one member after the other: none that reads one of
/// them leads, by way of others, to a member that is not earlier.
pub(crate) fn advancing(
    model: &Model,
    formulas: &[&Formula],
    edges: &dyn Fn(Axis) -> Vec<Edge>,
) -> Option<(Axis, Vec<Edge>)> {
    let first = formulas.first()?;
    first.frame.axes.iter().find_map(|axis| {
        let along = coarsest(model, formulas, axis.dimension)?;
        let edges = edges(along);
        is_earlier(formulas.len(), &edges).then_some((along, edges))
    })
}

/// Whether a formula reads its own measure at earlier members of a dimension only.
pub(crate) fn is_lagged(model: &Model, formula: &Formula) -> bool {
    formula.frame.axes.iter().any(|&along| unlagged(model, formula, along).is_empty())
}

/// Where a formula reads its own measure, as no dimension lets it: of the one along which most reads are
/// of earlier members, the first other one.
pub(crate) fn own_read(model: &Model, formula: &Formula) -> Option<Span> {
    let axes = formula.frame.axes.iter();
    let along_each = axes.map(|&along| unlagged(model, formula, along));
    along_each.min_by_key(Vec::len)?.first().copied()
}

/// Where a formula reads its own measure at members that are not earlier ones of a dimension.
fn unlagged(model: &Model, formula: &Formula, along: Axis) -> Vec<Span> {
    let own = |read: &Read| read.of == (formula.cube, formula.measure);
    let is_earlier = |read: &Read| read.ahead.is_some_and(|ahead| ahead < 0);
    let reads = reads(model, None, formula, Some(along)).into_iter();
    reads.filter(|read| own(read) && !is_earlier(read)).map(|read| read.span).collect()
}

/// The level of a dimension above which no formula has its cells, where they can be compared there.
fn coarsest(model: &Model, formulas: &[&Formula], dimension: DimensionId) -> Option<Axis> {
    let axes: Option<Vec<Axis>> = formulas
        .iter()
        .map(|formula| formula.frame.position(dimension).map(|at| formula.frame.axes[at]))
        .collect();
    let axes = axes?;
    let is_above = |above: &&Axis| {
        axes.iter().all(|axis| is_at_or_below(model, dimension, axis.level, above.level))
    };
    axes.iter().find(is_above).copied()
}

/// Whether the members of a level each are one of another level or below one.
fn is_at_or_below(
    model: &Model,
    dimension: DimensionId,
    level: Option<LevelId>,
    above: Option<LevelId>,
) -> bool {
    if level == above || (level.is_none() && above.is_some()) {
        return true;
    }
    let def = model.dimension_def(dimension);
    let (Some(level), Some(above)) = (level, above) else { return false };
    let (level, above) = (&def.levels[level.idx()].name, &def.levels[above.idx()].name);
    def.hierarchies.iter().any(|hierarchy| {
        let position = |name: &String| hierarchy.levels.iter().position(|level| level == name);
        matches!((position(level), position(above)), (Some(level), Some(above)) if level >= above)
    })
}

/// Whether every way around leads to earlier members: with one more than the number of formulas for
/// each member and one for each step, no way around may gain.
fn is_earlier(formula_count: usize, edges: &[Edge]) -> bool {
    let steps = formula_count as i64 + 1;
    let mut gained = vec![0i64; formula_count];
    for _ in 0..=formula_count {
        let mut is_done = true;
        for edge in edges {
            let Some(ahead) = edge.ahead else { return false };
            let through = gained[edge.reader].saturating_add(ahead.saturating_mul(steps) + 1);
            if through > gained[edge.read] {
                gained[edge.read] = through;
                is_done = false;
            }
        }
        if is_done {
            return true;
        }
    }
    false
}

/// Formulas one of whose cells may need itself, with the members that there are.
pub(crate) fn circular<'a>(
    formulas: &[&'a Formula],
    version: &Version,
    tables: &Tables,
) -> Option<Vec<&'a Formula>> {
    let regions: Vec<Option<&Region>> = formulas
        .iter()
        .map(|formula| version.regions.iter().find(|region| region.target == formula.target))
        .collect();
    let inside: Vec<Filters> = formulas
        .iter()
        .zip(&regions)
        .map(|(formula, region)| {
            let mut inside: Filters = vec![None; formula.frame.axes.len()];
            for (axis, members) in region.map_or(&[] as &[_], |region| &region.members) {
                inside[*axis] = Some(members.clone());
            }
            inside
        })
        .collect();
    let computing = |read: &Read| -> Vec<usize> {
        let places = 0..formulas.len();
        let of_measure = places.filter(|&at| (formulas[at].cube, formulas[at].measure) == read.of);
        let hit: Vec<usize> = of_measure.filter(|&at| meets(&read.filters, &inside[at])).collect();
        let contains = |outer: usize, inner: usize| match (regions[outer], regions[inner]) {
            (None, inner) => inner.is_some(),
            (Some(outer), Some(inner)) => outer.contains_region(inner),
            (Some(_), None) => false,
        };
        // all of what is read may be computed by a formula within the others
        let owner = hit.iter().copied().find(|&at| {
            is_within(&read.filters, &inside[at]) && !hit.iter().any(|&other| contains(at, other))
        });
        owner.map_or(hit, |owner| vec![owner])
    };
    let edges_from = |reader: usize, along: Option<Axis>| -> Vec<Edge> {
        let formula = formulas[reader];
        let session = Session::new(version, tables, &formula.target);
        let found = reads(&version.model, Some((&session, &inside[reader])), formula, along);
        let edges = found.iter().flat_map(|read| {
            computing(read).into_iter().map(|of| Edge { reader, read: of, ahead: read.ahead })
        });
        edges.collect()
    };
    let needs: Vec<BTreeSet<usize>> = (0..formulas.len())
        .map(|reader| edges_from(reader, None).into_iter().map(|edge| edge.read).collect())
        .collect();
    let reaches: Vec<BTreeSet<usize>> =
        (0..formulas.len()).map(|from| reach(from, |at| needs[at].iter().copied())).collect();
    let mut judged: BTreeSet<usize> = BTreeSet::new();
    for at in 0..formulas.len() {
        if !reaches[at].contains(&at) || judged.contains(&at) {
            continue;
        }
        let around = reaches[at].iter().copied().filter(|&other| reaches[other].contains(&at));
        let around: Vec<usize> = around.collect();
        judged.extend(&around);
        let members: Vec<&Formula> = around.iter().map(|&other| formulas[other]).collect();
        let edges = |along: Axis| -> Vec<Edge> {
            let all = around.iter().flat_map(|&reader| edges_from(reader, Some(along)));
            let place = |formula: usize| around.iter().position(|&other| other == formula);
            all.filter_map(|edge| {
                let (reader, read) = (place(edge.reader)?, place(edge.read)?);
                Some(Edge { reader, read, ahead: edge.ahead })
            })
            .collect()
        };
        if advancing(&version.model, &members, &edges).is_none() {
            return Some(members);
        }
    }
    None
}

/// All that can be reached, the start only where a way leads back to it.
pub(crate) fn reach<N: Iterator<Item = usize>>(
    from: usize,
    needs: impl Fn(usize) -> N,
) -> BTreeSet<usize> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(at) = next.pop() {
        next.extend(needs(at).filter(|need| seen.insert(*need)));
    }
    seen
}

/// What a formula reads; with a session, at which members, from those inside its region.
pub(crate) fn reads(
    model: &Model,
    members: Option<(&Session<'_>, &Filters)>,
    formula: &Formula,
    along: Option<Axis>,
) -> Vec<Read> {
    let filters = match members {
        Some((_, inside)) => inside.clone(),
        None => vec![None; formula.frame.axes.len()],
    };
    let session = members.map(|(session, _)| session);
    let mut walk = Walk { model, session, along, found: Vec::new() };
    walk.node(&formula.node, &formula.frame, &Seen { filters, ahead: Some(0) });
    walk.found
}

/// Points of a frame that a formula looks at.
#[derive(Clone)]
struct Seen {
    filters: Filters,
    ahead: Option<i64>,
}

struct Walk<'a> {
    model: &'a Model,
    session: Option<&'a Session<'a>>,
    along: Option<Axis>,
    found: Vec<Read>,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, frame: &Frame, seen: &Seen) {
        match &node.kind {
            Kind::Stored(cube, measure) => {
                let Seen { filters, ahead } = seen.clone();
                let of = (*cube, *measure);
                self.found.push(Read { of, filters, ahead, span: node.span });
            }
            Kind::At(scope, members) => {
                let inner = self.led(&scope.frame, frame, members.iter().enumerate(), seen);
                self.node(&scope.node, &scope.frame, &inner);
            }
            Kind::Tier(tier) => {
                let table = Frame::of_cube(self.model, tier.cube);
                let shared = tier.shared.iter().map(|(at, node)| (*at, node));
                let Seen { filters, ahead } = self.led(&table, frame, shared, seen);
                for measure in [tier.threshold, tier.rate] {
                    let filters = filters.clone();
                    let of = (tier.cube, measure);
                    self.found.push(Read { of, filters, ahead, span: node.span });
                }
            }
            Kind::Reduce(reduce) => {
                let inner = self.reduced(reduce, seen);
                let frame = &reduce.inner.frame;
                let nodes = reduce.by.iter().chain(&reduce.weight).chain([&reduce.inner.node]);
                nodes.for_each(|node| self.node(node, frame, &inner));
            }
            Kind::Window(window) => {
                let mut inner = seen.clone();
                inner.filters[window.axis] = None;
                if self.along_in(&window.frame) == Some(window.axis) {
                    let by = self.range_ahead(window.range, window.how);
                    inner.ahead = further(seen.ahead, by);
                }
                return self.node(&window.inner, &window.frame, &inner);
            }
            Kind::Share(share) => {
                let mut inner = seen.clone();
                for (axis, filter) in inner.filters.iter_mut().enumerate() {
                    if !share.group.contains(&axis) {
                        *filter = None;
                    }
                }
                if !self.along_in(&share.frame).is_some_and(|axis| share.group.contains(&axis)) {
                    inner.ahead = None;
                }
                self.node(&share.amount, &share.frame, &inner);
                return self.node(&share.basis, &share.frame, &inner);
            }
            _ => {}
        }
        node.children().into_iter().for_each(|child| self.node(child, frame, seen));
    }

    /// The axis of a frame that is the one asked about, where its members can be compared.
    fn along_in(&self, frame: &Frame) -> Option<usize> {
        let along = self.along?;
        let at = frame.position(along.dimension)?;
        let level = frame.axes[at].level;
        is_at_or_below(self.model, along.dimension, level, along.level).then_some(at)
    }

    /// The points of an inner frame to which members lead that are given for its axes.
    fn led<'n>(
        &self,
        inner: &Frame,
        outer: &Frame,
        members: impl Iterator<Item = (usize, &'n Node)>,
        seen: &Seen,
    ) -> Seen {
        let mut led = Seen { filters: vec![None; inner.axes.len()], ahead: None };
        let along = self.along_in(inner);
        for (at, member) in members {
            led.filters[at] =
                self.session.and_then(|session| session.filter_through(member, &seen.filters));
            if Some(at) == along {
                led.ahead = further(seen.ahead, self.member_ahead(member, outer));
            }
        }
        led
    }

    /// The points that an aggregation takes together.
    fn reduced(&self, reduce: &Reduce, seen: &Seen) -> Seen {
        let frame = &reduce.inner.frame;
        let filters = match self.session {
            Some(session) => session.inner_filters(reduce, &seen.filters),
            None => vec![None; frame.axes.len()],
        };
        let by = self.along_in(&reduce.result).and_then(|at| reduce.by.get(at));
        let is_kept = by.is_some_and(|member| self.is_own(member, frame));
        Seen { filters, ahead: seen.ahead.filter(|_| is_kept) }
    }

    /// Whether a member is that of the frame's own axis, or of a level above it.
    fn is_own(&self, member: &Node, frame: &Frame) -> bool {
        match &member.kind {
            Kind::Axis(at) => self.along_in(frame) == Some(*at),
            Kind::Map(inner, _, MemberMap::Ancestor(..)) => self.is_own(inner, frame),
            _ => false,
        }
    }

    /// How far a member is after that of the frame's own axis, at most.
    fn member_ahead(&self, member: &Node, frame: &Frame) -> Option<i64> {
        let along = self.along?;
        match &member.kind {
            Kind::Axis(at) => (self.along_in(frame) == Some(*at)).then_some(0),
            Kind::Map(inner, dimension, map) if *dimension == along.dimension => {
                let by = match map {
                    MemberMap::Shift(level, by) if *level == along.level => i64::from(*by),
                    // a member of a finer level back may be in the same one
                    MemberMap::Shift(_, by) => i64::from(*by).max(0),
                    MemberMap::Parallel(_, period, by) => self.periods(*period, i64::from(*by)),
                    MemberMap::Ancestor(..) => 0,
                    MemberMap::Parent(_) | MemberMap::Attribute(..) => return None,
                };
                further(self.member_ahead(inner, frame), Some(by))
            }
            _ => None,
        }
    }

    /// So many periods of a level further.
    fn periods(&self, period: LevelId, by: i64) -> i64 {
        let along = self.along.map(|along| (along.dimension, along.level));
        let is_whole = along.is_some_and(|(dimension, level)| {
            is_at_or_below(self.model, dimension, level, Some(period))
        });
        match by {
            // periods are of many members: looking ahead by one is not made up for by a few
            1.. => i64::from(i32::MAX),
            0 => 0,
            _ if is_whole => -1,
            _ => 0,
        }
    }

    fn range_ahead(&self, range: Range, how: WindowHow) -> Option<i64> {
        match (range, how) {
            (_, WindowHow::Rank { .. }) | (Range::Period(_) | Range::All, _) => None,
            (Range::PeriodBefore(period), _) => Some(self.periods(period, -1)),
            (Range::Cumulate | Range::ToDate(_) | Range::Moving(_), _) => Some(0),
        }
    }
}

fn further(so_far: Option<i64>, by: Option<i64>) -> Option<i64> {
    Some(so_far?.saturating_add(by?))
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
