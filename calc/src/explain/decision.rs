//! What only decides where a formula reads, and is no part of a sum: attributes of members, parents
//! in a hierarchy, the members of a row. Each is named with what it says, so that whoever wrote it
//! can be found. The periods of a calendar are written by nobody and are left out.

use cube::value::format_date;
use cube::{AttributeId, DimensionId, HierarchyId, MemberId};

use super::{ExplainNode, Explainer, Found, Point};
use crate::error::Result;
use crate::node::{Frame, Kind, MemberMap, Node, Type};
use crate::points::Block;

impl Explainer<'_> {
    /// What leads to a member at which something is read. The point's own member needs no word: it
    /// is the place of what is explained.
    pub(super) fn decision(&self, node: &Node, at: Point<'_>, found: &mut Found) -> Result<()> {
        let Point { frame, block, .. } = at;
        match &node.kind {
            Kind::Axis(_) => Ok(()),
            Kind::Map(inner, from, map) => {
                self.decision(inner, at, found)?;
                let member = self.value_of(inner, frame, block)?.member(0);
                self.map(node, *from, map, member, found);
                Ok(())
            }
            Kind::Attribute(member, dimension, attribute, on) => {
                self.decision(member, at, found)?;
                let mut day = None;
                if let Some(on) = on {
                    self.decision(on, at, found)?;
                    day = Some(self.value_of(on, frame, block)?.day(0));
                }
                let value = self.value_of(node, frame, block)?;
                let value = self.text_of(&value, node.value_type);
                let member = self.value_of(member, frame, block)?.member(0);
                let named = (*dimension, *attribute);
                found.once(self.attribute(named, member, day, value, node.value_type));
                Ok(())
            }
            Kind::MemberText(inner, ..) | Kind::DateMember(inner, _) | Kind::Period(inner, ..) => {
                self.decision(inner, at, found)
            }
            _ => self.expression(node, at, found),
        }
    }

    /// How a member leads to another.
    fn map(
        &self,
        node: &Node,
        from: DimensionId,
        map: &MemberMap,
        member: MemberId,
        found: &mut Found,
    ) {
        let to = |map| {
            let to = self.plan.tables.map(&self.view.version, from, map).get(member);
            (to != MemberId::NONE).then_some(to)
        };
        match map {
            MemberMap::Attribute(attribute, target) => {
                let key = |to| self.view.version.dimension(*target).key(to).to_string();
                let value = to(map).map(key);
                let named = (from, *attribute);
                found.once(self.attribute(named, member, None, value, node.value_type));
            }
            MemberMap::Ancestor(hierarchy, _) | MemberMap::Parent(hierarchy) => {
                self.parents(from, *hierarchy, member, to(map), found);
            }
            MemberMap::Shift(..) | MemberMap::Parallel(..) => {}
        }
    }

    /// An attribute of a member, as of a day where one is given: `day` is then what the day's
    /// expression gives. Dated values name the day from which they hold.
    fn attribute(
        &self,
        (id, attribute): (DimensionId, AttributeId),
        member: MemberId,
        day: Option<Option<i32>>,
        value: Option<String>,
        value_type: Type,
    ) -> ExplainNode {
        let dimension = self.view.version.dimension(id);
        let def = &dimension.def.attributes[attribute.idx()];
        let mut node = ExplainNode {
            label: format!("{}.{}", dimension.def.name, def.name),
            kind: "attribute".into(),
            ..ExplainNode::default()
        };
        if member == MemberId::NONE {
            node.note = Some("of no member".into());
            return node;
        }
        if !self.may_see(id, member) || !self.may_see_key(value_type, value.as_deref()) {
            return hidden(node.label);
        }
        node.place = vec![(dimension.def.name.clone(), dimension.key(member).to_string())];
        let mut notes = Vec::new();
        let mut stored = None;
        match day {
            Some(None) => notes.push("on no day".to_string()),
            Some(Some(_)) | None => {
                let day = day.flatten();
                notes.extend(day.map(|day| format!("on {}", format_date(day))));
                let until = day.unwrap_or(i32::MAX);
                let dated = dimension.dated(attribute, member).iter();
                let holds = dated.take_while(|(from, _)| *from <= until).last();
                if let Some((from, _)) = holds {
                    let from = format_date(*from);
                    notes.push(format!("holds from {from}"));
                    node.valid_from = Some(from);
                }
                stored = dimension.attribute_on(attribute, member, until);
            }
        }
        node.value = value;
        if let (None, Some(stored), Type::Member(to)) = (&node.value, stored, value_type) {
            let text = stored.format(def.value_type);
            let to = &self.view.version.dimension(to).def.name;
            notes.push(format!("{text:?} is no member of {to}"));
        }
        node.note = (!notes.is_empty()).then(|| notes.join("; "));
        node
    }

    /// The parents from a member up to one of its ancestors, or to the top.
    pub(super) fn parents(
        &self,
        id: DimensionId,
        hierarchy: HierarchyId,
        member: MemberId,
        ancestor: Option<MemberId>,
        found: &mut Found,
    ) {
        let dimension = self.view.version.dimension(id);
        if dimension.def.calendar.is_some() || member == MemberId::NONE {
            return;
        }
        let name = &dimension.def.name;
        let mut current = member;
        while Some(current) != ancestor {
            let Some(parent) = dimension.parent(hierarchy, current) else { return };
            let node = ExplainNode {
                label: format!("{name}.{}", dimension.def.hierarchies[hierarchy.idx()].name),
                kind: "parent".into(),
                place: vec![(name.clone(), dimension.key(current).to_string())],
                value: Some(dimension.key(parent).to_string()),
                ..ExplainNode::default()
            };
            let is_seen = self.may_see(id, current) && self.may_see(id, parent);
            found.once(if is_seen { node } else { hidden(node.label) });
            current = parent;
        }
    }

    /// The parents by which a member is below another: in the first hierarchy where it is, else all
    /// of the default one, which show that it is not.
    pub(super) fn descent(
        &self,
        dimension: DimensionId,
        member: MemberId,
        ancestor: MemberId,
        found: &mut Found,
    ) {
        let own = self.view.version.dimension(dimension);
        let is_below = |hierarchy: &HierarchyId| {
            let up = |member: &MemberId| own.parent(*hierarchy, *member);
            std::iter::successors(Some(member), up).any(|member| member == ancestor)
        };
        if own.def.hierarchies.is_empty() || member == MemberId::NONE {
            return;
        }
        let mut hierarchies = (0..own.def.hierarchies.len()).map(HierarchyId::from_idx);
        let hierarchy = hierarchies.find(is_below);
        let ancestor = hierarchy.map(|_| ancestor);
        self.parents(dimension, hierarchy.unwrap_or(HierarchyId(0)), member, ancestor, found);
    }

    /// The member of a row, which came with the row; none of a cell, whose members are its place.
    pub(super) fn row_member(
        &self,
        frame: &Frame,
        axis: usize,
        block: &Block,
    ) -> Option<ExplainNode> {
        let cube = frame
            .rows
            .filter(|rows| block.origin.as_ref().is_some_and(|origin| origin.cube == *rows))?;
        let dimension = self.view.version.dimension(frame.axes[axis].dimension);
        let member = block.member(axis, 0);
        let cube_name = &self.view.version.model.cube_def(cube).def.name;
        let node = ExplainNode {
            label: format!("{cube_name}.{}", dimension.def.name),
            kind: "member".into(),
            key: self.key_of(cube, block),
            value: (member != MemberId::NONE).then(|| dimension.key(member).to_string()),
            ..ExplainNode::default()
        };
        Some(if self.is_visible(cube, block) { node } else { hidden(node.label) })
    }

    /// Whether the reader may see the member that a value is, where it is one.
    fn may_see_key(&self, value_type: Type, key: Option<&str>) -> bool {
        let (Type::Member(dimension), Some(key)) = (value_type, key) else { return true };
        let member = self.view.version.dimension(dimension).find(key);
        member.is_none_or(|member| self.may_see(dimension, member))
    }

    /// Whether the reader may see a member.
    fn may_see(&self, dimension: DimensionId, member: MemberId) -> bool {
        let allowed = self.view.allowed(dimension);
        allowed.is_none_or(|allowed| allowed.contains(member.0))
    }
}

/// A node of which the reader learns only that it is there.
pub(super) fn hidden(label: String) -> ExplainNode {
    let note = Some("the reader's rights do not reach here".into());
    ExplainNode { label, kind: "hidden".into(), note, ..ExplainNode::default() }
}
