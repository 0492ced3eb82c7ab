//! Members that formulas name and that are not there: misspelt, or not loaded yet.
//!
//! A formula may be written before its members come, so this is a report and no error: where a
//! dimension holds no members of the kind that is named, the formula is pending, else it names one
//! that does not exist.

use std::fmt;

use cube::dimension::Dimension;
use cube::error::nearest;
use cube::value::{format_date, parse_date};
use cube::{DimensionId, LevelId, MemberId, Version};

use crate::check::Formula;
use crate::error::CalcError;
use crate::limits::SUGGESTED_MEMBERS_MAX;
use crate::node::{Frame, Kind, Node, Value};
use crate::plan::Plan;
use crate::syntax::Span;
use crate::tables::find_member;

/// A member that a formula names and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingMember {
    /// The formula's target, with its region.
    pub target: String,
    /// The text that names it: the formula's, or the target where the region does.
    pub text: String,
    /// Where in that text.
    pub span: Span,
    /// The dimension's name.
    pub dimension: String,
    /// What was named.
    pub member: String,
    /// Whether such members are there at all.
    pub state: MissingState,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Whether a dimension holds members of the kind that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingState {
    /// It holds none yet: the formula waits for them.
    Pending,
    /// It holds others.
    Unknown,
}

/// What every formula names and what is not there, in the order of the formulas and of their text.
pub fn missing_members(version: &Version, plan: &Plan) -> Vec<MissingMember> {
    plan.formulas.iter().flat_map(|formula| missing_in(version, formula)).collect()
}

/// The same of one formula.
pub fn missing_in(version: &Version, formula: &Formula) -> Vec<MissingMember> {
    let mut search = Search { version, formula, found: Vec::new() };
    for (axis, text) in &formula.region {
        let axis = formula.frame.axes[*axis];
        let target = &formula.target;
        let start =
            target.find('[').and_then(|from| Some(from + target[from..].find(text.as_str())?));
        let start = start.unwrap_or(0);
        let span = Span { start, end: (start + text.len()).min(target.len()) };
        search.note(axis.dimension, None, text, target, span);
    }
    search.node(&formula.node);
    let mut found = search.found;
    found.sort_by_key(|missing| (missing.text != formula.target, missing.span.start));
    found.dedup();
    found
}

struct Search<'a> {
    version: &'a Version,
    formula: &'a Formula,
    found: Vec<MissingMember>,
}

impl Search<'_> {
    /// Looks through a node and all that it is made of, in whatever frame.
    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::MemberLiteral(dimension, text) => self.literal(*dimension, None, text, node.span),
            Kind::DateMember(inner, dimension) => {
                if let Kind::Literal(Value::Date(day)) = inner.kind {
                    self.literal(*dimension, None, &format_date(day), node.span);
                }
            }
            Kind::OnBranch(on) => {
                let version = &on.head.version;
                let mut there = Search { version, formula: self.formula, found: Vec::new() };
                there.node(&on.scope.node);
                let found = there.found.into_iter().map(|missing| MissingMember {
                    dimension: format!("{} on branch {}", missing.dimension, on.branch),
                    ..missing
                });
                self.found.extend(found);
            }
            Kind::At(scope, members) => return self.at(&scope.node, &scope.frame, members),
            Kind::Reduce(reduce) => {
                for (axis, text) in &reduce.under {
                    let dimension = reduce.inner.frame.axes[*axis].dimension;
                    self.literal(dimension, None, text, node.span);
                }
                self.node(&reduce.inner.node);
                reduce.by.iter().chain(&reduce.weight).for_each(|node| self.node(node));
            }
            _ => {}
        }
        node.children().into_iter().for_each(|child| self.node(child));
    }

    /// Members at which something is read are of the level at which it is.
    fn at(&mut self, inner: &Node, frame: &Frame, members: &[Node]) {
        for (axis, member) in frame.axes.iter().zip(members) {
            match &member.kind {
                Kind::MemberLiteral(dimension, text) => {
                    let members = self.version.dimensions.get(dimension.idx());
                    let level = axis.level.or(members.and_then(|members| members.def.leaf_level()));
                    self.literal(*dimension, level, text, member.span);
                }
                _ => self.node(member),
            }
        }
        self.node(inner);
    }

    /// A member named in the formula's text; what stands there may say more than the name.
    fn literal(&mut self, dimension: DimensionId, level: Option<LevelId>, text: &str, span: Span) {
        let formula = &self.formula.text;
        let span = name_in(formula, span, text);
        self.note(dimension, level, text, &formula.clone(), span);
    }

    fn note(
        &mut self,
        dimension: DimensionId,
        level: Option<LevelId>,
        member: &str,
        text: &str,
        span: Span,
    ) {
        let target = self.formula.target.clone();
        // a version from before the dimension came does not have it
        let Some(members) = self.version.dimensions.get(dimension.idx()) else { return };
        if let Some((state, hint)) = missing(members, level, member) {
            self.found.push(MissingMember {
                target,
                text: text.to_string(),
                span,
                dimension: members.def.name.clone(),
                member: member.to_string(),
                state,
                hint,
            });
        }
    }
}

/// Where within a place of a formula's text a member's name stands.
pub(crate) fn name_in(formula: &str, place: Span, member: &str) -> Span {
    let within = formula.get(place.start..place.end).unwrap_or_default();
    let quoted = ["\"", "'"].map(|quote| format!("{quote}{member}{quote}"));
    let narrowed = quoted.iter().find_map(|quoted| {
        let start = place.start + within.rfind(quoted.as_str())?;
        Some(Span { start, end: start + quoted.len() })
    });
    narrowed.unwrap_or(place)
}

/// Whether a dimension lacks a member, and what to do about it.
pub(crate) fn missing(
    dimension: &Dimension,
    level: Option<LevelId>,
    member: &str,
) -> Option<(MissingState, Option<String>)> {
    if find_member(dimension, member) != MemberId::NONE {
        return None;
    }
    let of_level = |id: MemberId| level.is_none() || dimension.level(id) == level;
    match dimension.members().any(of_level) {
        true => Some((MissingState::Unknown, hint(dimension, member))),
        false => Some((MissingState::Pending, None)),
    }
}

/// The members that look most like one that is not there; of a calendar, where it begins and ends.
fn hint(dimension: &Dimension, member: &str) -> Option<String> {
    if let Some(calendar) = &dimension.def.calendar {
        let (first, last) = calendar.days(&dimension.def.name).ok()?;
        let (from, to) = (format_date(first), format_date(last));
        return Some(match parse_date(member) {
            Some(day) if day < first => format!("the calendar begins on {from} and ends on {to}"),
            Some(_) => format!("the calendar ends on {to}; it begins on {from}"),
            None => format!("its days are from {from} to {to}"),
        });
    }
    if dimension.member_count() > SUGGESTED_MEMBERS_MAX {
        return None;
    }
    let named = dimension.members().filter(|&other| dimension.name(other) == member).count();
    if named > 1 {
        return Some(format!("{named} members have that name; say the key"));
    }
    let near = nearest_members(dimension, member);
    let quoted: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", quoted.join(", ")))
}

/// Keys and names most like a text.
pub(crate) fn nearest_members(dimension: &Dimension, text: &str) -> Vec<String> {
    let keys = dimension.members().map(|other| dimension.key(other));
    let names = dimension.members().map(|other| dimension.name(other));
    nearest(text, keys.chain(names))
}

impl MissingMember {
    /// What is wrong, in one sentence.
    pub fn message(&self) -> String {
        let Self { dimension, member, .. } = self;
        match self.state {
            MissingState::Pending => format!("{dimension} {member:?} is not loaded yet"),
            MissingState::Unknown => format!("{dimension} has no member {member:?}"),
        }
    }

    /// The error of a formula that cannot be used, where the member may be why.
    pub(crate) fn as_error(&self, formula: &Formula) -> Option<CalcError> {
        let is_misspelt = self.state == MissingState::Unknown && self.hint.is_some();
        (is_misspelt && self.text == formula.text).then(|| CalcError::Formula {
            target: self.target.clone(),
            text: self.text.clone(),
            span: self.span,
            message: self.message(),
            hint: self.hint.clone(),
        })
    }
}

/// `scenario has no member "Budgett" (did you mean "Budget"?)`
impl fmt::Display for MissingMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
