//! What a change reaches: the same walk as evaluation, backwards, from what changed to the points of
//! a formula that may have another value now. It may name points whose value turns out the same.

use std::collections::{BTreeSet, HashMap};

use cube::{AttributeId, CubeId, DimensionId, MeasureId, MemberId};
use roaring::RoaringBitmap;

use crate::branches::BranchChange;
use crate::check::{one_to_one, provided};
use crate::error::Result;
use crate::evaluate::Session;
use crate::evaluate::support::Filters;
use crate::functions::{Function, Support, support_of};
use crate::node::{Frame, Kind, MemberMap, Node, Reduce, Scope, Share, Tier, Window, WindowHow};
use crate::points::{Block, Points, distinct};

/// Up to so many points stay points when a range spreads them.
const SPREAD_POINTS_MAX: usize = 100_000;
/// Up to so many points become a region each where they are open on an axis.
const REGIONS_MAX: usize = 16;

/// What changed.
#[derive(Debug)]
pub enum Changed<'a> {
    /// Stored values of a measure, at coordinates of its cube.
    Values {
        /// The cube.
        cube: CubeId,
        /// The measure.
        measure: MeasureId,
        /// Where, before and after.
        points: &'a Points,
    },
    /// Properties of members.
    Members {
        /// Their dimension.
        dimension: DimensionId,
        /// Which.
        members: &'a RoaringBitmap,
        /// Attributes that have another value.
        attributes: &'a BTreeSet<AttributeId>,
        /// Whether a parent or a name is another.
        is_structure: bool,
    },
    /// A dimension has more members.
    NewMembers {
        /// The dimension.
        dimension: DimensionId,
        /// Those that are new.
        members: &'a RoaringBitmap,
    },
    /// Another branch has a new head.
    Branch(&'a BranchChange),
}

/// Points of a frame that may have another value.
#[derive(Debug, Clone)]
pub enum Dirt {
    /// These.
    Points(Points),
    /// All within filters.
    Region(Filters),
}

/// Whether a node looks at all members of a dimension because nothing inside it says which ones.
fn has_open_axis(node: &Node, dimension: DimensionId) -> bool {
    let (frame, known) = match &node.kind {
        Kind::Reduce(reduce) => (&reduce.inner.frame, provided(&reduce.inner.node)),
        Kind::Window(window) => (&window.frame, provided(&window.inner)),
        Kind::Share(share) => (&share.frame, provided(node)),
        _ => return false,
    };
    let mut axes = frame.axes.iter().enumerate();
    axes.any(|(at, axis)| axis.dimension == dimension && known >> at & 1 == 0)
}

/// The operands whose supports, put together, are a node's. Those that read nothing have none.
fn united(node: &Node) -> Vec<&Node> {
    let operands: Vec<&Node> = match &node.kind {
        Kind::Fill(value, scope) => vec![value, scope],
        Kind::Apply(function, arguments) if support_of(*function) == Support::Any => {
            let widest = arguments.iter().fold(0, |mask, argument| mask | argument.mask);
            arguments.iter().filter(|argument| argument.mask == widest).collect()
        }
        _ => Vec::new(),
    };
    let reads = |operand: &&Node| !operand.reads().is_empty() || !operand.on_branches().is_empty();
    operands.into_iter().filter(reads).collect()
}

/// Whether operands know different axes by themselves, so that each is crossed with all members of
/// those it does not know.
fn are_uneven(operands: &[&Node]) -> bool {
    operands.windows(2).any(|pair| provided(pair[0]) != provided(pair[1]))
}

/// Whether an axis of an operand is crossed with all its members, whatever another operand knows.
fn is_crossed(node: &Node, axis: usize) -> bool {
    let operands = united(node);
    if operands.iter().all(|operand| provided(operand) >> axis & 1 == 1) {
        return false;
    }
    // what is crossed inside knows more than it says
    let mut is_uneven = are_uneven(&operands);
    for operand in &operands {
        operand.visit(&mut |inner| is_uneven = is_uneven || are_uneven(&united(inner)));
    }
    is_uneven
}

/// Whether a node looks along a dimension, so that members at its end have what comes before.
fn runs_along(node: &Node, dimension: DimensionId) -> bool {
    match &node.kind {
        Kind::Window(window) => {
            let is_rank = matches!(window.how, WindowHow::Rank { .. });
            !is_rank && window.frame.axes[window.axis].dimension == dimension
        }
        Kind::Map(_, from, MemberMap::Shift(..) | MemberMap::Parallel(..)) => *from == dimension,
        _ => false,
    }
}

impl Session<'_> {
    /// The points of a frame at which an expression may have another value.
    pub fn affected(&self, node: &Node, frame: &Frame, changed: &Changed<'_>) -> Result<Vec<Dirt>> {
        let mut dirt = Vec::new();
        for child in node.children() {
            if !matches!(node.kind, Kind::Window(_) | Kind::Share(_)) {
                dirt.extend(self.affected(child, frame, changed)?);
            }
        }
        if let Changed::NewMembers { dimension, members } = changed {
            if has_open_axis(node, *dimension) || runs_along(node, *dimension) {
                dirt.push(Dirt::Region(vec![None; frame.axes.len()]));
            }
            dirt.extend(self.crossed_with_new(node, *dimension, members, frame));
        }
        match &node.kind {
            Kind::Stored(cube, measure) => {
                if let Changed::Values { cube: of, measure: changed_measure, points } = changed
                    && (of, *changed_measure) == (cube, *measure)
                {
                    dirt.push(Dirt::Points((*points).clone()));
                }
            }
            Kind::Map(inner, dimension, map) => {
                dirt.extend(self.by_members(inner, *dimension, Some(map), frame, changed));
            }
            Kind::Attribute(inner, dimension, attribute, _) => {
                let map = MemberMap::Attribute(*attribute, *dimension);
                dirt.extend(self.by_members(inner, *dimension, Some(&map), frame, changed));
            }
            Kind::MemberText(inner, dimension, _) => {
                dirt.extend(self.by_members(inner, *dimension, None, frame, changed));
            }
            Kind::Apply(Function::IsDescendant, arguments) => {
                if let (crate::node::Type::Member(dimension), [inner, ..]) =
                    (arguments[0].value_type, arguments.as_slice())
                {
                    dirt.extend(self.by_members(inner, dimension, None, frame, changed));
                }
            }
            Kind::At(scope, members) => {
                let adds = |dimension: DimensionId| {
                    let position = frame.position(dimension);
                    position.is_some_and(|axis| {
                        let leads = members.iter().any(|member| one_to_one(member) == Some(axis));
                        node.mask >> axis & 1 == 1 && !leads
                    })
                };
                if matches!(changed, Changed::NewMembers { dimension, .. } if adds(*dimension)) {
                    dirt.push(Dirt::Region(vec![None; frame.axes.len()]));
                }
                for inner in self.affected(&scope.node, &scope.frame, changed)? {
                    self.affected_at(inner, scope, members, frame, &mut dirt);
                }
            }
            Kind::Reduce(reduce) => self.affected_reduce(reduce, changed, &mut dirt)?,
            Kind::Window(window) => {
                for inner in self.affected(&window.inner, &window.frame, changed)? {
                    dirt.push(self.affected_window(inner, window));
                }
            }
            Kind::Share(share) => self.affected_share(share, changed, &mut dirt)?,
            Kind::Tier(tier) => dirt.extend(self.affected_tier(tier, frame, changed)),
            Kind::OnBranch(on) => dirt.extend(self.affected_on_branch(on, changed)?),
            _ => {}
        }
        Ok(dirt)
    }

    /// The points that new members bring to an axis that one operand knows and another does not:
    /// those that were there stay what they are.
    fn crossed_with_new(
        &self,
        node: &Node,
        dimension: DimensionId,
        members: &RoaringBitmap,
        frame: &Frame,
    ) -> Option<Dirt> {
        let axis = frame.position(dimension).filter(|&axis| is_crossed(node, axis))?;
        let order = self.tables.order(self.version, frame.axes[axis]);
        let is_of_axis = |member: &u32| order.position(MemberId(*member)).is_some();
        let members: RoaringBitmap = members.iter().filter(is_of_axis).collect();
        let mut filters: Filters = vec![None; frame.axes.len()];
        let is_wider = !members.is_empty();
        filters[axis] = Some(members);
        is_wider.then_some(Dirt::Region(filters))
    }

    /// The points whose member has other properties.
    fn by_members(
        &self,
        inner: &Node,
        dimension: DimensionId,
        map: Option<&MemberMap>,
        frame: &Frame,
        changed: &Changed<'_>,
    ) -> Option<Dirt> {
        let Changed::Members { dimension: of, members, attributes, is_structure } = changed else {
            return None;
        };
        let concerns = match map {
            Some(MemberMap::Attribute(attribute, _)) => attributes.contains(attribute),
            Some(MemberMap::Shift(..)) => false,
            _ => *is_structure,
        };
        (*of == dimension && concerns).then(|| self.region_back(inner, members, frame))
    }

    /// The region whose points lead into members.
    fn region_back(&self, member: &Node, wanted: &RoaringBitmap, frame: &Frame) -> Dirt {
        let mut filters: Filters = vec![None; frame.axes.len()];
        if let Some((axis, members)) = self.filter_back(member, wanted) {
            filters[axis] = Some(members);
        }
        Dirt::Region(filters)
    }

    fn affected_at(
        &self,
        inner: Dirt,
        scope: &Scope,
        members: &[Node],
        frame: &Frame,
        dirt: &mut Vec<Dirt>,
    ) {
        let region = |columns: &dyn Fn(usize) -> Option<RoaringBitmap>| {
            let mut filters: Filters = vec![None; frame.axes.len()];
            for (position, member) in members.iter().enumerate() {
                let back = columns(position).and_then(|wanted| self.filter_back(member, &wanted));
                if let Some((axis, members)) = back {
                    match &mut filters[axis] {
                        Some(both) => *both &= members,
                        none => *none = Some(members),
                    }
                }
            }
            filters
        };
        match inner {
            Dirt::Region(filters) => {
                dirt.push(Dirt::Region(region(&|position| filters[position].clone())));
            }
            Dirt::Points(points) => {
                let all = |position: usize| {
                    let column = points.columns[position].as_ref()?;
                    Some(column.iter().map(|member| member.0).collect())
                };
                if let Some(exact) = self.exact(&points, members, frame) {
                    dirt.push(Dirt::Points(exact));
                    return;
                }
                let together = region(&all);
                // members of one axis alone are no more together than one by one
                let is_one_axis = together.iter().flatten().count() <= 1;
                if points.len <= REGIONS_MAX && !is_one_axis {
                    for at in 0..points.len {
                        let one = |position: usize| {
                            let column = points.columns[position].as_ref()?;
                            Some(std::iter::once(column[at].0).collect())
                        };
                        dirt.push(Dirt::Region(region(&one)));
                    }
                } else {
                    dirt.push(Dirt::Region(together));
                }
            }
        }
        debug_assert_eq!(scope.frame.axes.len(), members.len());
    }

    /// The outer points of inner ones, where each leads to exactly one.
    fn exact(&self, points: &Points, members: &[Node], frame: &Frame) -> Option<Points> {
        if frame.rows.is_some() {
            return None;
        }
        let mut columns: Vec<Option<Vec<MemberId>>> = vec![None; frame.axes.len()];
        for (position, member) in members.iter().enumerate() {
            if let (Some(axis), Some(column)) = (one_to_one(member), &points.columns[position]) {
                let back = column.iter().map(|&inner| self.led_from(member, inner));
                columns[axis] = Some(back.collect());
            }
        }
        if columns.iter().any(Option::is_none) {
            return None;
        }
        // a member that is named elsewhere takes the points of others away
        let named =
            members.iter().enumerate().filter_map(|(position, member)| match &member.kind {
                Kind::MemberLiteral(dimension, text) => {
                    let wanted = self.tables.literal(self.version, *dimension, text);
                    Some((points.columns[position].as_ref()?, wanted))
                }
                _ => None,
            });
        let named: Vec<_> = named.collect();
        let places: Vec<u32> = (0..points.len)
            .filter(|&at| named.iter().all(|(column, wanted)| column[at] == *wanted))
            .map(|at| at as u32)
            .collect();
        let free: Filters = vec![None; frame.axes.len()];
        let outer = Points { len: points.len, columns }.taken(&places);
        Some(self.within(outer, &free))
    }

    fn affected_reduce(
        &self,
        reduce: &Reduce,
        changed: &Changed<'_>,
        dirt: &mut Vec<Dirt>,
    ) -> Result<()> {
        let frame = &reduce.inner.frame;
        if let Changed::Members { dimension, is_structure, attributes, .. } = changed {
            let mut under = reduce.under.iter();
            if under.any(|(axis, _)| frame.axes[*axis].dimension == *dimension)
                && (*is_structure || !attributes.is_empty())
            {
                dirt.push(Dirt::Region(vec![None; reduce.result.axes.len()]));
            }
        }
        let mut inner = self.affected(&reduce.inner.node, frame, changed)?;
        for node in reduce.by.iter().chain(&reduce.weight) {
            inner.extend(self.affected(node, frame, changed)?);
        }
        for inner in inner {
            let through = |filters: &Filters| -> Filters {
                reduce.by.iter().map(|by| self.filter_through(by, filters)).collect()
            };
            match inner {
                Dirt::Region(filters) => dirt.push(Dirt::Region(through(&filters))),
                Dirt::Points(points) => {
                    let Some(points) = self.counted(reduce, points) else { continue };
                    match self.led_to(reduce, &points)? {
                        Some(points) => dirt.push(Dirt::Points(points)),
                        None => {
                            let column = |column: &Option<Vec<MemberId>>| {
                                let column = column.as_ref()?;
                                Some(column.iter().map(|member| member.0).collect())
                            };
                            let filters: Filters = points.columns.iter().map(column).collect();
                            dirt.push(Dirt::Region(through(&filters)));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The points that count in an aggregation; none where there are none.
    fn counted(&self, reduce: &Reduce, points: Points) -> Option<Points> {
        let mut filters: Filters = vec![None; points.columns.len()];
        for (axis, text) in &reduce.under {
            let of = reduce.inner.frame.axes[*axis];
            let under = self.tables.under(self.version, of, text);
            filters[*axis] = Some(under.map(|under| under.members.clone()).unwrap_or_default());
        }
        let points = self.within(points, &filters);
        (points.len > 0).then_some(points)
    }

    /// The results to which inner points lead; none where stored values decide.
    fn led_to(&self, reduce: &Reduce, points: &Points) -> Result<Option<Points>> {
        let mut reads = false;
        for by in &reduce.by {
            by.visit(&mut |node| reads |= matches!(node.kind, Kind::Stored(..) | Kind::At(..)));
        }
        if reads || points.columns.iter().any(Option::is_none) {
            return Ok(None);
        }
        let free: Filters = vec![None; reduce.result.axes.len()];
        let columns = points.columns.iter().flatten().cloned().collect();
        if let Some(led) = self.led_points(reduce, &[Block::free(columns, points.len)]) {
            return Ok(Some(led));
        }
        let blocks: Vec<Block> = points.clone().into_blocks();
        let mut result = Points::none(reduce.result.axes.len());
        for (position, block) in blocks.iter().enumerate() {
            result.len += block.len;
            for (by, column) in reduce.by.iter().zip(&mut result.columns) {
                let frame = &reduce.inner.frame;
                let members = self.evaluate(by, frame, block, position, &HashMap::new());
                let column = column.get_or_insert_default();
                column.extend((0..block.len).map(|at| members.member(at)));
            }
        }
        let result = self.within(result, &free);
        Ok(Some(distinct(self.version, self.tables, &reduce.result, result)))
    }

    fn affected_window(&self, inner: Dirt, window: &Window) -> Dirt {
        let axis = window.frame.axes[window.axis];
        let order = self.tables.order(self.version, axis);
        let ranges = self.tables.ranges(self.version, axis, window.range);
        let spread = |member: MemberId| {
            let position = order.position(member);
            position.map_or(0..0, |position| ranges.seen_from(position))
        };
        let region = |members: &RoaringBitmap| -> RoaringBitmap {
            let seen = members.iter().flat_map(|member| spread(MemberId(member)));
            seen.map(|position| order.members[position].0).collect()
        };
        match inner {
            Dirt::Region(mut filters) => {
                filters[window.axis] = filters[window.axis].as_ref().map(region);
                Dirt::Region(filters)
            }
            Dirt::Points(points) => {
                let Some(column) = &points.columns[window.axis] else {
                    return Dirt::Points(points);
                };
                let total: usize = column.iter().map(|&member| spread(member).len()).sum();
                if total > SPREAD_POINTS_MAX {
                    let all = |column: &Option<Vec<MemberId>>| -> Option<RoaringBitmap> {
                        Some(column.as_ref()?.iter().map(|member| member.0).collect())
                    };
                    let mut filters: Filters = points.columns.iter().map(all).collect();
                    filters[window.axis] = filters[window.axis].as_ref().map(region);
                    return Dirt::Region(filters);
                }
                let (mut places, mut members) = (Vec::new(), Vec::new());
                for (at, &member) in column.iter().enumerate() {
                    for position in spread(member) {
                        places.push(at as u32);
                        members.push(order.members[position]);
                    }
                }
                let mut points = points.taken(&places);
                points.columns[window.axis] = Some(members);
                Dirt::Points(distinct(self.version, self.tables, &window.frame, points))
            }
        }
    }

    fn affected_share(
        &self,
        share: &Share,
        changed: &Changed<'_>,
        dirt: &mut Vec<Dirt>,
    ) -> Result<()> {
        let mut inner = self.affected(&share.amount, &share.frame, changed)?;
        inner.extend(self.affected(&share.basis, &share.frame, changed)?);
        for inner in inner {
            let mut filters: Filters = vec![None; share.frame.axes.len()];
            for &axis in &share.group {
                filters[axis] = match &inner {
                    Dirt::Region(region) => region[axis].clone(),
                    Dirt::Points(points) => {
                        let column = points.columns[axis].as_ref();
                        column.map(|column| column.iter().map(|member| member.0).collect())
                    }
                };
            }
            dirt.push(Dirt::Region(filters));
        }
        Ok(())
    }

    fn affected_tier(&self, tier: &Tier, frame: &Frame, changed: &Changed<'_>) -> Option<Dirt> {
        let Changed::Values { cube, measure, points } = changed else { return None };
        if *cube != tier.cube || (*measure != tier.threshold && *measure != tier.rate) {
            return None;
        }
        let mut filters: Filters = vec![None; frame.axes.len()];
        for (axis, member) in &tier.shared {
            let Some(column) = &points.columns[*axis] else { continue };
            let wanted: RoaringBitmap = column.iter().map(|member| member.0).collect();
            if let Some((axis, members)) = self.filter_back(member, &wanted) {
                filters[axis] = Some(members);
            }
        }
        Some(Dirt::Region(filters))
    }
}
