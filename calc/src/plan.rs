//! All formulas of a model, checked and in an order in which each comes after what it reads.
//!
//! Formulas that read each other only at earlier members of one ordered dimension (an opening balance
//! is the closing balance of the month before) are one step, computed member by member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::{CubeId, DimensionId, MeasureId, Model};

use crate::Revision;
use crate::branches::Branches;
use crate::check::{Formula, check};
use crate::error::{CalcError, Result};
use crate::node::{Kind, MemberMap, Node};
use crate::syntax::Span;
use crate::tables::Tables;

/// The formulas of a model.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order of evaluation.
    pub formulas: Vec<Arc<Formula>>,
    /// Per formula, the step it belongs to: its own, or that of all it is in a cycle with.
    pub steps: Vec<usize>,
    /// Per step that is a cycle, the dimension along which it advances.
    pub cycles: BTreeMap<usize, DimensionId>,
    /// What follows from members.
    pub tables: Arc<Tables>,
    /// Other branches that formulas read, with their heads when they were computed last.
    pub branches: BTreeMap<Arc<str>, Arc<Revision>>,
    /// Per measure, the formulas that read it.
    readers: BTreeMap<(CubeId, MeasureId), Vec<usize>>,
}

impl Plan {
    /// Checks all formulas of a model. A cycle is an error unless it advances along a dimension.
    pub fn compile(model: &Model, branches: &dyn Branches) -> Result<Self> {
        let mut formulas: Vec<Arc<Formula>> = Vec::new();
        for def in &model.formulas {
            let formula = check(model, def, branches)?;
            overlap(&formulas, &formula)?;
            formulas.push(Arc::new(formula));
        }
        let order = ordered(&formulas)?;
        let mut plan = Self::default();
        for (step, component) in order.into_iter().enumerate() {
            if let Some(dimension) = component.dimension {
                plan.cycles.insert(step, dimension);
            }
            for formula in component.formulas {
                plan.formulas.push(Arc::clone(&formulas[formula]));
                plan.steps.push(step);
            }
        }
        for (place, formula) in plan.formulas.iter().enumerate() {
            for read in &formula.reads {
                plan.readers.entry(*read).or_default().push(place);
            }
        }
        plan.collect_heads();
        Ok(plan)
    }

    /// The same formulas, those that read one of some branches checked against its new head.
    pub fn rebound(
        &self,
        model: &Model,
        heads: &BTreeMap<Arc<str>, Arc<Revision>>,
        branches: &dyn Branches,
    ) -> Result<Self> {
        let mut plan = self.clone();
        for formula in &mut plan.formulas {
            if !formula.branches.iter().any(|branch| heads.contains_key(branch)) {
                continue;
            }
            let def = model.formulas.iter().find(|def| def.target == formula.target);
            if let Some(def) = def {
                *formula = Arc::new(check(model, def, branches)?);
            }
        }
        plan.collect_heads();
        Ok(plan)
    }

    fn collect_heads(&mut self) {
        self.branches.clear();
        for formula in &self.formulas {
            let expressions = formula.node.on_branches().into_iter();
            expressions.for_each(|on| on.collect_heads(&mut self.branches));
        }
    }

    /// Whether formulas read a branch, or one that reads it.
    pub fn reads_branch(&self, branch: &str) -> bool {
        let mut read = self.branches.iter();
        read.any(|(name, head)| **name == *branch || head.plan.reads_branch(branch))
    }

    /// The formulas, by their place, that read a measure.
    pub fn readers(&self, cube: CubeId, measure: MeasureId) -> &[usize] {
        self.readers.get(&(cube, measure)).map_or(&[], Vec::as_slice)
    }

    /// The place of the formula of a target.
    pub fn place_of(&self, target: &str) -> Option<usize> {
        self.formulas.iter().position(|formula| formula.target == target)
    }

    /// The formula of a whole measure.
    pub fn formula(&self, cube: CubeId, measure: MeasureId) -> Option<&Arc<Formula>> {
        self.of_measure(cube, measure).find(|formula| formula.region.is_empty())
    }

    /// All formulas of a measure, those of regions included.
    pub fn of_measure(
        &self,
        cube: CubeId,
        measure: MeasureId,
    ) -> impl Iterator<Item = &Arc<Formula>> {
        self.formulas.iter().filter(move |f| (f.cube, f.measure) == (cube, measure))
    }

    /// The formulas of a cube, by their place, in the order of evaluation.
    pub fn of_cube(&self, cube: CubeId) -> impl Iterator<Item = usize> + '_ {
        let places = self.formulas.iter().enumerate();
        places.filter(move |(_, formula)| formula.cube == cube).map(|(place, _)| place)
    }
}

/// Two regions of one measure are apart, or one is within the other.
fn overlap(formulas: &[Arc<Formula>], new: &Formula) -> Result<()> {
    let axes = |formula: &Formula| -> BTreeSet<usize> {
        formula.region.iter().map(|(axis, _)| *axis).collect()
    };
    let of_measure = formulas.iter().filter(|f| (f.cube, f.measure) == (new.cube, new.measure));
    for other in of_measure {
        let (a, b) = (axes(other), axes(new));
        if !(a.is_subset(&b) || b.is_subset(&a)) {
            return Err(CalcError::Formula {
                target: new.target.clone(),
                text: new.text.clone(),
                span: Span { start: 0, end: new.text.len() },
                message: format!(
                    "its region overlaps that of {}, and neither contains the other",
                    other.target
                ),
                hint: Some("name the same dimensions in both".into()),
            });
        }
    }
    Ok(())
}

/// Formulas that are computed together.
struct Component {
    formulas: Vec<usize>,
    dimension: Option<DimensionId>,
}

/// What a formula reads, and along which dimension only earlier members of it.
fn dependencies(
    formulas: &[Arc<Formula>],
    reader: &Formula,
) -> BTreeMap<usize, Option<DimensionId>> {
    let mut reads: BTreeMap<(CubeId, MeasureId), Option<DimensionId>> = BTreeMap::new();
    collect_reads(&reader.node, None, &mut reads);
    let mut found = BTreeMap::new();
    for (place, formula) in formulas.iter().enumerate() {
        let is_own = std::ptr::eq(formula.as_ref(), reader);
        if let Some(lag) = reads.get(&(formula.cube, formula.measure)) {
            // a region reads other cells of its own measure; which ones, members decide
            let same_measure = (formula.cube, formula.measure) == (reader.cube, reader.measure);
            if is_own && !formula.region.is_empty() && lag.is_none() {
                continue;
            }
            if same_measure && !is_own && !reader.region.is_empty() && lag.is_none() {
                if formula.region.is_empty() {
                    found.insert(place, None);
                }
                continue;
            }
            if same_measure && !is_own && reader.region.is_empty() {
                continue;
            }
            found.insert(place, *lag);
        }
    }
    found
}

/// How far from the point itself one looks: along a dimension, by so many members at most.
type Away = Option<(DimensionId, i64)>;

fn collect_reads(
    node: &Node,
    away: Away,
    reads: &mut BTreeMap<(CubeId, MeasureId), Option<DimensionId>>,
) {
    let lag = away.filter(|(_, by)| *by < 0).map(|(dimension, _)| dimension);
    let mut note = |read: (CubeId, MeasureId), lag: Option<DimensionId>| {
        reads
            .entry(read)
            .and_modify(|known| {
                if *known != lag {
                    *known = None;
                }
            })
            .or_insert(lag);
    };
    match &node.kind {
        Kind::Stored(cube, measure) => note((*cube, *measure), lag),
        Kind::Tier(tier) => {
            note((tier.cube, tier.threshold), None);
            note((tier.cube, tier.rate), None);
        }
        Kind::At(scope, members) => {
            let inner = members.iter().fold(away, |away, member| match &member.kind {
                Kind::Map(_, dimension, MemberMap::Shift(_, by)) => {
                    further(away, *dimension, i64::from(*by))
                }
                // periods are of many members: looking ahead by one is not made up for by a few
                Kind::Map(_, dimension, MemberMap::Parallel(_, _, by)) if *by > 0 => {
                    further(away, *dimension, i64::from(i32::MAX))
                }
                _ => away,
            });
            collect_reads(&scope.node, inner, reads);
        }
        Kind::Reduce(reduce) => {
            collect_reads(&reduce.inner.node, None, reads);
            reduce.by.iter().chain(&reduce.weight).for_each(|n| collect_reads(n, None, reads));
        }
        Kind::Window(window) => {
            let inner = match window.range {
                crate::node::Range::PeriodBefore(_) => {
                    further(away, window.frame.axes[window.axis].dimension, -1)
                }
                _ => None,
            };
            return collect_reads(&window.inner, inner, reads);
        }
        _ => {}
    }
    node.children().into_iter().for_each(|child| collect_reads(child, away, reads));
}

/// Further away along a dimension; what is earlier along one is so whatever it is along others.
fn further(away: Away, dimension: DimensionId, by: i64) -> Away {
    match away {
        Some((along, so_far)) if along == dimension => Some((dimension, so_far + by)),
        Some((_, so_far)) if so_far < 0 => away,
        _ => Some((dimension, by)),
    }
}

/// The formulas in order. Each round takes what reads only what is done; where nothing is left that
/// does, a cycle must advance along one dimension.
fn ordered(formulas: &[Arc<Formula>]) -> Result<Vec<Component>> {
    let reads: Vec<BTreeMap<usize, Option<DimensionId>>> =
        formulas.iter().map(|formula| dependencies(formulas, formula)).collect();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut order = Vec::new();
    let mut waiting: Vec<usize> = (0..formulas.len()).collect();
    while !waiting.is_empty() {
        let is_ready = |formula: &usize| reads[*formula].keys().all(|read| done.contains(read));
        let (ready, rest): (Vec<usize>, Vec<usize>) = waiting.iter().partition(|f| is_ready(f));
        if ready.is_empty() {
            let component = smallest_cycle(formulas, &reads, &rest, &done)?;
            done.extend(&component.formulas);
            waiting.retain(|formula| !component.formulas.contains(formula));
            order.push(component);
            continue;
        }
        done.extend(&ready);
        order.extend(ready.into_iter().map(|f| Component { formulas: vec![f], dimension: None }));
        waiting = rest;
    }
    Ok(order)
}

/// Of formulas that wait for each other, those that wait for nothing outside their own cycle.
fn smallest_cycle(
    formulas: &[Arc<Formula>],
    reads: &[BTreeMap<usize, Option<DimensionId>>],
    waiting: &[usize],
    done: &BTreeSet<usize>,
) -> Result<Component> {
    let reach = |from: usize| -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(formula) = next.pop() {
            let open = reads[formula].keys().filter(|read| !done.contains(read));
            next.extend(open.copied().filter(|read| seen.insert(*read)));
        }
        seen
    };
    let smallest = waiting.iter().map(|&formula| reach(formula)).min_by_key(BTreeSet::len);
    let members = smallest.unwrap_or_default();
    let mut dimensions: BTreeSet<DimensionId> = BTreeSet::new();
    for &formula in &members {
        dimensions.extend(
            reads[formula]
                .iter()
                .filter(|(read, _)| members.contains(read))
                .filter_map(|(_, lag)| *lag),
        );
    }
    // without what looks back, the rest must have an order
    let mut order: Vec<usize> = Vec::new();
    while order.len() < members.len() {
        let next = members.iter().find(|formula| {
            !order.contains(*formula)
                && reads[**formula].iter().all(|(read, lag)| {
                    lag.is_some() || !members.contains(read) || order.contains(read)
                })
        });
        match next {
            Some(&next) => order.push(next),
            None => return Err(cycle(formulas, &members)),
        }
    }
    let mut dimensions = dimensions.into_iter();
    match (dimensions.next(), dimensions.next()) {
        (Some(dimension), None) => Ok(Component { formulas: order, dimension: Some(dimension) }),
        _ => Err(cycle(formulas, &members)),
    }
}

fn cycle(formulas: &[Arc<Formula>], members: &BTreeSet<usize>) -> CalcError {
    let targets: Vec<&str> =
        members.iter().map(|&formula| formulas[formula].target.as_str()).collect();
    let first = members.first().map(|&formula| &formulas[formula]);
    let (target, text) =
        first.map_or_else(Default::default, |f| (f.target.clone(), f.text.clone()));
    CalcError::Formula {
        target,
        span: Span { start: 0, end: text.len() },
        text,
        message: format!("formulas need each other: {}", targets.join(", ")),
        hint: Some(
            "break the cycle: one of them must not read the others, or only at earlier members of one dimension, as PREVIOUS does".into(),
        ),
    }
}
