//! The tables of schema `perfos`: what the ledger, the branches and the rules of a tenant are.

use std::sync::Arc;

use calc::missing::{MissingMember, missing_members};
use cube::aggregate::AggregateInfo;
use cube::model::CubeKind;
use cube::segment::CubeRows;
use cube::{CubeId, MeasureId, Model, View};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::{DataFusionError, Result};

use super::{SYSTEM_SCHEMA, Scope, one_batch, relation};
use crate::branches::Branches;
use crate::rules::{RuleHistory, RuleVersion};
use crate::sql::aggregates::{keys_of, terms_of};
use crate::sql::relation::{Relation, RelationKind};
use crate::tenant::LedgerEntry;

/// Entries that `perfos.ledger` shows.
const LEDGER_ENTRIES_MAX: usize = 10_000;

/// The tables as catalogs describe them.
pub(super) fn relations() -> Vec<Relation> {
    let tables = [
        (
            "aggregates",
            aggregates_schema(),
            "Maintained aggregates of the session's branch: what they hold, their memory and how often they answered",
        ),
        ("branches", branches_schema(), "Branches: who made them, why, and what they hold"),
        ("cubes", cubes_schema(), "Cubes of the session's branch and the memory that they take"),
        (
            "ledger",
            ledger_schema(),
            "The newest ledger entries: who did what, and in how many cells which formulas were evaluated, changed or not",
        ),
        ("measures", measures_schema(), "Measures of the session's branch and what they are in"),
        ("rules", rules_schema(), "Every version of every formula of the session's branch"),
    ];
    let describe = |(name, schema, comment): (&str, SchemaRef, &str)| {
        relation(SYSTEM_SCHEMA, name, RelationKind::View, &schema, Some(comment.into()))
    };
    tables.into_iter().map(describe).collect()
}

/// One of the tables.
pub(super) async fn table(scope: &Scope, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "ledger" => {
            let entries = scope.tenant.ledger(LEDGER_ENTRIES_MAX).await;
            ledger(&entries.map_err(DataFusionError::from)?)?
        }
        "aggregates" => aggregates(&scope.snapshot_of(&scope.current).view)?,
        "branches" => branches(&scope.point.branches)?,
        "cubes" => cubes(&scope.snapshot_of(&scope.current).view)?,
        "measures" => measures(&scope.snapshot_of(&scope.current).view.version.model)?,
        "rules" => {
            let snapshot = scope.snapshot_of(&scope.current);
            rules(&scope.current.rules, &missing_members(&snapshot.view.version, &snapshot.plan))?
        }
        _ => return Ok(None),
    };
    one_batch(batch).map(Some)
}

fn ledger_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("sequence", DataType::Int64, false),
        Field::new("time", timestamp(), false),
        Field::new("branch", DataType::Utf8, false),
        Field::new("author", DataType::Utf8, false),
        Field::new("origin", DataType::Utf8, false),
        Field::new("summary", DataType::Utf8, false),
        Field::new("recomputed", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, true),
    ]))
}

fn ledger(entries: &[LedgerEntry]) -> Result<RecordBatch> {
    let text = |of: fn(&LedgerEntry) -> &str| texts(entries.iter().map(|entry| Some(of(entry))));
    let columns = vec![
        integers(entries.iter().map(|entry| Some(entry.sequence))),
        times(entries.iter().map(|entry| Some(entry.time_us))),
        text(|entry| &entry.branch),
        text(|entry| &entry.author),
        text(|entry| &entry.origin),
        text(|entry| &entry.summary),
        text(|entry| &entry.recomputed),
        texts(entries.iter().map(|entry| filled(&entry.reason))),
    ];
    Ok(RecordBatch::try_new(ledger_schema(), columns)?)
}

fn branches_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("owner", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, true),
        Field::new("base", DataType::Utf8, true),
        Field::new("base_sequence", DataType::Int64, true),
        Field::new("created_at", timestamp(), true),
        Field::new("head_sequence", DataType::Int64, false),
        Field::new("entries", DataType::Int64, false),
    ]))
}

fn branches(branches: &Branches) -> Result<RecordBatch> {
    let base = || branches.iter().map(|branch| branch.base.as_ref());
    let columns = vec![
        texts(branches.iter().map(|branch| Some(branch.name.as_ref()))),
        texts(branches.iter().map(|branch| filled(&branch.owner))),
        texts(branches.iter().map(|branch| filled(&branch.reason))),
        texts(base().map(|base| base.map(|base| base.name.as_ref()))),
        integers(base().map(|base| base.map(|base| base.sequence))),
        times(branches.iter().map(|branch| branch.created_us)),
        integers(branches.iter().map(|branch| Some(branch.sequence))),
        integers(branches.iter().map(|branch| Some(branch.entry_count))),
    ];
    Ok(RecordBatch::try_new(branches_schema(), columns)?)
}

fn cubes_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("cube", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("rows", DataType::Int64, true),
        Field::new("segments", DataType::Int64, true),
        Field::new("bytes", DataType::Int64, true),
    ]))
}

/// How much there is, for those who may see all of it.
fn cubes(view: &View) -> Result<RecordBatch> {
    let version = &view.version;
    let cubes = || version.model.cubes.iter().enumerate();
    let number = |of: fn(&CubeRows) -> usize| {
        integers(cubes().map(|(at, cube)| {
            let is_restricted = cube.dimensions.iter().any(|&id| view.allowed(id).is_some());
            (!is_restricted).then(|| of(version.rows(CubeId::from_idx(at))) as u64)
        }))
    };
    let kind = |kind: CubeKind| match kind {
        CubeKind::Cells => "cells",
        CubeKind::Records => "records",
    };
    let columns = vec![
        texts(cubes().map(|(_, cube)| Some(cube.def.name.as_str()))),
        texts(cubes().map(|(_, cube)| Some(kind(cube.def.kind)))),
        number(CubeRows::row_count),
        number(|rows| rows.segments().len()),
        number(CubeRows::size_bytes),
    ];
    Ok(RecordBatch::try_new(cubes_schema(), columns)?)
}

fn aggregates_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("cube", DataType::Utf8, false),
        Field::new("columns", DataType::Utf8, false),
        Field::new("sums", DataType::Utf8, false),
        Field::new("cells", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
        Field::new("hits", DataType::Int64, false),
        Field::new("base_rows", DataType::Int64, false),
    ]))
}

/// Those of cubes of which the reader may see all: others would tell how much there is.
fn aggregates(view: &View) -> Result<RecordBatch> {
    let version = &view.version;
    let mut found = Vec::new();
    for (at, cube) in version.model.cubes.iter().enumerate() {
        if cube.dimensions.iter().any(|&id| view.allowed(id).is_some()) {
            continue;
        }
        let id = CubeId::from_idx(at);
        let of_cube = version.rows(id).aggregates().list();
        found.extend(of_cube.into_iter().map(|aggregate| (id, cube.def.name.as_str(), aggregate)));
    }
    let columns: Vec<String> =
        found.iter().map(|(id, _, each)| keys_of(version, *id, each)).collect();
    let sums: Vec<String> =
        found.iter().map(|(id, _, each)| terms_of(version, *id, each)).collect();
    let number = |of: fn(&AggregateInfo) -> u64| {
        integers(found.iter().map(|(.., aggregate)| Some(of(aggregate))))
    };
    let columns = vec![
        texts(found.iter().map(|(_, cube, _)| Some(*cube))),
        texts(columns.iter().map(|text| Some(text.as_str()))),
        texts(sums.iter().map(|text| Some(text.as_str()))),
        number(|aggregate| aggregate.cells as u64),
        number(|aggregate| aggregate.bytes as u64),
        number(|aggregate| aggregate.hits),
        number(|aggregate| aggregate.rows as u64),
    ];
    Ok(RecordBatch::try_new(aggregates_schema(), columns)?)
}

fn measures_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("cube", DataType::Utf8, false),
        Field::new("measure", DataType::Utf8, false),
        Field::new("type", DataType::Utf8, false),
        Field::new("unit", DataType::Utf8, true),
        Field::new("computed", DataType::Boolean, false),
        Field::new("description", DataType::Utf8, true),
    ]))
}

fn measures(model: &Model) -> Result<RecordBatch> {
    let mut measures = Vec::new();
    for (at, cube) in model.cubes.iter().enumerate() {
        for (idx, def) in cube.def.measures.iter().enumerate() {
            let (cube_id, measure) = (CubeId::from_idx(at), MeasureId::from_idx(idx));
            let unit = cube.unit(measure).map(|unit| unit.text.as_str());
            measures.push((&cube.def.name, def, unit, !model.is_input(cube_id, measure)));
        }
    }
    let types: Vec<String> =
        measures.iter().map(|(_, def, ..)| def.value_type.to_string()).collect();
    let computed = measures.iter().map(|(.., computed)| Some(*computed));
    let columns: Vec<ArrayRef> = vec![
        texts(measures.iter().map(|(cube, ..)| Some(cube.as_str()))),
        texts(measures.iter().map(|(_, def, ..)| Some(def.name.as_str()))),
        texts(types.iter().map(|text| Some(text.as_str()))),
        texts(measures.iter().map(|(_, _, unit, _)| *unit)),
        Arc::new(computed.collect::<BooleanArray>()),
        texts(measures.iter().map(|(_, def, ..)| filled(&def.description))),
    ];
    Ok(RecordBatch::try_new(measures_schema(), columns)?)
}

fn rules_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("target", DataType::Utf8, false),
        Field::new("version", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("description", DataType::Utf8, true),
        Field::new("author", DataType::Utf8, false),
        Field::new("time", timestamp(), false),
        Field::new("sequence", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, true),
        Field::new("active", DataType::Boolean, false),
        Field::new("missing_members", DataType::Utf8, true),
    ]))
}

fn rules(rules: &RuleHistory, missing: &[MissingMember]) -> Result<RecordBatch> {
    let named = |rule: &RuleVersion| {
        let own = missing.iter().filter(|missing| missing.target == rule.target);
        let own: Vec<String> = own.map(MissingMember::to_string).collect();
        Some(own.join("; ")).filter(|text| !text.is_empty() && rules.is_active(rule))
    };
    let named: Vec<Option<String>> = rules.iter().map(named).collect();
    let formula = || rules.iter().map(|rule| rule.formula.as_ref());
    let active = rules.iter().map(|rule| Some(rules.is_active(rule)));
    let columns: Vec<ArrayRef> = vec![
        texts(rules.iter().map(|rule| Some(rule.target.as_str()))),
        integers(rules.iter().map(|rule| Some(u64::from(rule.version)))),
        texts(formula().map(|formula| formula.map(|formula| formula.text.as_str()))),
        texts(formula().map(|formula| filled(&formula?.description))),
        texts(rules.iter().map(|rule| Some(rule.author.as_str()))),
        times(rules.iter().map(|rule| Some(rule.time_us))),
        integers(rules.iter().map(|rule| Some(rule.sequence))),
        texts(rules.iter().map(|rule| filled(&rule.reason))),
        Arc::new(active.collect::<BooleanArray>()),
        texts(named.iter().map(Option::as_deref)),
    ];
    Ok(RecordBatch::try_new(rules_schema(), columns)?)
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

fn times(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("+00:00"))
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn integers(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    let fits = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    Arc::new(values.map(fits).collect::<Int64Array>())
}

/// A text that is not empty.
fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
