//! Support: at which points an expression can have a value, found from what is stored.
//!
//! The answer may hold points where the value turns out blank, never lacks one where it is not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use cube::{CubeId, MemberId};
use foldhash::fast::FixedState;
use roaring::RoaringBitmap;

use super::{Session, members_of, row_blocks};
use crate::check::{one_to_one, provided};
use crate::error::{CalcError, Result};
use crate::functions::{Support as Rule, support_of};
use crate::limits::FILLED_POINTS_MAX;
use crate::node::{Frame, Kind, Node, Reduce, Scope, Window};
use crate::points::{Block, Coder, Points, distinct};

/// Members wanted per axis; none: all.
pub type Filters = Vec<Option<RoaringBitmap>>;

/// Where an expression can have values.
#[derive(Debug)]
pub enum Support {
    /// It says nothing about it.
    Open,
    /// At the rows of a cube whose frame it is in.
    Rows(CubeId),
    /// At these points; axes left open take any member.
    Points(Points),
}

impl Session<'_> {
    /// The different points of a frame within filters at which an expression can have a value, as
    /// blocks. All axes of the frame must follow from the expression.
    pub fn domain(&self, node: &Node, frame: &Frame, filters: &Filters) -> Result<Vec<Block>> {
        if let Some(rows) = frame.rows {
            return Ok(row_blocks(self.version, rows, filters));
        }
        match self.support(node, frame, filters)? {
            Support::Rows(cube) => Ok(row_blocks(self.version, cube, filters)),
            Support::Points(points) => {
                let points = self.closed(points, frame, filters)?;
                Ok(distinct(self.version, self.tables, frame, points).into_blocks())
            }
            Support::Open => Ok(Vec::new()),
        }
    }

    /// Points with members for every axis: open ones take all that are wanted.
    pub fn closed(&self, mut points: Points, frame: &Frame, filters: &Filters) -> Result<Points> {
        for axis in 0..frame.axes.len() {
            if points.columns[axis].is_none() {
                points = self.crossed(points, frame, axis, filters)?;
            }
        }
        Ok(points)
    }

    /// Points once for each member of an axis.
    fn crossed(
        &self,
        points: Points,
        frame: &Frame,
        axis: usize,
        filters: &Filters,
    ) -> Result<Points> {
        let order = self.tables.order(self.version, frame.axes[axis]);
        let wanted = |member: &&MemberId| {
            filters[axis].as_ref().is_none_or(|wanted| wanted.contains(member.0))
        };
        let members: Vec<MemberId> = order.members.iter().filter(wanted).copied().collect();
        self.check_density(points.len.saturating_mul(members.len()))?;
        let places: Vec<u32> =
            (0..points.len as u32).flat_map(|at| members.iter().map(move |_| at)).collect();
        let mut crossed = points.taken(&places);
        crossed.columns[axis] =
            Some((0..points.len).flat_map(|_| members.iter().copied()).collect());
        Ok(crossed)
    }

    pub(super) fn check_density(&self, points: usize) -> Result<()> {
        if points <= FILLED_POINTS_MAX {
            return Ok(());
        }
        let target = self.target.to_string();
        Err(CalcError::TooManyCells { target, count: points, max: FILLED_POINTS_MAX })
    }

    /// Where an expression can have values, within filters.
    pub fn support(&self, node: &Node, frame: &Frame, filters: &Filters) -> Result<Support> {
        match &node.kind {
            Kind::Stored(cube, _) => Ok(Support::Rows(*cube)),
            Kind::Apply(function, arguments) => {
                let arguments: Vec<&Node> = arguments.iter().collect();
                match support_of(*function) {
                    Rule::All => self.intersection(&arguments, frame, filters),
                    Rule::First => self.support(arguments[0], frame, filters),
                    Rule::Any => {
                        let widest = arguments.iter().fold(0, |mask, node| mask | node.mask);
                        let wide: Vec<&Node> =
                            arguments.iter().copied().filter(|node| node.mask == widest).collect();
                        // where none varies over all, each adds its own
                        let all = if wide.is_empty() { &arguments } else { &wide };
                        self.union(all, frame, filters)
                    }
                }
            }
            Kind::At(scope, members) => self.support_at(node, scope, members, frame, filters),
            Kind::Reduce(reduce) => self.support_reduce(reduce, filters),
            Kind::Window(window) => self.support_window(window, filters),
            Kind::Tier(tier) => self.support(&tier.value, frame, filters),
            Kind::Share(share) => self.intersection(&[&share.basis, &share.amount], frame, filters),
            Kind::Fill(value, scope) => self.union(&[value, scope], frame, filters),
            Kind::OnBranch(on) => self.support_on_branch(on, filters),
            Kind::MemberText(member, ..) => self.support(member, frame, filters),
            Kind::Literal(_)
            | Kind::Blank
            | Kind::MemberLiteral(..)
            | Kind::Axis(_)
            | Kind::Map(..)
            | Kind::Attribute(..)
            | Kind::DateMember(..)
            | Kind::Period(..) => Ok(Support::Open),
        }
    }

    pub(super) fn points(
        &self,
        support: Support,
        frame: &Frame,
        filters: &Filters,
    ) -> Option<Points> {
        match support {
            Support::Open => None,
            Support::Rows(cube) => {
                let blocks = row_blocks(self.version, cube, filters);
                Some(Points::of_blocks(&blocks, frame.axes.len()))
            }
            Support::Points(points) => Some(points),
        }
    }

    fn union(&self, nodes: &[&Node], frame: &Frame, filters: &Filters) -> Result<Support> {
        let mut total = Support::Open;
        for node in nodes {
            let next = self.support(node, frame, filters)?;
            total = match (total, next) {
                (Support::Open, next) => next,
                (total, Support::Open) => total,
                (Support::Rows(a), Support::Rows(b)) if a == b => Support::Rows(a),
                (a, b) => {
                    let (a, b) = (self.points(a, frame, filters), self.points(b, frame, filters));
                    Support::Points(self.united(a, b, frame, filters)?)
                }
            };
        }
        Ok(total)
    }

    fn united(
        &self,
        a: Option<Points>,
        b: Option<Points>,
        frame: &Frame,
        filters: &Filters,
    ) -> Result<Points> {
        let (mut a, mut b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (Some(one), None) | (None, Some(one)) => return Ok(one),
            (None, None) => return Ok(Points::none(frame.axes.len())),
        };
        if a.known() != b.known() {
            a = self.closed(a, frame, filters)?;
            b = self.closed(b, frame, filters)?;
        }
        if a.len + b.len > FILLED_POINTS_MAX {
            // what several operands fill is counted once
            a = distinct_known(self, frame, a);
            b = distinct_known(self, frame, b);
        }
        a.len += b.len;
        for (into, from) in a.columns.iter_mut().zip(b.columns) {
            if let (Some(into), Some(from)) = (into, from) {
                into.extend(from);
            }
        }
        Ok(a)
    }

    /// Where all can have values. One that covers every axis is enough: the others only take away.
    fn intersection(&self, nodes: &[&Node], frame: &Frame, filters: &Filters) -> Result<Support> {
        let all = nodes.iter().fold(0, |mask, node| mask | provided(node));
        let mut covering: Vec<&Node> =
            nodes.iter().copied().filter(|node| provided(node) == all && all != 0).collect();
        covering.sort_by_key(|node| !matches!(node.kind, Kind::Stored(..)));
        if let Some(node) = covering.first() {
            return self.support(node, frame, filters);
        }
        let mut joined: Option<Points> = None;
        for node in nodes {
            let support = self.support(node, frame, filters)?;
            let Some(next) = self.points(support, frame, filters) else { continue };
            joined = Some(match joined {
                None => next,
                Some(points) => self.joined(&points, &next, frame)?,
            });
        }
        Ok(joined.map_or(Support::Open, Support::Points))
    }

    /// Points that agree on the axes that both know.
    fn joined(&self, a: &Points, b: &Points, frame: &Frame) -> Result<Points> {
        let common: Vec<usize> = (0..frame.axes.len())
            .filter(|&axis| a.columns[axis].is_some() && b.columns[axis].is_some())
            .collect();
        let key = |points: &Points, at: usize| -> Vec<MemberId> {
            let columns = common.iter().filter_map(|&axis| points.columns[axis].as_ref());
            columns.map(|column| column[at]).collect()
        };
        let mut places: HashMap<Vec<MemberId>, Vec<u32>, FixedState> =
            HashMap::with_hasher(FixedState::default());
        for at in 0..b.len {
            places.entry(key(b, at)).or_default().push(at as u32);
        }
        let found: Vec<&[u32]> = (0..a.len)
            .map(|at| places.get(&key(a, at)).map_or(&[] as &[u32], Vec::as_slice))
            .collect();
        self.check_density(found.iter().map(|found| found.len()).sum())?;
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (at, found) in found.into_iter().enumerate() {
            left.extend(found.iter().map(|_| at as u32));
            right.extend_from_slice(found);
        }
        let (left, right) = (a.taken(&left), b.taken(&right));
        let columns = left.columns.into_iter().zip(right.columns);
        Ok(Points { len: left.len, columns: columns.map(|(a, b)| a.or(b)).collect() })
    }

    /// The members of an inner axis that points within filters can lead to.
    pub(crate) fn filter_through(&self, member: &Node, filters: &Filters) -> Option<RoaringBitmap> {
        match &member.kind {
            Kind::Axis(axis) => filters[*axis].clone(),
            Kind::Map(inner, dimension, map) => {
                let members = self.filter_through(inner, filters)?;
                Some(self.tables.map(self.version, *dimension, map).image_of(&members))
            }
            Kind::MemberLiteral(dimension, text) => {
                let member = self.tables.literal(self.version, *dimension, text);
                Some((member != MemberId::NONE).then_some(member.0).into_iter().collect())
            }
            _ => None,
        }
    }

    /// The members of an axis that lead into wanted ones through a node; none: it cannot be said.
    pub(crate) fn filter_back(
        &self,
        member: &Node,
        wanted: &RoaringBitmap,
    ) -> Option<(usize, RoaringBitmap)> {
        match &member.kind {
            Kind::Axis(axis) => Some((*axis, wanted.clone())),
            Kind::Map(inner, dimension, map) => {
                let sources = self.tables.map(self.version, *dimension, map).sources_of(wanted);
                self.filter_back(inner, &sources)
            }
            _ => None,
        }
    }

    /// Through a one-to-one map, the member that leads to a member.
    pub(crate) fn led_from(&self, node: &Node, member: MemberId) -> MemberId {
        match &node.kind {
            Kind::Map(inner, dimension, map) => {
                let table = self.tables.map(self.version, *dimension, map);
                match table.sources(member) {
                    [source, ..] => self.led_from(inner, *source),
                    [] => MemberId::NONE,
                }
            }
            _ => member,
        }
    }

    fn support_at(
        &self,
        node: &Node,
        scope: &Scope,
        members: &[Node],
        frame: &Frame,
        filters: &Filters,
    ) -> Result<Support> {
        let inner_filters: Filters =
            members.iter().map(|member| self.filter_through(member, filters)).collect();
        let support = self.support(&scope.node, &scope.frame, &inner_filters)?;
        let mut columns: Vec<Option<Vec<MemberId>>> = vec![None; frame.axes.len()];
        let mut len = 1;
        if let Some(inner) = self.points(support, &scope.frame, &inner_filters) {
            len = inner.len;
            for (position, member) in members.iter().enumerate() {
                if let (Some(axis), Some(column)) = (one_to_one(member), &inner.columns[position]) {
                    let back = column.iter().map(|&inner| self.led_from(member, inner));
                    columns[axis] = Some(back.collect());
                }
            }
        } else if node.mask == 0 {
            return Ok(Support::Open);
        }
        let mut points = Points { len, columns };
        points = self.within(points, filters);
        for axis in 0..frame.axes.len() {
            if node.mask >> axis & 1 == 1 && points.columns[axis].is_none() {
                points = self.crossed(points, frame, axis, filters)?;
            }
        }
        if points.known() == 0 {
            return Ok(Support::Open);
        }
        Ok(Support::Points(points))
    }

    /// The points whose members exist and are wanted.
    pub(crate) fn within(&self, points: Points, filters: &Filters) -> Points {
        let mut keeps: Option<Vec<bool>> = None;
        for (column, wanted) in points.columns.iter().zip(filters) {
            let Some(column) = column else { continue };
            let wanted = wanted.as_ref();
            if wanted.is_none() && !column.contains(&MemberId::NONE) {
                continue;
            }
            let keeps = keeps.get_or_insert_with(|| vec![true; points.len]);
            for (keeps, member) in keeps.iter_mut().zip(column) {
                *keeps &= *member != MemberId::NONE
                    && wanted.is_none_or(|wanted| wanted.contains(member.0));
            }
        }
        let Some(keeps) = keeps else { return points };
        let places = keeps.iter().zip(0u32..).filter(|(keeps, _)| **keeps);
        let places: Vec<u32> = places.map(|(_, at)| at).collect();
        if places.len() == points.len { points } else { points.taken(&places) }
    }

    fn support_reduce(&self, reduce: &Reduce, filters: &Filters) -> Result<Support> {
        let blocks = self.inner_blocks(reduce, filters)?;
        if let Some(points) = self.led_points(reduce, &blocks) {
            return Ok(Support::Points(self.within(points, filters)));
        }
        let mut points = Points::none(reduce.result.axes.len());
        let coder = Coder::new(self.version, self.tables, &reduce.result);
        let mut numbering = coder.numbering(blocks.iter().map(|block| block.len).sum());
        for (position, block) in blocks.iter().enumerate() {
            let mut columns = Vec::with_capacity(reduce.by.len());
            for by in &reduce.by {
                let frame = &reduce.inner.frame;
                columns.push(self.evaluate(by, frame, block, position, &HashMap::new()));
            }
            let axes: Vec<Cow<'_, [MemberId]>> = columns.iter().map(members_of).collect();
            coder.numbered(&mut numbering, &axes, block.len, |at| {
                points.len += 1;
                for (column, members) in points.columns.iter_mut().zip(&axes) {
                    column.get_or_insert_default().push(members[at]);
                }
            });
        }
        Ok(Support::Points(self.within(points, filters)))
    }

    /// The inner points of an aggregation that lead into wanted members.
    pub(super) fn inner_blocks(&self, reduce: &Reduce, filters: &Filters) -> Result<Vec<Block>> {
        let inner = self.inner_filters(reduce, filters);
        self.domain(&reduce.inner.node, &reduce.inner.frame, &inner)
    }

    /// The inner members of an aggregation that lead into wanted members.
    pub(crate) fn inner_filters(&self, reduce: &Reduce, filters: &Filters) -> Filters {
        let mut inner: Filters = vec![None; reduce.inner.frame.axes.len()];
        let mut narrow = |axis: usize, members: RoaringBitmap| match &mut inner[axis] {
            Some(both) => *both &= members,
            none => *none = Some(members),
        };
        for (by, wanted) in reduce.by.iter().zip(filters) {
            if let Some((axis, members)) =
                wanted.as_ref().and_then(|wanted| self.filter_back(by, wanted))
            {
                narrow(axis, members);
            }
        }
        for (axis, text) in &reduce.under {
            let under = self.tables.under(self.version, reduce.inner.frame.axes[*axis], text);
            narrow(*axis, under.map(|under| under.members.clone()).unwrap_or_default());
        }
        inner
    }

    fn support_window(&self, window: &Window, filters: &Filters) -> Result<Support> {
        let axis = window.frame.axes[window.axis];
        let order = self.tables.order(self.version, axis);
        let ranges = self.tables.ranges(self.version, axis, window.range);
        let mut inner_filters = filters.clone();
        inner_filters[window.axis] = None;
        let support = self.support(&window.inner, &window.frame, &inner_filters)?;
        let Some(inner) = self.points(support, &window.frame, &inner_filters) else {
            return Ok(Support::Open);
        };
        if matches!(window.how, crate::node::WindowHow::Rank { .. }) {
            return Ok(Support::Points(self.within(inner, filters)));
        }
        let Some(column) = &inner.columns[window.axis] else {
            return Ok(Support::Points(inner));
        };
        let seen = column.iter().map(|&member| {
            order.position(member).map_or(0..0, |position| ranges.seen_from(position))
        });
        let wanted = match &filters[window.axis] {
            Some(wanted) => order.members.iter().map(|m| wanted.contains(m.0)).collect(),
            None => vec![true; order.members.len()],
        };
        let lines = self.line_numbers(window, &inner);
        let spread = spread_along(&lines, seen.collect(), &wanted);
        self.check_density(spread.count)?;
        let (mut places, mut members) = (Vec::new(), Vec::new());
        for (at, positions) in spread.runs {
            for position in positions.filter(|&position| wanted[position]) {
                places.push(at);
                members.push(order.members[position]);
            }
        }
        let mut widened = inner.taken(&places);
        widened.columns[window.axis] = Some(members);
        Ok(Support::Points(self.within(widened, filters)))
    }

    /// Per point, a number of the line along the window's axis that it is on.
    fn line_numbers(&self, window: &Window, points: &Points) -> Vec<u32> {
        let is_known = |axis: &usize| *axis != window.axis && points.columns[*axis].is_some();
        let others: Vec<usize> = (0..window.frame.axes.len()).filter(is_known).collect();
        let across = Frame {
            axes: others.iter().map(|&axis| window.frame.axes[axis]).collect(),
            rows: None,
        };
        let coder = Coder::new(self.version, self.tables, &across);
        let mut numbering = coder.numbering(points.len);
        let columns = others.iter().filter_map(|&axis| points.columns[axis].as_deref());
        let columns: Vec<Cow<'_, [MemberId]>> = columns.map(Cow::Borrowed).collect();
        let codes = coder.codes(&columns, points.len).into_iter();
        codes.map(|code| code.map_or(u32::MAX, |code| numbering.add(code).0)).collect()
    }
}

/// Positions to which points spread along a line, each once: per run of them a point of the line.
struct Spread {
    runs: Vec<(u32, Range<usize>)>,
    /// How many positions that are wanted they hold.
    count: usize,
}

/// Joins the ranges of points on the same line, so that what they have in common is counted and made once.
fn spread_along(lines: &[u32], seen: Vec<Range<usize>>, wanted: &[bool]) -> Spread {
    let mut before = vec![0; wanted.len() + 1];
    for (position, &is_wanted) in wanted.iter().enumerate() {
        before[position + 1] = before[position] + usize::from(is_wanted);
    }
    let mut places: Vec<u32> = (0..lines.len() as u32)
        .filter(|&at| lines[at as usize] != u32::MAX && !seen[at as usize].is_empty())
        .collect();
    places.sort_unstable_by_key(|&at| (lines[at as usize], seen[at as usize].start));
    let mut spread = Spread { runs: Vec::new(), count: 0 };
    let mut last: Option<(u32, usize)> = None;
    for at in places {
        let (line, range) = (lines[at as usize], seen[at as usize].clone());
        let start = match last {
            Some((known, end)) if known == line => range.start.max(end),
            _ => range.start,
        };
        let end = match last {
            Some((known, end)) if known == line => range.end.max(end),
            _ => range.end,
        };
        last = Some((line, end));
        if start < end {
            spread.count += before[end] - before[start];
            spread.runs.push((at, start..end));
        }
    }
    spread
}

/// The different points, where all of their axes are known.
fn distinct_known(session: &Session<'_>, frame: &Frame, points: Points) -> Points {
    match points.columns.iter().all(Option::is_some) {
        true => distinct(session.version, session.tables, frame, points),
        false => points,
    }
}
