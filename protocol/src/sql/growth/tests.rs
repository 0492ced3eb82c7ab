//! Bounds against what the engine's functions make, and `||` against the operator.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};
use proptest::prelude::*;

use super::bounds::{self, Bound};
use super::*;

/// What a function makes of arguments, none where it refuses them, with its bound.
fn made(name: &str, args: Vec<ColumnarValue>, rows: usize) -> Option<(Bound, ArrayRef)> {
    let growth = Growth::new(Arc::<UnboundedMemoryPool>::default());
    let function = growth.functions().into_iter().find(|f| f.name() == name).unwrap();
    let fields: Vec<_> =
        args.iter().map(|arg| Arc::new(Field::new("x", arg.data_type(), true))).collect();
    let constants: Vec<_> = args
        .iter()
        .map(|arg| match arg {
            ColumnarValue::Scalar(scalar) => Some(scalar),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let of = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants };
    let return_field = function.return_field_from_args(of).unwrap();
    let bound = bounds::bound(name, &args, rows).unwrap();
    let args = ScalarFunctionArgs {
        args,
        arg_fields: fields,
        number_rows: rows,
        return_field,
        config_options: Arc::default(),
    };
    let value = function.invoke_with_args(args).ok()?;
    Some((bound, value.into_array(rows).unwrap()))
}

fn lengths(texts: &ArrayRef) -> Vec<u64> {
    let texts = cast(texts, &DataType::LargeUtf8).unwrap();
    texts.as_string::<i64>().iter().flatten().map(|text| text.len() as u64).collect()
}

fn text() -> impl Strategy<Value = Option<String>> {
    let piece = prop::sample::select(vec!["a", "b", ",", "ä", "ΐ", "ŉ", "\r\n", "e\u{301}", "%A"]);
    let pieces = prop::collection::vec(piece, 0..12);
    prop::option::weighted(0.9, pieces.prop_map(|pieces| pieces.concat()))
}

/// Texts of some rows, as a column or as a constant.
fn texts(rows: usize) -> impl Strategy<Value = ColumnarValue> {
    let column = prop::collection::vec(text(), rows)
        .prop_map(|texts| ColumnarValue::Array(Arc::new(StringArray::from(texts))));
    let constant = text().prop_map(|text| ColumnarValue::Scalar(ScalarValue::Utf8(text)));
    prop_oneof![column, constant]
}

fn numbers(rows: usize) -> impl Strategy<Value = ColumnarValue> {
    let number = || prop::option::weighted(0.9, -3_i64..40);
    let column = prop::collection::vec(number(), rows)
        .prop_map(|numbers| ColumnarValue::Array(Arc::new(Int64Array::from(numbers))));
    let constant = number().prop_map(|number| ColumnarValue::Scalar(ScalarValue::Int64(number)));
    prop_oneof![column, constant]
}

const ROWS: usize = 5;

fn holds(name: &str, args: Vec<ColumnarValue>) -> Result<(), TestCaseError> {
    let shown = format!("{name} {args:?}");
    if let Some((bound, array)) = made(name, args, ROWS) {
        let lengths = lengths(&array);
        let (total, longest) = (lengths.iter().sum(), lengths.iter().max().copied().unwrap_or(0));
        prop_assert!(bound.total >= total, "{shown}: {bound:?} but {total}");
        let is_linear = bound.longest == 0;
        prop_assert!(is_linear || bound.longest >= longest, "{shown}: {bound:?} but {longest}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_function_makes_more_than_its_bound(
        [a, b, c] in [texts(ROWS), texts(ROWS), texts(ROWS)],
        number in numbers(ROWS),
        pattern in prop::sample::select(vec!["a", "(a)(b)?", "", "(.)", "((((.*))))", "[aä]+"]),
        data_type in prop::sample::select(vec![
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
        ]),
        to in prop::sample::select(vec!["", "xyz", r"\1\1", "$0-$1", "${1}ä"]),
    ) {
        let as_type = |texts: &ColumnarValue| texts.cast_to(&data_type, None).unwrap();
        let constant =
            |text: &str| as_type(&ColumnarValue::Scalar(ScalarValue::from(text)));
        let [a, b, c] = [a, b, c].each_ref().map(as_type);
        holds("repeat", vec![a.clone(), number.clone()])?;
        for pad in ["lpad", "rpad"] {
            holds(pad, vec![a.clone(), number.clone()])?;
            holds(pad, vec![a.clone(), number.clone(), b.clone()])?;
        }
        for three in ["replace", "concat", "concat_ws"] {
            holds(three, vec![a.clone(), b.clone(), c.clone()])?;
        }
        let [from, to_others] = [&b, &c].map(|texts| texts.cast_to(&DataType::Utf8, None).unwrap());
        holds("translate", vec![a.clone(), from, to_others])?;
        holds("concat_ws", vec![a.clone(), b.clone(), c.clone(), a.clone(), b.clone()])?;
        for one in ["upper", "lower", "initcap", "reverse", "btrim"] {
            holds(one, vec![a.clone()])?;
        }
        holds("overlay", vec![a.clone(), b.clone(), number.clone()])?;
        holds("split_part", vec![a.clone(), b.clone(), number])?;
        for flags in ["", "g", "gi"] {
            let args = vec![a.clone(), constant(pattern), constant(to), constant(flags)];
            holds("regexp_replace", args)?;
        }
    }
}

#[test]
fn what_multiplies_is_seen_before_it_is_made() {
    let text = |text: &str| ColumnarValue::Scalar(ScalarValue::from(text));
    let number = |number: i64| ColumnarValue::Scalar(ScalarValue::Int64(Some(number)));
    let longest =
        |name: &str, args: &[ColumnarValue]| bounds::bound(name, args, 1).unwrap().longest;
    assert_eq!(longest("repeat", &[text("xy"), number(2_000_000_000)]), 4_000_000_000);
    assert_eq!(longest("repeat", &[text("xyz"), number(i64::MAX)]), u64::MAX);
    assert_eq!(longest("repeat", &[text("xy"), number(-1)]), 0);
    assert_eq!(longest("lpad", &[text("x"), number(1_000)]), 1_001);
    let (many, long) = (text(&"a".repeat(1_000)), text(&"b".repeat(1_000)));
    assert_eq!(longest("replace", &[many.clone(), text("a"), long.clone()]), 1_001_000);
    assert_eq!(longest("replace", &[many.clone(), text("c"), long.clone()]), 1_000);
    assert_eq!(longest("concat", &[many.clone(), long.clone()]), 2_000);
    let replaced = [many, text("a"), long, text("g")];
    assert_eq!(longest("regexp_replace", &replaced), 1_000 + 1_001 * 1_000);
}

#[test]
fn memory_is_held_as_long_as_a_part_of_the_result() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
    let growth = Growth::new(Arc::clone(&pool));
    let repeat = growth.functions().into_iter().find(|f| f.name() == "repeat").unwrap();
    let call = |times: i64| {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("ab"), None, Some("c")]));
        let args =
            vec![ColumnarValue::Array(texts), ColumnarValue::Scalar(ScalarValue::from(times))];
        let field = |data_type| Arc::new(Field::new("x", data_type, true));
        repeat.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields: vec![field(DataType::Utf8), field(DataType::Int64)],
            number_rows: 3,
            return_field: field(DataType::Utf8),
            config_options: Arc::default(),
        })
    };
    let array = call(100_000).unwrap().into_array(3).unwrap();
    assert!((300_000..400_000).contains(&pool.reserved()), "{}", pool.reserved());
    let part = array.slice(2, 1);
    drop(array);
    assert!(pool.reserved() >= 300_000);
    assert_eq!(part.as_string::<i32>().value(0).len(), 100_000);
    drop(part);
    assert_eq!(pool.reserved(), 0);
    assert!(matches!(call(1_000_000), Err(DataFusionError::ResourcesExhausted(_))));
    assert_eq!(pool.reserved(), 0);
    let error = crate::sql::sqlstate::from_engine(&call(10_000_000).unwrap_err(), "");
    assert_eq!(error.sqlstate, "54000");
}
