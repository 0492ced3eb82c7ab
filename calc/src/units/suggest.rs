//! What to do where units do not fit: a CONVERT between currencies, else the factor. Text in backquotes
//! was tried: the formula with it in the place of what the error points at is accepted, and its units fit.

use cube::error::nearest;
use cube::model::{CubeKind, FormulaDef, Unit, UnitFactor};
use cube::{CubeId, DimensionId, MeasureId, ValueType};

use super::product::{Factor, Place, Product};
use super::{Units, fits};
use crate::check::try_out;
use crate::node::{Node, Reduce};
use crate::syntax::Span;

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

    /// Where an operand stands. A modifier stands behind what it changes, and perhaps brackets around that.
    pub(super) fn place(&self, node: &Node) -> Span {
        let text = &self.formula.text;
        let mut span = node.span;
        node.visit(&mut |part| span.start = span.start.min(part.span.start));
        let is_behind = span.start < node.span.start;
        if is_behind && !text[node.span.start..].starts_with('[') {
            let rest = &text[span.end..];
            let closes = rest.trim_start().starts_with(']');
            span.end += if closes { rest.len() - rest.trim_start().len() + 1 } else { 0 };
        }
        let count = |span: Span, bracket| text[span.start..span.end].matches(bracket).count();
        while count(span, ')') > count(span, '(') {
            let before = text[..span.start].trim_end();
            let Some(inside) = before.strip_suffix('(') else { break };
            span.start = inside.len();
        }
        span
    }

    /// An operand as the formula says it.
    pub(super) fn said(&self, node: &Node) -> String {
        let place = self.place(node);
        let text = self.formula.text.get(place.start..place.end).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.chars().count() <= SAID_CHARACTERS_MAX {
            return text;
        }
        let start: String = text.chars().take(SAID_CHARACTERS_MAX).collect();
        format!("{}...", start.trim_end())
    }

    /// What an error points at with other text at a place of it, in backquotes, where the formula is
    /// accepted with it.
    pub(super) fn tried(&self, marked: Span, place: Span, fragment: &str) -> Option<String> {
        let branches = self.branches?;
        let is_within = marked.start <= place.start && place.end <= marked.end;
        is_within.then_some(())?;
        let text = &self.formula.text;
        let [before, after] = [text.get(..place.start)?, text.get(place.end..)?];
        let mut formulas = self.model.formulas.iter();
        let def = formulas.find(|formula| formula.target == self.formula.target)?;
        let def = FormulaDef { text: format!("{before}{fragment}{after}"), ..(**def).clone() };
        let formula = try_out(self.model, &def, branches).ok()?;
        fits(self.model, &formula).then_some(())?;
        let shown = &def.text[marked.start..def.text.len() - (text.len() - marked.end)];
        (!shown.contains('\n')).then(|| format!("`{shown}`"))
    }

    /// How what is in one unit comes to be in another; `marked` is what the error points at.
    pub(super) fn to_make(
        &self,
        marked: Span,
        operand: &Node,
        found: &Product,
        wanted: &Product,
    ) -> String {
        let currencies = (found.single(), wanted.single());
        if let (Some(from), Some(to)) = currencies
            && self.is_currency(from)
            && self.is_currency(to)
        {
            let place = self.place(operand);
            let text = &self.formula.text[place.start..place.end];
            let conversion = self.conversion(text, from, to);
            let tried = conversion.and_then(|conversion| self.tried(marked, place, &conversion));
            let [from, to] = [from, to].map(|currency| currency.text(self.model));
            return tried.map_or_else(
                || format!("convert {} from {from} to {to} with CONVERT", self.said(operand)),
                |text| format!("convert it: {text}"),
            );
        }
        if let (Some(a), Some(b)) = currencies
            && let Some(hint) = self.misspelt(a, b).or_else(|| self.misspelt(b, a))
        {
            return hint;
        }
        let factor = wanted.times(found, -1).text(self.model);
        format!(
            "multiply {} by a measure whose unit is {factor}, or change a unit",
            self.said(operand)
        )
    }

    /// A unit that is no currency, but nearly the one that it meets.
    fn misspelt(&self, unit: &Factor, other: &Factor) -> Option<String> {
        let (Factor::Name(name), Factor::Name(currency)) = (unit, other) else { return None };
        let is_it = !self.is_currency(unit) && self.is_currency(other);
        let near = nearest(name, [currency.as_str()].into_iter().filter(|_| is_it));
        let near = near.first()?;
        Some(format!("no currency is called {name}: did you mean {near}? Change the unit"))
    }

    /// How what is in several units comes to be in one, where members of a dimension are brought together.
    pub(super) fn one_unit(
        &self,
        product: &Product,
        factor: &Factor,
        operand: &Node,
        over: &str,
    ) -> String {
        if product.exponent(factor) != 1 {
            return format!("take that of one member of {over}, with LOOKUP");
        }
        let wanted = self.target().and_then(|target| target.single().cloned());
        let differs = |target: &Factor| target.place().and_then(Place::depends_on).is_some();
        let wanted = wanted.filter(|target| self.is_currency(target) && !differs(target));
        let to =
            wanted.or_else(|| self.currency_names().next().map(|name| Factor::Name(name.into())));
        match to.and_then(|to| self.conversion(&self.said(operand), factor, &to)) {
            Some(conversion) => {
                format!("CONVERT them first, in a measure of their own: {conversion}")
            }
            None => format!("bring them to one unit first, or keep {over}"),
        }
    }

    /// Of a member that may be a total, what it holds itself, in place of what was selected. Amounts are
    /// converted instead, unless that fits as it stands.
    pub(super) fn at_member(
        &self,
        reduce: &Reduce,
        node: &Node,
        is_amount: bool,
    ) -> Option<(Span, String)> {
        let [(axis, member)] = reduce.under.as_slice() else { return None };
        let [inner, place] = [&reduce.inner.node, node].map(|node| self.place(node));
        let x = self.formula.text.get(inner.start..inner.end)?;
        let dimension = reduce.inner.frame.axes[*axis].dimension;
        let dimension = &self.model.dimension_def(dimension).name;
        let member = member.replace('"', "\"\"");
        let looked_up = format!("LOOKUP({x}, {dimension}: \"{member}\")");
        let hint = match self.tried(place, place, &looked_up) {
            Some(tried) => format!("write {tried}"),
            None if is_amount => return None,
            None => format!("{looked_up} works"),
        };
        let why =
            "SELECT of a member with others below it is their total; for what it holds itself, ";
        Some((place, format!("{why}{hint}")))
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

    /// `CONVERT(x, from: organization.currency, to: "EUR", rate: fx.rate)`, where there are such rates.
    fn conversion(&self, operand: &str, from: &Factor, to: &Factor) -> Option<String> {
        let source = self.as_source(from, to)?;
        let rate = self.rate_from(from, to).or_else(|| self.any_rate(from, to))?;
        let to = match to {
            Factor::Name(name) => format!("\"{name}\""),
            other => other.text(self.model),
        };
        let operand = if operand.ends_with("...") { "x" } else { operand };
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
