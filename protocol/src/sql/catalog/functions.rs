//! PostgreSQL's functions over the catalogs and the session.
//!
//! Each is a line of a table ([`Definition`]): how many arguments, what it returns, and a plain
//! Rust function from values to a value. They take arguments of any type, since clients write oids
//! as integers, as strings and as casts of either.

mod arrays;
mod objects;
mod privileges;
mod session;
mod text;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use super::value::{Value, from_array, to_array};
use super::{Catalog, types};

pub(super) use objects::registered_name;

/// What the functions ask of the session they run in.
///
/// The functions are made once for a session and ask at each call, so they follow changes of the
/// model, of the search path and of settings.
pub trait SessionValues: Send + Sync {
    /// The catalog as the session sees it now.
    fn catalog(&self) -> Arc<Catalog>;

    /// The schemas an unqualified name is looked up in, the first one first.
    fn search_path(&self) -> Vec<String> {
        vec!["public".to_owned()]
    }

    /// The number `CancelRequest` names this session by.
    fn backend_pid(&self) -> i32;

    /// A setting's value as `SHOW` prints it; `None` if there is no such setting.
    fn setting(&self, name: &str) -> Option<String> {
        let catalog = self.catalog();
        let settings = &catalog.contents().settings;
        settings.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)).map(|s| s.1.clone())
    }

    /// Changes a setting, for the transaction or for the session, and returns its new value.
    fn set_setting(&self, name: &str, value: &str, scope: SettingScope) -> Result<String>;

    /// When the server started, in microseconds since 1970.
    fn started_at_us(&self) -> i64;

    /// The number of the open transaction.
    fn transaction_id(&self) -> i64 {
        1
    }
}

/// How long a changed setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingScope {
    /// Until the session ends.
    Session,
    /// Until the transaction ends.
    Transaction,
}

/// What a function's body is called with.
struct Context {
    values: Arc<dyn SessionValues>,
    catalog: Arc<Catalog>,
    path: Vec<String>,
}

/// Whether NULL in gives NULL out without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Strict,
    Called,
}

/// Whether two calls in one plan may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stability {
    Stable,
    Volatile,
}

type Body = fn(&Context, &[Value]) -> Result<Value>;

/// A function.
struct Definition {
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    /// A PostgreSQL type; `""` for that of the first argument.
    returns: &'static str,
    nulls: Nulls,
    stability: Stability,
    body: Body,
}

const fn strict(
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    returns: &'static str,
    body: Body,
) -> Definition {
    let (nulls, stability) = (Nulls::Strict, Stability::Stable);
    Definition { name, arguments, returns, nulls, stability, body }
}

const fn called(
    name: &'static str,
    arguments: std::ops::RangeInclusive<usize>,
    returns: &'static str,
    body: Body,
) -> Definition {
    let (nulls, stability) = (Nulls::Called, Stability::Stable);
    Definition { name, arguments, returns, nulls, stability, body }
}

impl Definition {
    const fn volatile(mut self) -> Self {
        self.stability = Stability::Volatile;
        self
    }
}

/// Every function of this module, bound to a session.
pub fn functions(values: Arc<dyn SessionValues>) -> Vec<ScalarUDF> {
    [
        objects::DEFINITIONS,
        privileges::DEFINITIONS,
        session::DEFINITIONS,
        text::DEFINITIONS,
        arrays::DEFINITIONS,
    ]
    .into_iter()
    .flatten()
    .map(|definition| ScalarUDF::new_from_impl(Function::new(definition, Arc::clone(&values))))
    .collect()
}

/// A [`Definition`] as DataFusion calls it.
struct Function {
    definition: &'static Definition,
    values: Arc<dyn SessionValues>,
    signature: Signature,
}

impl Function {
    fn new(definition: &'static Definition, values: Arc<dyn SessionValues>) -> Self {
        let arities = definition
            .arguments
            .clone()
            .map(|count| match count {
                0 => TypeSignature::Nullary,
                count => TypeSignature::Any(count),
            })
            .collect();
        let volatility = match definition.stability {
            Stability::Stable => Volatility::Stable,
            Stability::Volatile => Volatility::Volatile,
        };
        Self { definition, values, signature: Signature::one_of(arities, volatility) }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.definition.name).finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name && Arc::ptr_eq(&self.values, &other.values)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(types::arrow_type(self.definition.returns))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.definition.returns.is_empty()
            && let Some(first) = arguments.arg_fields.first()
        {
            return Ok(Arc::new(first.as_ref().clone().with_nullable(true)));
        }
        Ok(Arc::new(types::field(self.name(), self.definition.returns, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar =
            arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let volatile = self.definition.stability == Stability::Volatile;
        let count = if all_scalar && !volatile { 1 } else { arguments.number_rows };
        let mut columns = Vec::with_capacity(arguments.args.len());
        for argument in &arguments.args {
            columns.push(from_array(&argument.to_array(count)?)?);
        }
        let context = Context {
            values: Arc::clone(&self.values),
            catalog: self.values.catalog(),
            path: self.values.search_path(),
        };
        let mut results = Vec::with_capacity(count);
        let mut row = Vec::with_capacity(columns.len());
        for at in 0..count {
            row.clear();
            row.extend(columns.iter().map(|column| column[at].clone()));
            let skip = self.definition.nulls == Nulls::Strict && row.contains(&Value::Null);
            results.push(if skip { Value::Null } else { (self.definition.body)(&context, &row)? });
        }
        let results: Vec<&Value> = results.iter().collect();
        let array = to_array(arguments.return_field.data_type(), &results);
        if all_scalar && !volatile {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(
                &array, 0,
            )?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The oid of an argument; 0 where it is none.
fn oid(arguments: &[Value], at: usize) -> u32 {
    arguments.get(at).and_then(Value::as_oid).unwrap_or_default()
}

/// The text of an argument, however it came.
fn text_of(arguments: &[Value], at: usize) -> String {
    arguments.get(at).and_then(Value::print).unwrap_or_default()
}
