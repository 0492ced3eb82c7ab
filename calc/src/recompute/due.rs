//! The cells and rows at which a formula is due: different, inside its region, and by where they are
//! stored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cube::MemberId;
use cube::region::Region;
use cube::segment::RowSet;
use roaring::RoaringBitmap;

use super::{Due, Recompute};
use crate::check::Formula;
use crate::error::Result;
use crate::evaluate::support::Filters;
use crate::evaluate::{Session, row_blocks};
use crate::points::{BLOCK_POINTS, Block, CodeSet, Coder, Numbering, Points, distinct};

/// Cells are searched one by one up to one of so many rows; more are found by reading all.
const ROWS_PER_SEARCH: usize = 16;

impl Recompute {
    /// The members inside a formula's region, per axis.
    pub(super) fn inside(&self, formula: &Formula) -> Filters {
        let mut filters: Filters = vec![None; formula.frame.axes.len()];
        let region = self.version.regions.iter().find(|region| region.target == formula.target);
        for (axis, members) in region.map_or(&[] as &[_], |region| &region.members) {
            filters[*axis] = Some(members.clone());
        }
        filters
    }

    /// Regions of the same measure that win over a formula.
    fn taken_away(&self, formula: &Formula) -> Vec<Region> {
        let own = self.version.regions.iter().find(|region| region.target == formula.target);
        let regions = self.version.regions.iter();
        regions
            .filter(|region| {
                (region.cube, region.measure) == (formula.cube, formula.measure)
                    && region.target != formula.target
                    && own.is_none_or(|own| own.contains_region(region))
            })
            .cloned()
            .collect()
    }

    /// The different cells or rows at which a formula is due.
    pub(super) fn due_blocks(&self, formula: &Formula, due: Due) -> Result<Vec<Block>> {
        let blocks = if formula.frame.rows.is_some() {
            self.due_rows(formula, due)
        } else {
            self.due_cells(formula, due)?
        };
        let others = self.taken_away(formula);
        if others.is_empty() {
            return Ok(blocks);
        }
        let own = |block: &Block| {
            let places: Vec<u32> = (0..block.len)
                .filter(|&at| !others.iter().any(|o| o.contains(|axis| block.member(axis, at))))
                .map(|at| at as u32)
                .collect();
            block.taken(&places)
        };
        Ok(blocks.iter().map(own).filter(|block| block.len > 0).collect())
    }

    fn due_rows(&self, formula: &Formula, due: Due) -> Vec<Block> {
        let inside = self.inside(formula);
        let mut regions: Vec<Filters> =
            due.regions.into_iter().map(|filters| narrowed(filters, &inside)).collect();
        if let Some(all) = regions.iter().position(|filters| *filters == inside) {
            let all = regions.swap_remove(all);
            return row_blocks(&self.version, formula.cube, &all);
        }
        if regions.len() == 1 && due.rows.is_empty() {
            return row_blocks(&self.version, formula.cube, &regions[0]);
        }
        let mut chosen: BTreeMap<usize, RoaringBitmap> = BTreeMap::new();
        let rows = self.version.rows(formula.cube);
        for filters in &regions {
            for (segment, found) in rows.rows_with(filters) {
                chosen.entry(segment).or_default().extend(found);
            }
        }
        for keys in &due.rows {
            for row in 0..keys.len() {
                let Some(at) = rows.find(keys, row) else { continue };
                let coordinates = &rows.segments()[at.segment].segment.coordinates;
                let is_inside = inside.iter().zip(coordinates).all(|(inside, members)| {
                    inside.as_ref().is_none_or(|inside| inside.contains(members.get(at.row).0))
                });
                if is_inside {
                    chosen.entry(at.segment).or_default().insert(at.row as u32);
                }
            }
        }
        let mut blocks = Vec::new();
        for (position, found) in chosen {
            let found: Vec<u32> = found.into_iter().collect();
            for chunk in found.chunks(BLOCK_POINTS) {
                let chunk = RowSet::of_list(chunk.to_vec());
                blocks.push(Block::stored(rows, formula.cube, position, chunk));
            }
        }
        blocks
    }

    fn due_cells(&self, formula: &Formula, due: Due) -> Result<Vec<Block>> {
        let inside = self.inside(formula);
        let session = Session::new(&self.version, &self.plan.tables, &formula.target);
        let frame = &formula.frame;
        let mut blocks = Vec::new();
        let mut free = Points::none(frame.axes.len());
        let mut add = |points: Points| {
            free.len += points.len;
            for (into, from) in free.columns.iter_mut().zip(points.columns) {
                if let (Some(into), Some(from)) = (into, from) {
                    into.extend(from);
                }
            }
        };
        let additions = due.additions.into_iter().map(|addition| addition.points);
        for points in due.points.into_iter().chain(additions) {
            add(session.within(session.closed(points, frame, &inside)?, &inside));
        }
        let mut regions: Vec<Filters> =
            due.regions.into_iter().map(|filters| narrowed(filters, &inside)).collect();
        if let Some(all) = regions.iter().position(|filters| *filters == inside) {
            regions = vec![regions.swap_remove(all)];
        }
        for filters in &regions {
            let own = row_blocks(&self.version, formula.cube, filters);
            if regions.len() == 1 {
                blocks = own;
            } else {
                add(Points::of_blocks(&own, frame.axes.len()));
            }
            add(session.within(self.reached(&session, formula, filters)?, filters));
        }
        blocks.extend(self.stored_or_free(
            formula,
            &blocks,
            distinct(&self.version, &self.plan.tables, frame, free),
        ));
        Ok(blocks)
    }

    /// Cells that a formula can make by itself, within filters.
    fn reached(
        &self,
        session: &Session<'_>,
        formula: &Formula,
        filters: &Filters,
    ) -> Result<Points> {
        use crate::evaluate::support::Support;
        match session.support(&formula.node, &formula.frame, filters)? {
            // its own cube's cells are looked at anyway
            Support::Rows(cube) if cube == formula.cube => {
                Ok(Points::none(formula.frame.axes.len()))
            }
            Support::Rows(cube) => Ok(Points::of_blocks(
                &row_blocks(&self.version, cube, filters),
                formula.frame.axes.len(),
            )),
            Support::Points(points) => session.closed(points, &formula.frame, filters),
            Support::Open => Ok(Points::none(formula.frame.axes.len())),
        }
    }

    /// Different points, those that are stored by the rows they are, without what `known` has.
    fn stored_or_free(&self, formula: &Formula, known: &[Block], points: Points) -> Vec<Block> {
        let rows = self.version.rows(formula.cube);
        if points.len == 0 || rows.row_count() == 0 {
            return points.into_blocks();
        }
        if known.is_empty() && points.len * ROWS_PER_SEARCH > rows.row_count() {
            return self.stored_by_scan(formula, points);
        }
        let columns: Vec<Cow<'_, [MemberId]>> = points
            .columns
            .iter()
            .map(|column| Cow::Borrowed(column.as_deref().unwrap_or(&[])))
            .collect();
        let is_known = self.known(formula, known, &columns, points.len);
        let mut stored: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let mut free = Vec::new();
        let mut coordinate = vec![MemberId::NONE; columns.len()];
        for at in 0..points.len {
            if is_known.get(at) == Some(&true) {
                continue;
            }
            for (member, column) in coordinate.iter_mut().zip(&columns) {
                *member = column[at];
            }
            match rows.find_at(&coordinate) {
                Some(location) => {
                    stored.entry(location.segment).or_default().push(location.row as u32);
                }
                None => free.push(at as u32),
            }
        }
        drop(columns);
        let mut blocks = if free.len() == points.len {
            points.into_blocks()
        } else {
            points.taken(&free).into_blocks()
        };
        for (position, mut found) in stored {
            found.sort_unstable();
            for chunk in found.chunks(BLOCK_POINTS) {
                let chunk = RowSet::of_list(chunk.to_vec());
                blocks.push(Block::stored(rows, formula.cube, position, chunk));
            }
        }
        blocks
    }

    /// Whether points are in blocks; nothing where there are none.
    fn known(
        &self,
        formula: &Formula,
        known: &[Block],
        columns: &[Cow<'_, [MemberId]>],
        len: usize,
    ) -> Vec<bool> {
        let known_count: usize = known.iter().map(|block| block.len).sum();
        if known_count == 0 {
            return Vec::new();
        }
        let coder = Coder::new(&self.version, &self.plan.tables, &formula.frame);
        let axes = |block: &Block| -> Vec<Vec<MemberId>> {
            (0..formula.frame.axes.len()).map(|axis| block.axis(axis).into_owned()).collect()
        };
        if let Some(space) = coder.space_for(known_count) {
            let mut seen = CodeSet::none(space);
            for block in known {
                let axes: Vec<_> = axes(block).into_iter().map(Cow::Owned).collect();
                coder.dense_codes(&axes, block.len).into_iter().for_each(|code| {
                    seen.insert(code);
                });
            }
            let codes = coder.dense_codes(columns, len).into_iter();
            return codes.map(|code| seen.contains(code)).collect();
        }
        let mut seen = coder.numbering(known_count);
        for block in known {
            let axes: Vec<_> = axes(block).into_iter().map(Cow::Owned).collect();
            coder.numbered(&mut seen, &axes, block.len, |_| {});
        }
        coder.places(&seen, columns, len).into_iter().map(|place| place != u32::MAX).collect()
    }

    /// Different points, those that are stored found by reading all rows.
    fn stored_by_scan(&self, formula: &Formula, points: Points) -> Vec<Block> {
        let axes = formula.frame.axes.len();
        let coder = Coder::new(&self.version, &self.plan.tables, &formula.frame);
        let columns: Vec<Cow<'_, [MemberId]>> = points
            .columns
            .iter()
            .map(|column| Cow::Borrowed(column.as_deref().unwrap_or(&[])))
            .collect();
        let mut wanted = Wanted::new(coder, &columns, points.len);
        drop(columns);
        let mut blocks = Vec::new();
        for block in row_blocks(&self.version, formula.cube, &vec![None; axes]) {
            let members: Vec<_> = (0..axes).map(|axis| block.axis(axis)).collect();
            let found = wanted.take(&members, block.len);
            drop(members);
            if found.len() == block.len {
                blocks.push(block);
            } else if !found.is_empty() {
                blocks.push(block.taken(&found));
            }
        }
        blocks.extend(wanted.left(points).into_blocks());
        blocks
    }
}

/// Different points that are looked for among those of blocks.
enum Wanted {
    /// The codes of those not found.
    Dense(Coder, CodeSet),
    /// Their numbers, and which have been found.
    Sparse(Coder, Numbering, Vec<bool>),
}

impl Wanted {
    fn new(coder: Coder, columns: &[Cow<'_, [MemberId]>], len: usize) -> Self {
        if let Some(space) = coder.space_for(len) {
            let mut codes = CodeSet::none(space);
            coder.dense_codes(columns, len).into_iter().for_each(|code| {
                codes.insert(code);
            });
            return Self::Dense(coder, codes);
        }
        let mut numbering = coder.numbering(len);
        coder.numbered(&mut numbering, columns, len, |_| {});
        Self::Sparse(coder, numbering, vec![false; len])
    }

    /// The places of points of a block that are wanted; they are not any more.
    fn take(&mut self, members: &[Cow<'_, [MemberId]>], len: usize) -> Vec<u32> {
        match self {
            Self::Dense(coder, codes) => {
                let found = coder.dense_codes(members, len).into_iter().zip(0u32..);
                found.filter(|(code, _)| codes.remove(*code)).map(|(_, at)| at).collect()
            }
            Self::Sparse(coder, numbering, is_found) => {
                let places = coder.places(numbering, members, len).into_iter().zip(0u32..);
                let found = places.filter(|(place, _)| *place != u32::MAX);
                found
                    .inspect(|(place, _)| is_found[*place as usize] = true)
                    .map(|(_, at)| at)
                    .collect()
            }
        }
    }

    /// The points that no block had, of all points.
    fn left(self, points: Points) -> Points {
        match self {
            Self::Dense(coder, codes) => codes.points(&coder),
            Self::Sparse(_, _, is_found) => {
                let left = is_found.iter().zip(0u32..).filter(|(is_found, _)| !**is_found);
                points.taken(&left.map(|(_, at)| at).collect::<Vec<u32>>())
            }
        }
    }
}

/// Filters of both.
fn narrowed(mut filters: Filters, inside: &Filters) -> Filters {
    for (filter, inside) in filters.iter_mut().zip(inside) {
        match (&mut *filter, inside) {
            (_, None) => {}
            (Some(both), Some(inside)) => *both &= inside,
            (none, Some(inside)) => *none = Some(inside.clone()),
        }
    }
    filters
}
