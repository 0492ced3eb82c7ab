//! What to do where units do not fit, written out: a CONVERT between currencies, else the factor.

use cube::model::{CubeKind, Unit, UnitFactor};
use cube::{CubeId, DimensionId, MeasureId, ValueType};

use super::Units;
use super::product::{Factor, Product};
use crate::node::Node;

/// How much of a formula's text a message repeats, in characters.
const SAID_CHARACTERS_MAX: usize = 40;

impl Units<'_> {
    /// `in EUR`, `a pure number`.
    pub(super) fn phrase(&self, unit: &Product) -> String {
        if unit.is_pure() {
            "a pure number".into()
        } else {
            format!("in {}", unit.text(self.model))
        }
    }

    /// An operand as the formula says it.
    pub(super) fn said(&self, node: &Node) -> String {
        let text = &self.formula.text;
        let mut span = node.span;
        if text.get(span.start..).is_some_and(|rest| rest.starts_with('[')) {
            // a modifier stands behind what it changes
            node.visit(&mut |part| span.start = span.start.min(part.span.start));
        }
        let text = text.get(span.start..span.end).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() <= SAID_CHARACTERS_MAX {
            return text;
        }
        let start: String = text.chars().take(SAID_CHARACTERS_MAX).collect();
        format!("{}...", start.trim_end())
    }

    /// How what is in one unit comes to be in another.
    pub(super) fn to_make(&self, operand: &Node, found: &Product, wanted: &Product) -> String {
        let currencies = (found.single(), wanted.single());
        if let (Some(from), Some(to)) = currencies
            && self.is_currency(from)
            && self.is_currency(to)
            && let Some(conversion) = self.conversion(operand, from, to)
        {
            return format!("convert it: {conversion}");
        }
        let factor = wanted.times(found, -1).text(self.model);
        format!(
            "multiply {} by a measure whose unit is {factor}, or change a unit",
            self.said(operand)
        )
    }

    /// Whether a factor is a currency: a member, or a name of three capitals as ISO 4217 has them.
    pub(super) fn is_currency(&self, factor: &Factor) -> bool {
        match factor {
            Factor::Name(name) => {
                let is_code = name.len() == 3 && name.bytes().all(|b| b.is_ascii_uppercase());
                is_code || self.currency_names().any(|known| known == name)
            }
            Factor::Member(_) => true,
            Factor::Text(..) => false,
        }
    }

    /// Names that stand above or below a currency's in the unit of a rate: `US Dollar/currency`.
    fn currency_names(&self) -> impl Iterator<Item = &str> {
        let units = self.model.cubes.iter().flat_map(|cube| cube.units.iter().flatten());
        let rates = units.filter(|unit| {
            let mut factors = unit.factors.iter();
            factors.any(|(factor, _)| matches!(factor, UnitFactor::Member(_)))
        });
        rates.flat_map(|unit| {
            unit.factors.iter().filter_map(|(factor, _)| match factor {
                UnitFactor::Name(name) => Some(name.as_str()),
                _ => None,
            })
        })
    }

    /// `CONVERT(x, from: organization.currency, to: "EUR", rate: fx.rate)`.
    pub(super) fn conversion(&self, operand: &Node, from: &Factor, to: &Factor) -> Option<String> {
        let source = self.as_source(from, to)?;
        let rate = self.rate_from(from, to).or_else(|| self.any_rate(from, to));
        let rate = rate.unwrap_or_else(|| "cube.measure".into());
        let to = match to {
            Factor::Name(name) => format!("\"{name}\""),
            other => other.text(self.model),
        };
        let operand = self.said(operand);
        let operand = if operand.ends_with("...") { "x" } else { &operand };
        Some(format!("CONVERT({operand}, from: {source}, to: {to}, rate: {rate})"))
    }

    /// A currency as CONVERT takes its `from`: a member, or an attribute that is one.
    pub(super) fn as_source(&self, factor: &Factor, other: &Factor) -> Option<String> {
        match factor {
            Factor::Name(name) => {
                let dimension = self.currency_dimension([factor, other])?;
                Some(format!("{}.\"{name}\"", self.model.dimension_def(dimension).name))
            }
            Factor::Member(_) => Some(factor.text(self.model)),
            Factor::Text(..) => None,
        }
    }

    /// The dimension of currencies: that of a member, else what attributes in units are members of,
    /// else the one called so.
    fn currency_dimension(&self, factors: [&Factor; 2]) -> Option<DimensionId> {
        let of_member = factors.iter().find_map(|factor| match factor {
            Factor::Member(place) => place.dimension(),
            _ => None,
        });
        let units = self.model.cubes.iter().flat_map(|cube| cube.units.iter().flatten());
        let mut used =
            units.flat_map(|unit| &unit.factors).filter_map(|(factor, _)| match factor {
                UnitFactor::Attribute(dimension, attribute) => {
                    self.model.member_of(*dimension, *attribute)
                }
                _ => None,
            });
        of_member.or_else(|| used.next()).or_else(|| self.model.dimension("currency").ok())
    }

    /// The measure whose unit says that it is the rate from a currency to another.
    pub(super) fn rate_from(&self, from: &Factor, to: &Factor) -> Option<String> {
        let Factor::Name(to_name) = to else { return None };
        let currency = self.currency_dimension([from, to])?;
        let above = (UnitFactor::Name(to_name.clone()), 1);
        let below = (UnitFactor::Member(currency), -1);
        self.rates(currency).find_map(|(name, unit)| {
            let factors = &unit?.factors;
            let is_it = factors.len() == 2 && factors.contains(&above) && factors.contains(&below);
            is_it.then_some(name)
        })
    }

    /// A rate that does not say between which currencies it is.
    fn any_rate(&self, from: &Factor, to: &Factor) -> Option<String> {
        let mut rates = self.rates(self.currency_dimension([from, to])?);
        rates.find(|(_, unit)| unit.is_none()).map(|(name, _)| name)
    }

    /// Measures that can be rates: input numbers by currency.
    fn rates(&self, currency: DimensionId) -> impl Iterator<Item = (String, Option<&Unit>)> {
        let cubes = self.model.cubes.iter().enumerate().filter(move |(_, cube)| {
            cube.def.kind == CubeKind::Cells && cube.position(currency).is_some()
        });
        cubes.flat_map(move |(at, cube)| {
            let id = CubeId::from_idx(at);
            let measures = cube.def.measures.iter().enumerate();
            let numbers = measures.filter(move |(at, measure)| {
                matches!(measure.value_type, ValueType::Decimal { .. })
                    && self.model.is_input(id, MeasureId::from_idx(*at))
            });
            numbers.map(move |(at, measure)| {
                let unit = cube.unit(MeasureId::from_idx(at));
                (format!("{}.{}", cube.def.name, measure.name), unit)
            })
        })
    }
}
