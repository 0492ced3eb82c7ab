//! A function of the engine that asks for the memory of its result first.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayData, ArrayRef, make_array};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{ExprSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, StructFieldMapping, Volatility,
};

use super::batches::SHORT_BYTES_MAX;
use super::{
    BATCH_BYTES_MAX, FOLDED_BYTES_MAX, Growth, PLANNING, Phase, TEXT_BYTES_MAX,
    UNCOUNTED_BYTES_MAX, bounds, too_long, too_much,
};
use crate::error::SqlError;

#[derive(Debug)]
pub struct Counted {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Counted {
    pub fn new(inner: Arc<ScalarUDF>, growth: Growth) -> Self {
        Self { inner, growth }
    }

    pub fn is(function: &ScalarUDF) -> bool {
        function.inner().is::<Self>()
    }

    /// A value of one size, such as a length, of constants that are too long to be in the plan.
    fn value_of_long_constants(
        &self,
        args: &[Expr],
        info: &SimplifyContext,
    ) -> Result<Option<ScalarValue>> {
        let is_long = args.iter().any(|arg| matches!(arg, Expr::ScalarFunction(_)));
        if !is_long || !args.iter().all(is_constant) {
            return Ok(None);
        }
        let call = self.growth.call(&self.inner, args.to_vec());
        if !is_constant(&call) || bounds::is_variable(&info.get_data_type(&call)?) {
            return Ok(None);
        }
        self.growth.evaluated(&call)
    }

    /// The result of constants: a long one is made for each row, as whoever takes it would.
    fn constant(
        &self,
        value: ScalarValue,
        rows: usize,
        grant: MemoryReservation,
    ) -> Result<ColumnarValue> {
        let bytes = bounds::scalar_bytes(&value);
        if bytes <= SHORT_BYTES_MAX {
            return Ok(ColumnarValue::Scalar(value));
        }
        if let Ok(made) = PLANNING.try_with(|planning| Arc::clone(&planning.made)) {
            made.try_grow(to_usize(bytes))?;
            return Ok(ColumnarValue::Scalar(value));
        }
        let total = bytes.saturating_mul(rows as u64);
        if total > BATCH_BYTES_MAX {
            return Err(too_much(self.name(), total));
        }
        grant.try_resize(to_usize(total))?;
        Ok(ColumnarValue::Array(kept_with(value.to_array_of_size(rows)?, grant)?))
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Counted {}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

#[warn(clippy::missing_trait_methods)] // whatever is not passed on would change what it means
impl ScalarUDFImpl for Counted {
    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = self.signature().volatility != Volatility::Volatile
            && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = args.number_rows;
        if is_constant {
            args.number_rows = 1;
        }
        if let ("lpad" | "rpad", [_, length, ..]) = (self.name(), args.args.as_mut_slice()) {
            *length = bounds::not_negative(length);
        }
        let grows = bounds::is_variable(args.return_field.data_type());
        let bound = match grows {
            true => bounds::bound(self.name(), &args.args, args.number_rows)?,
            false => bounds::of_arguments(&args.args, args.number_rows),
        };
        if grows && bound.longest > TEXT_BYTES_MAX {
            return Err(too_long(self.name(), bound.longest));
        }
        if bound.total > BATCH_BYTES_MAX {
            return Err(too_much(self.name(), bound.total));
        }
        let is_folding = || PLANNING.try_with(|p| p.phase == Phase::Folding).unwrap_or(false);
        if grows && is_constant && bound.total > FOLDED_BYTES_MAX && is_folding() {
            let message = format!("{} makes a long constant", self.name());
            return Err(SqlError::new("54000", message).into());
        }
        let grant = MemoryConsumer::new(self.name()).register(&self.growth.pool);
        if bound.total > UNCOUNTED_BYTES_MAX {
            grant.try_grow(to_usize(bound.total))?;
        }
        match self.inner.invoke_with_args(args)? {
            ColumnarValue::Array(array) if is_constant => {
                self.constant(ScalarValue::try_from_array(&array, 0)?, rows, grant)
            }
            ColumnarValue::Array(array) if grows => {
                Ok(ColumnarValue::Array(kept_with(array, grant)?))
            }
            ColumnarValue::Scalar(value) if grows => self.constant(value, rows, grant),
            other => Ok(other),
        }
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let Some(value) = self.value_of_long_constants(&args, info)? {
            return Ok(ExprSimplifyResult::Simplified(Expr::Literal(value, None)));
        }
        Ok(match self.inner.simplify(args, info)? {
            ExprSimplifyResult::Simplified(expression) => {
                ExprSimplifyResult::Simplified(self.growth.count(expression)?.data)
            }
            original => original,
        })
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = self.inner.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(Self::new(Arc::new(inner), self.growth.clone())))
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        #[expect(deprecated)]
        self.inner.display_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_nullable(&self, args: &[Expr], schema: &dyn ExprSchema) -> bool {
        #[expect(deprecated)]
        self.inner.is_nullable(args, schema)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.inner.preimage(args, literal, info)
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn struct_field_mapping(&self, args: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(args)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }
}

/// Whether an expression is calls of functions and constants that always have the same value.
pub fn is_constant(expression: &Expr) -> bool {
    let differs = expression.exists(|inner| {
        Ok(match inner {
            Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
            Expr::Literal(..) | Expr::Cast(_) => false,
            _ => true,
        })
    });
    !differs.unwrap_or(true)
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A buffer, and the memory that was asked for it.
struct Kept {
    buffer: Buffer,
    _grant: Arc<MemoryReservation>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

/// The array, whose memory is given back when nothing holds a part of it any more.
fn kept_with(array: ArrayRef, grant: MemoryReservation) -> Result<ArrayRef> {
    let is_view = matches!(array.data_type(), DataType::Utf8View | DataType::BinaryView);
    let held = array.get_buffer_memory_size();
    // views may share the memory of what they were made from
    let held = if is_view { held.min(grant.size()) } else { held };
    if held as u64 <= UNCOUNTED_BYTES_MAX {
        return Ok(array);
    }
    grant.try_resize(held)?;
    Ok(make_array(with_grant(array.to_data(), &Arc::new(grant))?))
}

fn with_grant(data: ArrayData, grant: &Arc<MemoryReservation>) -> Result<ArrayData> {
    let kept = |buffer: &Buffer| {
        let owner = Kept { buffer: buffer.clone(), _grant: Arc::clone(grant) };
        Buffer::from(bytes::Bytes::from_owner(owner))
    };
    let buffers = data.buffers().iter().map(kept).collect();
    let children = data.child_data().iter().map(|child| with_grant(child.clone(), grant));
    let children = children.collect::<Result<Vec<_>>>()?;
    let data = data.into_builder().buffers(buffers).child_data(children).build();
    data.map_err(DataFusionError::from)
}
