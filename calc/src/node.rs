//! A checked formula: a tree of nodes, each evaluated at the points of a frame.
//!
//! A frame says what a point is: a member of each of its axes and, in a records cube, one row. A node
//! that looks elsewhere (another cube, another month, all products) holds the frame of what it looks
//! at and says how a point of its own frame maps there; so every read can be followed forwards, to
//! evaluate, and backwards, to find what a change makes recompute.

use cube::{AttributeId, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, Model, Number};

use crate::branches::OnBranch;
use crate::functions::Function;
use crate::syntax::Span;

/// A dimension at the level whose members are meant; none: its leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Axis {
    /// The dimension.
    pub dimension: DimensionId,
    /// The level above the leaves.
    pub level: Option<LevelId>,
}

/// What a point is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// A member of each.
    pub axes: Vec<Axis>,
    /// The records cube of which it is a row.
    pub rows: Option<CubeId>,
}

/// Bit of a mask for "this row".
pub const ROW: u64 = 1 << 63;
/// Axes of a frame; a mask has a bit for each.
pub const AXES_MAX: usize = 60;

impl Frame {
    /// The frame of a cube's own cells or rows.
    pub fn of_cube(model: &Model, id: CubeId) -> Self {
        let cube = model.cube_def(id);
        let axes = cube.dimensions.iter().zip(&cube.levels);
        let axes = axes.map(|(&dimension, &level)| Axis { dimension, level }).collect();
        let is_records = cube.def.kind == cube::model::CubeKind::Records;
        Self { axes, rows: is_records.then_some(id) }
    }

    /// The position of a dimension's axis.
    pub fn position(&self, dimension: DimensionId) -> Option<usize> {
        self.axes.iter().position(|axis| axis.dimension == dimension)
    }

    /// The mask of everything that makes up a point.
    pub fn full(&self) -> u64 {
        let row = if self.rows.is_some() { ROW } else { 0 };
        row | ((1 << self.axes.len()) - 1)
    }
}

/// The type of a node's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Exact decimal.
    Number,
    /// Text.
    Text,
    /// Day.
    Date,
    /// True or false.
    Boolean,
    /// A member of a dimension.
    Member(DimensionId),
    /// BLANK, which is of any type.
    Blank,
}

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Exact decimal.
    Number(Number),
    /// Text.
    Text(std::sync::Arc<str>),
    /// Days since 1970-01-01.
    Date(i32),
    /// True or false.
    Boolean(bool),
    /// A member.
    Member(cube::MemberId),
}

/// One step of a formula.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it does.
    pub kind: Kind,
    /// The type of its values.
    pub value_type: Type,
    /// The axes (bits by position, and [`ROW`]) that its support runs over: measures have one, members
    /// and their attributes have none. What has fewer than another operand is broadcast and adds no
    /// support to `+ -`.
    pub mask: u64,
    /// Whether it has to see all points of a calculation at once (aggregations, allocations).
    pub is_heavy: bool,
    /// Where it stands in the text.
    pub span: Span,
}

/// What a node does.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A literal.
    Literal(Value),
    /// No value.
    Blank,
    /// The member of a key or a unique name, found when the formula runs; no value where there is none.
    MemberLiteral(DimensionId, String),
    /// The stored value of a measure at the point itself; the frame is the cube's own.
    Stored(CubeId, MeasureId),
    /// The member of an axis.
    Axis(usize),
    /// Another member that a member leads to.
    Map(Box<Node>, DimensionId, MemberMap),
    /// An attribute of a member, as of a date where one is given.
    Attribute(Box<Node>, DimensionId, AttributeId, Option<Box<Node>>),
    /// Key or name of a member.
    MemberText(Box<Node>, DimensionId, MemberText),
    /// The day of a calendar that a date is.
    DateMember(Box<Node>, DimensionId),
    /// First day, or the day after the last, of the period that a member of a calendar is.
    Period(Box<Node>, DimensionId, PeriodEdge),
    /// A function of values at the same point.
    Apply(Function, Vec<Node>),
    /// The value of an expression at another point: one member per axis of its frame.
    At(Box<Scope>, Vec<Node>),
    /// An aggregation over the points of another frame.
    Reduce(Box<Reduce>),
    /// An aggregation over a range of an ordered axis.
    Window(Box<Window>),
    /// A rate table applied to a value.
    Tier(Box<Tier>),
    /// An amount split by a basis.
    Share(Box<Share>),
    /// The support of the second without its values: the first, filled in there.
    Fill(Box<Node>, Box<Node>),
    /// The value of an expression on another branch, at the members of the same keys. What is inside
    /// is of that branch's model, so no walk over this tree goes there.
    OnBranch(Box<OnBranch>),
}

/// An expression in a frame of its own.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Where.
    pub frame: Frame,
    /// What.
    pub node: Node,
}

/// How a member leads to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MemberMap {
    /// The ancestor at a position of a hierarchy.
    Ancestor(HierarchyId, usize),
    /// The parent in a hierarchy.
    Parent(HierarchyId),
    /// The member of another dimension whose key an attribute holds.
    Attribute(AttributeId, DimensionId),
    /// So many members further among those of the axis's level.
    Shift(Option<LevelId>, i32),
    /// The same place in the period of a level that is so many periods further.
    Parallel(Option<LevelId>, LevelId, i32),
}

/// What text of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberText {
    /// Its key.
    Key,
    /// Its name.
    Name,
}

/// An edge of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeriodEdge {
    /// Its first day.
    Start,
    /// The day after its last.
    End,
}

/// How several values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregator {
    /// Sum.
    Sum,
    /// Sum by number of values.
    Avg,
    /// Sum of value times weight, by sum of weights.
    Wavg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Number of values.
    Count,
    /// Number of different values.
    CountUnique,
    /// The value of the first point, blank or not.
    First,
    /// The value of the last point, blank or not.
    Last,
    /// The first value.
    FirstNonBlank,
    /// The last value.
    LastNonBlank,
    /// Whether one is true.
    Any,
    /// Whether all are true.
    All,
    /// The texts, one after the other.
    TextList,
}

impl Aggregator {
    /// Whether the order of the points makes a difference.
    pub fn is_ordered(self) -> bool {
        matches!(
            self,
            Self::First | Self::Last | Self::FirstNonBlank | Self::LastNonBlank | Self::TextList
        )
    }
}

/// An aggregation: points of `inner` that lead to the same point of `result`.
#[derive(Debug, Clone)]
pub struct Reduce {
    /// What is aggregated.
    pub inner: Scope,
    /// The frame the node itself is in.
    pub result: Frame,
    /// Per axis of the result, the member an inner point leads to.
    pub by: Vec<Node>,
    /// How.
    pub aggregator: Aggregator,
    /// The weight of an inner point (WAVG).
    pub weight: Option<Node>,
    /// Axes of the inner frame of which only what is under a member counts, with the weight it has
    /// in that member.
    pub under: Vec<(usize, String)>,
}

/// A range of an ordered axis, seen from one of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// From the first member on.
    Cumulate,
    /// From the first member in the same period of a level on.
    ToDate(LevelId),
    /// The last so many members, itself included.
    Moving(u32),
    /// All members in the same period of a level.
    Period(LevelId),
    /// All members in the period before, of a level.
    PeriodBefore(LevelId),
    /// All members.
    All,
}

/// An aggregation over a range.
#[derive(Debug, Clone)]
pub struct Window {
    /// What is aggregated, in the window's own frame.
    pub inner: Node,
    /// The frame.
    pub frame: Frame,
    /// The ordered axis.
    pub axis: usize,
    /// The range.
    pub range: Range,
    /// How; a rank counts larger (or smaller) values.
    pub how: WindowHow,
}

/// What is made of the values in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowHow {
    /// One value of all.
    Aggregate(Aggregator),
    /// The value less that of the member before.
    Difference,
    /// One more than the number of values that come before the point's own.
    Rank {
        /// Whether the smallest is first.
        ascending: bool,
    },
}

/// How a rate table is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierMode {
    /// The rate of the slice in which the value lies, times the value.
    Whole,
    /// Each slice of the value times its own rate.
    Marginal,
    /// The rate between two thresholds, in proportion, times the value.
    Interpolated,
}

/// A rate table applied to a value.
#[derive(Debug, Clone)]
pub struct Tier {
    /// The value.
    pub value: Node,
    /// The cube of the table.
    pub cube: CubeId,
    /// Lower bounds of the slices.
    pub threshold: MeasureId,
    /// Their rates.
    pub rate: MeasureId,
    /// Axes of the table that choose one table: position in the cube, member.
    pub shared: Vec<(usize, Node)>,
    /// How.
    pub mode: TierMode,
}

/// An amount split over the points of a basis that share its own point.
#[derive(Debug, Clone)]
pub struct Share {
    /// The amount, in the share's frame; it varies over fewer axes.
    pub amount: Node,
    /// The basis.
    pub basis: Node,
    /// The frame.
    pub frame: Frame,
    /// Axes that the amount has.
    pub group: Vec<usize>,
    /// Digits to which parts are cut, the remainder going to the largest fractions; none: exact
    /// division.
    pub scale: Option<u32>,
}

impl Node {
    /// Whether the node is a literal.
    pub fn is_constant(&self) -> bool {
        matches!(self.kind, Kind::Literal(_) | Kind::Blank | Kind::MemberLiteral(..))
    }

    /// The nodes it is made of that are evaluated in the same frame.
    pub fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Literal(_)
            | Kind::Blank
            | Kind::MemberLiteral(..)
            | Kind::Stored(..)
            | Kind::Axis(_)
            | Kind::Reduce(_)
            | Kind::OnBranch(_) => Vec::new(),
            Kind::Map(inner, ..)
            | Kind::MemberText(inner, ..)
            | Kind::DateMember(inner, _)
            | Kind::Period(inner, ..) => {
                vec![inner]
            }
            Kind::Attribute(member, _, _, on) => {
                std::iter::once(member.as_ref()).chain(on.as_deref()).collect()
            }
            Kind::Apply(_, arguments) => arguments.iter().collect(),
            Kind::At(_, members) => members.iter().collect(),
            Kind::Window(window) => vec![&window.inner],
            Kind::Tier(tier) => {
                let shared = tier.shared.iter().map(|(_, node)| node);
                std::iter::once(&tier.value).chain(shared).collect()
            }
            Kind::Share(share) => vec![&share.amount, &share.basis],
            Kind::Fill(value, scope) => vec![value, scope],
        }
    }

    /// Calls a function with every node of the tree, in whatever frame.
    pub fn visit(&self, visit: &mut dyn FnMut(&Node)) {
        visit(self);
        match &self.kind {
            Kind::At(scope, _) => scope.node.visit(visit),
            Kind::Reduce(reduce) => {
                reduce.inner.node.visit(visit);
                reduce.by.iter().chain(&reduce.weight).for_each(|node| node.visit(visit));
            }
            _ => {}
        }
        self.children().into_iter().for_each(|child| child.visit(visit));
    }

    /// What it reads on other branches.
    pub fn on_branches(&self) -> Vec<&OnBranch> {
        fn collect<'n>(node: &'n Node, found: &mut Vec<&'n OnBranch>) {
            match &node.kind {
                Kind::OnBranch(on) => found.push(on),
                Kind::At(scope, _) => collect(&scope.node, found),
                Kind::Reduce(reduce) => {
                    collect(&reduce.inner.node, found);
                    reduce.by.iter().chain(&reduce.weight).for_each(|node| collect(node, found));
                }
                _ => {}
            }
            node.children().into_iter().for_each(|child| collect(child, found));
        }
        let mut found = Vec::new();
        collect(self, &mut found);
        found
    }

    /// The measure that an operand of a ratio is: at the same members, of whatever cube.
    pub fn operand(&self) -> Option<(CubeId, MeasureId)> {
        match &self.kind {
            Kind::Stored(cube, measure) => Some((*cube, *measure)),
            Kind::At(scope, _) => scope.node.operand(),
            _ => None,
        }
    }

    /// Every measure of its own branch that it reads: cube and measure.
    pub fn reads(&self) -> std::collections::BTreeSet<(CubeId, MeasureId)> {
        let mut reads = std::collections::BTreeSet::new();
        self.visit(&mut |node| match &node.kind {
            Kind::Stored(cube, measure) => {
                reads.insert((*cube, *measure));
            }
            Kind::Tier(tier) => {
                reads.insert((tier.cube, tier.threshold));
                reads.insert((tier.cube, tier.rate));
            }
            _ => {}
        });
        reads
    }
}
