//! Units and currencies: whether what a formula adds, compares and assigns is counted in the same.
//!
//! Units are checked of the formulas of a whole model after all changes of a command, not one by one:
//! a unit and the formulas that it must fit change together. What each function wants of units is
//! [`UnitRule`], in the function table.

mod product;
mod suggest;

use cube::{CubeId, MeasureId, Model};

use crate::branches::Branches;
use crate::check::{Formula, is_flat};
use crate::error::{CalcError, Result};
use crate::functions::{Function, UnitRule, units_of};
use crate::missing::missing_in;
use crate::node::{
    Aggregator, Frame, Kind, Node, Reduce, Scope, Share, Tier, Type, Value, Window, WindowHow,
};
use crate::plan::Plan;
use crate::syntax::Span;
use product::{Factor, Measured, Place, Product, member};

/// Checks the units of every formula of a model.
///
/// # Errors
/// The first place where units do not fit.
pub fn check_all(model: &Model, plan: &Plan, branches: &dyn Branches) -> Result<()> {
    plan.formulas.iter().try_for_each(|formula| check(model, formula, branches))
}

/// Checks the units of a formula.
///
/// # Errors
/// The first place where they do not fit; a misspelt member, where it names one.
pub fn check(model: &Model, formula: &Formula, branches: &dyn Branches) -> Result<()> {
    let misspelt = || {
        let missing = missing_in(branches.held()?, formula);
        missing.iter().find_map(|missing| missing.as_error(formula))
    };
    let units = Units { model, formula, branches: Some(branches) };
    units.check().map_err(|error| misspelt().unwrap_or(error))
}

/// Whether the units of a formula that is only tried fit.
pub(crate) fn fits(model: &Model, formula: &Formula) -> bool {
    Units { model, formula, branches: None }.check().is_ok()
}

/// An operand and what it is counted in.
type Operand<'a> = (&'a Node, Measured);

/// A formula whose units are looked at.
struct Units<'a> {
    model: &'a Model,
    formula: &'a Formula,
    /// The branches with which hints are tried; none where nobody reads them.
    branches: Option<&'a dyn Branches>,
}

impl Units<'_> {
    /// Checks the units of the formula's parts, and that the result fits its target.
    fn check(&self) -> Result<()> {
        let found = self.of(&self.formula.node, &self.formula.frame)?;
        let (Measured::Known(found), Some(wanted)) = (found, self.target()) else { return Ok(()) };
        // in a region of one member, that member is meant
        let here = |place: &Place| match place {
            Place::Own(dimension) => self.only_member(*dimension).or(Some(place.clone())),
            _ => None,
        };
        let [found, wanted] = [found, wanted].map(|unit| unit.seen(&here).unwrap_or(unit));
        if found == wanted {
            return Ok(());
        }
        let span = self.place(&self.formula.node);
        let message = format!(
            "the result is {}, but {} is {}",
            self.phrase(&found),
            self.formula.target,
            self.phrase(&wanted)
        );
        Err(self.error(
            span,
            message,
            Some(self.to_make(span, &self.formula.node, &found, &wanted)),
        ))
    }

    fn error(&self, span: Span, message: String, hint: Option<String>) -> CalcError {
        CalcError::Formula {
            target: self.formula.target.clone(),
            text: self.formula.text.clone(),
            span,
            message,
            hint,
        }
    }

    /// The unit of the formula's target.
    fn target(&self) -> Option<Product> {
        match self.declared(self.formula.cube, self.formula.measure) {
            Measured::Known(product) => Some(product),
            _ => None,
        }
    }

    fn declared(&self, cube: CubeId, measure: MeasureId) -> Measured {
        match self.model.cube_def(cube).unit(measure) {
            Some(unit) => Measured::Known(Product::declared(self.model, unit)),
            None => Measured::Unchecked,
        }
    }

    /// The one member of a dimension that the target's region holds, where the dimension is flat.
    fn only_member(&self, dimension: cube::DimensionId) -> Option<Place> {
        let position = self.formula.frame.position(dimension)?;
        let mut region = self.formula.region.iter();
        let (_, text) = region.find(|(axis, _)| *axis == position)?;
        let is_flat = is_flat(self.model.dimension_def(dimension));
        is_flat.then(|| Place::Named(dimension, text.clone()))
    }

    /// What a node is counted in, seen from a point of its frame.
    fn of(&self, node: &Node, frame: &Frame) -> Result<Measured> {
        match &node.kind {
            Kind::Literal(_) | Kind::Blank => Ok(Measured::Literal),
            Kind::Stored(cube, measure) => Ok(self.declared(*cube, *measure)),
            Kind::Apply(function, arguments) => self.apply(*function, arguments, frame, node.span),
            Kind::At(scope, members) => self.at(scope, members, frame),
            Kind::OnBranch(on) => {
                let model = &on.head.version.model;
                let there = Units { model, formula: self.formula, branches: None };
                Ok(match there.of(&on.scope.node, &on.scope.frame)? {
                    Measured::Known(product) => product
                        .named_in(&on.head.version.model, self.model)
                        .map_or(Measured::Unchecked, Measured::Known),
                    other => other,
                })
            }
            Kind::Reduce(reduce) => self.reduce(reduce, node),
            Kind::Window(window) => self.window(window, node.span),
            Kind::Tier(tier) => self.tier(tier, frame, node.span),
            Kind::Share(share) => self.share(share, node.span),
            Kind::Fill(value, scope) => {
                self.of(scope, frame)?;
                self.of(value, frame)
            }
            _ => {
                node.children()
                    .into_iter()
                    .try_for_each(|child| self.of(child, frame).map(drop))?;
                Ok(Measured::Unchecked)
            }
        }
    }

    /// What an operator or a function of values at one point is counted in.
    fn apply(
        &self,
        function: Function,
        arguments: &[Node],
        frame: &Frame,
        span: Span,
    ) -> Result<Measured> {
        let of = |node| Ok((node, self.of(node, frame)?));
        let found: Vec<Operand<'_>> = arguments.iter().map(of).collect::<Result<_>>()?;
        let pure = || Ok(Measured::Known(Product::default()));
        // two days are a number of days apart, and a day moves by one
        if matches!(function, Function::Add | Function::Subtract)
            && arguments.iter().any(|argument| argument.value_type == Type::Date)
        {
            return Ok(Measured::Literal);
        }
        match units_of(function) {
            UnitRule::Alike => self.alike(function, &found, span),
            UnitRule::Compared => {
                self.alike(function, &found, span)?;
                Ok(Measured::Unchecked)
            }
            UnitRule::First => {
                self.pure(&found[1..])?;
                Ok(found.into_iter().next().map_or(Measured::Unchecked, |(_, first)| first))
            }
            UnitRule::Branches => self.alike(function, &found[1..], span),
            UnitRule::Cases => {
                let [cases, results] = cases(found);
                self.alike(Function::Equal, &cases, span)?;
                self.alike(function, &results, span)
            }
            UnitRule::Product => Ok(multiplied(&found, 1)),
            UnitRule::Quotient => {
                let quotient = multiplied(&found[..2], -1);
                match found.get(2) {
                    None => Ok(quotient),
                    Some((node, other)) => self.stand_in(quotient, node, other),
                }
            }
            UnitRule::Power => self.power(&found),
            UnitRule::PureNumber => pure(),
            UnitRule::PureArguments => {
                self.pure(&found)?;
                Ok(Measured::Unchecked)
            }
            UnitRule::Converted => self.converted(&found, frame),
            UnitRule::AnyResult | UnitRule::NoUnit | UnitRule::Rated => Ok(Measured::Literal),
        }
    }

    /// One unit for all of some operands.
    fn alike(&self, function: Function, found: &[Operand<'_>], span: Span) -> Result<Measured> {
        let mut known = found.iter().filter_map(|(node, measured)| match measured {
            Measured::Known(product) => Some((*node, product)),
            _ => None,
        });
        let Some((first, unit)) = known.next() else {
            let is_literal = found.iter().all(|(_, measured)| *measured == Measured::Literal);
            return Ok(if is_literal { Measured::Literal } else { Measured::Unchecked });
        };
        match known.find(|(_, other)| *other != unit) {
            None => Ok(Measured::Known(unit.clone())),
            Some((other, other_unit)) => {
                let message = format!(
                    "{} is {} and {} is {}: they cannot {}",
                    self.said(first),
                    self.phrase(unit),
                    self.said(other),
                    self.phrase(other_unit),
                    meeting(function)
                );
                let hint = match self.target() {
                    Some(target) if target == *other_unit => {
                        self.to_make(span, first, unit, other_unit)
                    }
                    _ => self.to_make(span, other, other_unit, unit),
                };
                Err(self.error(span, message, Some(hint)))
            }
        }
    }

    /// What stands in for a quotient has its unit.
    fn stand_in(&self, quotient: Measured, node: &Node, other: &Measured) -> Result<Measured> {
        match (&quotient, other) {
            (Measured::Known(unit), Measured::Known(other)) if unit != other => {
                let message = format!(
                    "the quotient is {}, but what stands in for it is {}",
                    self.phrase(unit),
                    self.phrase(other)
                );
                let span = self.place(node);
                Err(self.error(span, message, Some(self.to_make(span, node, other, unit))))
            }
            (Measured::Known(_), _) => Ok(quotient),
            (_, Measured::Known(_)) => Ok(other.clone()),
            _ => Ok(quotient),
        }
    }

    /// Numbers that say how often, how many or how precisely have no unit.
    fn pure(&self, found: &[Operand<'_>]) -> Result<()> {
        for (node, measured) in found {
            match measured {
                Measured::Known(unit) if !unit.is_pure() => {
                    let message =
                        format!("expected a pure number, but this is {}", self.phrase(unit));
                    let hint = "name a measure without a unit, or one whose unit is 1".to_string();
                    return Err(self.error(node.span, message, Some(hint)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn power(&self, found: &[Operand<'_>]) -> Result<Measured> {
        let [(_, base), (exponent, exponent_unit)] = found else { return Ok(Measured::Unchecked) };
        self.pure(&[(*exponent, exponent_unit.clone())])?;
        let Measured::Known(unit) = base else { return Ok(base.clone()) };
        if unit.is_pure() {
            return Ok(base.clone());
        }
        match whole(exponent) {
            Some(power) => Ok(Measured::Known(Product::default().times(unit, power))),
            None => {
                let message =
                    format!("the power of what is {} must be written out", self.phrase(unit));
                let hint = "write a whole number, as in x ^ 2".to_string();
                Err(self.error(exponent.span, message, Some(hint)))
            }
        }
    }

    /// An amount from one currency into another: what it was in becomes what it is converted to.
    fn converted(&self, found: &[Operand<'_>], frame: &Frame) -> Result<Measured> {
        let [(amount, unit), (same, _), (rate, rate_unit)] = found else {
            return Ok(Measured::Unchecked);
        };
        let Kind::Apply(_, currencies) = &same.kind else { return Ok(Measured::Unchecked) };
        let [from, to] = currencies.as_slice() else { return Ok(Measured::Unchecked) };
        let [from_unit, to_unit] = [from, to].map(|node| member(Place::of(node, frame)));
        let rise = Product::of(to_unit.clone()).times(&Product::of(from_unit.clone()), -1);
        if let Measured::Known(rate_unit) = rate_unit
            && *rate_unit != rise
        {
            let message = format!(
                "the rate is {}, and from {} to {} it must be {}",
                self.phrase(rate_unit),
                from_unit.text(self.model),
                to_unit.text(self.model),
                self.phrase(&rise)
            );
            let fitting = self.rate_from(&from_unit, &to_unit);
            let hint = fitting.and_then(|fitting| self.tried(rate.span, rate.span, &fitting));
            return Err(self.error(rate.span, message, hint.map(|text| format!("write {text}"))));
        }
        match unit {
            Measured::Known(unit) if unit.exponent(&from_unit) == 1 => {
                Ok(Measured::Known(unit.times(&rise, 1)))
            }
            Measured::Known(unit) => {
                let message = format!(
                    "{} is {}, but CONVERT takes it from {}",
                    self.said(amount),
                    self.phrase(unit),
                    from_unit.text(self.model)
                );
                let currency = unit.single().filter(|factor| self.is_currency(factor));
                let source = currency.and_then(|factor| self.as_source(factor, &to_unit));
                let hint = source.and_then(|source| self.tried(from.span, from.span, &source));
                Err(self.error(from.span, message, hint.map(|text| format!("write {text}"))))
            }
            _ => Ok(Measured::Known(Product::of(to_unit))),
        }
    }

    /// A value at another point, whose members follow from this one.
    fn at(&self, scope: &Scope, members: &[Node], frame: &Frame) -> Result<Measured> {
        members.iter().try_for_each(|member| self.of(member, frame).map(drop))?;
        let measured = self.of(&scope.node, &scope.frame)?;
        let outside = |place: &Place| match place {
            Place::Own(dimension) => {
                let position = scope.frame.position(*dimension)?;
                Some(Place::of(members.get(position)?, frame))
            }
            _ => None,
        };
        Ok(match measured {
            // every axis has a member, so there is a way to each
            Measured::Known(product) => {
                product.seen(&outside).map_or(Measured::Unchecked, Measured::Known)
            }
            other => other,
        })
    }

    /// An aggregation: what it brings together is counted in one unit, which the result can name.
    fn reduce(&self, reduce: &Reduce, node: &Node) -> Result<Measured> {
        let inner = &reduce.inner;
        let weights = reduce.by.iter().chain(&reduce.weight);
        weights.into_iter().try_for_each(|node| self.of(node, &inner.frame).map(drop))?;
        let measured = self.of(&inner.node, &inner.frame)?;
        match reduce.aggregator {
            Aggregator::Count | Aggregator::CountUnique => {
                return Ok(Measured::Known(Product::default()));
            }
            Aggregator::Any | Aggregator::All => return Ok(Measured::Unchecked),
            _ => {}
        }
        let Measured::Known(product) = measured else { return Ok(measured) };
        let leads: Vec<Place> =
            reduce.by.iter().map(|node| Place::of(node, &inner.frame)).collect();
        let outside = |place: &Place| {
            let axis = leads.iter().position(|lead| lead == place)?;
            Some(Place::Own(reduce.result.axes[axis].dimension))
        };
        match product.seen(&outside) {
            Ok(product) => Ok(Measured::Known(product)),
            Err(factor) => {
                let how = brought(reduce.aggregator);
                let error = self.mixed(&product, &factor, &inner.node, node.span, how);
                let is_amount = product.exponent(&factor) == 1;
                Err(match (error, self.at_member(reduce, node, is_amount)) {
                    (CalcError::Formula { message, .. }, Some((span, hint))) => {
                        self.error(span, message, Some(hint))
                    }
                    (error, _) => error,
                })
            }
        }
    }

    /// What runs along an axis has one unit for all of it.
    fn window(&self, window: &Window, span: Span) -> Result<Measured> {
        let measured = self.of(&window.inner, &window.frame)?;
        let along = window.frame.axes[window.axis].dimension;
        let Measured::Known(product) = &measured else {
            return Ok(match window.how {
                WindowHow::Rank { .. } => Measured::Known(Product::default()),
                _ => measured,
            });
        };
        let how = match window.how {
            WindowHow::Aggregate(aggregator) => brought(aggregator),
            WindowHow::Difference => "subtracted from each other",
            WindowHow::Rank { .. } => "compared",
        };
        self.one_over(product, &[along], &window.inner, span, how)?;
        Ok(match window.how {
            WindowHow::Rank { .. } => Measured::Known(Product::default()),
            _ => measured,
        })
    }

    /// Parts of an amount are in its unit; a basis is in one for all that share.
    fn share(&self, share: &Share, span: Span) -> Result<Measured> {
        let amount = self.of(&share.amount, &share.frame)?;
        if let Measured::Known(basis) = self.of(&share.basis, &share.frame)? {
            let axes = share.frame.axes.iter().enumerate();
            let shared = axes.filter(|(axis, _)| !share.group.contains(axis));
            let shared: Vec<_> = shared.map(|(_, axis)| axis.dimension).collect();
            self.one_over(&basis, &shared, &share.basis, span, "added")?;
        }
        Ok(amount)
    }

    /// A value in the unit of the thresholds, times rates.
    fn tier(&self, tier: &Tier, frame: &Frame, span: Span) -> Result<Measured> {
        let value = self.of(&tier.value, frame)?;
        tier.shared.iter().try_for_each(|(_, node)| self.of(node, frame).map(drop))?;
        let table = Frame::of_cube(self.model, tier.cube);
        let outside = |place: &Place| match place {
            Place::Own(dimension) => {
                let position = table.position(*dimension)?;
                let mut shared = tier.shared.iter();
                let (_, node) = shared.find(|(axis, _)| *axis == position)?;
                Some(Place::of(node, frame))
            }
            _ => None,
        };
        let of_table = |measure: MeasureId| match self.declared(tier.cube, measure) {
            Measured::Known(product) => match product.seen(&outside) {
                Ok(product) => Ok(Measured::Known(product)),
                Err(factor) => Err(self.mixed(&product, &factor, &tier.value, span, "compared")),
            },
            other => Ok(other),
        };
        let (threshold, rate) = (of_table(tier.threshold)?, of_table(tier.rate)?);
        if let (Measured::Known(value_unit), Measured::Known(unit)) = (&value, &threshold)
            && value_unit != unit
        {
            let message = format!(
                "{} is {} and the thresholds of {} are {}: they cannot be compared",
                self.said(&tier.value),
                self.phrase(value_unit),
                self.model.cube_def(tier.cube).def.name,
                self.phrase(unit)
            );
            let hint = self.to_make(span, &tier.value, value_unit, unit);
            return Err(self.error(span, message, Some(hint)));
        }
        let value = if matches!(value, Measured::Known(_)) { value } else { threshold };
        Ok(multiplied(&[(&tier.value, value), (&tier.value, rate)], 1))
    }

    /// That a unit is the same for all members of some dimensions.
    fn one_over(
        &self,
        product: &Product,
        dimensions: &[cube::DimensionId],
        operand: &Node,
        span: Span,
        how: &str,
    ) -> Result<()> {
        let differs = |factor: &&Factor| {
            let own = factor.place().and_then(Place::depends_on);
            own.is_some_and(|own| dimensions.contains(&own))
        };
        match product.factors().find(differs) {
            None => Ok(()),
            Some(factor) => Err(self.mixed(product, factor, operand, span, how)),
        }
    }

    /// The error that amounts in different currencies would be brought together.
    fn mixed(
        &self,
        product: &Product,
        factor: &Factor,
        operand: &Node,
        span: Span,
        how: &str,
    ) -> CalcError {
        let over = factor.place().and_then(Place::depends_on);
        let over = over.map_or("members", |id| self.model.dimension_def(id).name.as_str());
        let message =
            format!("amounts in {} cannot be {how} over {over}", product.text(self.model));
        let hint = self.one_unit(product, factor, operand, over);
        self.error(span, message, Some(hint))
    }
}

/// The values that SWITCH compares, and its results.
fn cases(found: Vec<Operand<'_>>) -> [Vec<Operand<'_>>; 2] {
    let last = found.len().saturating_sub(1);
    let has_else = found.len().is_multiple_of(2);
    let is_case = |at: usize| at == 0 || (at % 2 == 1 && !(has_else && at == last));
    let mut sides = [Vec::new(), Vec::new()];
    for (at, operand) in found.into_iter().enumerate() {
        sides[usize::from(!is_case(at))].push(operand);
    }
    sides
}

/// The first times the others to a power; what is not checked makes the whole unchecked.
fn multiplied(found: &[Operand<'_>], power: i32) -> Measured {
    if found.iter().all(|(_, measured)| *measured == Measured::Literal) {
        return Measured::Literal;
    }
    let mut product = Product::default();
    for (at, (_, measured)) in found.iter().enumerate() {
        match measured {
            Measured::Unchecked => return Measured::Unchecked,
            Measured::Literal => {}
            Measured::Known(unit) => {
                product = product.times(unit, if at == 0 { 1 } else { power });
            }
        }
    }
    Measured::Known(product)
}

/// A whole number that is written out.
fn whole(node: &Node) -> Option<i32> {
    match &node.kind {
        Kind::Literal(Value::Number(number)) => number.normalized().to_string().parse().ok(),
        Kind::Apply(Function::Negate, arguments) => whole(arguments.first()?).map(|by| -by),
        _ => None,
    }
}

/// What operands of different units cannot do.
fn meeting(function: Function) -> &'static str {
    match function {
        Function::Add => "be added",
        Function::Subtract => "be subtracted",
        Function::If | Function::Switch | Function::Coalesce | Function::SafeDiv => {
            "take each other's place"
        }
        _ => "be compared",
    }
}

/// What an aggregator does with values.
fn brought(aggregator: Aggregator) -> &'static str {
    match aggregator {
        Aggregator::Sum | Aggregator::Avg | Aggregator::Wavg => "added",
        Aggregator::Min | Aggregator::Max => "compared",
        _ => "put in each other's place",
    }
}
