//! Maintained aggregates: totals over groups of members that are kept, so that a rollup adds up groups
//! rather than rows.
//!
//! An aggregate is made from the rows of one version, its base. What another version has otherwise,
//! a later one or one of another branch, is found by what the two do not share, and is taken into
//! account by each read: so an aggregate is right for every version, writes do nothing for it, and
//! branches use those of each other. Once there is much to take into account, [`Aggregates::maintain`]
//! moves the base to a newer version.

mod build;
mod cells;
mod choose;
mod delta;
mod shape;

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::id::CubeId;
use crate::limits::AGGREGATES_MAX;
use crate::rollup::{Arithmetic, Prepared};
use crate::segment::{CubeRows, Reads};
use crate::version::Version;
use crate::view::Interrupt;

use choose::Seen;
use delta::Deltas;

pub use shape::Key;

pub(crate) use cells::{CHUNK_CELLS, Cells, Chunk};
pub(crate) use delta::Delta;
pub(crate) use shape::{Layout, LayoutAxis, Places, Shape};

/// Cubes of fewer rows are scanned.
pub(crate) const ROWS_MIN: usize = 32_768;
/// Reading a cell takes about as long as scanning so many rows.
pub(crate) const CELL_ROWS: u64 = 16;
/// Rows that differ from the base before it is moved, at least and at most.
const MOVED_ROWS: std::ops::RangeInclusive<usize> = 64..=4_096;
/// Between these, one for so many cells.
const CELLS_A_MOVED_ROW: usize = 16;
/// Rows scanned, in so many times the cube's, before aggregates are chosen for the first time; twice as
/// many before the next time, and so on up to a limit.
const SCANS_BEFORE_CHOICE: u64 = 3;
const SCANS_BEFORE_CHOICE_MAX: u64 = 1_000;

/// The aggregates of a cube: of all its versions and on all branches that began with them.
#[derive(Debug, Default)]
pub struct Aggregates {
    kept: Mutex<Arc<Vec<Arc<Aggregate>>>>,
    seen: Mutex<Seen>,
    /// Rows that were scanned by rollups which an aggregate might have answered.
    scanned: AtomicU64,
    /// How often aggregates were chosen.
    choices: AtomicU32,
    is_due: AtomicBool,
    /// The rows that aggregates were brought to last, by their address.
    brought_to: AtomicUsize,
}

/// Totals over groups of members.
#[derive(Debug)]
pub(crate) struct Aggregate {
    /// What is told apart, and what is added up.
    pub shape: Shape,
    /// Where the group of a row is.
    pub layout: Layout,
    /// The totals of the base.
    pub cells: Cells,
    terms: Arc<Vec<Prepared>>,
    /// The columns that it depends on.
    reads: Arc<Reads>,
    base: Arc<CubeRows>,
    deltas: Deltas,
    hits: Arc<AtomicU64>,
}

/// One aggregate, as a user sees it.
#[derive(Debug, Clone)]
pub struct AggregateInfo {
    /// What is told apart: levels, dimensions and measures.
    pub keys: Vec<Key>,
    /// What is added up, besides the rows.
    pub terms: Vec<Arithmetic>,
    /// Groups that there may be.
    pub cells: usize,
    /// Memory of the totals.
    pub bytes: usize,
    /// Rollups that were answered by it.
    pub hits: u64,
    /// Rows of its base.
    pub rows: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Aggregate {
    /// What some rows have otherwise than the base, with their places in their version; none where that
    /// is too much, or where the aggregate has no place for it.
    pub fn delta(&self, layout: &Layout, rows: &Arc<CubeRows>) -> Option<Arc<Delta>> {
        self.deltas.at(self, layout, rows)
    }

    /// Counts a rollup that it answered.
    pub fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// The aggregate as a user sees it.
    pub fn info(&self) -> AggregateInfo {
        AggregateInfo {
            keys: self.shape.keys.clone(),
            terms: self.shape.terms.clone(),
            cells: self.layout.cell_count(),
            bytes: self.size_bytes(),
            hits: self.hits.load(Ordering::Relaxed),
            rows: self.base.row_count(),
        }
    }

    fn size_bytes(&self) -> usize {
        self.cells.size_bytes() + self.deltas.size_bytes()
    }
}

impl Aggregates {
    /// Those that hold all that a shape asks for.
    pub(crate) fn covering(&self, shape: &Shape) -> Vec<Arc<Aggregate>> {
        let kept = Arc::clone(&lock(&self.kept));
        kept.iter().filter(|kept| kept.shape.covers(shape)).map(Arc::clone).collect()
    }

    /// Remembers a rollup: which part of each key's groups it wanted, and how many rows it scanned
    /// where no aggregate answered it.
    pub(crate) fn see(&self, shape: &Shape, parts: &[f32], scanned: Option<usize>) {
        lock(&self.seen).add(shape, parts);
        let Some(rows) = scanned else { return };
        let scanned = self.scanned.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        if scanned >= self.scans_before_choice() * rows as u64 {
            self.is_due.store(true, Ordering::Relaxed);
        }
    }

    fn scans_before_choice(&self) -> u64 {
        let doublings = self.choices.load(Ordering::Relaxed).min(16);
        (SCANS_BEFORE_CHOICE << doublings).min(SCANS_BEFORE_CHOICE_MAX)
    }

    /// Asks for maintenance: an aggregate has much to take into account.
    pub(crate) fn fall_due(&self) {
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// Whether [`Aggregates::maintain`] has something to do for a state of the cube's rows.
    pub fn is_due(&self, rows: &Arc<CubeRows>) -> bool {
        let is_behind = || self.brought_to.load(Ordering::Relaxed) != Arc::as_ptr(rows).addr();
        self.is_due.load(Ordering::Relaxed) || (is_behind() && !self.is_empty())
    }

    /// The aggregates there are.
    pub fn list(&self) -> Vec<AggregateInfo> {
        lock(&self.kept).iter().map(|aggregate| aggregate.info()).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        lock(&self.kept).is_empty()
    }

    /// Makes an aggregate that someone asks for; says whether it can be.
    pub fn add(
        &self,
        keys: &[Key],
        terms: &[Arithmetic],
        version: &Version,
        cube: CubeId,
    ) -> Result<bool> {
        let of_key = |key: &Key| Shape { keys: vec![*key], terms: Vec::new() };
        let shape = keys.iter().map(of_key).fold(Shape::default(), |all, key| all.union(&key));
        let shape = shape.union(&Shape { keys: Vec::new(), terms: terms.to_vec() });
        let made = Aggregate::build(shape, version, cube, &Interrupt::default())?;
        let is_made = made.is_some();
        let mut kept = lock(&self.kept).to_vec();
        kept.extend(made.map(Arc::new));
        self.publish(&kept);
        Ok(is_made)
    }

    /// Brings aggregates to a version, and chooses them anew by what was asked for since. They take up
    /// to `budget` bytes. Reads go on meanwhile, with those that there are.
    ///
    /// Runs one at a time; what it does takes time, and is for a thread of its own.
    pub fn maintain(
        &self,
        version: &Version,
        cube: CubeId,
        budget: usize,
        interrupt: &Interrupt,
    ) -> Result<()> {
        self.is_due.store(false, Ordering::Relaxed);
        self.brought_to.store(Arc::as_ptr(&version.cubes[cube.idx()]).addr(), Ordering::Relaxed);
        let old = Arc::clone(&lock(&self.kept));
        let mut kept: Vec<Arc<Aggregate>> = Vec::new();
        for aggregate in old.iter() {
            kept.extend(aggregate.moved(version, cube, interrupt)?);
        }
        self.publish(&kept);
        let row_count = version.rows(cube).row_count() as u64;
        let is_choice_due =
            self.scanned.load(Ordering::Relaxed) >= self.scans_before_choice() * row_count;
        if !is_choice_due || row_count < ROWS_MIN as u64 {
            return Ok(());
        }
        self.scanned.store(0, Ordering::Relaxed);
        self.choices.fetch_add(1, Ordering::Relaxed);
        let seen = lock(&self.seen).take();
        let chosen = choose::choose(&seen, version, cube, budget);
        // what is not chosen any more makes room, the least asked first
        let is_chosen = |kept: &Arc<Aggregate>| chosen.contains(&kept.shape);
        let used = |kept: &[Arc<Aggregate>]| -> usize {
            kept.iter().map(|aggregate| aggregate.size_bytes()).sum()
        };
        kept.sort_by_key(|kept| Reverse((is_chosen(kept), kept.hits.load(Ordering::Relaxed))));
        for shape in &chosen {
            if kept.iter().any(|kept| kept.shape == *shape) {
                continue;
            }
            let Some(made) = Aggregate::build(shape.clone(), version, cube, interrupt)? else {
                continue;
            };
            let bytes = made.size_bytes();
            let is_full = |kept: &[Arc<Aggregate>]| {
                used(kept) + bytes > budget || kept.len() >= AGGREGATES_MAX
            };
            while is_full(&kept) && kept.last().is_some_and(|last| !is_chosen(last)) {
                kept.pop();
            }
            if !is_full(&kept) {
                kept.insert(0, Arc::new(made));
            }
            self.publish(&kept);
        }
        Ok(())
    }

    fn publish(&self, kept: &[Arc<Aggregate>]) {
        *lock(&self.kept) = Arc::new(kept.to_vec());
    }
}

impl Aggregate {
    /// The aggregate with its base moved to a version, made anew where it is of no use there, or itself
    /// where there is little to gain; none where it cannot be.
    fn moved(
        self: &Arc<Self>,
        version: &Version,
        cube: CubeId,
        interrupt: &Interrupt,
    ) -> Result<Option<Arc<Self>>> {
        let rows = &version.cubes[cube.idx()];
        if Arc::ptr_eq(rows, &self.base) {
            return Ok(Some(Arc::clone(self)));
        }
        let layout = self.layout.at(version, cube);
        let delta = layout.and_then(|layout| Some((self.delta(&layout, rows)?, layout)));
        let Some((delta, layout)) = delta else {
            let made = Self::build(self.shape.clone(), version, cube, interrupt)?;
            return Ok(made.map(|made| Arc::new(Self { hits: Arc::clone(&self.hits), ..made })));
        };
        if !delta.is_large(&layout) {
            return Ok(Some(Arc::clone(self)));
        }
        let Some(cells) = self.cells.with(&delta) else { return Ok(None) };
        Ok(Some(Arc::new(Self {
            shape: self.shape.clone(),
            layout,
            cells,
            terms: Arc::clone(&self.terms),
            reads: Arc::clone(&self.reads),
            base: Arc::clone(rows),
            deltas: Deltas::default(),
            hits: Arc::clone(&self.hits),
        })))
    }
}
