//! An amount split in proportion to a basis: exactly, or to whole units that sum to the amount.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cube::number::Rounding;
use cube::{MemberId, Number};
use foldhash::fast::FixedState;
use roaring::RoaringBitmap;

use super::apply::compare;
use super::faults::adds_in_any_order;
use super::support::Filters;
use super::{Session, Unique, concatenated};
use crate::column::{Column, Fault, Faults};
use crate::error::Result;
use crate::node::Share;
use crate::points::{Block, Points};

/// The coordinates of a group: the axes that the amount has.
type Key = Vec<MemberId>;
/// Per point a part of its amount, or why there is none.
type Parts = Vec<(u32, cube::Result<Option<Number>>)>;

impl Session<'_> {
    /// The parts at the points of some blocks of the share's frame.
    pub(super) fn share(&self, share: &Share, blocks: &[Block]) -> Result<Vec<Column>> {
        let wanted = Points::of_blocks(blocks, share.frame.axes.len());
        let mut filters: Filters = vec![None; share.frame.axes.len()];
        for &axis in &share.group {
            let column = wanted.columns[axis].as_ref();
            filters[axis] = column.map(|column| {
                column
                    .iter()
                    .filter(|&&m| m != MemberId::NONE)
                    .map(|m| m.0)
                    .collect::<RoaringBitmap>()
            });
        }
        let node = crate::node::Node {
            kind: crate::node::Kind::Share(Box::new(share.clone())),
            value_type: crate::node::Type::Number,
            mask: share.frame.full(),
            is_heavy: true,
            span: share.basis.span,
        };
        let domain = self.domain(&node, &share.frame, &filters)?;
        let basis = concatenated(self.evaluate_all(&share.basis, &share.frame, &domain)?);
        let amounts = concatenated(self.evaluate_all(&share.amount, &share.frame, &domain)?);
        let points = Points::of_blocks(&domain, share.frame.axes.len());
        let mut groups: HashMap<Key, Vec<u32>, FixedState> =
            HashMap::with_hasher(FixedState::default());
        for at in 0..points.len {
            if basis.is_there(at) && amounts.is_there(at) {
                groups.entry(key(&points, &share.group, at)).or_default().push(at as u32);
            }
        }
        let is_one = blocks.iter().map(|block| block.len).sum::<usize>() == 1;
        let mut parts: Vec<Option<Number>> = vec![None; points.len];
        let mut faults: BTreeMap<usize, Option<Arc<Fault>>> = BTreeMap::new();
        for places in groups.values() {
            // a part needs the amount and the whole basis
            let failed = [(&share.amount, &amounts), (&share.basis, &basis)];
            let failed = failed.into_iter().find_map(|(node, column)| {
                let failed = places.iter().filter(|at| column.is_fault(**at as usize));
                let first = failed.min_by_key(|at| self.order_of(share, &points, **at))?;
                Some((node, *first))
            });
            if let Some((node, at)) = failed {
                let point = points.taken(&[at]).into_blocks().pop().filter(|_| is_one);
                let fault = point.map(|point| self.fault_at(node, &share.frame, &point));
                let fault = fault.transpose()?;
                faults.extend(places.iter().map(|&at| (at as usize, fault.clone())));
                continue;
            }
            match self.split(share, places, &basis, &amounts, &points) {
                Ok(found) => {
                    for (at, part) in found {
                        match part {
                            Ok(part) => parts[at as usize] = part,
                            Err(source) => {
                                faults.insert(at as usize, Some(Arc::new(source.into())));
                            }
                        }
                    }
                }
                Err(source) => {
                    let fault = Some(Arc::new(Fault::from(source)));
                    faults.extend(places.iter().map(|&at| (at as usize, fault.clone())));
                }
            }
        }
        let mut all = Faults::default();
        faults.into_iter().for_each(|(at, fault)| all.add(at, fault));
        let parts = Column::Numbers(parts).with_faults(all);
        let mut unique = Unique::new(self, &share.frame, &domain);
        for block in &domain {
            let axes: Vec<Cow<'_, [MemberId]>> =
                (0..share.frame.axes.len()).map(|axis| block.axis(axis)).collect();
            unique.add(&axes, block.len);
        }
        let read = |block: &Block| {
            let axes: Vec<Cow<'_, [MemberId]>> =
                (0..share.frame.axes.len()).map(|axis| block.axis(axis)).collect();
            parts.taken(&unique.coder.places(&unique.numbering, &axes, block.len))
        };
        Ok(blocks.iter().map(read).collect())
    }

    fn split(
        &self,
        share: &Share,
        places: &[u32],
        basis: &Column,
        amounts: &Column,
        points: &Points,
    ) -> cube::Result<Parts> {
        let of_basis = |at: u32| basis.number(at as usize).unwrap_or(Number::ZERO);
        let mut in_order = Cow::Borrowed(places);
        if !adds_in_any_order(places.iter().map(|&at| of_basis(at))) {
            in_order.to_mut().sort_by_cached_key(|&at| self.order_of(share, points, at));
        }
        let mut total = Number::ZERO;
        for &at in in_order.iter() {
            total = total.plus(of_basis(at))?;
        }
        let Some(amount) = places.first().and_then(|&at| amounts.number(at as usize)) else {
            return Ok(Vec::new());
        };
        let exact = |at: u32| amount.times(of_basis(at))?.divided_by(total);
        let Some(scale) = share.scale else {
            return Ok(places.iter().map(|&at| (at, exact(at))).collect());
        };
        // units of the target's digits: cut down, the rest one by one to the largest fractions
        let target = amount.rescaled(scale, Rounding::HalfEven)?;
        let mut cut: Vec<(u32, i128, Number)> = Vec::with_capacity(places.len());
        let mut given = 0i128;
        for &at in places {
            let Some(part) = exact(at)? else { return Ok(Vec::new()) };
            let nearest = part.rescaled(scale, Rounding::HalfEven)?;
            let units = match compare(Number::new(nearest, scale), part).is_gt() {
                true => nearest - 1,
                false => nearest,
            };
            given += units;
            cut.push((at, units, part.minus(Number::new(units, scale))?));
        }
        cut.sort_by(|a, b| {
            compare(b.2, a.2).then_with(|| {
                self.order_of(share, points, a.0).cmp(&self.order_of(share, points, b.0))
            })
        });
        let mut left = target - given;
        // a quotient's last digit may have brought one unit too many: it is taken from the smallest
        let step = left.signum();
        if step < 0 {
            cut.reverse();
        }
        for part in cut.iter_mut() {
            if left == 0 {
                break;
            }
            part.1 += step;
            left -= step;
        }
        let parts = cut.into_iter();
        Ok(parts.map(|(at, units, _)| (at, Ok(Some(Number::new(units, scale))))).collect())
    }

    /// A point's place by the declared order of its members.
    fn order_of(&self, share: &Share, points: &Points, at: u32) -> Vec<u32> {
        let axes = share.frame.axes.iter().zip(&points.columns);
        axes.map(|(axis, column)| {
            let member = column.as_ref().map_or(MemberId::NONE, |column| column[at as usize]);
            match member {
                MemberId::NONE => u32::MAX,
                member => self.version.dimension(axis.dimension).order(member),
            }
        })
        .collect()
    }
}

fn key(points: &Points, group: &[usize], at: usize) -> Key {
    let columns = group.iter().filter_map(|&axis| points.columns[axis].as_ref());
    columns.map(|column| column[at]).collect()
}
