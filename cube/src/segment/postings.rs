//! Postings: for one dimension of one segment, the rows of each member.

use super::column::{Codes, Presence};
use crate::limits::SEGMENT_ROWS_MAX;

// rows of a segment are numbered in 16 bits
const _: () = assert!(SEGMENT_ROWS_MAX <= 1 << u16::BITS);

/// Which rows of a segment are of a member.
#[derive(Debug)]
pub(super) struct Postings {
    /// The members that have rows, ascending.
    members: Vec<u32>,
    /// Per member, where its rows start; then the number of all rows.
    starts: Vec<u32>,
    /// The rows of the first member, of the second and so on, each ascending.
    rows: Vec<u16>,
}

impl Postings {
    pub fn new(codes: &Codes, row_count: usize) -> Self {
        let rows = rows_by_member(codes, row_count);
        let (mut members, mut starts) = (Vec::new(), Vec::new());
        for (idx, &row) in rows.iter().enumerate() {
            let member = codes.get(row.into()).0;
            if members.last() != Some(&member) {
                members.push(member);
                starts.push(idx as u32);
            }
        }
        starts.push(rows.len() as u32);
        Self { members, starts, rows }
    }

    /// Memory in use.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.members) + size_of_val(&*self.starts) + size_of_val(&*self.rows)
    }

    /// The rows of one member.
    fn rows_of(&self, member: u32) -> &[u16] {
        match self.members.binary_search(&member) {
            Ok(idx) => &self.rows[self.starts[idx] as usize..self.starts[idx + 1] as usize],
            Err(_) => &[],
        }
    }

    /// The rows of some members in the order of rows; none where there are more than `limit`.
    pub fn rows_of_all(
        &self,
        members: impl Iterator<Item = u32>,
        limit: usize,
    ) -> Option<Vec<u32>> {
        let mut runs = Vec::new();
        let mut count = 0;
        for member in members {
            let run = self.rows_of(member);
            count += run.len();
            if count > limit {
                return None;
            }
            if !run.is_empty() {
                runs.push(run);
            }
        }
        Some(match runs.as_slice() {
            [run] => run.iter().map(|&row| row.into()).collect(),
            runs => self.in_order(runs),
        })
    }

    /// The rows of several members in the order of rows.
    fn in_order(&self, runs: &[&[u16]]) -> Vec<u32> {
        let mut rows = Presence::none(self.rows.len());
        runs.iter().copied().flatten().for_each(|&row| rows.insert(row.into()));
        rows.rows()
    }
}

/// All rows, ordered by member and then by row: a radix sort by the bytes of the member.
fn rows_by_member(codes: &Codes, row_count: usize) -> Vec<u16> {
    let mut rows: Vec<u16> = (0..row_count).map(|row| row as u16).collect();
    let (_, largest) = codes.ints().bounds();
    for shift in (0..i64::BITS - largest.leading_zeros()).step_by(8) {
        rows = by_digit(&rows, |row| (codes.get(row.into()).0 >> shift) as u8);
    }
    rows
}

/// The rows ordered by a digit, those with the same digit as they were.
fn by_digit(rows: &[u16], digit: impl Fn(u16) -> u8) -> Vec<u16> {
    let mut counts = [0usize; 256];
    rows.iter().for_each(|&row| counts[usize::from(digit(row))] += 1);
    let mut places = [0usize; 256];
    for value in 1..256 {
        places[value] = places[value - 1] + counts[value - 1];
    }
    let mut ordered = vec![0; rows.len()];
    for &row in rows {
        let place = &mut places[usize::from(digit(row))];
        ordered[*place] = row;
        *place += 1;
    }
    ordered
}
