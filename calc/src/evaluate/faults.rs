//! Errors as values: what cannot be computed at a point is an error there, and nowhere else.
//!
//! Which points are evaluated together follows from what changed, from support and from how rows lie in
//! segments. So an error must not end a calculation: it stays at its point ([`crate::column::Faulty`]), goes on to
//! those whose own value needs it, and is raised where it reaches a cell that a formula computes. What is needed
//! follows from the values at the point alone; the rules stand in `docs/formulas.md`, "Errors".

use std::sync::Arc;

use cube::{CubeError, MemberId, Number};

use super::Session;
use super::apply::Row;
use super::assign::assigned_column;
use crate::column::{Column, Fault, Faults};
use crate::error::{CalcError, Result};
use crate::functions::Function;
use crate::node::{Frame, Kind, Node, Type};
use crate::points::Block;

/// Digits of a number of 256 bits, less some to be sure.
const DIGITS_MAX: i64 = 74;

impl Row<'_> {
    /// The argument whose error is the point's own: the first one that its value needs.
    pub(super) fn failed(&self, at: usize) -> Option<usize> {
        use Function as F;
        let fails = |argument: usize| self.columns.get(argument).is_some_and(|c| c.is_fault(at));
        let first = |count: usize| (0..count.min(self.columns.len())).find(|&a| fails(a));
        // blank where one is blank: then no other is needed
        let of_all = |count: usize| {
            let is_there = |a: usize| self.columns[a].is_there(at);
            first(count).filter(|_| (0..count.min(self.columns.len())).all(is_there))
        };
        let count = self.columns.len();
        match self.function {
            F::Equal | F::NotEqual | F::Not | F::IsBlank => first(count),
            F::Less | F::LessOrEqual | F::Greater | F::GreaterOrEqual => {
                let is_known = |a: usize| fails(a) || self.any(a, at).is_some();
                first(2).filter(|_| is_known(0) && is_known(1))
            }
            F::And => first(2).filter(|_| !self.has_flag(false, at)),
            F::Or => first(2).filter(|_| !self.has_flag(true, at)),
            F::In => self.failed_membership(at),
            F::Add | F::Subtract if self.is_of_dates() => of_all(2),
            F::Add | F::Subtract | F::Min | F::Max | F::Join => {
                first(count).filter(|_| self.supported(at))
            }
            F::Coalesce | F::If | F::Switch => {
                self.failed_choice(at).filter(|_| self.supported(at))
            }
            F::SafeDiv | F::Cap | F::Floor | F::Convert if !self.columns[0].is_there(at) => None,
            F::SafeDiv => first(2).or_else(|| {
                let divides = self.number(1, at).is_some_and(|divisor| divisor != Number::ZERO);
                (!divides && fails(2)).then_some(2)
            }),
            F::Cap | F::Floor => first(2),
            F::Convert => {
                let is_same = self.columns[1].flag(at) == Some(true);
                first(2).or_else(|| (!is_same && fails(2)).then_some(2))
            }
            // open edges of the interval are no blanks
            F::QuotaProrate => of_all(3).or_else(|| {
                let is_there = (0..3).all(|a| self.columns[a].is_there(at));
                first(count).filter(|_| is_there)
            }),
            // how to round may be left out
            F::Round => of_all(2).or_else(|| (fails(2) && self.has_both(at)).then_some(2)),
            _ => of_all(count),
        }
    }

    fn has_both(&self, at: usize) -> bool {
        self.columns[0].is_there(at) && self.columns[1].is_there(at)
    }

    fn has_flag(&self, wanted: bool, at: usize) -> bool {
        self.columns.iter().any(|column| column.flag(at) == Some(wanted))
    }

    fn failed_membership(&self, at: usize) -> Option<usize> {
        if self.columns[0].is_fault(at) {
            return Some(0);
        }
        let wanted = self.any(0, at);
        let mut failed = None;
        for argument in 1..self.columns.len() {
            if self.columns[argument].is_fault(at) {
                failed = failed.or(Some(argument));
            } else if self.any(argument, at) == wanted {
                return None;
            }
        }
        failed
    }

    /// Of what decides and what is chosen.
    fn failed_choice(&self, at: usize) -> Option<usize> {
        let fails = |argument: usize| self.columns.get(argument).is_some_and(|c| c.is_fault(at));
        if fails(0) {
            return Some(0);
        }
        let chosen = match self.function {
            Function::If if self.columns[0].flag(at) == Some(true) => 1,
            Function::If => 2,
            Function::Coalesce if self.any(0, at).is_some() => 0,
            Function::Coalesce => 1,
            _ => {
                let wanted = self.any(0, at);
                let mut case = 1;
                while case + 1 < self.columns.len() {
                    if fails(case) {
                        return Some(case);
                    }
                    if self.any(case, at) == wanted {
                        return fails(case + 1).then_some(case + 1);
                    }
                    case += 2;
                }
                case
            }
        };
        fails(chosen).then_some(chosen)
    }
}

impl Session<'_> {
    /// What is filled in where a scope has a value. Outside of it a value stays where it varies over all
    /// that the scope does.
    pub(super) fn filled(&self, value: &Column, scope: &Column, is_wide: bool) -> Column {
        let mut faults = Faults::default();
        let mut numbers = Vec::with_capacity(value.len());
        for at in 0..value.len() {
            let keeps = is_wide && value.is_present(at);
            let of_scope = scope.is_fault(at) && !keeps;
            let failed = of_scope || (value.is_fault(at) && (is_wide || scope.is_present(at)));
            if failed {
                let column = if of_scope { scope } else { value };
                faults.add(at, column.faults().and_then(Faults::first).cloned());
            }
            numbers.push(match value.number(at) {
                _ if failed => None,
                number if scope.is_there(at) => number.or(Some(Number::ZERO)),
                number => number.filter(|_| is_wide),
            });
        }
        Column::Numbers(numbers).with_faults(faults)
    }

    /// What went wrong at a point, evaluated by itself.
    pub(super) fn fault_at(&self, node: &Node, frame: &Frame, point: &Block) -> Result<Arc<Fault>> {
        let columns = self.evaluate_all(node, frame, std::slice::from_ref(point))?;
        let column = columns.into_iter().next().unwrap_or(Column::Blank(0));
        let found = column.faults().and_then(Faults::first).cloned();
        Ok(self.seen_with_origin(found, frame, point))
    }

    /// An error with the point where it arose.
    fn seen_with_origin(
        &self,
        found: Option<Arc<Fault>>,
        frame: &Frame,
        point: &Block,
    ) -> Arc<Fault> {
        let fault = found.map_or_else(|| Fault::from(unknown()), |fault| Fault::clone(&fault));
        let origin = fault.origin.unwrap_or_else(|| {
            let cube = frame.rows.map(|rows| &self.version.model.cube_def(rows).def.name);
            let place = self.describe(frame, point, 0);
            cube.map_or_else(|| place.clone(), |cube| format!("{cube} {place}"))
        });
        Arc::new(Fault { origin: Some(origin), source: fault.source })
    }

    /// A column of one point that was looked at from elsewhere.
    pub(super) fn with_origin(&self, column: Column, frame: &Frame, points: &[Block]) -> Column {
        match (column, points) {
            (Column::Faulty(mut faulty), [point]) if point.len == 1 => {
                let found = faulty.faults.first().cloned();
                let mut faults = Faults::default();
                faults.add(0, Some(self.seen_with_origin(found, frame, point)));
                faulty.faults = faults;
                Column::Faulty(faulty)
            }
            (column, _) => column,
        }
    }

    /// The error of a CONVERT at one point, where only the rate is missing: it names the rate.
    pub(super) fn missing_rate(
        &self,
        arguments: &[Node],
        columns: &[Column],
        inner: &dyn Fn(&Node) -> Column,
    ) -> Option<Column> {
        let [amount, same, rate, ..] = columns else { return None };
        let is_missing = amount.is_present(0) && same.flag(0) == Some(false) && !rate.is_there(0);
        let (Kind::At(scope, members), Kind::Apply(_, currencies)) =
            (&arguments[2].kind, &arguments[1].kind)
        else {
            return None;
        };
        let key = |axis: usize| {
            let dimension = self.version.dimension(scope.frame.axes[axis].dimension);
            let member = inner(&members[axis]).member(0);
            (member != MemberId::NONE).then(|| (&dimension.def.name, dimension.key(member)))
        };
        let reads = scope.node.reads();
        let (cube, measure) = reads.first().filter(|_| is_missing)?;
        let cube = self.version.model.cube_def(*cube);
        let name = format!("{}.{}", cube.def.name, cube.measure_def(*measure).name);
        let Type::Member(dimension) = currencies.first()?.value_type else { return None };
        let from = scope.frame.position(dimension)?;
        let (_, currency) = key(from)?;
        let others = (0..members.len()).filter(|axis| *axis != from).filter_map(key);
        let others: Vec<String> = others.map(|(of, key)| format!("{of}={key}")).collect();
        let place = others.join(", ");
        let reason = match arguments.len() {
            0..=3 => format!(
                "{currency} has no rate {name} at ({place}); load the rate, or write missing: last"
            ),
            _ => {
                format!("{currency} has no rate {name} at ({place}) or before; load the first rate")
            }
        };
        let source = CubeError::InvalidValue {
            value: amount.number(0)?.to_string(),
            expected: "amount to convert".into(),
            reason,
        };
        let mut faults = Faults::default();
        faults.add(0, Some(Arc::new(source.into())));
        Some(Column::Numbers(vec![None]).with_faults(faults))
    }

    /// The error of a formula at a cell, which is evaluated by itself.
    pub fn cell_error(
        &self,
        node: &Node,
        frame: &Frame,
        cell: &Block,
        (value_type, rounding): (cube::ValueType, cube::number::Rounding),
    ) -> Result<CalcError> {
        let columns = self.evaluate_all(node, frame, std::slice::from_ref(cell))?;
        let column = columns.into_iter().next().unwrap_or(Column::Blank(0));
        let assigned = assigned_column(&column, value_type, rounding);
        let found = assigned.faults.first();
        let fault = found.map_or_else(|| Fault::from(unknown()), |fault| Fault::clone(fault));
        let cell = self.describe(frame, cell, 0);
        let place = match fault.origin {
            Some(origin) => format!("{cell}, from {origin}"),
            None => cell,
        };
        Ok(CalcError::Cell { target: self.target.to_string(), place, source: fault.source })
    }

    /// Where a point stands: by date, then the declared order of its other members, then by its row's key.
    pub fn order_key(
        &self,
        frame: &Frame,
        block: &Block,
        at: usize,
    ) -> (Vec<u32>, Vec<cube::value::KeyPart>) {
        let axes = frame.axes.iter().enumerate();
        let calendar_first = |dimension: cube::DimensionId| {
            let def = &self.version.dimension(dimension).def;
            def.calendar.is_none() && def.key_type != cube::KeyType::Date
        };
        let mut places: Vec<(bool, u32)> = axes
            .map(|(axis, of)| {
                let place = match block.member(axis, at) {
                    MemberId::NONE => u32::MAX,
                    member => self.version.dimension(of.dimension).order(member),
                };
                (calendar_first(of.dimension), place)
            })
            .collect();
        places.sort_by_key(|(late, _)| *late);
        let keys = block.origin.as_ref().filter(|_| frame.rows.is_some());
        let keys = keys.map_or_else(Vec::new, |origin| {
            let row = origin.rows.get(at);
            origin.segment.keys.iter().map(|column| column.get(row)).collect()
        });
        (places.into_iter().map(|(_, place)| place).collect(), keys)
    }
}

/// For an error of which only the place is known.
fn unknown() -> CubeError {
    CubeError::Overflow("a value cannot be computed".into())
}

/// Whether numbers add up without an overflow in whatever order they are taken.
pub(super) fn adds_in_any_order(numbers: impl Iterator<Item = Number>) -> bool {
    let (mut whole, mut scale, mut count) = (0, 0, 0u32);
    for number in numbers {
        let digits = match number.mantissa() {
            Some(0) => continue,
            Some(mantissa) => i64::from(mantissa.unsigned_abs().ilog10()) + 1,
            None => DIGITS_MAX,
        };
        whole = whole.max(digits - i64::from(number.scale));
        scale = scale.max(i64::from(number.scale));
        count = count.saturating_add(1);
    }
    whole + scale + i64::from(count.checked_ilog10().unwrap_or(0)) + 1 < DIGITS_MAX
}
