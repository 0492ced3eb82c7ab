//! Points of a frame: as blocks that are evaluated together, as codes that tell them apart.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cube::segment::{CubeRows, Location, RowSet, Segment};
use cube::{CubeId, MemberId, Version};
use foldhash::fast::FixedState;

use crate::node::{AXES_MAX, Frame};
use crate::tables::{Order, Tables};

/// Points of a block; small enough for the processor's caches.
pub const BLOCK_POINTS: usize = 8_192;
/// Codes up to this are looked up in an array.
const DENSE_CODES_MAX: u128 = 1 << 23;
/// An array of codes is worth it for up to so many of them a point.
const CODES_PER_POINT: usize = 64;
/// What a member that is not of its axis adds to a code, so that it lies past all codes: as many of
/// them as there are axes fit into 32 bits.
pub(crate) const OUTSIDE: u32 = 1 << 24;
const _: () = assert!((OUTSIDE as u128) > DENSE_CODES_MAX && AXES_MAX < 1 << 7);

/// Points that are evaluated together.
#[derive(Debug, Clone)]
pub struct Block {
    /// Number of points.
    pub len: usize,
    /// Per axis the member of every point; absent where `origin` knows them.
    pub members: Vec<Vec<MemberId>>,
    /// The stored rows that the points are.
    pub origin: Option<Origin>,
}

/// Stored rows of one segment.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Their cube.
    pub cube: CubeId,
    /// Position of the segment among the cube's.
    pub position: usize,
    /// The segment.
    pub segment: Arc<Segment>,
    /// The rows.
    pub rows: RowSet,
}

impl Origin {
    /// The members of a column of the segment.
    fn members(&self, axis: usize) -> Vec<MemberId> {
        self.segment.coordinates[axis].gathered(&self.rows, |member| member)
    }
}

impl Block {
    /// Points given by their members.
    pub fn free(members: Vec<Vec<MemberId>>, len: usize) -> Self {
        Self { len, members, origin: None }
    }

    /// Stored rows of a segment.
    pub fn stored(from: &CubeRows, cube: CubeId, position: usize, rows: RowSet) -> Self {
        let segment = Arc::clone(&from.segments()[position].segment);
        let len = rows.len();
        let origin = Origin { cube, position, segment, rows };
        Self { len, members: Vec::new(), origin: Some(origin) }
    }

    /// The members of an axis.
    pub fn axis(&self, axis: usize) -> Cow<'_, [MemberId]> {
        match &self.origin {
            Some(origin) => Cow::Owned(origin.members(axis)),
            None => Cow::Borrowed(&self.members[axis]),
        }
    }

    /// The member of an axis at one point.
    pub fn member(&self, axis: usize, at: usize) -> MemberId {
        match &self.origin {
            Some(origin) => origin.segment.coordinates[axis].get(origin.rows.get(at)),
            None => self.members[axis][at],
        }
    }

    /// The points at some places, which ascend.
    pub fn taken(&self, places: &[u32]) -> Self {
        let members = self.members.iter();
        let members = members.map(|column| places.iter().map(|&at| column[at as usize]).collect());
        let origin = self.origin.as_ref().map(|origin| Origin {
            rows: origin.rows.taken(places),
            segment: Arc::clone(&origin.segment),
            ..*origin
        });
        Self { len: places.len(), members: members.collect(), origin }
    }

    /// Where a point is stored.
    pub fn location(&self, at: usize) -> Option<Location> {
        let origin = self.origin.as_ref()?;
        Some(Location { segment: origin.position, row: origin.rows.get(at) })
    }
}

/// Points as columns of members; an axis without a column is left open.
#[derive(Debug, Clone, Default)]
pub struct Points {
    /// Number of points.
    pub len: usize,
    /// Per axis of the frame.
    pub columns: Vec<Option<Vec<MemberId>>>,
}

impl Points {
    /// No points, of a frame of so many axes, all of them known.
    pub fn none(axes: usize) -> Self {
        Self { len: 0, columns: vec![Some(Vec::new()); axes] }
    }

    /// The points of some blocks.
    pub fn of_blocks(blocks: &[Block], axes: usize) -> Self {
        let mut points = Self::none(axes);
        for block in blocks {
            points.len += block.len;
            for (axis, column) in points.columns.iter_mut().enumerate() {
                if let Some(column) = column {
                    column.extend_from_slice(&block.axis(axis));
                }
            }
        }
        points
    }

    /// The axes that are known, as bits.
    pub fn known(&self) -> u64 {
        let known = self.columns.iter().enumerate().filter(|(_, column)| column.is_some());
        known.fold(0, |mask, (axis, _)| mask | 1 << axis)
    }

    /// The points at some places.
    pub fn taken(&self, places: &[u32]) -> Self {
        let take = |column: &Vec<MemberId>| places.iter().map(|&at| column[at as usize]).collect();
        let columns = self.columns.iter().map(|column| column.as_ref().map(take)).collect();
        Self { len: places.len(), columns }
    }

    /// The points as blocks; all axes must be known.
    pub fn into_blocks(self) -> Vec<Block> {
        let columns: Vec<Vec<MemberId>> = self.columns.into_iter().flatten().collect();
        if self.len <= BLOCK_POINTS {
            return if self.len == 0 { Vec::new() } else { vec![Block::free(columns, self.len)] };
        }
        let starts = (0..self.len).step_by(BLOCK_POINTS);
        let block = |start: usize| {
            let end = self.len.min(start + BLOCK_POINTS);
            let members = columns.iter().map(|column| column[start..end].to_vec()).collect();
            Block::free(members, end - start)
        };
        starts.map(block).collect()
    }
}

/// Gives every point of a frame a number: the places of its members along the axes as digits.
#[derive(Debug)]
pub struct Coder {
    orders: Vec<Arc<Order>>,
    strides: Vec<u128>,
    space: u128,
}

impl Coder {
    /// The coder of a frame.
    pub fn new(version: &Version, tables: &Tables, frame: &Frame) -> Self {
        let orders: Vec<Arc<Order>> =
            frame.axes.iter().map(|&axis| tables.order(version, axis)).collect();
        let mut strides = vec![0; frame.axes.len()];
        let mut space = 1u128;
        for (stride, order) in strides.iter_mut().zip(&orders).rev() {
            *stride = space;
            space = space.saturating_mul(order.members.len().max(1) as u128);
        }
        Self { orders, strides, space }
    }

    /// The codes of points, the member of each axis given; none where one is not of the axis.
    pub fn codes(&self, axes: &[Cow<'_, [MemberId]>], len: usize) -> Vec<Option<u128>> {
        let mut codes = vec![Some(0u128); len];
        for ((members, order), stride) in axes.iter().zip(&self.orders).zip(&self.strides) {
            for (code, &member) in codes.iter_mut().zip(members.iter()) {
                *code = match (*code, order.position(member)) {
                    (Some(sum), Some(position)) => Some(sum + stride * position as u128),
                    _ => None,
                };
            }
        }
        codes
    }

    /// The numbers of points, or `u32::MAX` where a point has none.
    pub fn places(
        &self,
        numbering: &Numbering,
        axes: &[Cow<'_, [MemberId]>],
        len: usize,
    ) -> Vec<u32> {
        let Numbering::Dense { numbers, .. } = numbering else {
            let codes = self.codes(axes, len).into_iter();
            return codes
                .map(|code| code.and_then(|code| numbering.find(code)).unwrap_or(u32::MAX))
                .collect();
        };
        let number = |code: u32| numbers.get(code as usize).copied().unwrap_or(u32::MAX);
        self.dense_codes(axes, len).into_iter().map(number).collect()
    }

    /// The codes of points in a space that is [`Self::is_dense`]: past its end where a member is not
    /// of its axis.
    pub fn dense_codes(&self, axes: &[Cow<'_, [MemberId]>], len: usize) -> Vec<u32> {
        let mut codes = vec![0u32; len];
        for ((members, order), &stride) in axes.iter().zip(&self.orders).zip(&self.strides) {
            let stride = stride as u32;
            for (code, &member) in codes.iter_mut().zip(members.iter()) {
                *code += match order.position(member) {
                    Some(position) => stride * position as u32,
                    None => OUTSIDE,
                };
            }
        }
        codes
    }

    /// The numbers of points, new ones given to those not seen before, at which `first` is called
    /// with the place of the point; `u32::MAX` where a point has none.
    pub fn numbered(
        &self,
        numbering: &mut Numbering,
        axes: &[Cow<'_, [MemberId]>],
        len: usize,
        mut first: impl FnMut(usize),
    ) -> Vec<u32> {
        let mut number = |(at, code): (usize, Option<u128>)| {
            let Some(code) = code else { return u32::MAX };
            let (number, is_new) = numbering.add(code);
            if is_new {
                first(at);
            }
            number
        };
        if self.is_dense() {
            let within = |code: u32| (u128::from(code) < self.space).then(|| code.into());
            let codes = self.dense_codes(axes, len).into_iter();
            return codes.map(within).enumerate().map(number).collect();
        }
        self.codes(axes, len).into_iter().enumerate().map(&mut number).collect()
    }

    /// Per axis and member of its dimension, what the member adds to the code of a point; none where
    /// the space is not dense.
    pub fn added(&self, axis: usize, member: MemberId) -> u32 {
        match self.orders[axis].position(member) {
            Some(position) => self.strides[axis] as u32 * position as u32,
            None => OUTSIDE,
        }
    }

    /// How many codes there are, where they are few enough for an array.
    pub fn dense_space(&self) -> Option<usize> {
        self.is_dense().then_some(self.space as usize)
    }

    /// The same, where they are few enough for so many points.
    pub fn space_for(&self, points: usize) -> Option<usize> {
        self.dense_space().filter(|&space| space <= CODES_PER_POINT * points)
    }

    fn is_dense(&self) -> bool {
        self.space <= DENSE_CODES_MAX
    }

    /// The members of the point of a code, which is within a dense space.
    pub fn members(&self, code: usize) -> impl Iterator<Item = MemberId> + '_ {
        let mut rest = code as u32;
        self.orders.iter().zip(&self.strides).map(move |(order, &stride)| {
            let position = rest / stride as u32;
            rest -= position * stride as u32;
            order.members[position as usize]
        })
    }

    /// The code of one point; none where a member is not of its axis.
    pub fn code(&self, members: &[MemberId]) -> Option<u128> {
        let mut code = 0;
        for ((&member, order), stride) in members.iter().zip(&self.orders).zip(&self.strides) {
            code += stride * order.position(member)? as u128;
        }
        Some(code)
    }

    /// An empty numbering of codes.
    pub fn numbering(&self, expected: usize) -> Numbering {
        if let Some(space) = self.space_for(expected) {
            Numbering::Dense { numbers: vec![u32::MAX; space], count: 0 }
        } else {
            Numbering::Sparse(HashMap::with_hasher(FixedState::default()))
        }
    }
}

/// Codes, numbered in the order of their first sight.
#[derive(Debug)]
pub enum Numbering {
    /// A number for every possible code.
    Dense {
        /// Per code, its number or `u32::MAX`.
        numbers: Vec<u32>,
        /// How many there are.
        count: u32,
    },
    /// A number for those seen.
    Sparse(HashMap<u128, u32, FixedState>),
}

impl Numbering {
    /// The number of a code, and whether it is new.
    pub fn add(&mut self, code: u128) -> (u32, bool) {
        match self {
            Self::Dense { numbers, count } => {
                let number = &mut numbers[code as usize];
                let is_new = *number == u32::MAX;
                if is_new {
                    *number = *count;
                    *count += 1;
                }
                (*number, is_new)
            }
            Self::Sparse(numbers) => {
                let next = numbers.len() as u32;
                let number = *numbers.entry(code).or_insert(next);
                (number, number == next)
            }
        }
    }

    /// The number of a code.
    pub fn find(&self, code: u128) -> Option<u32> {
        match self {
            Self::Dense { numbers, .. } => {
                numbers.get(code as usize).copied().filter(|&number| number != u32::MAX)
            }
            Self::Sparse(numbers) => numbers.get(&code).copied(),
        }
    }

    /// How many codes there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Dense { count, .. } => *count as usize,
            Self::Sparse(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Codes of a dense space: one bit each, so that many fit into the processor's caches.
#[derive(Debug)]
pub struct CodeSet {
    words: Vec<u64>,
}

impl CodeSet {
    /// None of a space.
    pub fn none(space: usize) -> Self {
        Self { words: vec![0; space.div_ceil(64)] }
    }

    /// Puts a code in, one past the space not; whether it was not there.
    pub fn insert(&mut self, code: u32) -> bool {
        let Some(word) = self.words.get_mut(code as usize / 64) else { return false };
        let bit = 1 << (code % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes a code out; whether it was there.
    pub fn remove(&mut self, code: u32) -> bool {
        let Some(word) = self.words.get_mut(code as usize / 64) else { return false };
        let bit = 1 << (code % 64);
        let is_in = *word & bit != 0;
        *word &= !bit;
        is_in
    }

    /// Whether a code is in.
    pub fn contains(&self, code: u32) -> bool {
        self.words.get(code as usize / 64).is_some_and(|word| word >> (code % 64) & 1 == 1)
    }

    /// Puts those of another in.
    pub fn extend(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(own, more)| *own |= more);
    }

    /// The points of the codes.
    pub fn points(&self, coder: &Coder) -> Points {
        let mut points = Points::none(coder.orders.len());
        for (idx, &word) in self.words.iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                let code = idx * 64 + rest.trailing_zeros() as usize;
                points.len += 1;
                for (column, member) in points.columns.iter_mut().zip(coder.members(code)) {
                    column.get_or_insert_default().push(member);
                }
                rest &= rest - 1;
            }
        }
        points
    }
}

/// The places of points that are different, the first of each.
pub fn distinct(version: &Version, tables: &Tables, frame: &Frame, points: Points) -> Points {
    if points.len < 2 {
        return points;
    }
    let coder = Coder::new(version, tables, frame);
    let none: &[MemberId] = &[];
    let axes: Vec<Cow<'_, [MemberId]>> = points
        .columns
        .iter()
        .map(|column| Cow::Borrowed(column.as_deref().unwrap_or(none)))
        .collect();
    let places: Vec<u32> = match coder.space_for(points.len) {
        Some(space) => {
            let mut seen = CodeSet::none(space);
            let codes = coder.dense_codes(&axes, points.len).into_iter().zip(0u32..);
            codes.filter(|(code, _)| seen.insert(*code)).map(|(_, at)| at).collect()
        }
        None => {
            let mut numbering = coder.numbering(points.len);
            let mut places = Vec::new();
            coder.numbered(&mut numbering, &axes, points.len, |at| places.push(at as u32));
            places
        }
    };
    drop(axes);
    if places.len() == points.len { points } else { points.taken(&places) }
}
