//! Merges made beside writers: small segments, and those of which most rows are dead, become larger ones of live rows.
//!
//! A merge is made of the segments of some version and kept for the cube. The next write of any version that
//! still has these segments puts the new one in their place, and marks the few rows dead there that died since. So
//! a merge changes no version that somebody reads, waits for nobody, and is forgotten once nobody has the old segments.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use roaring::RoaringBitmap;

use super::{CubeRows, Rows, Segment, SegmentView};
use crate::limits::{SEGMENT_ROWS_MAX, SMALL_SEGMENTS_MAX, WASTED_ROWS_MAX};
use crate::view::Interrupt;

/// Where more rows died since, a merge is not worth putting in place.
const DIED_SINCE_MAX: u64 = 4_096;

/// The merges of a cube that are ready, which all its states share.
#[derive(Debug, Default)]
pub(super) struct Merges(Mutex<Vec<Merged>>);

/// Segments and the one that has their live rows.
#[derive(Debug)]
struct Merged {
    parts: Vec<Part>,
    segment: Arc<Segment>,
}

/// A segment as it was when it was merged.
#[derive(Debug)]
struct Part {
    segment: Weak<Segment>,
    dead: Arc<RoaringBitmap>,
}

/// Whether two segments of so many live rows fit into one; those of which most rows are dead do.
pub(super) fn is_small(live_count: usize) -> bool {
    live_count <= SEGMENT_ROWS_MAX / 2
}

impl SegmentView {
    /// Rows that take room and are dead, where these are at least as many as those that are alive.
    pub(super) fn wasted(&self, live_count: usize) -> usize {
        let dead = self.segment.row_count() - live_count;
        if dead >= live_count { dead } else { 0 }
    }
}

impl Part {
    fn is_of(&self, view: &SegmentView) -> bool {
        std::ptr::eq(self.segment.as_ptr(), Arc::as_ptr(&view.segment))
    }
}

impl Merged {
    /// The merge of some segments.
    fn new(views: &[&SegmentView]) -> Self {
        let shape = &views[0].segment;
        let measures = views.iter().map(|view| view.segment.values.len()).max().unwrap_or(0);
        let mut rows = Rows::empty(shape.keys.len(), shape.coordinates.len(), measures);
        views.iter().for_each(|view| view.append_to(&mut rows));
        let rows = rows.sorted();
        let part = |view: &&SegmentView| Part {
            segment: Arc::downgrade(&view.segment),
            dead: Arc::clone(&view.dead),
        };
        let segment = Arc::new(Segment::new(&rows, 0..rows.len()));
        Self { parts: views.iter().map(part).collect(), segment }
    }

    /// Whether somebody has the segments it was made of.
    fn is_wanted(&self) -> bool {
        self.parts.iter().all(|part| part.segment.strong_count() > 0)
    }

    /// Puts the new segment in the place of the first of the old ones, where all of these are there.
    fn replace_in(&self, segments: &mut Vec<SegmentView>) {
        let place = |part: &Part| segments.iter().position(|view| part.is_of(view));
        let Some(places) = self.parts.iter().map(place).collect::<Option<Vec<_>>>() else { return };
        let mut merged = SegmentView::of(Arc::clone(&self.segment));
        for (part, &place) in self.parts.iter().zip(&places) {
            let view = &segments[place];
            // rows that are alive here and were dead there are in neither
            if !part.dead.is_subset(&view.dead)
                || view.dead.len() - part.dead.len() > DIED_SINCE_MAX
            {
                return;
            }
            let Some(dead) = self.died_since(part, view) else { return };
            *Arc::make_mut(&mut merged.dead) |= dead;
        }
        segments[places[0]] = merged;
        let mut place = 0;
        segments.retain(|_| {
            place += 1;
            !places[1..].contains(&(place - 1))
        });
    }

    /// The rows of the new segment that died in an old one since.
    fn died_since(&self, part: &Part, view: &SegmentView) -> Option<RoaringBitmap> {
        let segment = &view.segment;
        let mut died =
            Rows::empty(segment.keys.len(), segment.coordinates.len(), segment.values.len());
        let since = &*view.dead - &*part.dead;
        since.iter().for_each(|row| segment.copy_row(row as usize, &mut died));
        (0..died.len()).map(|row| self.segment.find(&died, row).map(|row| row as u32)).collect()
    }
}

impl Merges {
    fn lock(&self) -> MutexGuard<'_, Vec<Merged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts what is ready in place.
    pub(super) fn replace_in(&self, segments: &mut Vec<SegmentView>) {
        let mut ready = self.lock();
        ready.retain(Merged::is_wanted);
        ready.iter().for_each(|merged| merged.replace_in(segments));
    }

    /// Whether a merge of a segment is ready already.
    fn has(&self, view: &SegmentView) -> bool {
        self.lock().iter().flat_map(|merged| &merged.parts).any(|part| part.is_of(view))
    }
}

impl CubeRows {
    /// Whether merging is due: there are many small segments, or dead rows take much room.
    pub fn is_merge_due(&self) -> bool {
        if self.wasted <= WASTED_ROWS_MAX && self.small_count <= SMALL_SEGMENTS_MAX {
            return false;
        }
        let (mut wasted, mut count) = (0, 0);
        for view in self.unmerged() {
            (wasted, count) = (wasted + view.wasted(view.live_count()), count + 1);
        }
        wasted > WASTED_ROWS_MAX || count > SMALL_SEGMENTS_MAX
    }

    /// Small segments that nobody merged yet.
    fn unmerged(&self) -> impl Iterator<Item = &SegmentView> {
        let small = self.segments.iter().filter(|view| is_small(view.live_count()));
        small.filter(|view| !self.merges.has(view))
    }

    /// Merges where that is due.
    pub fn merge_if_due(&self, interrupt: &Interrupt) {
        if self.is_merge_due() {
            self.merge(interrupt);
        }
    }

    /// Merges small segments and those of which most rows are dead, as long as it is not interrupted; the next write
    /// puts in place what came of it. It takes time, and is for a thread of its own.
    pub fn merge(&self, interrupt: &Interrupt) {
        let (mut group, mut live) = (Vec::new(), 0);
        for view in self.unmerged() {
            if live + view.live_count() > SEGMENT_ROWS_MAX {
                self.merge_group(&std::mem::take(&mut group));
                live = 0;
            }
            if interrupt.check().is_err() {
                return;
            }
            live += view.live_count();
            group.push(view);
        }
        self.merge_group(&group);
    }

    /// Merges some segments, if that gains anything.
    fn merge_group(&self, views: &[&SegmentView]) {
        let gains = views.len() > 1 || views.iter().any(|view| view.wasted(view.live_count()) > 0);
        if gains && views.iter().any(|view| view.live_count() > 0) {
            let merged = Merged::new(views);
            self.merges.lock().push(merged);
        }
    }
}
