//! Rollups: a request, collected segment by segment in parallel into mergeable partial results,
//! merged in the order of segments, finished into one row a group.
//!
//! Sums are of integers, so the answer is the same whatever the threads and segments. Groups come
//! out in the order of their codes.

mod accumulate;
mod arithmetic;
mod collect;
mod covered;
mod group;
mod leaves;
mod weights;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::aggregate::AggregateInfo;
use crate::dimension::{Dimension, LevelGroups};
use crate::error::{CubeError, Result};
use crate::id::{CubeId, HierarchyId, LevelId, MeasureId, MemberId};
use crate::model::{Consolidation, Cube, CubeKind, TimeSummary};
use crate::segment::{RowSet, SegmentView, Selector, ValueRange, Wanted};
use crate::value::ValueType;
use crate::view::{MemoryGrant, View};

use accumulate::Partial;
use collect::{Collection, Collector};
use covered::Question;
use group::{AxisTable, GroupTables};
use leaves::LeafTable;
use weights::WeightTables;

pub use arithmetic::{Arithmetic, Operator};
pub(crate) use arithmetic::{Integers, Prepared};

/// Cubes of fewer rows are not worth another thread.
const PARALLEL_ROWS: usize = 16_384;

/// What to roll up.
pub struct Request<'a> {
    /// The cube.
    pub cube: CubeId,
    /// What to group by; none gives one group, even over no rows.
    pub axes: Vec<Axis>,
    /// Which members are wanted, and to which grain they pin their dimension.
    pub filters: Vec<Filter>,
    /// Which values are wanted.
    pub ranges: Vec<ValueRange>,
    /// Rows wanted, beyond what filters and ranges can say.
    pub selection: Option<&'a Selection<'a>>,
    /// What [`Output::SumOf`] adds up, by position.
    pub computed: Vec<Arithmetic>,
    /// What [`Output::CountDistinct`] tells apart, by position.
    pub distinct: Vec<Distinct>,
    /// What to compute for every group.
    pub outputs: Vec<Output>,
}

impl Request<'_> {
    /// A request for nothing of a cube, to be filled in.
    pub fn of(cube: CubeId) -> Self {
        Self {
            cube,
            axes: Vec::new(),
            filters: Vec::new(),
            ranges: Vec::new(),
            selection: None,
            computed: Vec::new(),
            distinct: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// Whether rows are wanted for what they are, beyond their members.
    pub fn has_row_conditions(&self) -> bool {
        self.selection.is_some() || !self.ranges.is_empty()
    }
}

/// Says which of some rows of a segment are wanted.
pub type Selection<'a> = dyn Fn(&SegmentView, RowSet) -> Result<RowSet> + Sync + 'a;

/// A grouping by a property of one dimension's members.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Position of the dimension in the cube.
    pub position: usize,
    /// Per member, the code of its group.
    pub codes: Arc<Vec<u32>>,
    /// Codes are below it.
    pub cardinality: u32,
    /// What the groups are.
    pub grain: Grain,
}

/// Properties of one dimension's members that are counted, each once.
#[derive(Debug, Clone)]
pub struct Distinct {
    /// The values of members, as codes.
    pub values: Axis,
    /// The code that is no value.
    pub blank: Option<u32>,
}

/// Members of one dimension that are wanted.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Position of the dimension in the cube.
    pub position: usize,
    /// The members wanted, of those that hold facts.
    pub members: RoaringBitmap,
    /// To which grain naming the members pins the dimension.
    pub grain: Grain,
    /// The level, by position in a hierarchy, with whose names and those above it the members were
    /// chosen: of those with the same ancestors down to it, all that hold facts or none.
    pub level: Option<(HierarchyId, usize)>,
}

/// How fine a request looks at a dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Not at single members of any level.
    Free,
    /// At members of a level: by position in a hierarchy.
    Level(HierarchyId, usize),
    /// At the members that hold the cube's facts: leaves, or those of the level at which the cube
    /// uses the dimension.
    Leaf,
}

/// What to compute of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// The measure by its own rules (all but formulas, which are made of these).
    Consolidated(MeasureId),
    /// Plain sum of leaves.
    Sum(MeasureId),
    /// Plain sum of what is computed of each row: a position in [`Request::computed`].
    SumOf(usize),
    /// Leaves with a value.
    Count(MeasureId),
    /// Different values of a property of members: a position in [`Request::distinct`].
    CountDistinct(usize),
    /// Smallest leaf.
    Min(MeasureId),
    /// Largest leaf.
    Max(MeasureId),
    /// Cells or rows.
    CountRows,
}

/// The result: one row a group, in the order of codes.
#[derive(Debug, Clone)]
pub struct Rollup {
    /// Number of groups.
    pub group_count: usize,
    /// Per axis, the code of each group.
    pub codes: Vec<Vec<u32>>,
    /// Per output, its values.
    pub columns: Vec<RollupColumn>,
    /// Cells and differences of the aggregate that answered; none where rows were read.
    pub cells: Option<u64>,
}

/// One output's values.
#[derive(Debug, Clone)]
pub struct RollupColumn {
    /// Digits after the point of every value.
    pub scale: u32,
    /// One value a group; none is blank.
    pub values: Vec<Option<i128>>,
}

/// Weights of one dimension's members in a request.
struct DimensionWeights<'a> {
    position: usize,
    /// One weight a member, in as many factors as there are weighted hierarchies in play.
    factors: Vec<&'a [i64]>,
    scale: u32,
}

/// What follows from a request and the version that is read.
struct Parts<'a> {
    dimensions: Vec<&'a Dimension>,
    weights: Vec<DimensionWeights<'a>>,
    plans: Vec<OutputPlan>,
    /// Per dimension, the members that filters and rights leave.
    filters: Vec<Option<RoaringBitmap>>,
}

impl<'a> Parts<'a> {
    fn of(view: &'a View, request: &Request<'_>) -> Result<Self> {
        let version = &view.version;
        let cube = version.model.cube_def(request.cube);
        let dimensions: Vec<&Dimension> =
            cube.dimensions.iter().map(|&id| version.dimension(id)).collect();
        let weights = request_weights(request, cube, &dimensions);
        let blank_above_leaves = !is_at_leaves(request, dimensions.len());
        let plans = output_plans(view, request, &dimensions, blank_above_leaves)?;
        let filters = effective_filters(view, request, &dimensions);
        Ok(Self { dimensions, weights, plans, filters })
    }

    /// The question for aggregates; none where none can answer it.
    fn question<'q>(&'q self, view: &'q View, request: &'q Request<'q>) -> Option<Question<'q>> {
        let kinds = self.plans.iter().map(|plan| &plan.kind);
        Question::new(view, request, &self.dimensions, &self.filters, &self.weights, kinds)
    }

    /// A table for each dimension along which one date counts.
    fn leaf_tables(
        &self,
        view: &View,
        request: &Request<'_>,
        groups: &GroupTables,
    ) -> Result<Vec<LeafTable>> {
        let positions = self.plans.iter().filter_map(|plan| match plan.kind {
            OutputKind::SemiAdditive { position, .. } => Some(position),
            _ => None,
        });
        let positions: BTreeSet<usize> = positions.collect();
        let table = |position| LeafTable::new(view, request, self, groups, position);
        positions.into_iter().map(table).collect()
    }
}

/// Runs a rollup.
pub fn rollup(view: &View, request: &Request<'_>) -> Result<Rollup> {
    let version = &view.version;
    let cube = version.model.cube_def(request.cube);
    let parts = Parts::of(view, request)?;
    let question = parts.question(view, request);
    let answer = question.as_ref().and_then(Question::answer);
    let Parts { dimensions, weights, plans, filters } = &parts;
    let rows = version.rows(request.cube);
    let row_count = rows.row_count();
    if let Some((question, answer)) = question.as_ref().zip(answer) {
        let codes = |axis: &Axis| answer.codes(question, axis);
        let groups = GroupTables::of_codes(request, cube, dimensions, codes, row_count)?;
        let collection = Collection { plans: plans.as_slice(), groups, leaves: Vec::new() };
        let partial = answer.partial(question, &collection)?;
        let _grant = view.memory.reserve(partial.size_bytes())?;
        return Ok(Rollup { cells: Some(answer.cells()), ..collection.finish(partial)? });
    }
    let groups = GroupTables::new(request, cube, dimensions, filters, row_count)?;
    let leaves = parts.leaf_tables(view, request, &groups)?;
    let collection = Collection { plans: plans.as_slice(), groups, leaves };
    let selector = selector_of(view, request, dimensions, filters);
    let selection = request.selection;
    let weights = WeightTables::new(weights);
    let collector = Collector { collection: &collection, selector, selection, weights };
    // each task takes the next segment until there is none: sums are exact, so whichever it is
    let next = AtomicUsize::new(0);
    let task = |_| -> Result<(Partial, MemoryGrant)> {
        let mut grant = view.memory.reserve(collection.slots_bytes())?;
        let mut partial = collection.empty();
        grant.grow_to(partial.size_bytes())?;
        while let Some(segment) = rows.segments().get(next.fetch_add(1, Ordering::Relaxed)) {
            view.interrupt.check()?;
            collector.collect(segment, &mut partial)?;
            grant.grow_to(partial.size_bytes())?;
        }
        Ok((partial, grant))
    };
    let task_count = match row_count {
        ..PARALLEL_ROWS => 1,
        _ => rayon::current_num_threads().min(rows.segments().len()).max(1),
    };
    let partials: Vec<(Partial, MemoryGrant)> = match task_count {
        1 => vec![task(0)?],
        _ => (0..task_count).into_par_iter().map(task).collect::<Result<_>>()?,
    };
    let mut partials = partials.into_iter();
    let Some((mut total, mut grant)) = partials.next() else {
        return collection.finish(collection.empty());
    };
    for (partial, _grant) in partials {
        view.interrupt.check()?;
        total.merge(partial)?;
        grant.grow_to(total.size_bytes())?;
    }
    collection.finish(total)
}

/// Finds the rows that filters, ranges and the reader's rights leave; what the selection says is left
/// to the caller.
pub fn selector(view: &View, request: &Request<'_>) -> Selector<'static> {
    let cube = view.version.model.cube_def(request.cube);
    let dimensions: Vec<&Dimension> =
        cube.dimensions.iter().map(|&id| view.version.dimension(id)).collect();
    let filters = effective_filters(view, request, &dimensions);
    selector_of(view, request, &dimensions, &filters)
}

/// Where the answer of a request comes from.
#[derive(Debug)]
pub struct Covering {
    /// The aggregate.
    pub aggregate: AggregateInfo,
    /// Its cells that are read, and differences from its base.
    pub cells: u64,
}

/// The aggregate that answers a request as things are; none where rows are scanned.
pub fn source(view: &View, request: &Request<'_>) -> Result<Option<Covering>> {
    let parts = Parts::of(view, request)?;
    let answer = parts.question(view, request).and_then(|question| question.best());
    Ok(answer.map(|answer| Covering { aggregate: answer.aggregate.info(), cells: answer.cells() }))
}

/// The same from the members that are left of each dimension.
fn selector_of(
    view: &View,
    request: &Request<'_>,
    dimensions: &[&Dimension],
    filters: &[Option<RoaringBitmap>],
) -> Selector<'static> {
    let cube = view.version.model.cube_def(request.cube);
    let restricted = rights(view, request);
    let wanted = filters.iter().enumerate().filter_map(|(position, members)| {
        let (dimension, level) = (dimensions[position], cube.levels[position]);
        let is_restricted = restricted.iter().any(|(other, _)| *other == position);
        let groups = filter_groups(request, position, dimension, level).filter(|_| !is_restricted);
        let facts = Arc::clone(dimension.facts_at(level));
        // rights name members that hold no facts too, and would be counted as if they did
        let members = Cow::Owned(members.as_ref()? & facts.as_ref());
        Some(Wanted::of_dimension(position, members, facts, groups))
    });
    Selector::of(wanted.collect(), request.ranges.clone())
}

/// The groups by which all filters of a dimension tell its members apart.
fn filter_groups(
    request: &Request<'_>,
    position: usize,
    dimension: &Dimension,
    facts: Option<LevelId>,
) -> Option<Arc<LevelGroups>> {
    let filters = request.filters.iter().filter(|filter| filter.position == position);
    let levels: Vec<(HierarchyId, usize)> =
        filters.map(|filter| filter.level).collect::<Option<_>>()?;
    let &(hierarchy, _) = levels.first()?;
    let is_same = levels.iter().all(|(other, _)| *other == hierarchy);
    let lowest = levels.iter().map(|(_, position)| *position).max().filter(|_| is_same)?;
    dimension.column_groups(facts, hierarchy, lowest)
}

/// The grain of one dimension in a request: all pins on it, the finest per hierarchy.
fn pins(request: &Request<'_>, position: usize) -> (bool, BTreeMap<HierarchyId, usize>) {
    let axes = request.axes.iter().filter(|axis| axis.position == position).map(|axis| axis.grain);
    let filters = request.filters.iter().filter(|f| f.position == position).map(|f| f.grain);
    let mut leaf = false;
    let mut levels = BTreeMap::new();
    for grain in axes.chain(filters) {
        match grain {
            Grain::Free => {}
            Grain::Leaf => leaf = true,
            Grain::Level(hierarchy, level) => {
                let finest = levels.entry(hierarchy).or_insert(level);
                *finest = level.max(*finest);
            }
        }
    }
    (leaf, levels)
}

/// Weights run from the leaf up to the level that the request names, or to the top of the default
/// hierarchy where it names none.
fn request_weights<'a>(
    request: &Request<'_>,
    cube: &Cube,
    dimensions: &[&'a Dimension],
) -> Vec<DimensionWeights<'a>> {
    let mut all = Vec::new();
    for (position, dimension) in dimensions.iter().enumerate() {
        let (leaf, levels) = pins(request, position);
        let default = dimension.def.default_hierarchy(cube.levels[position]);
        let Some(default) = default.filter(|_| !leaf) else { continue };
        let mut weights = DimensionWeights { position, factors: Vec::new(), scale: 0 };
        let mut add = |hierarchy: HierarchyId, level: Option<usize>| {
            if let Some(path) = &dimension.shape(hierarchy).weights {
                weights.factors.push(match level {
                    Some(level) => &path.to_level[level],
                    None => &path.to_top,
                });
                weights.scale += path.scale;
            }
        };
        if levels.is_empty() {
            add(default, None);
        }
        levels.into_iter().for_each(|(hierarchy, level)| add(hierarchy, Some(level)));
        if !weights.factors.is_empty() {
            all.push(weights);
        }
    }
    all
}

/// Whether every dimension is at single leaves: there, a consolidated value is the leaf's own.
fn is_at_leaves(request: &Request<'_>, dimension_count: usize) -> bool {
    (0..dimension_count).all(|position| is_at_single_leaves(request, position))
}

/// Whether no group has two leaves of a dimension. A filter that names several does not see to it.
fn is_at_single_leaves(request: &Request<'_>, position: usize) -> bool {
    let single = |filter: &Filter| filter.position == position && filter.members.len() <= 1;
    let grouped = |axis: &Axis| axis.position == position && axis.grain == Grain::Leaf;
    request.axes.iter().any(grouped) || request.filters.iter().any(single)
}

/// Why plain sums of a measure's leaves would differ from its own consolidation, if they can.
pub fn misleading_sum(view: &View, request: &Request<'_>, measure: MeasureId) -> Option<String> {
    let version = &view.version;
    let cube = version.model.cube_def(request.cube);
    let def = cube.measure_def(measure);
    let dimensions: Vec<&Dimension> =
        cube.dimensions.iter().map(|&id| version.dimension(id)).collect();
    match def.consolidation {
        Consolidation::Sum => {}
        Consolidation::Formula => return Some("it is a formula of its operands' totals".into()),
        other => {
            return Some(format!("it consolidates by {}", format!("{other:?}").to_lowercase()));
        }
    }
    let filters = effective_filters(view, request, &dimensions);
    let wanted = |position: usize, member: MemberId| {
        let filter = filters[position].as_ref();
        dimensions[position].holds_facts_at(cube.levels[position], member)
            && filter.is_none_or(|members| members.contains(member.0))
    };
    for weights in request_weights(request, cube, &dimensions) {
        let unit: i128 = 10i128.pow(weights.scale.min(38));
        let dimension = dimensions[weights.position];
        let weighted = dimension.members().find(|&member| {
            let product: i128 =
                weights.factors.iter().map(|factor| i128::from(factor[member.idx()])).product();
            wanted(weights.position, member) && product != unit
        });
        if let Some(member) = weighted {
            return Some(format!(
                "the hierarchy of {} is weighted, and {:?} does not count as 1",
                dimension.def.name,
                dimension.name(member)
            ));
        }
    }
    let rule = cube.time[measure.idx()].as_ref()?;
    let filter = filters[rule.position].as_ref();
    if is_at_single_leaves(request, rule.position)
        || filter.is_some_and(|members| members.len() <= 1)
    {
        return None;
    }
    let stock = match rule.by {
        None => (rule.default != TimeSummary::Sum).then(String::new),
        Some((position, attribute)) => {
            let dimension = dimensions[position];
            let summaries = summaries(rule, dimension, attribute);
            let found = dimension.members().find(|&member| {
                wanted(position, member) && summaries[member.idx()] != TimeSummary::Sum
            });
            found.map(|member| format!(" of {:?}", dimension.name(member)))
        }
    }?;
    Some(format!("values{stock} do not add up along {}", dimensions[rule.position].def.name))
}

/// Per member of the dimension that chooses, the rule along time.
fn summaries(
    rule: &crate::model::TimeRule,
    dimension: &Dimension,
    attribute: crate::AttributeId,
) -> Vec<TimeSummary> {
    let value_type = dimension.def.attributes[attribute.idx()].value_type;
    let choose = |member| {
        let value = dimension.attribute(attribute, member)?;
        rule.rules.get(&value.format(value_type)).copied()
    };
    dimension.members().map(|member| choose(member).unwrap_or(rule.default)).collect()
}

/// Per dimension of the cube, the members that filters and rights leave; none: all.
fn effective_filters(
    view: &View,
    request: &Request<'_>,
    dimensions: &[&Dimension],
) -> Vec<Option<RoaringBitmap>> {
    let mut filters: Vec<Option<RoaringBitmap>> = vec![None; dimensions.len()];
    let asked = request.filters.iter().map(|filter| (filter.position, &filter.members));
    for (position, members) in rights(view, request).into_iter().chain(asked) {
        match &mut filters[position] {
            Some(both) => *both &= members,
            none => *none = Some(members.clone()),
        }
    }
    filters
}

/// The members that the reader may see, by position of the dimensions where he may not see all.
fn rights<'a>(view: &'a View, request: &Request<'_>) -> Vec<(usize, &'a RoaringBitmap)> {
    let dimensions = view.version.model.cube_def(request.cube).dimensions.iter().enumerate();
    dimensions.filter_map(|(position, &id)| Some((position, view.allowed(id)?))).collect()
}

/// How one output is accumulated.
struct OutputPlan {
    measure: usize,
    kind: OutputKind,
    scale: u32,
}

enum OutputKind {
    WeightedSum,
    Computed(Prepared),
    SemiAdditive {
        position: usize,
        chooser: Option<usize>,
        summaries: Vec<TimeSummary>,
    },
    Sum,
    Average,
    Min,
    Max,
    Count,
    CountRows,
    /// The values of members, and the one that does not count.
    CountDistinct(AxisTable, Option<u32>),
    Blank,
}

fn output_plans(
    view: &View,
    request: &Request<'_>,
    dimensions: &[&Dimension],
    blank_above_leaves: bool,
) -> Result<Vec<OutputPlan>> {
    let cube = view.version.model.cube_def(request.cube);
    let weight_scale: u32 =
        request_weights(request, cube, dimensions).iter().map(|w| w.scale).sum();
    let is_text = |measure: MeasureId| cube.measure_def(measure).value_type == ValueType::Text;
    let plan = |output: &Output| {
        let (measure, kind) = match *output {
            Output::Sum(measure) | Output::Min(measure) | Output::Max(measure)
                if is_text(measure) =>
            {
                return Err(CubeError::Inconsistent(format!(
                    "a rollup of the texts of {}",
                    cube.measure_def(measure).name
                )));
            }
            Output::CountRows => {
                return Ok(OutputPlan { measure: 0, kind: OutputKind::CountRows, scale: 0 });
            }
            Output::SumOf(position) => {
                let arithmetic = &request.computed[position];
                let kind = OutputKind::Computed(arithmetic.prepared(cube)?);
                return Ok(OutputPlan { measure: 0, kind, scale: arithmetic.scale(cube) });
            }
            Output::CountDistinct(position) => {
                let Distinct { values, blank } = &request.distinct[position];
                let table = AxisTable::new(values, cube, dimensions);
                let kind = OutputKind::CountDistinct(table, *blank);
                return Ok(OutputPlan { measure: 0, kind, scale: 0 });
            }
            Output::Sum(measure) => (measure, OutputKind::Sum),
            Output::Count(measure) => (measure, OutputKind::Count),
            Output::Min(measure) => (measure, OutputKind::Min),
            Output::Max(measure) => (measure, OutputKind::Max),
            Output::Consolidated(measure) => (
                measure,
                match cube.measure_def(measure).consolidation {
                    Consolidation::Sum => match &cube.time[measure.idx()] {
                        None => OutputKind::WeightedSum,
                        Some(rule) if rule.by.is_none() && rule.default == TimeSummary::Sum => {
                            OutputKind::WeightedSum
                        }
                        // of one date there is one cell a leaf
                        Some(rule)
                            if cube.def.kind == CubeKind::Cells
                                && is_at_single_leaves(request, rule.position) =>
                        {
                            OutputKind::WeightedSum
                        }
                        Some(rule) => OutputKind::SemiAdditive {
                            position: rule.position,
                            chooser: rule.by.map(|(position, _)| position),
                            summaries: match rule.by {
                                None => vec![rule.default],
                                Some((position, attribute)) => {
                                    summaries(rule, dimensions[position], attribute)
                                }
                            },
                        },
                    },
                    Consolidation::Average => OutputKind::Average,
                    Consolidation::Min => OutputKind::Min,
                    Consolidation::Max => OutputKind::Max,
                    Consolidation::Count => OutputKind::Count,
                    Consolidation::None if blank_above_leaves => OutputKind::Blank,
                    // a coordinate of a records cube may have several rows, and of codes none is largest
                    Consolidation::None
                        if is_text(measure) && cube.def.kind == CubeKind::Records =>
                    {
                        OutputKind::Blank
                    }
                    Consolidation::None => OutputKind::Max,
                    Consolidation::Formula => {
                        return Err(CubeError::Inconsistent(format!(
                            "measure {} is a formula of consolidated operands",
                            cube.measure_def(measure).name
                        )));
                    }
                },
            ),
        };
        let own = cube.measure_def(measure).value_type.scale();
        let scale = match kind {
            OutputKind::WeightedSum | OutputKind::SemiAdditive { .. } => own + weight_scale,
            OutputKind::Count => 0,
            _ => own,
        };
        Ok(OutputPlan { measure: measure.idx(), kind, scale })
    };
    request.outputs.iter().map(plan).collect()
}
