//! Evaluation of a formula at many points at once.
//!
//! What needs only its own point runs block by block, in parallel. What looks at many points at once
//! (an aggregation, a range, a share) is a site: all sites of an expression are computed for all
//! blocks first, each by asking the same of what is inside it, and the blocks then read the results.

pub mod apply;
pub mod assign;
pub mod faults;
mod leads;
mod lookup;
mod on_branch;
mod ordered;
pub mod reduce;
mod share;
mod sums;
pub mod support;
pub mod tier;
mod window;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cube::{CubeId, DimensionId, MeasureId, MemberId, Scalar, Version};
use rayon::prelude::*;

use crate::column::{Column, Faults, Fixed};
use crate::error::Result;
use crate::functions::Function;
use crate::node::{Frame, Kind, MemberText, Node, PeriodEdge, Scope, Type, Value};
use crate::points::{BLOCK_POINTS, Block, Coder, Points};
use crate::tables::Tables;

/// Fewer points than this are not worth another thread.
const PARALLEL_POINTS: usize = 4_096;

/// One calculation over a version.
pub struct Session<'a> {
    /// What is read.
    pub version: &'a Version,
    /// What follows from members.
    pub tables: &'a Tables,
    /// For errors: what is computed.
    pub target: &'a str,
    sources: Mutex<HashMap<(CubeId, MeasureId), Arc<lookup::Source>>>,
    tiers: Mutex<tier::TierTables>,
    leads: Mutex<leads::Known>,
    volume: AtomicUsize,
}

/// The values of the sites of an expression, by the address of their nodes, a column a block.
pub(crate) type Given = HashMap<usize, Vec<Column>>;

impl<'a> Session<'a> {
    /// A calculation for a target.
    pub fn new(version: &'a Version, tables: &'a Tables, target: &'a str) -> Self {
        Self {
            version,
            tables,
            target,
            sources: Mutex::default(),
            tiers: Mutex::default(),
            leads: Mutex::default(),
            volume: AtomicUsize::new(0),
        }
    }

    fn volume(&self) -> usize {
        self.volume.load(Ordering::Relaxed)
    }

    /// Notes that so many points are evaluated, which says what is worth preparing.
    fn see(&self, points: usize) {
        self.volume.fetch_max(points, Ordering::Relaxed);
    }

    /// The values of an expression at the points of some blocks.
    pub fn evaluate_all(
        &self,
        node: &Node,
        frame: &Frame,
        blocks: &[Block],
    ) -> Result<Vec<Column>> {
        let given = self.given(node, frame, blocks)?;
        Ok(self.each_block(blocks, |position, block| {
            self.evaluate(node, frame, block, position, &given)
        }))
    }

    /// The values of the sites of an expression.
    pub(crate) fn given(&self, node: &Node, frame: &Frame, blocks: &[Block]) -> Result<Given> {
        self.see(blocks.iter().map(|block| block.len).sum());
        let mut sites = Vec::new();
        collect_sites(node, &mut sites);
        let mut given = Given::new();
        for site in sites {
            given.insert(std::ptr::from_ref(site) as usize, self.site(site, frame, blocks)?);
        }
        Ok(given)
    }

    /// Does the same for every block, in parallel where there are many points.
    pub(crate) fn each_block<T: Send>(
        &self,
        blocks: &[Block],
        work: impl Fn(usize, &Block) -> T + Sync,
    ) -> Vec<T> {
        let one = |(position, block): (usize, &Block)| work(position, block);
        let points: usize = blocks.iter().map(|block| block.len).sum();
        if points < PARALLEL_POINTS || blocks.len() == 1 {
            return blocks.iter().enumerate().map(one).collect();
        }
        blocks.par_iter().enumerate().map(one).collect()
    }

    /// A point in words.
    pub fn describe(&self, frame: &Frame, block: &Block, at: usize) -> String {
        if let (Some(rows), Some(origin)) = (frame.rows, &block.origin) {
            let def = self.version.model.cube_def(rows);
            let keys = def.def.key.iter().zip(&origin.segment.keys);
            let row = origin.rows.get(at);
            let parts = keys.map(|(key, column)| {
                format!("{}={}", key.name, column.get(row).format(key.key_type))
            });
            return format!("({})", parts.collect::<Vec<_>>().join(", "));
        }
        let parts = frame.axes.iter().enumerate().map(|(position, axis)| {
            let dimension = self.version.dimension(axis.dimension);
            let member = block.member(position, at);
            let key = if member == MemberId::NONE { "" } else { dimension.key(member) };
            format!("{}={key}", dimension.def.name)
        });
        format!("({})", parts.collect::<Vec<_>>().join(", "))
    }

    fn site(&self, node: &Node, frame: &Frame, blocks: &[Block]) -> Result<Vec<Column>> {
        match &node.kind {
            Kind::At(scope, members) => self.at_site(scope, members, frame, blocks),
            Kind::Reduce(reduce) => self.reduce(reduce, blocks),
            Kind::Window(window) => self.window(window, blocks),
            Kind::Share(share) => self.share(share, blocks),
            Kind::OnBranch(on) => self.on_branch(node, on, blocks),
            _ => Ok(blocks.iter().map(|block| Column::Blank(block.len)).collect()),
        }
    }

    /// An expression at other points, each different one evaluated once.
    fn at_site(
        &self,
        scope: &Scope,
        members: &[Node],
        frame: &Frame,
        blocks: &[Block],
    ) -> Result<Vec<Column>> {
        let mut axes: Vec<Vec<Column>> = Vec::new();
        for member in members {
            axes.push(self.evaluate_all(member, frame, blocks)?);
        }
        let mut unique = Unique::new(self, &scope.frame, blocks);
        for (position, block) in blocks.iter().enumerate() {
            let columns: Vec<Cow<'_, [MemberId]>> =
                axes.iter().map(|columns| members_of(&columns[position])).collect();
            unique.add(&columns, block.len);
        }
        let points = unique.points.into_blocks();
        let values = concatenated(self.evaluate_all(&scope.node, &scope.frame, &points)?);
        let values = self.with_origin(values, &scope.frame, &points);
        Ok(unique.places.iter().map(|places| values.taken(places)).collect())
    }

    pub(crate) fn evaluate(
        &self,
        node: &Node,
        frame: &Frame,
        block: &Block,
        position: usize,
        given: &Given,
    ) -> Column {
        if node.is_heavy
            && let Some(columns) = given.get(&(std::ptr::from_ref(node) as usize))
        {
            return columns[position].clone();
        }
        let len = block.len;
        let inner = |node: &Node| self.evaluate(node, frame, block, position, given);
        match &node.kind {
            Kind::Literal(value) => Column::constant(value, len),
            Kind::Blank => Column::Blank(len),
            Kind::MemberLiteral(dimension, text) => {
                let member = self.tables.literal(self.version, *dimension, text);
                Column::Members(vec![member; len])
            }
            Kind::Stored(cube, measure) => match &block.origin {
                Some(origin) if origin.cube == *cube => self.stored(origin, *measure),
                _ => {
                    let paths = || Some(leads::own_paths(frame));
                    if let Some(column) = self.led_values(*cube, *measure, paths, block) {
                        return column;
                    }
                    let axes: Vec<_> = (0..frame.axes.len()).map(|axis| block.axis(axis)).collect();
                    self.lookup(*cube, *measure, &axes, len)
                }
            },
            Kind::Axis(axis) => Column::Members(block.axis(*axis).into_owned()),
            Kind::Map(from, dimension, map) => {
                let table = self.tables.map(self.version, *dimension, map);
                let column = inner(from);
                let members = members_of(&column);
                Column::Members(members.iter().map(|&member| table.get(member)).collect())
            }
            Kind::Attribute(member, dimension, attribute, on) => {
                let members = inner(member);
                let on = on.as_ref().map(|on| inner(on));
                self.attribute(&members, *dimension, *attribute, on.as_ref(), node.value_type)
            }
            Kind::MemberText(member, dimension, what) => {
                let dimension = self.version.dimension(*dimension);
                let column = inner(member);
                let text = |&member: &MemberId| match (member, what) {
                    (MemberId::NONE, _) => None,
                    (member, MemberText::Key) => Some(dimension.key(member).into()),
                    (member, MemberText::Name) => Some(dimension.name(member).into()),
                };
                Column::Texts(members_of(&column).iter().map(text).collect())
            }
            Kind::DateMember(date, dimension) => {
                let dates = inner(date);
                let dimension = self.version.dimension(*dimension);
                let find = |at: usize| {
                    let key = dates.day(at).map(cube::value::format_date);
                    key.and_then(|key| dimension.find(&key)).unwrap_or(MemberId::NONE)
                };
                Column::Members((0..len).map(find).collect())
            }
            Kind::Period(member, dimension, edge) => {
                let days = self.tables.days(self.version, *dimension);
                let column = inner(member);
                let day = |&member: &MemberId| {
                    let &(start, end) = days.get(member.idx())?;
                    (start < end).then_some(match edge {
                        PeriodEdge::Start => start,
                        PeriodEdge::End => end,
                    })
                };
                Column::of_days(&members_of(&column).iter().map(day).collect::<Vec<_>>())
            }
            Kind::Apply(function, arguments) => {
                let mut columns = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    columns.push(inner(argument));
                }
                if *function == Function::Convert
                    && len == 1
                    && let Some(missing) = self.missing_rate(arguments, &columns, &inner)
                {
                    return missing;
                }
                self.apply(*function, arguments, columns, len)
            }
            Kind::At(scope, members) => {
                if let Kind::Stored(cube, measure) = &scope.node.kind {
                    let paths = || leads::paths(self, members.iter(), frame);
                    if let Some(column) = self.led_values(*cube, *measure, paths, block) {
                        return column;
                    }
                }
                let mut columns = Vec::with_capacity(members.len());
                for member in members {
                    columns.push(inner(member));
                }
                self.at_light(scope, &columns, len)
            }
            Kind::Tier(tier) => {
                let value = inner(&tier.value);
                let mut shared = Vec::with_capacity(tier.shared.len());
                for (axis, node) in &tier.shared {
                    shared.push((*axis, inner(node)));
                }
                self.tier(tier, &value, &shared)
            }
            Kind::Fill(value, scope) => {
                // what has fewer dimensions than the scope makes no cells outside of it
                let is_wide = value.mask | scope.mask == value.mask;
                self.filled(&inner(value), &inner(scope), is_wide)
            }
            Kind::Reduce(_) | Kind::Window(_) | Kind::Share(_) | Kind::OnBranch(_) => {
                Column::Blank(len)
            }
        }
    }

    /// A formula of consolidated cells: `read` gives the columns of its operands.
    pub fn over_columns(
        &self,
        node: &Node,
        read: &dyn Fn(&Node) -> Option<Column>,
        len: usize,
    ) -> Column {
        if let Some(column) = read(node) {
            return column;
        }
        match &node.kind {
            Kind::Literal(value) => Column::constant(value, len),
            Kind::Apply(function, arguments) => {
                let columns = arguments.iter().map(|node| self.over_columns(node, read, len));
                self.apply(*function, arguments, columns.collect(), len)
            }
            _ => Column::Blank(len),
        }
    }

    /// An expression without sites at other points.
    fn at_light(&self, scope: &Scope, columns: &[Column], len: usize) -> Column {
        let axes: Vec<Cow<'_, [MemberId]>> = columns.iter().map(members_of).collect();
        if let Kind::Stored(cube, measure) = &scope.node.kind {
            return self.lookup(*cube, *measure, &axes, len);
        }
        let complete: Vec<u32> = (0..len)
            .filter(|&at| axes.iter().all(|members| members[at] != MemberId::NONE))
            .map(|at| at as u32)
            .collect();
        let take = |members: &Cow<'_, [MemberId]>| {
            complete.iter().map(|&at| members[at as usize]).collect::<Vec<_>>()
        };
        let block = Block::free(axes.iter().map(take).collect(), complete.len());
        let inner = self.evaluate(&scope.node, &scope.frame, &block, 0, &HashMap::new());
        let inner = self.with_origin(inner, &scope.frame, std::slice::from_ref(&block));
        if complete.len() == len {
            return inner;
        }
        let mut places = vec![u32::MAX; len];
        for (inner, &outer) in complete.iter().enumerate() {
            places[outer as usize] = inner as u32;
        }
        inner.taken(&places)
    }

    fn attribute(
        &self,
        members: &Column,
        dimension: DimensionId,
        attribute: cube::AttributeId,
        on: Option<&Column>,
        value_type: Type,
    ) -> Column {
        let from = self.version.dimension(dimension);
        let stored = from.def.attributes[attribute.idx()].value_type;
        let target = match value_type {
            Type::Member(target) => Some(self.version.dimension(target)),
            _ => None,
        };
        let value = |at: usize| {
            let member = members.member(at);
            if member == MemberId::NONE {
                return None;
            }
            let scalar = match on {
                Some(on) => from.attribute_on(attribute, member, on.day(at)?),
                None => from.attribute(attribute, member),
            };
            Some(match (scalar?, target) {
                (Scalar::Text(key), Some(target)) => Value::Member(target.find(key)?),
                (Scalar::Text(text), None) => Value::Text(Arc::clone(text)),
                (Scalar::Stored(value), _) => match value_type {
                    Type::Date => Value::Date(i32::try_from(*value).ok()?),
                    Type::Boolean => Value::Boolean(*value != 0),
                    _ => Value::Number(cube::Number::new(i128::from(*value), stored.scale())),
                },
            })
        };
        if value_type == Type::Number {
            let values = (0..members.len()).map(|at| match value(at) {
                Some(Value::Number(number)) => number.mantissa(),
                _ => None,
            });
            let values: Vec<Option<i128>> = values.collect();
            return Column::Fixed(Fixed::of_options(&values, stored.scale()));
        }
        Column::of_values((0..members.len()).map(value).collect(), value_type)
    }
}

/// The sites of an expression in its own frame, not those inside other sites.
fn collect_sites<'n>(node: &'n Node, sites: &mut Vec<&'n Node>) {
    if !node.is_heavy {
        return;
    }
    match &node.kind {
        Kind::Reduce(_) | Kind::Window(_) | Kind::Share(_) | Kind::OnBranch(_) => {
            sites.push(node);
        }
        Kind::At(scope, _) if scope.node.is_heavy => sites.push(node),
        _ => node.children().into_iter().for_each(|child| collect_sites(child, sites)),
    }
}

pub(crate) fn members_of(column: &Column) -> Cow<'_, [MemberId]> {
    match column {
        Column::Members(members) => Cow::Borrowed(members),
        other => Cow::Owned(vec![MemberId::NONE; other.len()]),
    }
}

/// Different points seen in several blocks.
struct Unique {
    coder: Coder,
    numbering: crate::points::Numbering,
    points: Points,
    /// Per block, per point, its place among the different ones, or past their end.
    places: Vec<Vec<u32>>,
}

impl Unique {
    fn new(session: &Session<'_>, frame: &Frame, blocks: &[Block]) -> Self {
        let expected: usize = blocks.iter().map(|block| block.len).sum();
        let coder = Coder::new(session.version, session.tables, frame);
        Self {
            numbering: coder.numbering(expected),
            coder,
            points: Points::none(frame.axes.len()),
            places: Vec::new(),
        }
    }

    fn add(&mut self, axes: &[Cow<'_, [MemberId]>], len: usize) {
        let points = &mut self.points;
        let places = self.coder.numbered(&mut self.numbering, axes, len, |at| {
            points.len += 1;
            for (column, members) in points.columns.iter_mut().zip(axes) {
                column.get_or_insert_default().push(members[at]);
            }
        });
        self.places.push(places);
    }
}

/// Columns of one expression, one after the other.
fn concatenated(columns: Vec<Column>) -> Column {
    let len: usize = columns.iter().map(Column::len).sum();
    let mut columns = columns.into_iter();
    let Some(first) = columns.next() else { return Column::Blank(0) };
    if first.len() == len {
        return first;
    }
    let rest: Vec<Column> = columns.collect();
    if let Column::Fixed(fixed) = &first
        && rest.iter().all(|c| matches!(c, Column::Fixed(other) if other.scale == fixed.scale))
    {
        let each = std::iter::once(&first).chain(&rest);
        let fixed: Vec<&Fixed> = each.filter_map(Column::fixed).collect();
        return Column::Fixed(Fixed::concatenated(&fixed));
    }
    let all: Vec<Column> = std::iter::once(first).chain(rest).collect();
    if all.iter().any(|column| column.faults().is_some()) {
        return concatenated_faulty(all);
    }
    let kind = all.iter().find(|column| !matches!(column, Column::Blank(_)));
    let each = || all.iter().flat_map(|column| (0..column.len()).map(move |at| (column, at)));
    match kind {
        Some(Column::Fixed(_) | Column::Numbers(_)) => {
            Column::Numbers(each().map(|(column, at)| column.number(at)).collect())
        }
        Some(Column::Members(_)) => {
            Column::Members(each().map(|(column, at)| column.member(at)).collect())
        }
        Some(Column::Flags(..)) => Column::Flags(
            each().map(|(column, at)| column.flag(at)).collect(),
            each().map(|(column, at)| column.is_present(at)).collect(),
        ),
        Some(Column::Texts(_)) => {
            Column::Texts(each().map(|(column, at)| column.text(at).cloned()).collect())
        }
        Some(Column::Blank(_) | Column::Faulty(_)) | None => Column::Blank(len),
    }
}

fn concatenated_faulty(columns: Vec<Column>) -> Column {
    let mut faults = Faults::default();
    let mut start = 0;
    let mut values = Vec::with_capacity(columns.len());
    for column in columns {
        let (column, of_column) = column.split();
        for &at in of_column.places() {
            faults.add(start + at as usize, of_column.first().cloned());
        }
        start += column.len();
        values.push(column);
    }
    concatenated(values).with_faults(faults)
}

/// Stored rows as blocks.
pub fn row_blocks(
    version: &Version,
    cube: CubeId,
    filters: &[Option<roaring::RoaringBitmap>],
) -> Vec<Block> {
    let rows = version.rows(cube);
    let mut blocks = Vec::new();
    for (position, chosen) in rows.row_sets_with(filters, BLOCK_POINTS) {
        blocks.push(Block::stored(rows, cube, position, chosen));
    }
    blocks
}
