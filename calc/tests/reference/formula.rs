//! Formulas as trees of their own: printed for the engine to read, evaluated here by the letter of
//! the blank algebra.

use crate::exact::{Exact, Ties};
use crate::universe::{Kind, Universe};

/// What a formula computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Mantissa and scale, not negative.
    Number(u32, u8),
    /// A measure of the target's cube.
    Measure(usize),
    /// Position of a dimension in the target's cube, and a number attribute of it.
    Attribute(usize, &'static str),
    /// `sales.measure[BY SUM: the target's dimensions]`.
    Sum(usize),
    Negate(Box<Expression>),
    Binary(char, Box<Expression>, Box<Expression>),
}

/// What evaluation could not do, or the engine may refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// A result does not fit the target's type.
    pub overflow: bool,
    /// Some number on the way has more than 38 digits.
    pub wide: bool,
}

/// What a formula reads.
pub trait Read {
    fn measure(&self, measure: usize, trouble: &mut Trouble) -> Option<Exact>;
    fn attribute(&self, position: usize, name: &str) -> Option<Exact>;
    fn sum(&self, measure: usize) -> Option<Exact>;
}

impl Expression {
    /// Whether it reads no cell: constants and attributes broadcast and add no support.
    pub fn is_broadcast(&self) -> bool {
        match self {
            Self::Number(..) | Self::Attribute(..) => true,
            Self::Measure(_) | Self::Sum(_) => false,
            Self::Negate(inner) => inner.is_broadcast(),
            Self::Binary(_, a, b) => a.is_broadcast() && b.is_broadcast(),
        }
    }

    /// Measures of the same cube that it reads.
    pub fn measures(&self) -> Vec<usize> {
        match self {
            Self::Measure(measure) => vec![*measure],
            Self::Number(..) | Self::Attribute(..) | Self::Sum(_) => Vec::new(),
            Self::Negate(inner) => inner.measures(),
            Self::Binary(_, a, b) => [a.measures(), b.measures()].concat(),
        }
    }

    /// The formula's text.
    pub fn text(&self, universe: &Universe, cube: usize) -> String {
        let spec = &universe.cubes[cube];
        match self {
            Self::Number(mantissa, scale) => {
                Exact::new(i128::from(*mantissa), u32::from(*scale)).to_string()
            }
            Self::Measure(measure) => spec.measures[*measure].name.to_string(),
            Self::Attribute(position, name) => {
                format!("{}.{name}", universe.dimension(cube, *position).name)
            }
            Self::Sum(measure) => {
                let names = spec.dimensions.iter().map(|&idx| universe.dimensions[idx].name);
                let by = names.collect::<Vec<_>>().join(", ");
                format!("sales.{}[BY SUM: {by}]", universe.cubes[1].measures[*measure].name)
            }
            Self::Negate(inner) => format!("-({})", inner.text(universe, cube)),
            Self::Binary(operator, a, b) => {
                format!("({} {operator} {})", a.text(universe, cube), b.text(universe, cube))
            }
        }
    }

    /// The value; blank is none.
    pub fn value(&self, read: &dyn Read, trouble: &mut Trouble) -> Option<Exact> {
        match self {
            Self::Number(mantissa, scale) => {
                Some(Exact::new(i128::from(*mantissa), u32::from(*scale)))
            }
            Self::Measure(measure) => read.measure(*measure, trouble),
            Self::Attribute(position, name) => read.attribute(*position, name),
            Self::Sum(measure) => read.sum(*measure),
            Self::Negate(inner) => inner.value(read, trouble).map(|value| value.negate()),
            Self::Binary(operator @ ('+' | '-'), a, b) => self.sum(*operator, a, b, read, trouble),
            Self::Binary(operator, a, b) => {
                // both are evaluated, so that trouble in either is seen
                let (a, b) = (a.value(read, trouble), b.value(read, trouble));
                let (a, b) = (a?, b?);
                let result = if *operator == '*' { Some(a.multiply(&b)) } else { a.divide(&b) };
                trouble.wide |= result.as_ref().is_some_and(|number| number.is_wide_at(0));
                result
            }
        }
    }

    /// The union of the supports; what is broadcast has none; a blank operand counts as nothing.
    fn sum(
        &self,
        operator: char,
        a: &Self,
        b: &Self,
        read: &dyn Read,
        trouble: &mut Trouble,
    ) -> Option<Exact> {
        let (left, right) = (a.value(read, trouble), b.value(read, trouble));
        let supports = |side: &Self, value: &Option<Exact>| {
            value.is_some() && (self.is_broadcast() || !side.is_broadcast())
        };
        if !supports(a, &left) && !supports(b, &right) {
            return None;
        }
        let zero = || Exact::new(0, 0);
        let (left, right) = (left.unwrap_or_else(zero), right.unwrap_or_else(zero));
        let right = if operator == '-' { right.negate() } else { right };
        let sum = left.add(&right);
        trouble.wide |= [&left, &right].iter().any(|number| number.is_wide_at(sum.scale()))
            || sum.is_wide_at(0);
        Some(sum)
    }
}

/// A formula's result as the target stores it.
pub fn assigned(
    value: Option<Exact>,
    kind: Kind,
    half_up: bool,
    trouble: &mut Trouble,
) -> Option<i64> {
    let ties = if half_up { Ties::Up } else { Ties::Even };
    let value = value?;
    trouble.wide |= value.is_wide_at(0);
    let rounded = value.rounded(kind.scale(), ties);
    let fits = match kind {
        Kind::Decimal(precision, _) => rounded.digit_count() <= usize::from(precision),
        _ => true,
    };
    let stored =
        rounded.mantissa().and_then(|mantissa| i64::try_from(mantissa).ok()).filter(|_| fits);
    trouble.overflow |= stored.is_none();
    stored
}
