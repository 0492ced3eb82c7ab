//! Members that a formula names. One that is not there is no error by itself; but where a formula is
//! refused and names one that is only misspelt, this is said first, and no hint repeats it.

use cube::DimensionId;
use cube::dimension::Dimension;
use cube::model::{DimensionDef, HierarchyDef, HierarchyKind};

use super::Checker;
use crate::error::CalcError;
use crate::limits::SUGGESTED_MEMBERS_MAX;
use crate::missing::{MissingState, missing, name_in, nearest_members};
use crate::node::{Kind, Node, Type};
use crate::syntax::Span;

/// A member that the text names.
pub(super) struct NamedMember {
    dimension: DimensionId,
    text: String,
    span: Span,
}

/// Whether no member of a dimension can be below another.
pub(crate) fn is_flat(dimension: &DimensionDef) -> bool {
    let has_one_level = |hierarchy: &HierarchyDef| {
        hierarchy.kind == HierarchyKind::Levels && hierarchy.levels.len() == 1
    };
    dimension.hierarchies.iter().all(has_one_level)
}

impl Checker<'_> {
    /// A member that is named.
    pub(super) fn named_member(&self, dimension: DimensionId, text: String, span: Span) -> Node {
        let place = name_in(&self.def.text, span, &text);
        self.members.borrow_mut().push(NamedMember { dimension, text: text.clone(), span: place });
        Node {
            kind: Kind::MemberLiteral(dimension, text),
            value_type: Type::Member(dimension),
            mask: 0,
            is_heavy: false,
            span,
        }
    }

    /// The members of a dimension, where they are known.
    fn members_of(&self, dimension: DimensionId) -> Option<&Dimension> {
        self.version?.dimensions.get(dimension.idx()).map(AsRef::as_ref)
    }

    /// Whether a dimension is known to have a member.
    pub(super) fn holds(&self, dimension: DimensionId, text: &str) -> bool {
        self.members_of(dimension).is_some_and(|members| missing(members, None, text).is_none())
    }

    /// The first member that looks misspelt, as an error.
    pub(super) fn misspelt(&self) -> Option<CalcError> {
        let members = self.members.borrow();
        let misspelt = members.iter().filter_map(|named| {
            let dimension = self.members_of(named.dimension)?;
            let (state, hint) = missing(dimension, None, &named.text)?;
            (state == MissingState::Unknown).then_some(())?;
            let message = format!("{} has no member {:?}", dimension.def.name, named.text);
            Some((named.span, message, hint?))
        });
        let (span, message, hint) = misspelt.min_by_key(|(span, ..)| span.start)?;
        Some(self.error(span, message, Some(hint)))
    }

    /// Whether a place names a member that is not among those there are.
    pub(super) fn names_unknown(&self, place: Span) -> bool {
        self.members.borrow().iter().any(|named| {
            let found = self.members_of(named.dimension);
            let found = found.and_then(|members| missing(members, None, &named.text));
            let is_within = place.start <= named.span.start && named.span.end <= place.end;
            is_within && matches!(found, Some((MissingState::Unknown, _)))
        })
    }

    /// A word in quotes, unless it is known to be no member of the dimension; and the members most like it.
    pub(super) fn quoted_members(&self, word: &str, dimension: Option<DimensionId>) -> Vec<String> {
        let members = dimension.and_then(|dimension| self.members_of(dimension));
        let members = members.filter(|members| members.member_count() <= SUGGESTED_MEMBERS_MAX);
        let mut words = members.map_or_else(Vec::new, |members| nearest_members(members, word));
        let state = members.and_then(|members| missing(members, None, word));
        if !matches!(state, Some((MissingState::Unknown, _))) {
            words.insert(0, word.to_string());
        }
        words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect()
    }
}
