//! A cube as a table: its scan, row by row, with every predicate evaluated exactly.

use std::sync::Arc;

use async_trait::async_trait;
use cube::rollup::{Request, selector};
use cube::segment::{Keys, Segment, SegmentView};
use cube::{CubeId, KeyType, ValueType};
use datafusion::arrow::array::{
    ArrayRef, Date32Array, Int16Array, Int32Array, Int64Array, StringArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::columns::{ColumnSource, CubeColumns};
use super::execution::{CubeExec, Producer, Source};
use super::filter::{Predicates, can_evaluate};
use super::members::{MemberCache, value_array};
use crate::tenant::Snapshot;

/// A cube in one snapshot, as SQL sees it.
#[derive(Debug, Clone)]
pub struct CubeTable {
    /// The snapshot that is read.
    pub snapshot: Snapshot,
    /// The cube.
    pub cube: CubeId,
    /// Its columns.
    pub columns: CubeColumns,
    /// Member columns already built.
    pub members: MemberCache,
}

impl CubeTable {
    /// A cube of a snapshot.
    pub fn new(snapshot: Snapshot, cube: CubeId, members: MemberCache) -> Self {
        let columns = CubeColumns::new(&snapshot.view.version, cube);
        Self { snapshot, cube, columns, members }
    }

    /// The same cube in another state with the same definitions and members.
    pub fn on(&self, snapshot: Snapshot) -> Self {
        let (columns, members) = (self.columns.clone(), self.members.clone());
        Self { snapshot, cube: self.cube, columns, members }
    }

    /// The cube's name.
    pub fn name(&self) -> &str {
        &self.definition().def.name
    }

    /// The cube's definition.
    pub fn definition(&self) -> &cube::model::Cube {
        self.snapshot.view.version.model.cube_def(self.cube)
    }

    /// Key and levels of a dimension of the cube, one row a member.
    pub fn member_batch(&self, position: usize) -> Result<RecordBatch> {
        let cube = self.definition();
        let version = &self.snapshot.view.version;
        self.members.get(version, cube.dimensions[position], cube.levels[position])
    }

    /// Some columns of some rows of a segment.
    pub fn batch(&self, segment: &Segment, rows: &[u32], columns: &[usize]) -> Result<RecordBatch> {
        let schema = Arc::new(self.columns.schema.project(columns)?);
        let arrays =
            columns.iter().map(|&column| self.column(segment, rows, self.columns.sources[column]));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(schema, arrays, &options)?)
    }

    fn column(&self, segment: &Segment, rows: &[u32], source: ColumnSource) -> Result<ArrayRef> {
        match source {
            ColumnSource::Key(idx) => {
                Ok(key_column(self.definition().def.key[idx].key_type, &segment.keys[idx], rows))
            }
            ColumnSource::Dimension(position) => self.member_column(segment, rows, position, 0),
            ColumnSource::Level(position, level) => {
                self.member_column(segment, rows, position, level + 1)
            }
            ColumnSource::Measure(measure) => {
                let value_type = self.definition().measure_def(measure).value_type;
                let values = segment.values.get(measure.idx());
                let stored = rows.iter().map(|&row| values.and_then(|v| v.get(row as usize)));
                if value_type == ValueType::Text {
                    let texts = &self.snapshot.view.version.texts;
                    let text = |code: Option<i64>| code.map(|code| texts.text(code).as_ref());
                    return Ok(Arc::new(stored.map(text).collect::<StringArray>()));
                }
                value_array(value_type, stored)
            }
        }
    }

    fn member_column(
        &self,
        segment: &Segment,
        rows: &[u32],
        position: usize,
        column: usize,
    ) -> Result<ArrayRef> {
        let codes = &segment.coordinates[position];
        let members: UInt32Array =
            rows.iter().map(|&row| Some(codes.get(row as usize).0)).collect();
        Ok(take(self.member_batch(position)?.column(column), &members, None)?)
    }
}

/// A column of row keys.
fn key_column(key_type: KeyType, keys: &Keys, rows: &[u32]) -> ArrayRef {
    let integer = |row: &u32| keys.integer(*row as usize);
    let text = |row: &u32| keys.text(*row as usize);
    let narrow = |row: &u32| integer(row).and_then(|value| i32::try_from(value).ok());
    match key_type {
        KeyType::Text => Arc::new(rows.iter().map(text).collect::<StringArray>()),
        KeyType::Smallint => Arc::new(
            rows.iter()
                .map(|row| integer(row).and_then(|v| i16::try_from(v).ok()))
                .collect::<Int16Array>(),
        ),
        KeyType::Integer => Arc::new(rows.iter().map(narrow).collect::<Int32Array>()),
        KeyType::Bigint => Arc::new(rows.iter().map(integer).collect::<Int64Array>()),
        KeyType::Date => Arc::new(rows.iter().map(narrow).collect::<Date32Array>()),
    }
}

#[async_trait]
impl TableProvider for CubeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if can_evaluate(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..self.columns.sources.len()).collect());
        let schema: Schema = self.columns.schema.project(&columns)?;
        let predicates = Arc::new(Predicates::new(self, filters)?);
        let segments = self.snapshot.view.version.rows(self.cube).segments();
        let partition_count = state.config().target_partitions().min(segments.len()).max(1);
        let scan = Scan { table: Arc::new(self.clone()), predicates, columns, partition_count };
        Ok(Arc::new(CubeExec::new(Arc::new(scan), Arc::new(schema), partition_count)))
    }
}

/// The rows of a cube that meet predicates; segments go to partitions in turn.
struct Scan {
    table: Arc<CubeTable>,
    predicates: Arc<Predicates>,
    columns: Vec<usize>,
    partition_count: usize,
}

impl Source for Scan {
    fn description(&self) -> String {
        format!("CubeScan: {}{}", self.table.name(), self.predicates.description())
    }

    fn snapshot(&self) -> &Snapshot {
        &self.table.snapshot
    }

    fn on(&self, snapshot: Snapshot) -> Arc<dyn Source> {
        let table = Arc::new(self.table.on(snapshot));
        let (predicates, columns) = (Arc::clone(&self.predicates), self.columns.clone());
        Arc::new(Self { table, predicates, columns, partition_count: self.partition_count })
    }

    fn producers(&self, partition: usize) -> Result<Vec<Producer>> {
        // within the reader's rights
        let request = Request {
            filters: self.predicates.filters.clone(),
            ranges: self.predicates.ranges.clone(),
            ..Request::of(self.table.cube)
        };
        let view = &self.table.snapshot.view;
        let selector = Arc::new(selector(view, &request));
        let segments = view.version.rows(self.table.cube).segments();
        let own = segments.iter().skip(partition).step_by(self.partition_count);
        let producer = |view: &SegmentView| -> Producer {
            let (table, predicates) = (Arc::clone(&self.table), Arc::clone(&self.predicates));
            let (columns, selector) = (self.columns.clone(), Arc::clone(&selector));
            let view = view.clone();
            Box::new(move || {
                table.snapshot.view.interrupt.check().map_err(external)?;
                let rows = view.rows_with(&selector);
                let rows = predicates.residual_rows(&table, &view.segment, rows)?;
                table.batch(&view.segment, &rows, &columns)
            })
        };
        Ok(own.map(producer).collect())
    }
}

/// An error of the cube inside the engine.
pub fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
