//! Values of an attribute that hold from a day on, each until the next.

use std::collections::BTreeMap;

use crate::id::MemberId;
use crate::value::Scalar;

/// The dated values of one attribute: of few members, in the order of days.
#[derive(Debug, Clone, Default)]
pub(super) struct History(BTreeMap<MemberId, Vec<(i32, Option<Scalar>)>>);

impl History {
    /// A member's values, each with the day (since 1970-01-01) from which it holds.
    pub fn of(&self, member: MemberId) -> &[(i32, Option<Scalar>)] {
        self.0.get(&member).map_or(&[], Vec::as_slice)
    }

    /// The value that holds on a day; none before the first.
    pub fn on(&self, member: MemberId, day: i32) -> Option<&Option<Scalar>> {
        let values = self.of(member);
        let later = values.partition_point(|(from, _)| *from <= day);
        values[..later].last().map(|(_, value)| value)
    }

    /// Sets the value from a day on, in the place of one from the same day.
    pub fn set(&mut self, member: MemberId, from: i32, value: Option<Scalar>) {
        let values = self.0.entry(member).or_default();
        match values.binary_search_by_key(&from, |(day, _)| *day) {
            Ok(place) => values[place].1 = value,
            Err(place) => values.insert(place, (from, value)),
        }
    }

    /// Whether no member has a value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
