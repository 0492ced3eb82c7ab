//! `measure(x)`: x consolidated by the cube's own rules. It has no accumulator: the rollup rule
//! replaces every aggregation that uses it, or says why it cannot.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::plan_err;
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

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        plan_err!(
            "measure() consolidates a cube's measure; it is used in a query that aggregates the cube itself"
        )
    }
}
