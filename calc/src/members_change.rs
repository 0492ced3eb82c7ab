//! What a change of members does to formulas other than by the members' own properties: a key or a
//! name means another member, or one at last, and the order of an axis is another.

use cube::{AttributeId, DimensionId, MemberId, Scalar, Version};

use crate::node::{Axis, Kind, MemberMap, Node, Range, Type};
use crate::tables::Tables;

/// Members of one dimension were added or changed.
pub(crate) struct MembersChange<'a> {
    /// What follows from members.
    pub tables: &'a Tables,
    /// The version before.
    pub before: &'a Version,
    /// The version after.
    pub after: &'a Version,
    /// The dimension.
    pub id: DimensionId,
}

impl MembersChange<'_> {
    /// Whether an expression may have other values anywhere.
    pub fn is_seen_by(&self, node: &Node) -> bool {
        let mut is_seen = false;
        node.visit(&mut |node| is_seen = is_seen || self.is_seen_at(node));
        is_seen
    }

    fn is_seen_at(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::MemberLiteral(dimension, text) => {
                *dimension == self.id && self.means_another(text)
            }
            Kind::Reduce(reduce) => reduce.under.iter().any(|(axis, text)| {
                reduce.inner.frame.axes[*axis].dimension == self.id && self.means_another(text)
            }),
            Kind::Map(_, from, map) => self.leads_elsewhere(*from, map),
            Kind::Attribute(_, from, attribute, _) => {
                node.value_type == Type::Member(self.id) && self.is_named_by(*from, *attribute)
            }
            Kind::Window(window) => {
                self.is_ordered_otherwise(window.frame.axes[window.axis], window.range)
            }
            Kind::DateMember(_, dimension) => *dimension == self.id && self.has_new_members(),
            Kind::Period(_, dimension, _) => *dimension == self.id && self.has_other_days(),
            _ => false,
        }
    }

    fn before_count(&self) -> usize {
        self.before.dimension(self.id).member_count()
    }

    fn has_new_members(&self) -> bool {
        self.after.dimension(self.id).member_count() > self.before_count()
    }

    fn means_another(&self, text: &str) -> bool {
        let [before, after] =
            [self.before, self.after].map(|version| self.tables.literal(version, self.id, text));
        before != after
    }

    /// Whether a member that was there leads to another one, for a reason that is not its own.
    fn leads_elsewhere(&self, from: DimensionId, map: &MemberMap) -> bool {
        match map {
            MemberMap::Shift(..) | MemberMap::Parallel(..) if from == self.id => {
                let [before, after] =
                    [self.before, self.after].map(|version| self.tables.map(version, from, map));
                let mut members = (0..self.before_count()).map(MemberId::from_idx);
                // to lead to a member that is new is to lead to no value, as before
                members.any(|member| {
                    let was = before.get(member);
                    was != MemberId::NONE && was != after.get(member)
                })
            }
            MemberMap::Attribute(attribute, to) if *to == self.id => {
                self.is_named_by(from, *attribute)
            }
            _ => false,
        }
    }

    /// Whether a value of an attribute is the key of a member that is new.
    fn is_named_by(&self, from: DimensionId, attribute: AttributeId) -> bool {
        if !self.has_new_members() {
            return false;
        }
        let (from, to) = (self.after.dimension(from), self.after.dimension(self.id));
        let is_new = |value: Option<&Scalar>| match value {
            Some(Scalar::Text(key)) => to.find(key).is_some_and(|m| m.idx() >= self.before_count()),
            _ => false,
        };
        from.members().any(|member| {
            let mut dated = from.dated(attribute, member).iter();
            is_new(from.undated(attribute, member))
                || dated.any(|(_, value)| is_new(value.as_ref()))
        })
    }

    /// Whether members that were there have another range of members that were there.
    fn is_ordered_otherwise(&self, axis: Axis, range: Range) -> bool {
        if axis.dimension != self.id || range == Range::All {
            return false;
        }
        let [before, after] = [self.before, self.after].map(|version| {
            (self.tables.order(version, axis), self.tables.ranges(version, axis, range))
        });
        let count = before.0.members.len();
        let starts_so =
            after.0.members.len() >= count && after.0.members[..count] == before.0.members;
        !starts_so || after.1.0[..count] != before.1.0
    }

    fn has_other_days(&self) -> bool {
        let [before, after] =
            [self.before, self.after].map(|version| self.tables.days(version, self.id));
        after[..before.len()] != before[..]
    }
}
