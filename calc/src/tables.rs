//! What follows from the members of a version, ready for use: where a member leads, the members of
//! an axis in their order, ranges, weights. Made when first asked for and kept for as long as the
//! dimension is the same.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cube::dimension::Dimension;
use cube::value::parse_date;
use cube::{DimensionId, HierarchyId, LevelId, MemberId, Scalar, Version};
use roaring::RoaringBitmap;

use crate::limits::DIMENSION_PAIRS_KEPT;
use crate::node::{Axis, MemberMap, Range};

/// Where each member leads, and back.
#[derive(Debug)]
pub struct MemberTable {
    /// Per member, the member it leads to, or NONE.
    pub to: Vec<MemberId>,
    inverse: OnceLock<Inverse>,
}

#[derive(Debug)]
struct Inverse {
    /// Per member, where its sources begin; one more at the end.
    starts: Vec<u32>,
    sources: Vec<MemberId>,
}

impl MemberTable {
    fn new(to: Vec<MemberId>) -> Self {
        Self { to, inverse: OnceLock::new() }
    }

    /// The member that a member leads to.
    pub fn get(&self, member: MemberId) -> MemberId {
        self.to.get(member.idx()).copied().unwrap_or(MemberId::NONE)
    }

    /// The members that lead to a member.
    pub fn sources(&self, member: MemberId) -> &[MemberId] {
        let inverse = self.inverse.get_or_init(|| self.inverted());
        let at = member.idx();
        match (inverse.starts.get(at), inverse.starts.get(at + 1)) {
            (Some(&start), Some(&end)) => &inverse.sources[start as usize..end as usize],
            _ => &[],
        }
    }

    /// All members that lead into a set.
    pub fn sources_of(&self, members: &RoaringBitmap) -> RoaringBitmap {
        let sources = members.iter().flat_map(|member| self.sources(MemberId(member)));
        sources.map(|member| member.0).collect()
    }

    /// All members to which those of a set lead.
    pub fn image_of(&self, members: &RoaringBitmap) -> RoaringBitmap {
        let image = members.iter().map(|member| self.get(MemberId(member)));
        image.filter(|&member| member != MemberId::NONE).map(|member| member.0).collect()
    }

    fn inverted(&self) -> Inverse {
        let targets = || self.to.iter().filter(|&&target| target != MemberId::NONE);
        let count = targets().map(|target| target.idx() + 1).max().unwrap_or(0);
        let mut starts = vec![0u32; count + 1];
        targets().for_each(|target| starts[target.idx() + 1] += 1);
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut sources = vec![MemberId::NONE; starts.last().map_or(0, |&end| end as usize)];
        for (source, &target) in self.to.iter().enumerate() {
            if target != MemberId::NONE {
                sources[next[target.idx()] as usize] = MemberId::from_idx(source);
                next[target.idx()] += 1;
            }
        }
        Inverse { starts, sources }
    }
}

/// The members of an axis in their order.
#[derive(Debug)]
pub struct Order {
    /// In order.
    pub members: Vec<MemberId>,
    /// Per member, its position, or none.
    positions: Vec<u32>,
}

impl Order {
    /// The position of a member.
    pub fn position(&self, member: MemberId) -> Option<usize> {
        let position = *self.positions.get(member.idx())?;
        (position != u32::MAX).then_some(position as usize)
    }
}

/// Per position of an ordered axis, the range seen from there: positions from start up to, not
/// including, end. Both never fall.
#[derive(Debug)]
pub struct Ranges(pub Vec<(u32, u32)>);

impl Ranges {
    /// The positions whose range contains a position, if any: they follow each other.
    pub fn seen_from(&self, position: usize) -> std::ops::Range<usize> {
        let at = position as u32;
        let start = self.0.partition_point(|&(_, end)| end <= at);
        let end = self.0.partition_point(|&(start, _)| start <= at);
        start..end.max(start)
    }
}

/// What counts of a dimension under one member, and how much.
#[derive(Debug)]
pub struct Under {
    /// The members that hold facts and count.
    pub members: RoaringBitmap,
    /// Per member its weight, of this scale.
    pub weights: Option<(Vec<i64>, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Map(DimensionId, MemberMap),
    Order(Axis),
    Ranges(Axis, Range),
    Under(Axis, String),
    Literal(DimensionId, String),
    Days(DimensionId),
}

#[derive(Debug, Clone)]
enum Made {
    Map(Arc<MemberTable>),
    Order(Arc<Order>),
    Ranges(Arc<Ranges>),
    Under(Option<Arc<Under>>),
    Literal(MemberId),
    Days(Arc<Vec<(i32, i32)>>),
}

/// Everything made so far; shared by all revisions of a tenant.
#[derive(Debug, Default)]
pub struct Tables {
    made: Mutex<HashMap<Key, Kept>>,
    /// States of dimensions, the ids of the one in the other; the newest last.
    pairs: Mutex<VecDeque<DimensionPair>>,
}

/// Two states of a dimension, and per member of the one that of the same key in the other.
#[derive(Debug)]
struct DimensionPair {
    from: Arc<Dimension>,
    to: Arc<Dimension>,
    table: Arc<MemberTable>,
}

/// What was made, and of which states of its dimensions.
type Kept = (Vec<Arc<Dimension>>, Made);

impl Tables {
    fn get(&self, version: &Version, key: Key, make: impl FnOnce() -> Made) -> Made {
        let dimensions = key.dimensions();
        let current: Vec<&Arc<Dimension>> =
            dimensions.iter().map(|id| &version.dimensions[id.idx()]).collect();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, found)) = made.get(&key)
            && of.iter().zip(&current).all(|(a, b)| Arc::ptr_eq(a, b))
        {
            return found.clone();
        }
        let new = make();
        made.insert(key, (current.into_iter().cloned().collect(), new.clone()));
        new
    }

    /// Where members of a dimension lead.
    pub fn map(&self, version: &Version, from: DimensionId, map: &MemberMap) -> Arc<MemberTable> {
        let ordered = match map {
            MemberMap::Shift(level, _) | MemberMap::Parallel(level, _, _) => {
                Some(self.order(version, Axis { dimension: from, level: *level }))
            }
            _ => None,
        };
        let make = || Made::Map(Arc::new(member_table(version, from, map, ordered.as_deref())));
        match self.get(version, Key::Map(from, map.clone()), make) {
            Made::Map(table) => table,
            _ => Arc::new(MemberTable::new(Vec::new())),
        }
    }

    /// The members of an axis in order.
    pub fn order(&self, version: &Version, axis: Axis) -> Arc<Order> {
        match self.get(version, Key::Order(axis), || Made::Order(Arc::new(order(version, axis)))) {
            Made::Order(order) => order,
            _ => Arc::new(Order { members: Vec::new(), positions: Vec::new() }),
        }
    }

    /// The ranges seen from the positions of an axis.
    pub fn ranges(&self, version: &Version, axis: Axis, range: Range) -> Arc<Ranges> {
        let order = self.order(version, axis);
        let make = || Made::Ranges(Arc::new(ranges(version, axis, range, &order)));
        match self.get(version, Key::Ranges(axis, range), make) {
            Made::Ranges(ranges) => ranges,
            _ => Arc::new(Ranges(Vec::new())),
        }
    }

    /// The member of a key or a unique name; NONE where there is none.
    pub fn literal(&self, version: &Version, dimension: DimensionId, text: &str) -> MemberId {
        let make = || Made::Literal(find_member(version.dimension(dimension), text));
        match self.get(version, Key::Literal(dimension, text.to_string()), make) {
            Made::Literal(member) => member,
            _ => MemberId::NONE,
        }
    }

    /// What counts under a member; none where there is no such member.
    pub fn under(&self, version: &Version, axis: Axis, text: &str) -> Option<Arc<Under>> {
        let member = self.literal(version, axis.dimension, text);
        let make = || Made::Under(under(version, axis, member).map(Arc::new));
        match self.get(version, Key::Under(axis, text.to_string()), make) {
            Made::Under(under) => under,
            _ => None,
        }
    }

    /// Per member, the one of the same key in another state of its dimension; none where the two are
    /// one.
    pub fn ids_in(&self, from: &Arc<Dimension>, to: &Arc<Dimension>) -> Option<Arc<MemberTable>> {
        if Arc::ptr_eq(from, to) {
            return None;
        }
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            |pair: &&DimensionPair| Arc::ptr_eq(&pair.from, from) && Arc::ptr_eq(&pair.to, to);
        if let Some(known) = pairs.iter().find(is_known) {
            return Some(Arc::clone(&known.table));
        }
        let table = Arc::new(MemberTable::new(from.ids_in(to)?));
        let pair =
            DimensionPair { from: Arc::clone(from), to: Arc::clone(to), table: Arc::clone(&table) };
        if pairs.len() == DIMENSION_PAIRS_KEPT {
            pairs.pop_front();
        }
        pairs.push_back(pair);
        Some(table)
    }

    /// Per member of a calendar, its first day and the day after its last.
    pub fn days(&self, version: &Version, dimension: DimensionId) -> Arc<Vec<(i32, i32)>> {
        let make = || Made::Days(Arc::new(period_days(version.dimension(dimension))));
        match self.get(version, Key::Days(dimension), make) {
            Made::Days(days) => days,
            _ => Arc::default(),
        }
    }
}

impl Key {
    fn dimensions(&self) -> Vec<DimensionId> {
        match self {
            Self::Map(from, MemberMap::Attribute(_, to)) => vec![*from, *to],
            Self::Map(from, _) => vec![*from],
            Self::Order(axis) | Self::Ranges(axis, _) | Self::Under(axis, _) => {
                vec![axis.dimension]
            }
            Self::Literal(dimension, _) | Self::Days(dimension) => vec![*dimension],
        }
    }
}

fn member_table(
    version: &Version,
    from: DimensionId,
    map: &MemberMap,
    order: Option<&Order>,
) -> MemberTable {
    let dimension = version.dimension(from);
    let count = dimension.member_count();
    let to = match map {
        MemberMap::Ancestor(hierarchy, position) => dimension
            .shape(*hierarchy)
            .ancestors
            .get(*position)
            .cloned()
            .unwrap_or_else(|| vec![MemberId::NONE; count]),
        MemberMap::Parent(hierarchy) => {
            let parent = |member| dimension.parent(*hierarchy, member).unwrap_or(MemberId::NONE);
            dimension.members().map(parent).collect()
        }
        MemberMap::Attribute(attribute, to) => {
            let to = version.dimension(*to);
            let lead = |member| match dimension.attribute(*attribute, member) {
                Some(Scalar::Text(key)) => to.find(key).unwrap_or(MemberId::NONE),
                _ => MemberId::NONE,
            };
            dimension.members().map(lead).collect()
        }
        MemberMap::Shift(_, places) => {
            order.map_or_else(Vec::new, |order| shifted(dimension, order, *places))
        }
        MemberMap::Parallel(_, level, periods) => {
            order.map_or_else(Vec::new, |order| parallel(dimension, order, *level, *periods))
        }
    };
    MemberTable::new(to)
}

/// The same place in another period: its n-th member. Days of a month or longer go by the calendar,
/// so that the 1st of March is the 1st of March of every year.
fn parallel(dimension: &Dimension, order: &Order, level: LevelId, periods: i32) -> Vec<MemberId> {
    let mut to = vec![MemberId::NONE; dimension.member_count()];
    let def = &dimension.def;
    let months = match def.levels[level.idx()].name.as_str() {
        "year" | "fiscal_year" => Some(12),
        "quarter" | "fiscal_quarter" => Some(3),
        "month" => Some(1),
        _ => None,
    };
    let months = months.map(|months: i32| months.saturating_mul(periods));
    if let Some(months) = months
        && let Some(&first) = order.members.first()
    {
        let own = dimension.level(first).map(|level| def.levels[level.idx()].name.as_str());
        let unit = match own {
            Some("month") => Some(1),
            Some("quarter" | "fiscal_quarter") => Some(3),
            Some("year" | "fiscal_year") => Some(12),
            _ => None,
        };
        match unit {
            Some(unit) if months % unit == 0 => return shifted(dimension, order, months / unit),
            Some(_) => return to,
            None if Day::parse(dimension.key(first)).is_some() => {
                for &member in &order.members {
                    let day = Day::parse(dimension.key(member));
                    let target = day.and_then(|day| day.plus_months(months));
                    let target = target.and_then(|day| dimension.find(&day.to_string()));
                    to[member.idx()] = target.unwrap_or(MemberId::NONE);
                }
                return to;
            }
            None => {}
        }
    }
    let groups = period_positions(dimension, order, level);
    let firsts: Vec<usize> = (0..groups.len())
        .filter(|&position| position == 0 || groups[position] != groups[position - 1])
        .collect();
    for (period, &first) in firsts.iter().enumerate() {
        let end = firsts.get(period + 1).copied().unwrap_or(groups.len());
        let other = usize::try_from(period as i64 + i64::from(periods)).ok();
        let Some((start, stop)) = other.and_then(|other| {
            let start = *firsts.get(other)?;
            Some((start, firsts.get(other + 1).copied().unwrap_or(groups.len())))
        }) else {
            continue;
        };
        for position in first..end {
            let target = start + (position - first);
            if target < stop {
                to[order.members[position].idx()] = order.members[target];
            }
        }
    }
    to
}

/// Per member, the one so many places further.
fn shifted(dimension: &Dimension, order: &Order, places: i32) -> Vec<MemberId> {
    let mut to = vec![MemberId::NONE; dimension.member_count()];
    for (position, member) in order.members.iter().enumerate() {
        let target = usize::try_from(position as i64 + i64::from(places)).ok();
        if let Some(target) = target.and_then(|target| order.members.get(target)) {
            to[member.idx()] = *target;
        }
    }
    to
}

/// A day as in a calendar.
#[derive(Clone, Copy)]
struct Day {
    year: i32,
    month: i32,
    day: i32,
}

impl Day {
    fn parse(key: &str) -> Option<Self> {
        parse_date(key)?;
        let mut parts = key.split('-').map(|part| part.parse().ok());
        Some(Self { year: parts.next()??, month: parts.next()??, day: parts.next()?? })
    }

    /// The same day of another month; none where it has no such day.
    fn plus_months(self, months: i32) -> Option<Self> {
        let all = (self.year * 12 + self.month - 1).checked_add(months)?;
        let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
        let day = Self { year, month, ..self };
        parse_date(&day.to_string()).map(|_| day)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// The first hierarchy that has a level, and where.
pub fn level_place(dimension: &Dimension, level: LevelId) -> Option<(HierarchyId, usize)> {
    let name = &dimension.def.levels[level.idx()].name;
    dimension.def.hierarchies.iter().enumerate().find_map(|(idx, hierarchy)| {
        let position = hierarchy.levels.iter().position(|other| other == name)?;
        Some((HierarchyId::from_idx(idx), position))
    })
}

/// Per position of an order, the ancestor at a level.
fn period_positions(dimension: &Dimension, order: &Order, level: LevelId) -> Vec<MemberId> {
    let Some((hierarchy, place)) = level_place(dimension, level) else {
        return vec![MemberId::NONE; order.members.len()];
    };
    let ancestors = &dimension.shape(hierarchy).ancestors[place];
    order.members.iter().map(|member| ancestors[member.idx()]).collect()
}

fn order(version: &Version, axis: Axis) -> Order {
    let dimension = version.dimension(axis.dimension);
    let mut members: Vec<MemberId> = dimension
        .members()
        .filter(|&member| dimension.holds_facts_at(axis.level, member))
        .collect();
    members.sort_by_key(|&member| (dimension.order(member), member));
    let mut positions = vec![u32::MAX; dimension.member_count()];
    for (position, member) in members.iter().enumerate() {
        positions[member.idx()] = position as u32;
    }
    Order { members, positions }
}

fn ranges(version: &Version, axis: Axis, range: Range, order: &Order) -> Ranges {
    let count = order.members.len() as u32;
    let dimension = version.dimension(axis.dimension);
    let periods = |level| period_positions(dimension, order, level);
    Ranges(match range {
        Range::Cumulate => (0..count).map(|at| (0, at + 1)).collect(),
        Range::Moving(periods) => {
            (0..count).map(|at| ((at + 1).saturating_sub(periods), at + 1)).collect()
        }
        Range::All => (0..count).map(|_| (0, count)).collect(),
        Range::ToDate(level) => {
            let period = period_ranges(&periods(level));
            period.into_iter().zip(0..).map(|((start, _), at)| (start, at + 1)).collect()
        }
        Range::Period(level) => period_ranges(&periods(level)),
        Range::PeriodBefore(level) => {
            let ranges = period_ranges(&periods(level));
            let before = |&(start, _): &(u32, u32)| match start.checked_sub(1) {
                Some(last) => (ranges[last as usize].0, start),
                None => (0, 0),
            };
            ranges.iter().map(before).collect()
        }
    })
}

/// Per position, the run of positions in the same period.
fn period_ranges(periods: &[MemberId]) -> Vec<(u32, u32)> {
    let mut ranges = Vec::with_capacity(periods.len());
    for run in periods.chunk_by(|a, b| a == b) {
        let start = ranges.len() as u32;
        ranges.extend(run.iter().map(|_| (start, start + run.len() as u32)));
    }
    ranges
}

pub(crate) fn find_member(dimension: &Dimension, text: &str) -> MemberId {
    // not resolve: what looks like a key that is not there is of no use here
    let canonical = || dimension.find(&dimension.def.key_type.canonical(text).ok()?);
    if let Some(member) = dimension.find(text).or_else(canonical) {
        return member;
    }
    let mut named = dimension.members().filter(|&member| dimension.name(member) == text);
    match (named.next(), named.next()) {
        (Some(member), None) => member,
        _ => MemberId::NONE,
    }
}

/// Members of an axis at or below a member in the first hierarchy where it has anything below, with
/// the weight they have in it.
fn under(version: &Version, axis: Axis, member: MemberId) -> Option<Under> {
    if member == MemberId::NONE {
        return None;
    }
    let dimension = version.dimension(axis.dimension);
    let holds = |member: MemberId| dimension.holds_facts_at(axis.level, member);
    for idx in 0..dimension.def.hierarchies.len() {
        let shape = dimension.shape(HierarchyId::from_idx(idx));
        let depth = usize::from(shape.depth[member.idx()]);
        let Some(ancestors) = shape.ancestors.get(depth) else { continue };
        let members: RoaringBitmap = dimension
            .members()
            .filter(|&below| ancestors[below.idx()] == member && holds(below))
            .map(|below| below.0)
            .collect();
        if members.is_empty() {
            continue;
        }
        let weights =
            shape.weights.as_ref().map(|weights| (weights.to_level[depth].clone(), weights.scale));
        return Some(Under { members, weights });
    }
    let members = holds(member).then_some(member.0).into_iter().collect();
    Some(Under { members, weights: None })
}

/// First day and day after the last of every member of a calendar; of a dimension of dates, the day.
fn period_days(dimension: &Dimension) -> Vec<(i32, i32)> {
    let day = |member: MemberId| parse_date(dimension.key(member));
    let mut days: Vec<(i32, i32)> = vec![(i32::MAX, i32::MIN); dimension.member_count()];
    for member in dimension.members() {
        let Some(own) = day(member) else { continue };
        days[member.idx()] = (own, own + 1);
        for idx in 0..dimension.def.hierarchies.len() {
            for ancestors in &dimension.shape(HierarchyId::from_idx(idx)).ancestors {
                let ancestor = ancestors[member.idx()];
                if ancestor != MemberId::NONE {
                    let (first, end) = &mut days[ancestor.idx()];
                    *first = own.min(*first);
                    *end = (own + 1).max(*end);
                }
            }
        }
    }
    days
}

/// Names for errors: a member as its key.
pub fn member_key(version: &Version, dimension: DimensionId, member: MemberId) -> String {
    match member {
        MemberId::NONE => "none".into(),
        member => version.dimension(dimension).key(member).to_string(),
    }
}
