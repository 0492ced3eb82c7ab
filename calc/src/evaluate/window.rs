//! Ranges of an ordered axis: running sums, moving averages, opening and closing values, ranks.
//!
//! Points that differ only along the axis are a line. The inner expression is evaluated once at every
//! position that a line needs, and each point then reads its range of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use cube::{MemberId, Number};

use super::faults::adds_in_any_order;
use super::reduce::aggregate;
use super::{Session, concatenated};
use crate::column::{Column, Faults};
use crate::error::Result;
use crate::node::{Aggregator, Frame, Type, Value, Window, WindowHow};
use crate::points::{Block, Coder, Points};
use crate::tables::{Order, Ranges};

/// Points that differ only along the axis, and the positions that they need.
struct Line {
    /// Members of the other axes (that of the axis itself is any).
    members: Vec<MemberId>,
    /// First position needed.
    start: usize,
    /// Past the last one.
    end: usize,
    /// Where the line's values begin among all.
    offset: usize,
}

impl Session<'_> {
    /// The values of a range at the points of some blocks of its frame.
    pub(super) fn window(&self, window: &Window, blocks: &[Block]) -> Result<Vec<Column>> {
        let axis = window.frame.axes[window.axis];
        let order = self.tables.order(self.version, axis);
        let ranges = self.tables.ranges(self.version, axis, window.range);
        let (mut lines, line_of) = self.lines(window, blocks, &order, &ranges);
        let mut points = Points::none(window.frame.axes.len());
        let counts = lines.iter().map(|line| line.end.saturating_sub(line.start));
        self.check_density(counts.sum())?;
        for line in &mut lines {
            line.offset = points.len;
            let count = line.end.saturating_sub(line.start);
            points.len += count;
            for (at, column) in points.columns.iter_mut().enumerate() {
                let column = column.get_or_insert_default();
                if at == window.axis {
                    column.extend_from_slice(&order.members[line.start..line.start + count]);
                } else {
                    column.extend(std::iter::repeat_n(line.members[at], count));
                }
            }
        }
        let points = points.into_blocks();
        let inner = concatenated(self.evaluate_all(&window.inner, &window.frame, &points)?);
        let running = Running::new(window, &inner, &lines);
        let is_one = blocks.iter().map(|block| block.len).sum::<usize>() == 1;
        let mut columns = Vec::with_capacity(blocks.len());
        for (block, line_of) in blocks.iter().zip(line_of) {
            let members = block.axis(window.axis);
            let mut values = Vec::with_capacity(block.len);
            let mut faults = Faults::default();
            for (at, (&member, line)) in members.iter().zip(line_of).enumerate() {
                let found = order.position(member).zip(lines.get(line as usize));
                let Some((position, line)) = found else {
                    values.push(None);
                    continue;
                };
                let (start, end) = ranges.0[position];
                let place = |position: usize| line.offset + position - line.start;
                let range = place(start as usize)..place(end as usize);
                let own = (start as usize <= position && position < end as usize)
                    .then(|| place(position));
                if let Some(failed) = running.failed(window, &inner, &range, own) {
                    let point = is_one.then(|| place_of(&points, failed));
                    let fault =
                        point.map(|point| self.fault_at(&window.inner, &window.frame, &point));
                    faults.add(at, fault.transpose()?);
                    values.push(None);
                    continue;
                }
                values.push(running.value(window, &inner, range, own).unwrap_or_else(|source| {
                    faults.add(at, Some(Arc::new(source.into())));
                    None
                }));
            }
            let column = Column::of_values(values, window_type(window));
            columns.push(column.with_faults_there(faults));
        }
        Ok(columns)
    }

    /// The lines of some points, and per block the line of each point.
    fn lines(
        &self,
        window: &Window,
        blocks: &[Block],
        order: &Order,
        ranges: &Ranges,
    ) -> (Vec<Line>, Vec<Vec<u32>>) {
        let axes = window.frame.axes.len();
        let others: Vec<usize> = (0..axes).filter(|&at| at != window.axis).collect();
        let across =
            Frame { axes: others.iter().map(|&at| window.frame.axes[at]).collect(), rows: None };
        let coder = Coder::new(self.version, self.tables, &across);
        let mut numbering = coder.numbering(blocks.iter().map(|block| block.len).sum());
        let mut lines: Vec<Line> = Vec::new();
        let mut line_of = Vec::with_capacity(blocks.len());
        for block in blocks {
            let columns: Vec<Cow<'_, [MemberId]>> =
                (0..axes).map(|axis| block.axis(axis)).collect();
            let outer: Vec<Cow<'_, [MemberId]>> =
                others.iter().map(|&at| Cow::Borrowed(columns[at].as_ref())).collect();
            let codes = coder.codes(&outer, block.len);
            let mut of_block = Vec::with_capacity(block.len);
            for (at, code) in codes.into_iter().enumerate() {
                let position = order.position(columns[window.axis][at]);
                let Some((code, position)) = code.zip(position) else {
                    of_block.push(u32::MAX);
                    continue;
                };
                let (start, end) = ranges.0[position];
                let (start, end) = (start as usize, end as usize);
                let (number, is_new) = numbering.add(code);
                if is_new {
                    let members = columns.iter().map(|column| column[at]).collect();
                    lines.push(Line { members, start, end, offset: 0 });
                }
                let line = &mut lines[number as usize];
                line.start = line.start.min(start);
                line.end = line.end.max(end);
                of_block.push(number);
            }
            line_of.push(of_block);
        }
        (lines, line_of)
    }
}

/// One of the points of some blocks, by itself.
fn place_of(blocks: &[Block], mut at: usize) -> Block {
    for block in blocks {
        if at < block.len {
            return block.taken(&[at as u32]);
        }
        at -= block.len;
    }
    Block::free(Vec::new(), 0)
}

fn window_type(window: &Window) -> Type {
    match window.how {
        WindowHow::Aggregate(Aggregator::LastNonBlank) => window.inner.value_type,
        _ => Type::Number,
    }
}

/// What is known of all values up to each place, so that a range costs the same however long it is.
struct Running {
    /// Sum and number of the values of a line before each place and, at the end, of all; empty where a
    /// sum on the way may not fit though that of a range does.
    sums: Vec<(Number, u32)>,
    /// The last place with a value or an error up to each place, itself included.
    last: Vec<Option<usize>>,
    /// One more than the number of values of the line that come before the place's own; zero where
    /// it has none.
    ranks: Vec<u32>,
}

/// Gives the values of a line their ranks: equal ones the same, which leaves those after it out.
fn rank<T>(mut values: Vec<(T, usize)>, ranks: &mut [u32], order: impl Fn(&T, &T) -> Ordering) {
    values.sort_unstable_by(|(a, _), (b, _)| order(a, b));
    let mut rank = 1;
    for equal in values.chunk_by(|(a, _), (b, _)| order(a, b).is_eq()) {
        equal.iter().for_each(|(_, place)| ranks[*place] = rank);
        rank += equal.len() as u32;
    }
}

/// The order in which a rank counts: the smaller first, or the larger.
fn order_of<T: Ord>(how: WindowHow) -> impl Fn(&T, &T) -> Ordering {
    let ascending = matches!(how, WindowHow::Rank { ascending: true });
    move |a, b| if ascending { a.cmp(b) } else { b.cmp(a) }
}

impl Running {
    fn new(window: &Window, inner: &Column, lines: &[Line]) -> Self {
        let mut running = Self { sums: Vec::new(), last: Vec::new(), ranks: Vec::new() };
        match window.how {
            WindowHow::Aggregate(Aggregator::Sum | Aggregator::Avg) => {
                // sums start again with each line: what is before a line is of another
                running.sums = vec![(Number::ZERO, 0); inner.len() + 1];
                for line in lines {
                    let places = line.offset..line.offset + (line.end - line.start);
                    let fits = adds_in_any_order(places.clone().filter_map(|at| inner.number(at)));
                    let (mut sum, mut count) = (Number::ZERO, 0);
                    for place in places {
                        running.sums[place] = (sum, count);
                        let Some(value) = inner.number(place) else { continue };
                        match sum.plus(value) {
                            Ok(next) if fits => sum = next,
                            _ => {
                                running.sums.clear();
                                return running;
                            }
                        }
                        count += 1;
                    }
                }
            }
            WindowHow::Aggregate(Aggregator::LastNonBlank) => {
                let mut last = None;
                for place in 0..inner.len() {
                    if inner.is_there(place) {
                        last = Some(place);
                    }
                    running.last.push(last);
                }
            }
            WindowHow::Rank { .. } => {
                running.ranks = vec![0; inner.len()];
                for line in lines {
                    let places = line.offset..line.offset + (line.end - line.start);
                    // numbers of one scale are in the order of their mantissas
                    match inner.fixed() {
                        Some(fixed) => {
                            let values = places.filter_map(|at| Some((fixed.get(at)?, at)));
                            rank(values.collect(), &mut running.ranks, order_of(window.how));
                        }
                        None => {
                            let values = places.filter_map(|at| Some((inner.number(at)?, at)));
                            rank(values.collect(), &mut running.ranks, order_of(window.how));
                        }
                    }
                }
            }
            _ => {}
        }
        running
    }

    /// The place in a range whose error is that of the point: the first that its value needs.
    fn failed(
        &self,
        window: &Window,
        inner: &Column,
        range: &Range<usize>,
        own: Option<usize>,
    ) -> Option<usize> {
        let places = inner.faults()?.places();
        let fails = |place: &usize| inner.is_fault(*place);
        let first = || {
            let after = places.partition_point(|&place| (place as usize) < range.start);
            places.get(after).map(|&place| place as usize).filter(|place| range.contains(place))
        };
        match window.how {
            WindowHow::Aggregate(Aggregator::LastNonBlank) => self.last_of(range).filter(fails),
            WindowHow::Aggregate(_) | WindowHow::Difference => first(),
            WindowHow::Rank { .. } => own.filter(|&own| inner.is_there(own)).and_then(|_| first()),
        }
    }

    /// The last place of a range with a value or an error.
    fn last_of(&self, range: &Range<usize>) -> Option<usize> {
        let last = range.end.checked_sub(1).and_then(|end| self.last[end]);
        last.filter(|last| range.contains(last))
    }

    /// Sum and number of the values in a range of one line.
    fn sum(&self, inner: &Column, range: &Range<usize>) -> cube::Result<Option<(Number, u32)>> {
        let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else {
            return Ok(None);
        };
        if self.sums.is_empty() {
            let values = || range.clone().filter_map(|place| inner.number(place));
            let sum = values().try_fold(Number::ZERO, Number::plus)?;
            let count = values().count() as u32;
            return Ok((count > 0).then_some((sum, count)));
        }
        let (before, count_before) = self.sums[range.start];
        let (mut sum, mut count) = self.sums[last];
        if let Some(value) = inner.number(last) {
            sum = sum.plus(value)?;
            count += 1;
        }
        let count = count - count_before;
        Ok(if count > 0 { Some((sum.minus(before)?, count)) } else { None })
    }

    /// The value of one point: `own` is the place of the point itself in its range.
    fn value(
        &self,
        window: &Window,
        inner: &Column,
        range: Range<usize>,
        own: Option<usize>,
    ) -> cube::Result<Option<Value>> {
        let number = |place: usize| inner.number(place);
        match window.how {
            WindowHow::Aggregate(Aggregator::LastNonBlank) => {
                Ok(self.last_of(&range).and_then(|last| inner.value(last, window.inner.value_type)))
            }
            WindowHow::Aggregate(Aggregator::Sum) => {
                Ok(self.sum(inner, &range)?.map(|(sum, _)| Value::Number(sum)))
            }
            WindowHow::Aggregate(Aggregator::Avg) => {
                let Some((sum, count)) = self.sum(inner, &range)? else { return Ok(None) };
                let average = sum.divided_by(Number::new(i128::from(count), 0))?;
                Ok(average.map(Value::Number))
            }
            WindowHow::Aggregate(aggregator) => {
                let values: Vec<Option<Value>> =
                    range.map(|at| number(at).map(Value::Number)).collect();
                aggregate(aggregator, &values, &[])
            }
            WindowHow::Difference => {
                let own_value = own.and_then(number);
                let before = range.clone().find(|at| Some(*at) != own).and_then(number);
                Ok(match (own_value, before) {
                    (None, None) => None,
                    (a, b) => {
                        let (a, b) = (a.unwrap_or(Number::ZERO), b.unwrap_or(Number::ZERO));
                        Some(Value::Number(a.minus(b)?))
                    }
                })
            }
            // a rank is among all members, so its range is the line
            WindowHow::Rank { .. } => {
                let rank = own.map(|own| self.ranks[own]).filter(|&rank| rank > 0);
                Ok(rank.map(|rank| Value::Number(Number::new(rank.into(), 0))))
            }
        }
    }
}
