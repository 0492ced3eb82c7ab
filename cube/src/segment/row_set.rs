//! Some rows of one segment: as their ends where they follow each other, so that columns are read as
//! slices, else as a list.

use std::ops::Range;

/// Rows of one segment, ascending, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowSet {
    /// Rows that follow each other.
    Run(Range<u32>),
    /// Any rows.
    List(Vec<u32>),
}

impl RowSet {
    /// The rows of an ascending list.
    pub fn of_list(rows: Vec<u32>) -> Self {
        match (rows.first(), rows.last()) {
            (Some(&first), Some(&last)) if (last - first) as usize + 1 == rows.len() => {
                Self::Run(first..last + 1)
            }
            _ => Self::List(rows),
        }
    }

    /// One row.
    pub fn one(row: usize) -> Self {
        Self::Run(row as u32..row as u32 + 1)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Run(run) => run.len(),
            Self::List(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at a place.
    pub fn get(&self, at: usize) -> usize {
        match self {
            Self::Run(run) => run.start as usize + at,
            Self::List(rows) => rows[at] as usize,
        }
    }

    /// The run, where the rows are one.
    pub fn as_run(&self) -> Option<Range<usize>> {
        match self {
            Self::Run(run) => Some(run.start as usize..run.end as usize),
            Self::List(_) => None,
        }
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        let (run, list) = match self {
            Self::Run(run) => (run.clone(), &[] as &[u32]),
            Self::List(rows) => (0..0, rows.as_slice()),
        };
        run.chain(list.iter().copied()).map(|row| row as usize)
    }

    /// The rows at some places, which ascend.
    pub fn taken(&self, places: &[u32]) -> Self {
        Self::of_list(match self {
            Self::Run(run) => places.iter().map(|&at| run.start + at).collect(),
            Self::List(rows) => places.iter().map(|&at| rows[at as usize]).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_follow_each_other_are_a_run() {
        assert_eq!(RowSet::of_list(vec![4, 5, 6]), RowSet::Run(4..7));
        assert_eq!(RowSet::of_list(vec![9]), RowSet::one(9));
        assert_eq!(RowSet::of_list(vec![4, 6]), RowSet::List(vec![4, 6]));
        assert!(RowSet::of_list(Vec::new()).is_empty());
    }

    #[test]
    fn a_run_and_a_list_read_alike() {
        let column = [10, 11, 12, 13, 14, 15];
        for (rows, expected) in
            [(RowSet::Run(2..5), vec![12, 13, 14]), (RowSet::List(vec![0, 3, 5]), vec![10, 13, 15])]
        {
            assert_eq!(rows.iter().map(|row| column[row]).collect::<Vec<_>>(), expected);
            assert_eq!(column[rows.get(1)], expected[1]);
            let ends = rows.taken(&[0, 2]);
            let ends: Vec<_> = ends.iter().map(|row| column[row]).collect();
            assert_eq!(ends, [expected[0], expected[2]]);
            assert_eq!(rows.len(), 3);
        }
    }
}
