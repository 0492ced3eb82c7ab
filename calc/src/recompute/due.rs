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
use crate::points::{BLOCK_POINTS, Block, Coder, Points, distinct};

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
        for points in due.points {
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
        let coder = Coder::new(&self.version, &self.plan.tables, &formula.frame);
        let known_count: usize = known.iter().map(|block| block.len).sum();
        let mut seen = coder.numbering(known_count);
        for block in known {
            let axes: Vec<_> = (0..formula.frame.axes.len()).map(|axis| block.axis(axis)).collect();
            coder.numbered(&mut seen, &axes, block.len, |_| {});
        }
        let columns: Vec<Cow<'_, [MemberId]>> = points
            .columns
            .iter()
            .map(|column| Cow::Borrowed(column.as_deref().unwrap_or(&[])))
            .collect();
        let known_places = (known_count > 0).then(|| coder.places(&seen, &columns, points.len));
        let mut stored: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let mut free = Vec::new();
        let mut coordinate = vec![MemberId::NONE; columns.len()];
        for at in 0..points.len {
            if known_places.as_ref().is_some_and(|places| places[at] != u32::MAX) {
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

    /// Different points, those that are stored found by reading all rows.
    fn stored_by_scan(&self, formula: &Formula, points: Points) -> Vec<Block> {
        let axes = formula.frame.axes.len();
        let coder = Coder::new(&self.version, &self.plan.tables, &formula.frame);
        let mut wanted = coder.numbering(points.len);
        let columns: Vec<Cow<'_, [MemberId]>> = points
            .columns
            .iter()
            .map(|column| Cow::Borrowed(column.as_deref().unwrap_or(&[])))
            .collect();
        coder.numbered(&mut wanted, &columns, points.len, |_| {});
        drop(columns);
        let mut is_stored = vec![false; points.len];
        let mut blocks = Vec::new();
        for block in row_blocks(&self.version, formula.cube, &vec![None; axes]) {
            let members: Vec<_> = (0..axes).map(|axis| block.axis(axis)).collect();
            let places = coder.places(&wanted, &members, block.len);
            let found: Vec<u32> = (0..block.len as u32)
                .filter(|&at| places[at as usize] != u32::MAX)
                .inspect(|&at| is_stored[places[at as usize] as usize] = true)
                .collect();
            if found.len() == block.len {
                blocks.push(block);
            } else if !found.is_empty() {
                blocks.push(block.taken(&found));
            }
        }
        let free: Vec<u32> =
            (0..points.len).filter(|&at| !is_stored[at]).map(|at| at as u32).collect();
        blocks.extend(points.taken(&free).into_blocks());
        blocks
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
