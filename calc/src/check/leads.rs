//! What says where to look, or where a value goes, cannot fail.
//!
//! A value that leads nowhere is blank, and that can be seen from what is stored; one of which it is not known where
//! it leads would make errors depend on which points are looked at. So the members of [`Kind::At`] and of an
//! aggregation, and whatever else gives a member or a day of a member, are made of what always has a value or
//! none: numbers in it have bounds that 256 bits hold, and nothing converts, divides or raises to a power.

use cube::model::Model;
use cube::{Number, ValueType};

use super::Checker;
use crate::error::Result;
use crate::functions::Function;
use crate::node::{Aggregator, Kind, Node, Value};

/// Digits of numbers of 256 bits, less those that a comparison may add.
const DIGITS_MAX: u32 = 70;
/// Digits of a stored integer.
const STORED_DIGITS: u32 = 19;
/// Digits that a sum of any number of values adds.
const SUM_DIGITS: u32 = 20;

/// Digits before and after the point that a number has at most.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    whole: u32,
    scale: u32,
}

impl Bounds {
    const NONE: Self = Self { whole: 0, scale: 0 };

    fn checked(self) -> Option<Self> {
        (self.whole + self.scale <= DIGITS_MAX).then_some(self)
    }

    fn of_stored(value_type: ValueType) -> Self {
        let scale = value_type.scale();
        Self { whole: STORED_DIGITS.saturating_sub(scale), scale }
    }

    fn of_number(number: Number) -> Self {
        let digits = number.mantissa().map_or(DIGITS_MAX + 1, |mantissa| {
            mantissa.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1)
        });
        Self { whole: digits.saturating_sub(number.scale), scale: number.scale }
    }

    /// Of either.
    fn or(self, other: Self) -> Self {
        Self { whole: self.whole.max(other.whole), scale: self.scale.max(other.scale) }
    }

    fn and_digits(self, more: u32) -> Option<Self> {
        Self { whole: self.whole + more, ..self }.checked()
    }
}

impl Checker<'_> {
    /// Refuses a formula in which something that leads elsewhere can fail.
    pub(super) fn check_leads(&self, node: &Node) -> Result<()> {
        let mut failing = None;
        node.visit(&mut |node| {
            for lead in leads(node) {
                if failing.is_none() && bounds(self.model, lead).is_none() {
                    failing = Some(lead.span);
                }
            }
        });
        match failing {
            None => Ok(()),
            Some(span) => Err(self.error(
                span,
                "what says where to look, or where a value goes, must always have an answer, and this calculation can fail".into(),
                Some("put it into a measure of its own and name that here".into()),
            )),
        }
    }
}

/// The nodes that say where a node looks.
fn leads(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::At(_, members) => members.iter().collect(),
        Kind::Reduce(reduce) => reduce.by.iter().collect(),
        Kind::Tier(tier) => tier.shared.iter().map(|(_, member)| member).collect(),
        Kind::Map(..)
        | Kind::Attribute(..)
        | Kind::MemberText(..)
        | Kind::DateMember(..)
        | Kind::Period(..)
        | Kind::Apply(Function::IsDescendant, _) => node.children(),
        _ => Vec::new(),
    }
}

/// The digits that values of a node have at most, none of them where they are no numbers; none where it
/// can fail.
fn bounds(model: &Model, node: &Node) -> Option<Bounds> {
    let of = |node: &Node| bounds(model, node);
    match &node.kind {
        Kind::Literal(Value::Number(number)) => Bounds::of_number(*number).checked(),
        Kind::Stored(cube, measure) => {
            Bounds::of_stored(model.cube_def(*cube).measure_def(*measure).value_type).checked()
        }
        Kind::Attribute(_, dimension, attribute, _) => {
            let def = &model.dimension_def(*dimension).attributes[attribute.idx()];
            node.children().into_iter().try_for_each(|child| of(child).map(drop))?;
            Some(Bounds::of_stored(def.value_type))
        }
        Kind::At(scope, _) => of(&scope.node),
        Kind::Reduce(reduce) => match reduce.aggregator {
            Aggregator::Count | Aggregator::CountUnique => {
                of(&reduce.inner.node)?;
                Some(Bounds { whole: SUM_DIGITS, scale: 0 })
            }
            Aggregator::Avg | Aggregator::Wavg => None,
            // weights of what is under a member have digits of their own
            _ if !reduce.under.is_empty() => of(&reduce.inner.node)?.and_digits(2 * SUM_DIGITS),
            _ => of(&reduce.inner.node)?.and_digits(SUM_DIGITS),
        },
        Kind::Apply(function, arguments) => {
            let all: Vec<Bounds> = arguments.iter().map(of).collect::<Option<_>>()?;
            of_function(*function, &all)
        }
        Kind::Window(_) | Kind::Tier(_) | Kind::Share(_) => None,
        _ => node
            .children()
            .into_iter()
            .try_fold(Bounds::NONE, |all, child| Some(all.or(of(child)?))),
    }
}

fn of_function(function: Function, arguments: &[Bounds]) -> Option<Bounds> {
    use Function as F;
    let widest = arguments.iter().copied().reduce(Bounds::or).unwrap_or(Bounds::NONE);
    match function {
        F::Divide
        | F::Power
        | F::Mod
        | F::SafeDiv
        | F::Round
        | F::RoundUp
        | F::RoundDown
        | F::Convert
        | F::Prorata
        | F::QuotaProrate => None,
        F::Multiply => {
            let product = |a: Bounds, b: &Bounds| Bounds {
                whole: a.whole + b.whole,
                scale: a.scale + b.scale,
            };
            arguments.iter().fold(Bounds::NONE, product).checked()
        }
        F::Add | F::Subtract => widest.and_digits(1),
        // a text may say any number: it is compared, but nothing is made of it
        F::Value => Some(Bounds { whole: DIGITS_MAX, scale: DIGITS_MAX }),
        F::Len | F::Find | F::Year | F::Quarter | F::Month | F::Day | F::Days => {
            Some(Bounds { whole: STORED_DIGITS, scale: 0 })
        }
        _ => Some(widest),
    }
}
