//! Writes that say themselves what their query would give: INSERT of VALUES, and UPDATE of one row by its primary
//! key, `UPDATE sales SET amount = $1 WHERE shop = $2 AND month = 3`, if the row is there.
//!
//! Only what needs no conversion is taken; of anything else, and of what is refused, the query tells.

use std::sync::Arc;

use cube::KeyType;
use cube::value::parse_date;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Parens, Query, SetExpr, TableFactor, UnaryOperator, Update, Value,
};

use super::{WriteKind, WritePlan, text_of};
use crate::sql::columns::{ColumnSource, CubeColumns};
use crate::tenant::Snapshot;

/// Digits that a number of a statement may have.
const DIGITS_MAX: usize = 38;
/// Rows of a statement that are taken; more go the way of those that take their time.
const ROWS_MAX: usize = 1_024;

/// The rows of a write's query: per column, what stands for it in the statement.
#[derive(Debug, Clone)]
pub struct Given(Vec<Vec<Item>>);

#[derive(Debug, Clone)]
enum Item {
    Parameter(usize),
    Constant(ScalarValue),
}

impl Given {
    /// The rows of an INSERT of VALUES; none where it inserts anything else.
    pub(super) fn of_insert(
        source: &Query,
        all: &CubeColumns,
        columns: &[ColumnSource],
    ) -> Option<Self> {
        let SetExpr::Values(values) = source.body.as_ref() else { return None };
        // an order or a limit is a matter of the query
        if values.rows.len() > ROWS_MAX || source.to_string() != source.body.to_string() {
            return None;
        }
        let row = |row: &Parens<Vec<Expr>>| {
            let items = row.iter().zip(columns).map(|(value, &column)| match column {
                ColumnSource::Measure(_) => item(value, None),
                _ => item(value, Some(all.data_type(column)?)),
            });
            items.collect::<Option<Vec<Item>>>()
        };
        values.rows.iter().map(row).collect::<Option<_>>().map(Self)
    }

    /// The row that an UPDATE names by all of its key; none where it is any other. The columns are those of its
    /// query, the key's first.
    pub(super) fn of_update(
        update: &Update,
        all: &CubeColumns,
        columns: &[ColumnSource],
    ) -> Option<Self> {
        let TableFactor::Table { name, alias, .. } = &update.table.relation else { return None };
        if update.from.is_some() || !update.table.joins.is_empty() {
            return None;
        }
        let shown = match alias {
            Some(alias) => text_of(&alias.name),
            None => name.0.last()?.as_ident().map(text_of)?,
        };
        let key_width = columns.iter().filter(|c| !matches!(c, ColumnSource::Measure(_))).count();
        let (key, _) = columns.split_at(key_width);
        let mut named: Vec<Option<Item>> = vec![None; key_width];
        for (column, value) in equalities(update.selection.as_ref()?)? {
            let source = all.source(&column_of(column, &shown)?)?;
            let place = key.iter().position(|&own| own == source)?;
            let item = item(value, Some(all.data_type(source)?))?;
            if named[place].replace(item).is_some() {
                return None;
            }
        }
        let assigned = update.assignments.iter().map(|assignment| item(&assignment.value, None));
        named.into_iter().chain(assigned).collect::<Option<_>>().map(|row| Self(vec![row]))
    }

    /// The rows as the query would give them; of an UPDATE, whether the row is there is another matter.
    pub fn rows(
        &self,
        plan: &WritePlan,
        snapshot: &Snapshot,
        parameters: &[ScalarValue],
    ) -> Option<RecordBatch> {
        let version = &snapshot.view.version;
        let dimensions = &version.model.cube_def(plan.cube).dimensions;
        // rows that the reader may not see are not there
        if dimensions.iter().any(|&dimension| snapshot.view.allowed(dimension).is_some()) {
            return None;
        }
        let (mut arrays, mut fields) = (Vec::new(), Vec::new());
        for (at, column) in plan.columns.iter().enumerate() {
            let value = |row: &Vec<Item>| match row.get(at)? {
                Item::Parameter(at) => parameters.get(*at).cloned(),
                Item::Constant(value) => Some(value.clone()),
            };
            let values = self.0.iter().map(value).collect::<Option<Vec<ScalarValue>>>()?;
            let is_key =
                plan.kind == WriteKind::Update && !matches!(column, ColumnSource::Measure(_));
            if is_key && !values.iter().all(is_stored_key) {
                return None;
            }
            let array = match values.as_slice() {
                [one] => one.to_array().ok()?,
                _ => ScalarValue::iter_to_array(values).ok()?,
            };
            fields.push(Field::new("", array.data_type().clone(), true));
            arrays.push(array);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()
    }
}

/// Whether a value is a key as it is stored, and not another spelling of it.
fn is_stored_key(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::Utf8(Some(text)) => {
            KeyType::Text.canonical(text).is_ok_and(|stored| stored == *text)
        }
        other => !other.is_null(),
    }
}

/// What has to be equal, where a condition is nothing else.
fn equalities(condition: &Expr) -> Option<Vec<(&Expr, &Expr)>> {
    match condition {
        Expr::Nested(inner) => equalities(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut both = equalities(left)?;
            both.append(&mut equalities(right)?);
            Some(both)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match left.as_ref() {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Some(vec![(left, right)]),
            _ => Some(vec![(right, left)]),
        },
        _ => None,
    }
}

/// The column of the table that an expression is.
fn column_of(expression: &Expr, table: &str) -> Option<String> {
    match expression {
        Expr::Identifier(column) => Some(text_of(column)),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [of, column] if text_of(of) == table => Some(text_of(column)),
            _ => None,
        },
        _ => None,
    }
}

/// A parameter or a constant; a constant key is of the column's type.
fn item(value: &Expr, key_type: Option<&DataType>) -> Option<Item> {
    if let Expr::Value(placeholder) = value
        && let Value::Placeholder(name) = &placeholder.value
    {
        let number: usize = name.strip_prefix('$')?.parse().ok()?;
        return Some(Item::Parameter(number.checked_sub(1)?));
    }
    let constant = constant(value)?;
    let constant = match (key_type, constant) {
        (Some(DataType::Int16), ScalarValue::Int64(Some(key))) => {
            ScalarValue::from(i16::try_from(key).ok()?)
        }
        (Some(DataType::Int32), ScalarValue::Int64(Some(key))) => {
            ScalarValue::from(i32::try_from(key).ok()?)
        }
        (Some(DataType::Date32), ScalarValue::Utf8(Some(day))) => {
            ScalarValue::Date32(Some(parse_date(&day)?))
        }
        (Some(key_type), other) if other.data_type() != *key_type => return None,
        (_, other) => other,
    };
    Some(Item::Constant(constant))
}

/// A number or a text as a query has it.
fn constant(value: &Expr) -> Option<ScalarValue> {
    match value {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, false) => number(digits, 1),
            Value::SingleQuotedString(text) => Some(ScalarValue::from(text.as_str())),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, false) => number(digits, -1),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn number(digits: &str, sign: i64) -> Option<ScalarValue> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = [whole, fraction].concat();
    if all.is_empty() || all.len() > DIGITS_MAX || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if fraction.is_empty() {
        let whole: i64 = whole.parse().ok()?;
        return Some(ScalarValue::from(whole * sign));
    }
    let mantissa: i128 = all.parse().ok()?;
    let scale = i8::try_from(fraction.len()).ok()?;
    Some(ScalarValue::Decimal128(Some(mantissa * i128::from(sign)), DIGITS_MAX as u8, scale))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Statement;

    use super::*;
    use crate::sql::local::parse_sql;

    /// What stands for the key and the values of an update of a cube `t` with key `k`, dimension `d` and measure `m`.
    fn point(update: &str) -> Option<String> {
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let fields = [("k", DataType::Int16), ("d", DataType::Utf8), ("m", DataType::Int64)];
        let schema = Schema::new(fields.map(|(name, data_type)| field(name, data_type)).to_vec());
        let sources = vec![
            ColumnSource::Key(0),
            ColumnSource::Dimension(0),
            ColumnSource::Measure(cube::MeasureId(0)),
        ];
        let all = CubeColumns { schema: Arc::new(schema), sources: sources.clone() };
        let Statement::Update(update) = parse_sql(update).ok()?.pop()? else { return None };
        let Given(mut rows) = Given::of_update(&update, &all, &sources)?;
        let text = |item: Item| match item {
            Item::Parameter(at) => format!("${}", at + 1),
            Item::Constant(value) => format!("{value}: {}", value.data_type()),
        };
        Some(rows.remove(0).into_iter().map(text).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_row_is_named_by_all_of_its_key_and_nothing_else() {
        let named = [
            ("UPDATE t SET m = $3 WHERE k = $1 AND d = $2", "$1, $2, $3"),
            ("UPDATE t SET m = -5 WHERE 'x' = d AND (T.K = 7)", "7: Int16, x: Utf8, -5: Int64"),
            ("UPDATE t AS u SET m = $1 WHERE u.d = $1 AND k = 1", "1: Int16, $1, $1"),
        ];
        for (update, items) in named {
            assert_eq!(point(update).as_deref(), Some(items), "{update}");
        }
        for other in [
            "UPDATE t SET m = 1",
            "UPDATE t SET m = 1 WHERE k = 1",
            "UPDATE t SET m = 1 WHERE k = 1 AND d = 'x' AND m = 2",
            "UPDATE t SET m = 1 WHERE k = 1 AND d = 'x' AND k = 1",
            "UPDATE t SET m = 1 WHERE k = 1 OR d = 'x'",
            "UPDATE t SET m = 1 WHERE k = 1 AND d > 'x'",
            "UPDATE t SET m = 1 WHERE k = 70000 AND d = 'x'",
            "UPDATE t SET m = 1 WHERE k = '1' AND d = 'x'",
            "UPDATE t SET m = m + 1 WHERE k = 1 AND d = 'x'",
            "UPDATE t SET m = 1 FROM s WHERE k = 1 AND d = 'x'",
            "UPDATE t AS u SET m = 1 WHERE t.k = 1 AND d = 'x'",
            "UPDATE t SET m = 1 WHERE \"K\" = 1 AND d = 'x'",
            "UPDATE t SET m = 1 WHERE k = d AND d = 'x'",
        ] {
            assert_eq!(point(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_exact_or_left_to_the_query() {
        let found = |digits| number(digits, -1);
        assert_eq!(found("12"), Some(ScalarValue::from(-12_i64)));
        assert_eq!(found("1.50"), Some(ScalarValue::Decimal128(Some(-150), 38, 2)));
        assert_eq!(found(".5"), Some(ScalarValue::Decimal128(Some(-5), 38, 1)));
        let too_long = "9".repeat(39);
        for other in ["", ".", "1e5", "1_000", "9223372036854775808", &too_long] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
