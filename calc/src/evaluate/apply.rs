//! Functions of values at the same point: in fixed point for whole blocks where that is exact, else
//! number by number.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use cube::number::{Rounding, power_of_ten};
use cube::{CubeError, MemberId, Number};

use super::Session;
use crate::column::{Column, Faults, Fixed, Mantissas};
use crate::functions::{Function, Support, support_of};
use crate::node::{Kind, Node, Type, Value};

impl Session<'_> {
    pub(super) fn apply(
        &self,
        function: Function,
        nodes: &[Node],
        columns: Vec<Column>,
        len: usize,
    ) -> Column {
        if let Some(column) = fixed(function, nodes, &columns) {
            return column;
        }
        match function {
            Function::Filter | Function::Exclude => {
                let kept = |at: u32| match columns[1].flag(at as usize) {
                    Some(flag) => flag == (function == Function::Filter),
                    None => function == Function::Exclude,
                };
                let places: Vec<u32> =
                    (0..len as u32).map(|at| if kept(at) { at } else { u32::MAX }).collect();
                return filtered(&columns[0], places, &columns[1]);
            }
            Function::IsDescendant => return self.is_descendant(nodes, &columns, len),
            _ => {}
        }
        let result = result_type(function, nodes);
        let mut values = Vec::with_capacity(len);
        let row = Row { function, nodes, columns: &columns };
        let has_faults = columns.iter().any(|column| column.faults().is_some());
        let mut faults = Faults::default();
        for at in 0..len {
            if has_faults && let Some(argument) = row.failed(at) {
                faults.add(at, columns[argument].faults().and_then(Faults::first).cloned());
                values.push(None);
                continue;
            }
            values.push(row.value(at).unwrap_or_else(|source| {
                faults.add(at, Some(Arc::new(source.into())));
                None
            }));
        }
        let column = match Column::of_values(values, result) {
            Column::Flags(flags, support) if support_of(function) == Support::Any => {
                let support = (0..support.len()).map(|at| row.supported(at)).collect();
                Column::Flags(flags, support)
            }
            column => column,
        };
        column.with_faults(faults)
    }

    /// Whether members are a member or below it, in any hierarchy.
    fn is_descendant(&self, nodes: &[Node], columns: &[Column], len: usize) -> Column {
        let Type::Member(dimension) = nodes[0].value_type else { return Column::Blank(len) };
        let dimension = self.version.dimension(dimension);
        let below = |at: usize| {
            let (mut member, wanted) = (columns[0].member(at), columns[1].member(at));
            if member == MemberId::NONE || wanted == MemberId::NONE {
                return member != MemberId::NONE && wanted == member;
            }
            let found = member == wanted;
            found
                || (0..dimension.def.hierarchies.len()).any(|idx| {
                    member = columns[0].member(at);
                    while let Some(parent) =
                        dimension.parent(cube::HierarchyId::from_idx(idx), member)
                    {
                        if parent == wanted {
                            return true;
                        }
                        member = parent;
                    }
                    false
                })
        };
        Column::of_flags((0..len).map(|at| Some(below(at))).collect())
    }
}

/// Values at the places that are kept, with the errors of the condition where there is a value to keep.
fn filtered(values: &Column, mut places: Vec<u32>, condition: &Column) -> Column {
    let mut of_condition = Faults::default();
    for &at in condition.faults().map_or(&[] as &[u32], Faults::places) {
        if values.is_there(at as usize) {
            of_condition.add(at as usize, condition.faults().and_then(Faults::first).cloned());
            places[at as usize] = u32::MAX;
        }
    }
    let (mut kept, own) = values.taken(&places).split();
    if let Column::Flags(_, support) = &mut kept {
        of_condition.places().iter().for_each(|&at| support[at as usize] = true);
    }
    kept.with_faults(own.merged(of_condition))
}

/// The type of a function's result, from its arguments' nodes.
fn result_type(function: Function, nodes: &[Node]) -> Type {
    use Function as F;
    let common = |nodes: &[&Node]| {
        let types = nodes.iter().map(|node| node.value_type);
        types.into_iter().find(|found| *found != Type::Blank).unwrap_or(Type::Blank)
    };
    match function {
        F::Not
        | F::Equal
        | F::NotEqual
        | F::Less
        | F::LessOrEqual
        | F::Greater
        | F::GreaterOrEqual
        | F::And
        | F::Or
        | F::In
        | F::IsBlank
        | F::IsDescendant => Type::Boolean,
        F::Join | F::Left | F::Right | F::Mid | F::Upper | F::Lower | F::Text => Type::Text,
        F::Date | F::Edate | F::EoMonth => Type::Date,
        F::Add | F::Subtract => match (nodes[0].value_type, nodes[1].value_type) {
            (Type::Date, Type::Date) => Type::Number,
            (Type::Date, _) => Type::Date,
            _ => Type::Number,
        },
        F::Coalesce | F::Filter | F::Exclude => common(&nodes.iter().collect::<Vec<_>>()),
        F::If => common(&nodes[1..].iter().collect::<Vec<_>>()),
        F::Switch => {
            let has_else = nodes.len().is_multiple_of(2);
            let results = nodes
                .iter()
                .enumerate()
                .filter(|(at, _)| *at > 0 && (at % 2 == 0 || (has_else && *at == nodes.len() - 1)));
            common(&results.map(|(_, node)| node).collect::<Vec<_>>())
        }
        _ => Type::Number,
    }
}

/// Whether a sum has support at a point: a blank operand counts as nothing, but what varies over
/// fewer dimensions than another adds no support of its own.
fn is_supported(nodes: &[Node], present: impl Fn(usize) -> bool) -> bool {
    let widest = nodes.iter().fold(0, |mask, node| mask | node.mask);
    let is_wide = |node: &Node| node.mask == widest;
    if !nodes.iter().any(is_wide) {
        return (0..nodes.len()).any(present);
    }
    nodes.iter().enumerate().any(|(at, node)| is_wide(node) && present(at))
}

/// The result of a whole block: texts compared, or in fixed point, where all operands are of one scale
/// each and nothing overflows.
fn fixed(function: Function, nodes: &[Node], columns: &[Column]) -> Option<Column> {
    use Function as F;
    let operand = |at: usize| match columns.get(at) {
        Some(Column::Fixed(fixed)) => Some(fixed),
        _ => None,
    };
    match function {
        F::Add | F::Subtract => sum(function, nodes, operand(0)?, operand(1)?),
        F::Multiply => product(operand(0)?, operand(1)?),
        F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual | F::Equal | F::NotEqual => {
            if let (Column::Texts(a), Column::Texts(b)) = (columns.first()?, columns.get(1)?) {
                return Some(texts_compared(function, nodes, a, b));
            }
            compared(function, nodes, operand(0)?, operand(1)?)
        }
        F::If if columns.len() == 3 => {
            let Column::Flags(conditions, _) = &columns[0] else { return None };
            Some(Column::Fixed(chosen(nodes, columns, conditions, operand(1)?, operand(2)?)?))
        }
        F::Filter | F::Exclude => {
            let Column::Flags(conditions, _) = &columns[1] else { return None };
            let from = operand(0)?;
            let kept = conditions.iter().enumerate().map(|(at, condition)| {
                let keeps =
                    condition.map_or(function == F::Exclude, |c| c == (function == F::Filter));
                keeps && from.is_present(at)
            });
            Some(Column::Fixed(Fixed::blanked(from.values.clone(), kept.collect(), from.scale)))
        }
        F::Negate => {
            let from = operand(0)?;
            let values = from.values.mapped(i64::overflowing_neg, i128::overflowing_neg)?;
            Some(Column::Fixed(Fixed { values, present: from.present.clone(), ..*from }))
        }
        F::Min | F::Max | F::Cap | F::Floor if columns.len() == 2 => {
            extreme(function, nodes, operand(0)?, operand(1)?)
        }
        _ => None,
    }
}

/// The numbers of one column where a condition is true, else of another.
fn chosen(
    nodes: &[Node],
    columns: &[Column],
    conditions: &[Option<bool>],
    a: &Fixed,
    b: &Fixed,
) -> Option<Fixed> {
    let (a, b) = same_scale(a, b)?;
    // what is broadcast does not fill cells that all else leaves blank
    let wide = nodes.iter().fold(0, |mask, node| mask | node.mask);
    let fills = nodes[1..].iter().all(|node| node.mask == wide);
    let is_supported =
        |at: usize| fills || is_supported(nodes, |argument| columns[argument].is_present(at));
    let present = conditions.iter().enumerate().map(|(at, condition)| {
        let from = if *condition == Some(true) { &a } else { &b };
        from.is_present(at) && is_supported(at)
    });
    let present = present.collect();
    let takes_first = |at: usize| conditions[at] == Some(true);
    let values = match (&a.values, &b.values) {
        (Mantissas::Narrow(a), Mantissas::Narrow(b)) => {
            Mantissas::Narrow(merged(a, b, takes_first))
        }
        (a, b) => Mantissas::Wide(merged(&a.wide(), &b.wide(), takes_first)),
    };
    Some(Fixed::blanked(values, present, a.scale))
}

/// Of each place the number of the one or the other.
fn merged<T: Copy>(a: &[T], b: &[T], takes_first: impl Fn(usize) -> bool) -> Vec<T> {
    let pairs = a.iter().zip(b).enumerate();
    pairs.map(|(at, (&a, &b))| if takes_first(at) { a } else { b }).collect()
}

/// Two columns brought to the finer of their scales.
fn same_scale<'a>(a: &'a Fixed, b: &'a Fixed) -> Option<(Cow<'a, Fixed>, Cow<'a, Fixed>)> {
    let scale = a.scale.max(b.scale);
    let widened = |fixed: &'a Fixed| -> Option<Cow<'a, Fixed>> {
        if fixed.scale == scale {
            return Some(Cow::Borrowed(fixed));
        }
        let factor = power_of_ten(scale - fixed.scale)?;
        let values = match i64::try_from(factor) {
            Ok(narrow) => fixed.values.mapped(
                |value| value.overflowing_mul(narrow),
                |value| value.overflowing_mul(factor),
            ),
            Err(_) => fixed.values.mapped(|_| (0, true), |value| value.overflowing_mul(factor)),
        };
        Some(Cow::Owned(Fixed { values: values?, present: fixed.present.clone(), scale }))
    };
    Some((widened(a)?, widened(b)?))
}

fn sum(function: Function, nodes: &[Node], a: &Fixed, b: &Fixed) -> Option<Column> {
    let (a, b) = same_scale(a, b)?;
    let values = match function {
        Function::Add => a.values.with(&b.values, i64::overflowing_add, i128::overflowing_add)?,
        _ => a.values.with(&b.values, i64::overflowing_sub, i128::overflowing_sub)?,
    };
    let present = either(&a, &b, wide(nodes));
    let values = values.blanked(present.as_deref());
    Some(Column::Fixed(Fixed { values, present, scale: a.scale }))
}

/// Which of two operands add support.
fn wide(nodes: &[Node]) -> (bool, bool) {
    let widest = nodes[0].mask | nodes[1].mask;
    match (nodes[0].mask == widest, nodes[1].mask == widest) {
        (false, false) => (true, true),
        both => both,
    }
}

/// Where one of two columns that add support has a value.
fn either(a: &Fixed, b: &Fixed, (wide_a, wide_b): (bool, bool)) -> Option<Vec<bool>> {
    if (wide_a && a.present.is_none()) || (wide_b && b.present.is_none()) {
        return None;
    }
    let adds = |at: usize| (wide_a && a.is_present(at)) || (wide_b && b.is_present(at));
    Some((0..a.values.len()).map(adds).collect())
}

fn product(a: &Fixed, b: &Fixed) -> Option<Column> {
    let scale = a.scale + b.scale;
    if scale > 36 {
        return None;
    }
    // blanks are zero, and so are their products
    let values = a.values.with(&b.values, i64::overflowing_mul, i128::overflowing_mul)?;
    let present = match (&a.present, &b.present) {
        (None, present) | (present, None) => present.clone(),
        (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(a, b)| a & b).collect()),
    };
    Some(Column::Fixed(Fixed { values, present, scale }))
}

fn compared(function: Function, nodes: &[Node], a: &Fixed, b: &Fixed) -> Option<Column> {
    let (a, b) = same_scale(a, b)?;
    let orders: Vec<Ordering> = match (&a.values, &b.values) {
        (Mantissas::Narrow(a), Mantissas::Narrow(b)) => {
            a.iter().zip(b).map(|(a, b)| a.cmp(b)).collect()
        }
        (a, b) => a.wide().iter().zip(b.wide().iter()).map(|(a, b)| a.cmp(b)).collect(),
    };
    let one = |(at, order): (usize, Ordering)| {
        let (pa, pb) = (a.is_present(at), b.is_present(at));
        match function {
            Function::Equal => Some(pa == pb && (!pa || order.is_eq())),
            Function::NotEqual => Some(pa != pb || (pa && order.is_ne())),
            _ if !(pa && pb) => None,
            Function::Less => Some(order.is_lt()),
            Function::LessOrEqual => Some(order.is_le()),
            Function::Greater => Some(order.is_gt()),
            _ => Some(order.is_ge()),
        }
    };
    let support = either(&a, &b, wide(nodes)).unwrap_or_else(|| vec![true; orders.len()]);
    Some(Column::Flags(orders.into_iter().enumerate().map(one).collect(), support))
}

/// Texts compared without a copy of each.
fn texts_compared(
    function: Function,
    nodes: &[Node],
    a: &[Option<Arc<str>>],
    b: &[Option<Arc<str>>],
) -> Column {
    let one = |(a, b): (&Option<Arc<str>>, &Option<Arc<str>>)| match function {
        Function::Equal => Some(a == b),
        Function::NotEqual => Some(a != b),
        _ => {
            let order = a.as_ref()?.cmp(b.as_ref()?);
            Some(match function {
                Function::Less => order.is_lt(),
                Function::LessOrEqual => order.is_le(),
                Function::Greater => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    };
    let (wide_a, wide_b) = wide(nodes);
    let is_supported = |(a, b): (&Option<Arc<str>>, &Option<Arc<str>>)| {
        (a.is_some() && wide_a) || (b.is_some() && wide_b)
    };
    let pairs = || a.iter().zip(b);
    Column::Flags(pairs().map(one).collect(), pairs().map(is_supported).collect())
}

fn extreme(function: Function, nodes: &[Node], a: &Fixed, b: &Fixed) -> Option<Column> {
    let (a, b) = same_scale(a, b)?;
    let kept = match function {
        Function::Min | Function::Cap => Ordering::Less,
        _ => Ordering::Greater,
    };
    let wide = match function {
        Function::Cap | Function::Floor => (true, false),
        _ => wide(nodes),
    };
    let present = either(&a, &b, wide);
    let values = match (&a.values, &b.values) {
        (Mantissas::Narrow(x), Mantissas::Narrow(y)) => {
            Mantissas::Narrow(extremes((&a, x), (&b, y), kept))
        }
        (x, y) => Mantissas::Wide(extremes((&a, &x.wide()), (&b, &y.wide()), kept)),
    };
    let values = values.blanked(present.as_deref());
    Some(Column::Fixed(Fixed { values, present, scale: a.scale }))
}

/// Of each place the number that is less (or greater) than the other, a blank giving way.
fn extremes<T: Copy + Ord>(
    (a, x): (&Fixed, &[T]),
    (b, y): (&Fixed, &[T]),
    kept: Ordering,
) -> Vec<T> {
    let one = |(at, (&x, &y)): (usize, (&T, &T))| match (a.is_present(at), b.is_present(at)) {
        (true, true) if x.cmp(&y) == kept => x,
        (true, false) => x,
        _ => y,
    };
    x.iter().zip(y).enumerate().map(one).collect()
}

/// One point of a function's arguments.
pub(super) struct Row<'a> {
    pub(super) function: Function,
    pub(super) nodes: &'a [Node],
    pub(super) columns: &'a [Column],
}

fn number(value: Number) -> Option<Value> {
    Some(Value::Number(value))
}

fn flag(value: bool) -> Option<Value> {
    Some(Value::Boolean(value))
}

impl Row<'_> {
    pub(super) fn number(&self, argument: usize, at: usize) -> Option<Number> {
        self.columns.get(argument)?.number(at)
    }

    pub(super) fn any(&self, argument: usize, at: usize) -> Option<Value> {
        self.columns.get(argument)?.value(at, self.nodes[argument].value_type)
    }

    /// A whole number, for counts of characters, digits, months.
    fn whole(&self, argument: usize, at: usize) -> Option<i64> {
        let number = self.number(argument, at)?;
        number.rescaled(0, Rounding::HalfEven).ok().and_then(|whole| i64::try_from(whole).ok())
    }

    fn text(&self, argument: usize, at: usize) -> Option<&Arc<str>> {
        self.columns.get(argument)?.text(at)
    }

    fn day(&self, argument: usize, at: usize) -> Option<i32> {
        self.columns.get(argument)?.day(at)
    }

    pub(super) fn supported(&self, at: usize) -> bool {
        is_supported(self.nodes, |argument| self.columns[argument].is_there(at))
    }

    /// Whether what is added is a date, which has no value where days are blank.
    pub(super) fn is_of_dates(&self) -> bool {
        self.nodes[0].value_type == Type::Date
    }

    fn value(&self, at: usize) -> cube::Result<Option<Value>> {
        use Function as F;
        match self.function {
            F::Add | F::Subtract => self.sum(at),
            F::Multiply | F::Divide | F::Power | F::Mod => self.arithmetic(at),
            F::Negate => Ok(self.number(0, at).map(Number::negate).transpose()?.and_then(number)),
            F::Abs => match self.number(0, at) {
                Some(x) if sign(x) < 0 => x.negate().map(number),
                x => Ok(x.map(Value::Number)),
            },
            F::Sign => Ok(self.number(0, at).and_then(|x| number(Number::new(sign(x), 0)))),
            F::Round | F::RoundUp | F::RoundDown => self.rounded(at),
            F::SafeDiv => self.safe_division(at),
            F::Min | F::Max => Ok(self.extreme(at)),
            F::Cap | F::Floor => {
                let Some(x) = self.number(0, at) else { return Ok(None) };
                let limit = self.number(1, at).filter(|limit| {
                    compare(x, *limit)
                        == if self.function == F::Cap { Ordering::Greater } else { Ordering::Less }
                });
                Ok(number(limit.unwrap_or(x)))
            }
            F::Clawback => match (self.number(0, at), self.number(1, at)) {
                (Some(paid), Some(lost)) => {
                    Ok(number(if compare(paid, lost).is_lt() { paid } else { lost }))
                }
                _ => Ok(None),
            },
            F::Convert => self.conversion(at),
            F::Prorata => Ok(prorata(
                (self.day(0, at), self.day(1, at)),
                (self.day(2, at), self.day(3, at)),
                false,
            )
            .map(|(part, whole)| Number::new(part, 0).divided_by(Number::new(whole, 0)))
            .transpose()?
            .flatten()
            .and_then(number)),
            F::QuotaProrate => self.prorated_quota(at),
            F::Not | F::And | F::Or | F::IsBlank | F::In => Ok(self.logic(at)),
            F::Equal | F::NotEqual | F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual => {
                Ok(self.comparison(at))
            }
            F::Coalesce => {
                let chosen = self.any(0, at).or_else(|| self.any(1, at));
                Ok(chosen.filter(|_| self.supported(at)))
            }
            F::If => {
                let taken = if self.columns[0].flag(at) == Some(true) { 1 } else { 2 };
                Ok(self.any(taken, at).filter(|_| self.supported(at)))
            }
            F::Switch => Ok(self.switch(at).filter(|_| self.supported(at))),
            F::Join => match (self.text(0, at), self.text(1, at)) {
                // what is broadcast makes no text where all else is blank
                (None, None) => Ok(None),
                _ if !self.supported(at) => Ok(None),
                (a, b) => {
                    let part =
                        |text: Option<&Arc<str>>| text.map_or("", |text| text.as_ref()).to_string();
                    Ok(Some(Value::Text((part(a) + &part(b)).into())))
                }
            },
            F::Left
            | F::Right
            | F::Mid
            | F::Find
            | F::Len
            | F::Upper
            | F::Lower
            | F::Text
            | F::Value => Ok(self.text_function(at)),
            F::Date
            | F::Year
            | F::Quarter
            | F::Month
            | F::Day
            | F::Days
            | F::Edate
            | F::EoMonth => Ok(self.date_function(at)),
            F::Filter | F::Exclude | F::IsDescendant => Ok(None),
        }
    }

    fn sum(&self, at: usize) -> cube::Result<Option<Value>> {
        let subtracts = self.function == Function::Subtract;
        if self.is_of_dates() {
            let Some(start) = self.day(0, at) else { return Ok(None) };
            if self.nodes[1].value_type == Type::Date {
                let days = self.day(1, at).map(|end| i128::from(start) - i128::from(end));
                return Ok(days.and_then(|days| number(Number::new(days, 0))));
            }
            let by = self.whole(1, at).and_then(|by| i32::try_from(by).ok());
            let moved =
                by.and_then(
                    |by| if subtracts { start.checked_sub(by) } else { start.checked_add(by) },
                );
            return Ok(moved.map(Value::Date));
        }
        if !self.supported(at) {
            return Ok(None);
        }
        let a = self.number(0, at).unwrap_or(Number::ZERO);
        let b = self.number(1, at).unwrap_or(Number::ZERO);
        if subtracts { a.minus(b).map(number) } else { a.plus(b).map(number) }
    }

    fn arithmetic(&self, at: usize) -> cube::Result<Option<Value>> {
        let (Some(a), Some(b)) = (self.number(0, at), self.number(1, at)) else { return Ok(None) };
        match self.function {
            Function::Multiply => a.times(b).map(number),
            Function::Divide => Ok(a.divided_by(b)?.and_then(number)),
            Function::Mod => {
                let Some(whole) = floor_quotient(a, b)? else { return Ok(None) };
                a.minus(b.times(whole)?).map(number)
            }
            _ => power(a, b),
        }
    }

    fn rounded(&self, at: usize) -> cube::Result<Option<Value>> {
        let (Some(x), Some(digits)) = (self.number(0, at), self.whole(1, at)) else {
            return Ok(None);
        };
        if !(-30..=30).contains(&digits) {
            return Err(CubeError::Overflow(format!("{digits} digits; expected -30 to 30")));
        }
        let unit = power_of_ten(digits.unsigned_abs() as u32).unwrap_or(1);
        let unit = Number::new(unit, 0);
        let shifted =
            if digits < 0 { x.divided_by(unit)?.unwrap_or(Number::ZERO) } else { x.times(unit)? };
        let half_up = self.text(2, at).is_some_and(|mode| mode.as_ref() == "half_up");
        let whole = match self.function {
            Function::RoundUp => truncated(shifted, true)?,
            Function::RoundDown => truncated(shifted, false)?,
            _ if half_up => Number::new(shifted.rescaled(0, Rounding::HalfUp)?, 0),
            _ => Number::new(shifted.rescaled(0, Rounding::HalfEven)?, 0),
        };
        let back = if digits < 0 { Some(whole.times(unit)?) } else { whole.divided_by(unit)? };
        Ok(back.and_then(number))
    }

    fn safe_division(&self, at: usize) -> cube::Result<Option<Value>> {
        let Some(a) = self.number(0, at) else { return Ok(None) };
        let quotient = match self.number(1, at) {
            Some(b) => a.divided_by(b)?,
            None => None,
        };
        let other = match self.columns.get(2) {
            Some(other) => other.number(at),
            None => Some(Number::ZERO),
        };
        Ok(quotient.or(other).and_then(number))
    }

    fn extreme(&self, at: usize) -> Option<Value> {
        if !self.supported(at) {
            return None;
        }
        let wanted =
            if self.function == Function::Min { Ordering::Less } else { Ordering::Greater };
        let values = (0..self.columns.len()).filter_map(|argument| self.number(argument, at));
        values
            .reduce(|best, next| if compare(next, best) == wanted { next } else { best })
            .and_then(number)
    }

    fn conversion(&self, at: usize) -> cube::Result<Option<Value>> {
        let Some(amount) = self.number(0, at) else { return Ok(None) };
        if self.columns[1].flag(at) == Some(true) {
            return Ok(number(amount));
        }
        match self.number(2, at) {
            Some(rate) => amount.times(rate).map(number),
            None => Err(CubeError::InvalidValue {
                value: amount.to_string(),
                expected: "amount to convert".into(),
                reason: match self.columns.len() {
                    0..=3 => "its currency has no rate on that date; load the rate, or write missing: last",
                    _ => "its currency has no rate on that date or before; load the first rate",
                }
                .into(),
            }),
        }
    }

    fn prorated_quota(&self, at: usize) -> cube::Result<Option<Value>> {
        let Some(quota) = self.number(0, at) else { return Ok(None) };
        let period = (self.day(1, at), self.day(2, at));
        let Some((part, whole)) = prorata(period, (self.day(3, at), self.day(4, at)), true) else {
            return Ok(None);
        };
        let amount = quota.times(Number::new(part, 0))?;
        Ok(amount.divided_by(Number::new(whole, 0))?.and_then(number))
    }

    fn logic(&self, at: usize) -> Option<Value> {
        let (a, b) = (self.columns[0].flag(at), self.columns.get(1).and_then(|c| c.flag(at)));
        match self.function {
            Function::Not => a.map(|a| Value::Boolean(!a)),
            Function::IsBlank => flag(!self.columns[0].is_present(at)),
            Function::In => {
                flag((1..self.columns.len()).any(|argument| self.is_same(argument, 0, at)))
            }
            Function::And => match (a, b) {
                (Some(false), _) | (_, Some(false)) => flag(false),
                (Some(true), Some(true)) => flag(true),
                _ => None,
            },
            _ => match (a, b) {
                (Some(true), _) | (_, Some(true)) => flag(true),
                (Some(false), Some(false)) => flag(false),
                _ => None,
            },
        }
    }

    /// Whether two arguments are the same, a blank and a blank too. A member that is named and not there is no
    /// blank: it equals nothing.
    fn is_same(&self, a: usize, b: usize, at: usize) -> bool {
        let [(x, is_nobody), (y, is_nobody_either)] = [a, b].map(|argument| {
            let value = self.any(argument, at);
            let is_named = matches!(self.nodes[argument].kind, Kind::MemberLiteral(..));
            let is_nobody = is_named && value.is_none();
            (value, is_nobody)
        });
        !is_nobody && !is_nobody_either && same(&x, &y)
    }

    fn comparison(&self, at: usize) -> Option<Value> {
        match self.function {
            Function::Equal => return flag(self.is_same(0, 1, at)),
            Function::NotEqual => return flag(!self.is_same(0, 1, at)),
            _ => {}
        }
        let (a, b) = (self.any(0, at), self.any(1, at));
        let order = match (a?, b?) {
            (Value::Number(a), Value::Number(b)) => compare(a, b),
            (Value::Date(a), Value::Date(b)) => a.cmp(&b),
            (Value::Text(a), Value::Text(b)) => a.cmp(&b),
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(&b),
            _ => return None,
        };
        flag(match self.function {
            Function::Less => order.is_lt(),
            Function::LessOrEqual => order.is_le(),
            Function::Greater => order.is_gt(),
            _ => order.is_ge(),
        })
    }

    fn switch(&self, at: usize) -> Option<Value> {
        let mut case = 1;
        while case + 1 < self.columns.len() {
            if self.is_same(case, 0, at) {
                return self.any(case + 1, at);
            }
            case += 2;
        }
        if case < self.columns.len() { self.any(case, at) } else { None }
    }

    fn text_function(&self, at: usize) -> Option<Value> {
        let text = |text: String| Some(Value::Text(text.into()));
        let count = |argument: usize| {
            self.whole(argument, at).map(|count| usize::try_from(count).unwrap_or(0))
        };
        match self.function {
            Function::Left => text(self.text(0, at)?.chars().take(count(1)?).collect()),
            Function::Right => {
                let whole = self.text(0, at)?;
                let skip = whole.chars().count().saturating_sub(count(1)?);
                text(whole.chars().skip(skip).collect())
            }
            Function::Mid => {
                let skip = count(1)?.saturating_sub(1);
                text(self.text(0, at)?.chars().skip(skip).take(count(2)?).collect())
            }
            Function::Find => {
                let (wanted, whole) = (self.text(0, at)?, self.text(1, at)?);
                let place = whole.find(wanted.as_ref())?;
                let before = whole[..place].chars().count() as i128;
                number(Number::new(before + 1, 0))
            }
            Function::Len => number(Number::new(self.text(0, at)?.chars().count() as i128, 0)),
            Function::Upper => text(self.text(0, at)?.to_uppercase()),
            Function::Lower => text(self.text(0, at)?.to_lowercase()),
            Function::Text => text(self.number(0, at)?.normalized().to_string()),
            _ => Number::parse(self.text(0, at)?).and_then(number),
        }
    }

    fn date_function(&self, at: usize) -> Option<Value> {
        use calendar::{Parts, parts};
        let part = |value: i64| number(Number::new(i128::from(value), 0));
        let own = || parts(self.day(0, at)?);
        let moved = |Parts { year, month, day }: Parts, months: i64, last: bool| {
            let all = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(months)?;
            let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
            let longest = (28..=31).rev().find(|&day| make_date(year, month, day).is_some())?;
            make_date(year, month, if last { longest } else { day.min(longest) })
        };
        match self.function {
            Function::Date => {
                let (year, month, day) =
                    (self.whole(0, at)?, self.whole(1, at)?, self.whole(2, at)?);
                make_date(year, month, day).map(Value::Date)
            }
            Function::Year => part(own()?.year),
            Function::Quarter => part((own()?.month - 1) / 3 + 1),
            Function::Month => part(own()?.month),
            Function::Day => part(own()?.day),
            Function::Days => part(i64::from(self.day(0, at)?) - i64::from(self.day(1, at)?)),
            Function::Edate => moved(own()?, self.whole(1, at)?, false).map(Value::Date),
            _ => moved(own()?, self.whole(1, at)?, true).map(Value::Date),
        }
    }
}

/// Year, month and day of a date.
mod calendar {
    use cube::value::format_date;

    pub struct Parts {
        pub year: i64,
        pub month: i64,
        pub day: i64,
    }

    pub fn parts(date: i32) -> Option<Parts> {
        let text = format_date(date);
        let mut parts = text.splitn(3, '-').map(|part| part.parse().ok());
        Some(Parts { year: parts.next()??, month: parts.next()??, day: parts.next()?? })
    }
}

fn make_date(year: i64, month: i64, day: i64) -> Option<i32> {
    cube::value::parse_date(&format!("{year:04}-{month:02}-{day:02}"))
}

/// Days of a period inside an interval, and in all; open edges only where they are allowed.
fn prorata(
    period: (Option<i32>, Option<i32>),
    interval: (Option<i32>, Option<i32>),
    open: bool,
) -> Option<(i128, i128)> {
    let (start, end) = (period.0?, period.1?);
    let (from, to) = match open {
        true => (interval.0.unwrap_or(i32::MIN), interval.1.unwrap_or(i32::MAX)),
        false => (interval.0?, interval.1?),
    };
    let days = i128::from(end.min(to)) - i128::from(start.max(from));
    Some((days.max(0), i128::from(end) - i128::from(start)))
}

fn sign(number: Number) -> i128 {
    match compare(number, Number::ZERO) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

/// Compares two numbers.
pub(super) fn compare(a: Number, b: Number) -> Ordering {
    a.cmp(&b)
}

/// Equality that is total: blank equals blank.
fn same(a: &Option<Value>, b: &Option<Value>) -> bool {
    a == b
}

/// Without digits after the point: towards zero, or away from it.
fn truncated(x: Number, away: bool) -> cube::Result<Number> {
    let nearest = Number::new(x.rescaled(0, Rounding::HalfEven)?, 0);
    let one = Number::new(sign(x), 0);
    let beyond = |a: Number, b: Number| {
        if sign(x) < 0 { compare(a, b).is_lt() } else { compare(a, b).is_gt() }
    };
    if away && beyond(x, nearest) {
        return nearest.plus(one);
    }
    if !away && beyond(nearest, x) {
        return nearest.minus(one);
    }
    Ok(nearest)
}

/// The largest whole number not above a quotient.
fn floor_quotient(a: Number, b: Number) -> cube::Result<Option<Number>> {
    let Some(quotient) = a.divided_by(b)? else { return Ok(None) };
    let whole = truncated(quotient, false)?;
    let is_below = compare(quotient, whole).is_lt();
    Ok(Some(if is_below { whole.minus(Number::new(1, 0))? } else { whole }))
}

/// `a ^ b` of a whole exponent.
fn power(a: Number, b: Number) -> cube::Result<Option<Value>> {
    let exponent = b.normalized();
    let whole = exponent.mantissa().filter(|_| exponent.scale == 0);
    let Some(whole) = whole.and_then(|whole| i32::try_from(whole).ok()) else {
        return Err(CubeError::InvalidValue {
            value: b.to_string(),
            expected: "whole exponent".into(),
            reason: "a root is not exact; load it as a measure of its own".into(),
        });
    };
    let (mut result, mut square) = (Number::new(1, 0), a.normalized());
    let mut left = whole.unsigned_abs();
    while left > 0 {
        if left & 1 == 1 {
            result = result.times(square)?;
        }
        left >>= 1;
        if left > 0 {
            square = square.times(square)?;
        }
    }
    if whole < 0 {
        return Ok(Number::new(1, 0).divided_by(result)?.and_then(number));
    }
    Ok(number(result))
}
