//! Files of members whose rows say from which day their attributes hold: several rows a member.

use std::collections::{BTreeMap, BTreeSet};

use cube::change::{DatedValue, DatedWrite};
use cube::dimension::Dimension;
use cube::value::parse_date;
use cube::{AttributeId, DimensionId, Scalar};
use indexmap::IndexMap;
use indexmap::map::Entry;

use super::report::RejectedRow;

/// What one row says of a member's attributes.
pub(super) type Values = Vec<(AttributeId, Option<Scalar>)>;

/// The rows of such a file, by member and first day (none: from the beginning).
#[derive(Debug, Default)]
pub(super) struct History(IndexMap<(String, Option<i32>), (usize, Values)>);

/// The first day that a field names; none where it is empty: from the beginning.
pub(super) fn first_day(text: &str) -> Result<Option<i32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = parse_date(text).ok_or("expected YYYY-MM-DD; format in the map reads other forms")?;
    Ok(Some(day))
}

impl History {
    /// Notes a row; whether an earlier one says the same.
    pub fn note(
        &mut self,
        row: usize,
        member: String,
        from: Option<i32>,
        values: Values,
    ) -> Result<bool, RejectedRow> {
        match self.0.entry((member, from)) {
            Entry::Vacant(entry) => {
                entry.insert((row, values));
                Ok(false)
            }
            Entry::Occupied(entry) if entry.get().1 == values => Ok(true),
            Entry::Occupied(entry) => {
                let reason = format!("row {} says otherwise from the same day on", entry.get().0);
                let ((value, _), column) = (entry.key().clone(), "key".into());
                Err(RejectedRow { row, column, value, reason })
            }
        }
    }

    /// All values of an attribute.
    pub fn values_of(&self, attribute: AttributeId) -> impl Iterator<Item = Option<&Scalar>> {
        let all = self.0.values().flat_map(|(_, values)| values);
        all.filter(move |(named, _)| *named == attribute).map(|(_, value)| value.as_ref())
    }

    /// The members with values that hold from the beginning, and these values.
    pub fn undated(&self) -> impl Iterator<Item = (&str, &Values)> {
        let undated = self.0.iter().filter(|((_, from), _)| from.is_none());
        undated.map(|((member, _), (_, values))| (member.as_str(), values))
    }

    /// The dated values that the dimension does not have yet, with the rows they stand in.
    pub fn changes(&self, dimension: &Dimension, id: DimensionId) -> Vec<(DatedWrite, Vec<usize>)> {
        let mut writes: BTreeMap<AttributeId, (Vec<DatedValue>, Vec<usize>)> = BTreeMap::new();
        for ((member, from), (row, values)) in &self.0 {
            let Some(from) = *from else { continue };
            let existing = dimension.find(member);
            for (attribute, value) in values {
                let dated = existing.map_or(&[][..], |id| dimension.dated(*attribute, id));
                if dated.contains(&(from, value.clone())) {
                    continue;
                }
                let (member, value) = (member.clone(), value.clone());
                let value = DatedValue { member, valid_from: from, value };
                let (values, rows) = writes.entry(*attribute).or_default();
                values.push(value);
                rows.push(*row);
            }
        }
        let writes = writes.into_iter().map(|(attribute, (values, rows))| {
            (DatedWrite { dimension: id, attribute, values }, rows)
        });
        writes.collect()
    }
}

/// The members that writes of dated values name.
pub(super) fn members_of(writes: &[DatedWrite]) -> BTreeSet<&str> {
    writes.iter().flat_map(|write| &write.values).map(|dated| dated.member.as_str()).collect()
}
