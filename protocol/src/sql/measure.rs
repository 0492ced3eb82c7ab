//! `measure(x)`: x consolidated by the cube's own rules. The rollup rule replaces every aggregation
//! that uses it, or says why it cannot; what is left is that of no rows.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

use super::columns::CONSOLIDATED_SCALE;
use super::session::DISPLAY_SCALE_METADATA;

/// The name of the function.
pub const MEASURE: &str = "measure";

/// The aggregate function.
pub fn measure_function() -> AggregateUDF {
    AggregateUDF::from(Measure { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Measure {
    signature: Signature,
}

impl AggregateUDFImpl for Measure {
    fn name(&self) -> &str {
        MEASURE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Decimal128(_, scale)] => Ok(DataType::Decimal128(38, *scale)),
            [other] => Ok(other.clone()),
            _ => plan_err!("measure() takes one measure of a cube"),
        }
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<DataType> =
            arguments.iter().map(|field| field.data_type().clone()).collect();
        let data_type = self.return_type(&types)?;
        let metadata = arguments.first().map(|field| field.metadata());
        let scale = metadata
            .and_then(|m| m.get(CONSOLIDATED_SCALE))
            .and_then(|scale| scale.parse::<i8>().ok());
        let data_type = match (data_type, scale) {
            (DataType::Decimal128(..), Some(scale)) => DataType::Decimal128(38, scale),
            (other, _) => other,
        };
        let shown = metadata.and_then(|metadata| metadata.get(DISPLAY_SCALE_METADATA)).cloned();
        let metadata: HashMap<String, String> =
            shown.into_iter().map(|scale| (DISPLAY_SCALE_METADATA.to_string(), scale)).collect();
        Ok(Arc::new(Field::new(MEASURE, data_type, true).with_metadata(metadata)))
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let blank = ScalarValue::try_from(arguments.return_field.data_type())?;
        Ok(Box::new(OfNoRows { blank }))
    }
}

/// The measure of no rows, which is blank.
#[derive(Debug)]
struct OfNoRows {
    blank: ScalarValue,
}

impl Accumulator for OfNoRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values.iter().all(|values| values.is_empty()) {
            true => Ok(()),
            false => plan_err!(
                "measure() consolidates a cube's measure; it is used in a query that aggregates the cube itself"
            ),
        }
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.blank.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.blank.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
