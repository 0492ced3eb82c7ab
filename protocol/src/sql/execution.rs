//! The one execution plan of ours: something over a cube that gives batches, one after another in each
//! partition.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream;

use crate::error::SqlError;
use crate::tenant::Snapshot;

/// Makes one batch. Runs on the compute pool and not on a task of the server, unless it is quick.
pub type Producer = Box<dyn Fn() -> Result<RecordBatch> + Send + Sync>;

/// What is read of a cube: all that a plan knows of the rows is in its snapshot.
pub trait Source: Send + Sync {
    /// What it does, in a line.
    fn description(&self) -> String;

    /// The state that it reads.
    fn snapshot(&self) -> &Snapshot;

    /// The same of another state with the same definitions and members.
    fn on(&self, snapshot: Snapshot) -> Arc<dyn Source>;

    /// Whether it takes less time than to hand it to the compute pool and back.
    fn is_quick(&self) -> bool {
        false
    }

    /// The batches of a partition.
    fn producers(&self, partition: usize) -> Result<Vec<Producer>>;
}

/// Reads a cube: by a scan or by a rollup, as its description says.
pub struct CubeExec {
    source: Arc<dyn Source>,
    properties: Arc<PlanProperties>,
}

impl CubeExec {
    /// A plan of so many partitions.
    pub fn new(source: Arc<dyn Source>, schema: SchemaRef, partition_count: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partition_count),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        // it waits for the compute pool between batches, so it needs no help to yield
        let properties = properties.with_scheduling_type(SchedulingType::Cooperative);
        Self { source, properties: Arc::new(properties) }
    }

    /// The state that it reads.
    pub fn snapshot(&self) -> &Snapshot {
        self.source.snapshot()
    }

    /// Whether it takes less time than to hand it to another thread and back.
    pub fn is_quick(&self) -> bool {
        self.source.is_quick()
    }

    /// The same plan on another state with the same definitions and members.
    pub fn on(&self, snapshot: Snapshot) -> Self {
        Self { source: self.source.on(snapshot), properties: Arc::clone(&self.properties) }
    }
}

/// Pieces of work that may wait for the compute pool; more are refused with 53000.
const WAITING_MAX: usize = 4_096;

/// Those that wait or run.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// One of them, as long as it lives.
struct Place;

impl Place {
    fn take() -> Result<Self> {
        let place = Self;
        match WAITING.fetch_add(1, Ordering::Relaxed) {
            ..WAITING_MAX => Ok(place),
            _ => Err(DataFusionError::from(
                SqlError::new("53000", format!("{WAITING_MAX} queries wait for a processor"))
                    .with_hint("try again when there is less to do"),
            )),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs work on the compute pool and waits without blocking a task of the server.
pub async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let place = Place::take()?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    rayon::spawn(move || {
        let _place = place;
        let result = caught(work);
        // a reader that went away needs no answer
        let _ = sender.send(result);
    });
    receiver.await.map_err(|_| DataFusionError::Internal("a computation was lost".into()))?
}

/// The result of some work, an error where it panics.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    result.unwrap_or_else(|_| Err(DataFusionError::Internal("a computation panicked".into())))
}

impl fmt::Debug for CubeExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.description())
    }
}

impl DisplayAs for CubeExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.description())
    }
}

impl ExecutionPlan for CubeExec {
    fn name(&self) -> &'static str {
        "CubeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let producers = self.source.producers(partition)?;
        let is_quick = self.source.is_quick();
        let batches = stream::unfold(producers.into_iter(), move |mut rest| async move {
            let producer = rest.next()?;
            let batch = match is_quick {
                true => caught(&producer),
                false => compute(producer).await,
            };
            Some((batch, rest))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}
