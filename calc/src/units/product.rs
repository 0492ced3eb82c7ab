//! Units as products of factors, each seen from a point: `organization.currency` is the attribute of
//! the member that the point has.
//!
//! An expression may look at another point, so a factor holds how its member follows from the point
//! ([`Place`]); looked at from outside, the way is longer, or there is none.

use cube::model::unit::product_text;
use cube::model::{Unit, UnitFactor};
use cube::{AttributeId, DimensionId, Model};

use crate::node::{Frame, Kind, MemberMap, Node};
use crate::syntax::Span;

/// What an expression is counted in.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// Nothing says it: any unit fits.
    Unchecked,
    /// A number that is written out: any unit fits in a sum, and as a factor it is a pure number.
    Literal,
    /// A unit; without factors, a pure number.
    Known(Product),
}

/// A product of factors, none with exponent zero, in no order that means anything.
#[derive(Debug, Clone, Default)]
pub struct Product(Vec<(Factor, i32)>);

/// One factor of a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Factor {
    /// The same everywhere.
    Name(String),
    /// A member.
    Member(Place),
    /// A text of a member.
    Text(Place, DimensionId, AttributeId),
}

/// How a member follows from a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// The point's own member of a dimension.
    Own(DimensionId),
    /// A member that is named.
    Named(DimensionId, String),
    /// Where another member leads.
    Mapped(Box<Place>, DimensionId, MemberMap),
    /// What the formula computes at a place of its text.
    Computed(Span),
}

impl PartialEq for Product {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|factor| other.0.contains(factor))
    }
}

impl Product {
    /// One factor.
    pub fn of(factor: Factor) -> Self {
        Self(vec![(factor, 1)])
    }

    /// A measure's unit, seen from its own cell.
    pub fn declared(model: &Model, unit: &Unit) -> Self {
        let factor = |factor: &UnitFactor| match factor {
            UnitFactor::Name(name) => Factor::Name(name.clone()),
            UnitFactor::Member(dimension) => Factor::Member(Place::Own(*dimension)),
            UnitFactor::Attribute(dimension, attribute) => {
                let own = Place::Own(*dimension);
                match model.member_of(*dimension, *attribute) {
                    Some(target) => {
                        let map = MemberMap::Attribute(*attribute, target);
                        Factor::Member(Place::Mapped(Box::new(own), *dimension, map))
                    }
                    None => Factor::Text(own, *dimension, *attribute),
                }
            }
        };
        Self(unit.factors.iter().map(|(of, exponent)| (factor(of), *exponent)).collect())
    }

    /// The product with another one to a power.
    pub fn times(&self, other: &Self, power: i32) -> Self {
        let mut product = self.clone();
        for (factor, exponent) in &other.0 {
            product.put(factor, exponent.saturating_mul(power));
        }
        product
    }

    fn put(&mut self, factor: &Factor, exponent: i32) {
        match self.0.iter().position(|(own, _)| own == factor) {
            Some(at) => self.0[at].1 = self.0[at].1.saturating_add(exponent),
            None => self.0.push((factor.clone(), exponent)),
        }
        self.0.retain(|(_, exponent)| *exponent != 0);
    }

    /// Whether it is a pure number's.
    pub fn is_pure(&self) -> bool {
        self.0.is_empty()
    }

    /// The exponent of a factor.
    pub fn exponent(&self, factor: &Factor) -> i32 {
        self.0.iter().find(|(own, _)| own == factor).map_or(0, |(_, exponent)| *exponent)
    }

    /// The only factor, where there is one and its exponent is 1.
    pub fn single(&self) -> Option<&Factor> {
        match self.0.as_slice() {
            [(factor, 1)] => Some(factor),
            _ => None,
        }
    }

    /// The factors.
    pub fn factors(&self) -> impl Iterator<Item = &Factor> {
        self.0.iter().map(|(factor, _)| factor)
    }

    /// The product with its members seen from elsewhere; the factor that cannot be, where one cannot.
    pub fn seen(&self, from: &dyn Fn(&Place) -> Option<Place>) -> Result<Self, Factor> {
        let mut product = Self::default();
        for (factor, exponent) in &self.0 {
            let seen = match factor {
                Factor::Name(_) => Some(factor.clone()),
                Factor::Member(place) => place.seen(from).map(member),
                Factor::Text(place, dimension, attribute) => {
                    place.seen(from).map(|place| Factor::Text(place, *dimension, *attribute))
                }
            };
            product.put(&seen.ok_or_else(|| factor.clone())?, *exponent);
        }
        Ok(product)
    }

    /// The same by the names of another model; none where that lacks one.
    pub fn named_in(&self, from: &Model, to: &Model) -> Option<Self> {
        let factor = |factor: &Factor| match factor {
            Factor::Name(name) => Some(Factor::Name(name.clone())),
            Factor::Member(place) => Some(Factor::Member(place.named_in(from, to)?)),
            Factor::Text(place, dimension, attribute) => {
                let (dimension, attribute) = attribute_in(from, to, *dimension, *attribute)?;
                Some(Factor::Text(place.named_in(from, to)?, dimension, attribute))
            }
        };
        let factors = self.0.iter().map(|(of, exponent)| Some((factor(of)?, *exponent)));
        Some(Self(factors.collect::<Option<_>>()?))
    }

    /// As one writes it.
    pub fn text(&self, model: &Model) -> String {
        let mut factors: Vec<(String, i32)> =
            self.0.iter().map(|(factor, exponent)| (factor.text(model), *exponent)).collect();
        factors.sort();
        let factors: Vec<(&str, i32)> =
            factors.iter().map(|(text, exponent)| (text.as_str(), *exponent)).collect();
        product_text(&factors)
    }
}

/// An attribute of the same names in another model.
fn attribute_in(
    from: &Model,
    to: &Model,
    dimension: DimensionId,
    attribute: AttributeId,
) -> Option<(DimensionId, AttributeId)> {
    let def = from.dimension_def(dimension);
    let there = to.dimension(&def.name).ok()?;
    let name = &def.attributes[attribute.idx()].name;
    Some((there, to.dimension_def(there).attribute(name).ok()?))
}

/// A member as a unit: one that is named is the unit of that name.
pub fn member(place: Place) -> Factor {
    match place {
        Place::Named(_, name) => Factor::Name(name),
        place => Factor::Member(place),
    }
}

impl Factor {
    /// The member of whose text or which itself it is.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Name(_) => None,
            Self::Member(place) | Self::Text(place, ..) => Some(place),
        }
    }

    /// As one writes it.
    pub fn text(&self, model: &Model) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Member(place) => place.text(model),
            Self::Text(place, dimension, attribute) => {
                let attribute = &model.dimension_def(*dimension).attributes[attribute.idx()];
                format!("{}.{}", place.text(model), attribute.name)
            }
        }
    }
}

impl Place {
    /// The member that a node gives at a point of a frame.
    pub fn of(node: &Node, frame: &Frame) -> Self {
        match &node.kind {
            Kind::Axis(axis) => Self::Own(frame.axes[*axis].dimension),
            Kind::MemberLiteral(dimension, text) => Self::Named(*dimension, text.clone()),
            Kind::Map(inner, from, map) => {
                Self::Mapped(Box::new(Self::of(inner, frame)), *from, map.clone())
            }
            // as of a day or not, it is the attribute that a unit names
            Kind::Attribute(inner, from, attribute, Some(_)) => match node.value_type {
                crate::node::Type::Member(target) => Self::Mapped(
                    Box::new(Self::of(inner, frame)),
                    *from,
                    MemberMap::Attribute(*attribute, target),
                ),
                _ => Self::Computed(node.span),
            },
            _ => Self::Computed(node.span),
        }
    }

    /// The same by the names of another model; none where that lacks one, or is of another shape.
    fn named_in(&self, from: &Model, to: &Model) -> Option<Self> {
        let dimension = |id: DimensionId| to.dimension(&from.dimension_def(id).name).ok();
        Some(match self {
            Self::Own(id) => Self::Own(dimension(*id)?),
            Self::Named(id, text) => Self::Named(dimension(*id)?, text.clone()),
            Self::Computed(span) => Self::Computed(*span),
            Self::Mapped(inner, id, MemberMap::Attribute(attribute, target)) => {
                let (of, attribute) = attribute_in(from, to, *id, *attribute)?;
                let map = MemberMap::Attribute(attribute, dimension(*target)?);
                Self::Mapped(Box::new(inner.named_in(from, to)?), of, map)
            }
            Self::Mapped(inner, id, map) => {
                let there = dimension(*id)?;
                let (ours, theirs) = (from.dimension_def(*id), to.dimension_def(there));
                let has_one_shape =
                    ours.levels == theirs.levels && ours.hierarchies == theirs.hierarchies;
                let inner = Box::new(inner.named_in(from, to)?);
                has_one_shape.then(|| Self::Mapped(inner, there, map.clone()))?
            }
        })
    }

    /// The same member seen from elsewhere.
    fn seen(&self, from: &dyn Fn(&Self) -> Option<Self>) -> Option<Self> {
        if let Some(place) = from(self) {
            return Some(place);
        }
        match self {
            Self::Own(_) => None,
            Self::Mapped(inner, dimension, map) => {
                Some(Self::Mapped(Box::new(inner.seen(from)?), *dimension, map.clone()))
            }
            Self::Named(..) | Self::Computed(_) => Some(self.clone()),
        }
    }

    /// The dimension of whose member at the point it depends.
    pub fn depends_on(&self) -> Option<DimensionId> {
        match self {
            Self::Own(dimension) => Some(*dimension),
            Self::Mapped(inner, ..) => inner.depends_on(),
            Self::Named(..) | Self::Computed(_) => None,
        }
    }

    /// The dimension of which it is a member, where that is known.
    pub fn dimension(&self) -> Option<DimensionId> {
        match self {
            Self::Own(dimension) | Self::Named(dimension, _) => Some(*dimension),
            Self::Mapped(_, _, MemberMap::Attribute(_, target)) => Some(*target),
            Self::Mapped(_, from, _) => Some(*from),
            Self::Computed(_) => None,
        }
    }

    fn text(&self, model: &Model) -> String {
        let name = |dimension: &DimensionId| model.dimension_def(*dimension).name.as_str();
        match self {
            Self::Own(dimension) => name(dimension).into(),
            Self::Named(dimension, member) => format!("{}.\"{member}\"", name(dimension)),
            Self::Mapped(inner, from, map) => {
                let inner = inner.text(model);
                let def = model.dimension_def(*from);
                match map {
                    MemberMap::Attribute(attribute, _) => {
                        format!("{inner}.{}", def.attributes[attribute.idx()].name)
                    }
                    MemberMap::Ancestor(hierarchy, position) => {
                        let levels = &def.hierarchies[hierarchy.idx()].levels;
                        let level = levels.get(*position).map_or("ancestor", String::as_str);
                        format!("{inner}.{level}")
                    }
                    MemberMap::Parent(_) => format!("PARENT({inner})"),
                    MemberMap::Shift(_, by) if *by < 0 => format!("({inner} - {})", -by),
                    MemberMap::Shift(_, by) => format!("({inner} + {by})"),
                    MemberMap::Parallel(..) => format!("({inner} of another period)"),
                }
            }
            Self::Computed(_) => "the member that is computed".into(),
        }
    }
}
