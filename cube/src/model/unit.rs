//! Units of measures: `EUR`, `piece`, `EUR/piece`, `organization.currency`, and what their text means.
//!
//! A unit is a product of factors with whole exponents; their order means nothing and `1` is the unit
//! of a pure number. A factor is a name, or differs by cell: an attribute of the cell's member
//! (`organization.currency`), or the member itself (`currency`, in a cube that has this dimension).
//! Units are no part of [`super::MeasureDef`]: a change of their own sets them.

use std::collections::BTreeMap;

use super::{Cube, Model, definition};
use crate::error::{CubeError, Result};
use crate::id::{AttributeId, DimensionId, MeasureId};
use crate::limits::{UNIT_BYTES_MAX, UNIT_EXPONENT_MAX};
use crate::value::ValueType;

/// The unit of a measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// As one writes it, in its one form: see [`canonical`].
    pub text: String,
    /// Factors and their exponents, none of which is zero; none: a pure number.
    pub factors: Vec<(UnitFactor, i32)>,
}

/// One factor of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitFactor {
    /// The same in every cell: `EUR`, `piece`.
    Name(String),
    /// The cell's member of a dimension: `currency`.
    Member(DimensionId),
    /// An attribute of the cell's member of a dimension: `organization.currency`.
    Attribute(DimensionId, AttributeId),
}

/// The one form of a unit's text: `EUR / piece` and `1/piece * EUR` are `EUR/piece`; the empty text,
/// which is no unit, stays.
///
/// # Errors
/// A text that is no unit.
pub fn canonical(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let factors = parse(text)?;
    let factors: Vec<(&str, i32)> = factors.iter().map(|(name, by)| (name.as_str(), *by)).collect();
    Ok(product_text(&factors))
}

/// The text of a product of factors: those above the line, then those below it.
pub fn product_text(factors: &[(&str, i32)]) -> String {
    let power = |name: &str, exponent: i32| match exponent {
        1 => name.to_string(),
        _ => format!("{name}^{exponent}"),
    };
    let above = factors.iter().filter(|(_, by)| *by > 0).map(|(name, by)| power(name, *by));
    let above: Vec<String> = above.collect();
    let below = factors.iter().filter(|(_, by)| *by < 0).map(|(name, by)| power(name, -by));
    let below: String = below.map(|factor| format!("/{factor}")).collect();
    if above.is_empty() { format!("1{below}") } else { format!("{}{below}", above.join("*")) }
}

/// The factors of a text by name, without those that cancel.
fn parse(text: &str) -> Result<BTreeMap<String, i32>> {
    let malformed = |what: &str| {
        Err(definition(format!(
            "unit {text:?}: {what}; a unit is written EUR, piece, EUR/piece, organization.currency, or 1 for a pure number"
        )))
    };
    if text.len() > UNIT_BYTES_MAX {
        return malformed(&format!("it has more than {UNIT_BYTES_MAX} bytes"));
    }
    let mut factors: BTreeMap<String, i32> = BTreeMap::new();
    let mut rest = text;
    let mut sign = 1;
    loop {
        let end = rest.find(['*', '/']).unwrap_or(rest.len());
        let (factor, after) = rest.split_at(end);
        let (name, exponent) = match factor.split_once('^') {
            None => (factor, 1),
            Some((name, exponent)) => match exponent.trim().parse::<i32>() {
                Ok(exponent) if (1..=UNIT_EXPONENT_MAX).contains(&exponent) => (name, exponent),
                _ => return malformed("an exponent is a whole number from 1 on"),
            },
        };
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.as_str() {
            "" => return malformed("a name is missing"),
            "1" => {}
            name if !is_name(name) => return malformed(&format!("{name:?} is no name")),
            _ => *factors.entry(name).or_default() += sign * exponent,
        }
        let Some(operator) = after.chars().next() else { break };
        sign = if operator == '/' { -1 } else { 1 };
        rest = &after[1..];
    }
    factors.retain(|_, exponent| *exponent != 0);
    Ok(factors)
}

/// Words that begin with a letter or a sign such as `%`: no brackets, quotes or list signs.
fn is_name(name: &str) -> bool {
    let is_letter =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ' ' | '-') || is_sign(c);
    let starts_well = name.starts_with(|c: char| c.is_alphabetic() || c == '_' || is_sign(c));
    starts_well && name.chars().all(is_letter)
}

fn is_sign(c: char) -> bool {
    matches!(c, '%' | '‰' | '°' | '$' | '€' | '£' | '¥')
}

impl Model {
    /// What the text of a measure's unit means; none where it is empty.
    ///
    /// # Errors
    /// A text that is no unit, names that the cube does not have, a measure that is no number.
    pub fn resolved_unit(
        &self,
        cube: &Cube,
        measure: MeasureId,
        text: &str,
    ) -> Result<Option<Unit>> {
        let text = canonical(text)?;
        if text.is_empty() {
            return Ok(None);
        }
        let measure = cube.measure_def(measure);
        let place = format!("cube {:?}, measure {:?}", cube.def.name, measure.name);
        if !matches!(measure.value_type, ValueType::Decimal { .. } | ValueType::Integer) {
            return Err(definition(format!(
                "{place}: a unit goes with a number, not with a {}",
                measure.value_type
            )));
        }
        let factor = |(name, exponent): (String, i32)| {
            Ok((self.unit_factor(cube, &name, &place)?, exponent))
        };
        let factors = parse(&text)?.into_iter().map(factor).collect::<Result<_>>()?;
        Ok(Some(Unit { text, factors }))
    }

    fn unit_factor(&self, cube: &Cube, name: &str, place: &str) -> Result<UnitFactor> {
        let own = |name: &str| {
            let id = self.dimension(name).ok()?;
            cube.position(id).map(|_| id)
        };
        let Some((dimension, attribute)) = name.split_once('.') else {
            let factor = own(name).map(UnitFactor::Member);
            return Ok(factor.unwrap_or_else(|| UnitFactor::Name(name.into())));
        };
        let Some(id) = own(dimension) else {
            return Err(CubeError::unknown(
                "dimension of the cube",
                dimension,
                cube.def.dimension_names(),
            ));
        };
        let def = self.dimension_def(id);
        let attribute = def.attribute(attribute)?;
        if def.attributes[attribute.idx()].value_type != ValueType::Text {
            return Err(definition(format!(
                "{place}: unit {name:?} is an attribute that is no text and no member of a dimension"
            )));
        }
        Ok(UnitFactor::Attribute(id, attribute))
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn a_unit_has_one_text() {
        for (text, expected) in [
            ("EUR", "EUR"),
            (" EUR / piece", "EUR/piece"),
            ("1/piece * EUR", "EUR/piece"),
            ("hour*EUR/hour", "EUR"),
            ("m*m/s^2", "m^2/s^2"),
            ("1/hour", "1/hour"),
            ("EUR/EUR", "1"),
            ("1", "1"),
            ("US   Dollar", "US Dollar"),
            ("organization.currency/piece", "organization.currency/piece"),
            ("%", "%"),
            ("", ""),
        ] {
            assert_eq!(canonical(text).expect(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in ["EUR/", "*", "EUR^0", "EUR^-1", "EUR^x", "2", "\"EUR\"", "a,b", "f(x)", " "] {
            assert!(canonical(text).is_err(), "{text}");
        }
        assert!(canonical(&"x".repeat(300)).is_err());
    }
}
