//! One dimension more for rows that are there: all of them are of one member, so no column is made, copied or read.

use std::sync::{Arc, OnceLock};

use super::{Codes, CubeRows, Segment, SegmentView};
use crate::id::MemberId;

impl CubeRows {
    /// The rows with one more dimension, the last, in which all are of one member. What is kept beside
    /// rows begins anew, as it names leaves and dimensions by their places.
    #[must_use]
    pub fn with_dimension(&self, member: MemberId) -> Self {
        let widened = |view: &SegmentView| SegmentView {
            segment: Arc::new(view.segment.with_dimension(member)),
            dead: Arc::clone(&view.dead),
        };
        let segments = self.segments.iter().map(widened).collect();
        Self { segments, row_count: self.row_count, ..Self::default() }
    }
}

impl Segment {
    fn with_dimension(&self, member: MemberId) -> Self {
        let mut coordinates = self.coordinates.clone();
        coordinates.push(Arc::new(Codes::repeated(member, self.row_count)));
        let mut zones = self.zones.clone();
        zones.push((member, member));
        Self {
            row_count: self.row_count,
            keys: self.keys.clone(),
            postings: Arc::new(coordinates.iter().map(|_| OnceLock::new()).collect()),
            coordinates,
            zones,
            values: self.values.clone(),
            // not shared: another branch may give its rows another member, or another dimension
            level_columns: Arc::default(),
            leaf_columns: Arc::default(),
            key_filter: Arc::default(),
        }
    }
}
