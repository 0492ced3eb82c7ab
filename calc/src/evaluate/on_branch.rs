//! `x[ON branch]`: the walks over what stands on another branch. Each goes there with members of the
//! same keys, asks the same of the expression, and comes back with them.

use std::borrow::Cow;
use std::sync::Arc;

use cube::MemberId;
use roaring::RoaringBitmap;

use super::support::{Filters, Support};
use super::{Session, Unique, concatenated, members_of};
use crate::affected::{Changed, Dirt};
use crate::branches::OnBranch;
use crate::column::Column;
use crate::error::Result;
use crate::node::{Node, Type};
use crate::points::{Block, Points};
use crate::tables::MemberTable;

/// Per axis, the members there of the members here; none where they are the same.
struct Crossing(Vec<Option<Arc<MemberTable>>>);

impl Crossing {
    fn there<'m>(&self, axis: usize, members: Cow<'m, [MemberId]>) -> Cow<'m, [MemberId]> {
        match &self.0[axis] {
            None => members,
            Some(table) => members.iter().map(|&member| table.get(member)).collect(),
        }
    }

    fn back(&self, axis: usize, mut members: Vec<MemberId>) -> Vec<MemberId> {
        if let Some(table) = &self.0[axis] {
            members.iter_mut().for_each(|member| *member = came_from(table, *member));
        }
        members
    }

    fn filters_there(&self, filters: &Filters) -> Filters {
        let each = self.0.iter().zip(filters);
        each.map(|(table, filter)| match (table, filter) {
            (Some(table), Some(members)) => Some(table.image_of(members)),
            (_, filter) => filter.clone(),
        })
        .collect()
    }

    fn dirt_back(&self, dirt: Dirt) -> Dirt {
        match dirt {
            Dirt::Points(points) => Dirt::Points(self.points_back(points)),
            Dirt::Region(filters) => {
                let each = self.0.iter().zip(filters);
                let back =
                    |(table, filter): (&Option<Arc<MemberTable>>, Option<RoaringBitmap>)| match (
                        table, filter,
                    ) {
                        (Some(table), Some(members)) => Some(table.sources_of(&members)),
                        (_, filter) => filter,
                    };
                Dirt::Region(each.map(back).collect())
            }
        }
    }

    fn points_back(&self, points: Points) -> Points {
        let columns = points.columns.into_iter().enumerate();
        let columns = columns.map(|(axis, column)| column.map(|column| self.back(axis, column)));
        Points { len: points.len, columns: columns.collect() }
    }
}

/// The member that leads to a member; NONE where there is none.
fn came_from(table: &MemberTable, member: MemberId) -> MemberId {
    table.sources(member).first().copied().unwrap_or(MemberId::NONE)
}

impl Session<'_> {
    fn crossing(&self, on: &OnBranch) -> Crossing {
        let axes = on.frame.axes.iter().zip(&on.scope.frame.axes);
        let table = |(here, there): (&crate::node::Axis, &crate::node::Axis)| {
            let here = &self.version.dimensions[here.dimension.idx()];
            let there = &on.head.version.dimensions[there.dimension.idx()];
            self.tables.ids_in(here, there)
        };
        Crossing(axes.map(table).collect())
    }

    /// The values of an expression on another branch; blank where that branch lacks a member.
    pub(super) fn on_branch(
        &self,
        node: &Node,
        on: &OnBranch,
        blocks: &[Block],
    ) -> Result<Vec<Column>> {
        let crossing = self.crossing(on);
        let there = on.session(self.target);
        let mut unique = Unique::new(&there, &on.scope.frame, blocks);
        for block in blocks {
            let axes = 0..on.frame.axes.len();
            let axes = axes.map(|axis| crossing.there(axis, block.axis(axis)));
            unique.add(&axes.collect::<Vec<_>>(), block.len);
        }
        let points = unique.points.into_blocks();
        let (inner, frame) = (&on.scope.node, &on.scope.frame);
        let values = concatenated(there.evaluate_all(inner, frame, &points)?);
        let values = there.with_origin(values, frame, &points);
        let values = match (node.value_type, on.scope.node.value_type) {
            (Type::Member(here), Type::Member(there)) => {
                let here = &self.version.dimensions[here.idx()];
                let there = &on.head.version.dimensions[there.idx()];
                match self.tables.ids_in(here, there) {
                    None => values,
                    Some(table) => {
                        let members = members_of(&values);
                        let members = members.iter().map(|&member| came_from(&table, member));
                        Column::Members(members.collect())
                    }
                }
            }
            _ => values,
        };
        Ok(unique.places.iter().map(|places| values.taken(places)).collect())
    }

    /// A point on the other branch; none where that lacks a member.
    pub(crate) fn block_on_branch(&self, on: &OnBranch, block: &Block) -> Option<Block> {
        let crossing = self.crossing(on);
        let axes = 0..on.frame.axes.len();
        let members = axes.map(|axis| crossing.there(axis, block.axis(axis)).into_owned());
        let members: Vec<Vec<MemberId>> = members.collect();
        let is_complete = members.iter().all(|column| !column.contains(&MemberId::NONE));
        is_complete.then(|| Block::free(members, block.len))
    }

    /// Where an expression on another branch can have values.
    pub(super) fn support_on_branch(&self, on: &OnBranch, filters: &Filters) -> Result<Support> {
        let crossing = self.crossing(on);
        let there = on.session(self.target);
        let wanted = crossing.filters_there(filters);
        let support = there.support(&on.scope.node, &on.scope.frame, &wanted)?;
        Ok(match there.points(support, &on.scope.frame, &wanted) {
            None => Support::Open,
            Some(points) => Support::Points(self.within(crossing.points_back(points), filters)),
        })
    }

    /// Where an expression on another branch may have another value.
    pub(crate) fn affected_on_branch(
        &self,
        on: &OnBranch,
        changed: &Changed<'_>,
    ) -> Result<Vec<Dirt>> {
        let everywhere = || vec![Dirt::Region(vec![None; on.frame.axes.len()])];
        match changed {
            // a member that is new here may be known there
            Changed::NewMembers { dimension, .. } if on.frame.position(*dimension).is_some() => {
                Ok(everywhere())
            }
            Changed::Branch(change) => {
                let there = on.session(self.target);
                let (node, frame) = (&on.scope.node, &on.scope.frame);
                // what that branch reads of the one that changed
                let mut dirt = there.affected(node, frame, changed)?;
                if on.branch == change.branch {
                    let Some(values) = &change.values else { return Ok(everywhere()) };
                    for (cube, measure, points) in values {
                        let (cube, measure) = (*cube, *measure);
                        let changed = Changed::Values { cube, measure, points };
                        dirt.extend(there.affected(node, frame, &changed)?);
                    }
                }
                let crossing = self.crossing(on);
                let here = |dirt| match crossing.dirt_back(dirt) {
                    Dirt::Points(points) => {
                        Dirt::Points(self.within(points, &vec![None; on.frame.axes.len()]))
                    }
                    region @ Dirt::Region(_) => region,
                };
                Ok(dirt.into_iter().map(here).collect())
            }
            _ => Ok(Vec::new()),
        }
    }
}
