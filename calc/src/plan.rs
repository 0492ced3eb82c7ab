//! All formulas of a model, checked and in an order in which each comes after what it reads.
//!
//! Formulas that read each other only at earlier members of one ordered dimension (an opening balance
//! is the closing balance of the month before) are one step, computed member by member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cube::{CubeId, MeasureId, Model};

use crate::Revision;
use crate::branches::Branches;
use crate::check::{Formula, check};
use crate::cycles::{self, Edge, advancing, is_lagged, reach};
use crate::error::{CalcError, Result};
use crate::node::Axis;
use crate::syntax::Span;
use crate::tables::Tables;

/// The formulas of a model.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// In the order of evaluation.
    pub formulas: Vec<Arc<Formula>>,
    /// Per formula, the step it belongs to: its own, or that of all it is in a cycle with.
    pub steps: Vec<usize>,
    /// Per step that is a cycle, the members along which it advances.
    pub cycles: BTreeMap<usize, Axis>,
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
        let order = ordered(model, &formulas)?;
        let mut plan = Self::default();
        for (step, component) in order.into_iter().enumerate() {
            if let Some(along) = component.along {
                plan.cycles.insert(step, along);
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
    along: Option<Axis>,
}

/// What a formula reads, by place.
fn dependencies(model: &Model, formulas: &[Arc<Formula>], reader: &Formula) -> BTreeSet<usize> {
    let has_region = !reader.region.is_empty();
    let own = (reader.cube, reader.measure);
    // a region reads other cells of its own measure; which ones, members decide
    let is_lagged = has_region && reader.reads.contains(&own) && is_lagged(model, reader);
    let is_read = |formula: &Formula| {
        let is_own = std::ptr::eq(formula, reader);
        let of = (formula.cube, formula.measure);
        reader.reads.contains(&of)
            && match (of == own, has_region) {
                (true, true) => is_lagged || formula.region.is_empty(),
                (true, false) => is_own,
                (false, _) => true,
            }
    };
    let places = formulas.iter().enumerate();
    places.filter(|(_, formula)| is_read(formula)).map(|(place, _)| place).collect()
}

/// The formulas in order. Each round takes what reads only what is done; where nothing is left that
/// does, a cycle must advance along one dimension.
fn ordered(model: &Model, formulas: &[Arc<Formula>]) -> Result<Vec<Component>> {
    let reads: Vec<BTreeSet<usize>> =
        formulas.iter().map(|formula| dependencies(model, formulas, formula)).collect();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut order = Vec::new();
    let mut waiting: Vec<usize> = (0..formulas.len()).collect();
    while !waiting.is_empty() {
        let is_ready = |formula: &usize| reads[*formula].is_subset(&done);
        let (ready, rest): (Vec<usize>, Vec<usize>) = waiting.iter().partition(|f| is_ready(f));
        if ready.is_empty() {
            let component = smallest_cycle(model, formulas, &reads, &rest, &done)?;
            done.extend(&component.formulas);
            waiting.retain(|formula| !component.formulas.contains(formula));
            order.push(component);
            continue;
        }
        done.extend(&ready);
        order.extend(ready.into_iter().map(|f| Component { formulas: vec![f], along: None }));
        waiting = rest;
    }
    Ok(order)
}

/// Of formulas that wait for each other, those that wait for nothing outside their own cycle.
fn smallest_cycle(
    model: &Model,
    formulas: &[Arc<Formula>],
    reads: &[BTreeSet<usize>],
    waiting: &[usize],
    done: &BTreeSet<usize>,
) -> Result<Component> {
    let open = |formula: usize| reads[formula].difference(done).copied();
    let smallest = waiting.iter().map(|&formula| reach(formula, open)).min_by_key(BTreeSet::len);
    let members: Vec<usize> = smallest.unwrap_or_default().into_iter().collect();
    let of_members: Vec<&Formula> = members.iter().map(|&place| formulas[place].as_ref()).collect();
    let edges = |along: Axis| {
        let mut edges = Vec::new();
        for (reader, formula) in of_members.iter().enumerate() {
            let found = cycles::reads(model, None, formula, Some(along));
            for (read, of) in of_members.iter().enumerate() {
                let of = (of.cube, of.measure);
                let is_read = reads[members[reader]].contains(&members[read]);
                let found = found.iter().filter(|found| is_read && found.of == of);
                edges.extend(found.map(|found| Edge { reader, read, ahead: found.ahead }));
            }
        }
        edges
    };
    let Some((along, edges)) = advancing(model, &of_members, &edges) else {
        return Err(cycle(&of_members));
    };
    // at one member, each after what it reads there
    let mut order: Vec<usize> = Vec::new();
    while order.len() < members.len() {
        let is_next = |reader: &usize| {
            let mut now = edges.iter().filter(|edge| edge.reader == *reader);
            !order.contains(reader)
                && now.all(|edge| edge.ahead < Some(0) || order.contains(&edge.read))
        };
        let Some(next) = (0..members.len()).find(is_next) else { return Err(cycle(&of_members)) };
        order.push(next);
    }
    let formulas = order.into_iter().map(|place| members[place]).collect();
    Ok(Component { formulas, along: Some(along) })
}

/// The error of formulas that need each other.
pub(crate) fn cycle(formulas: &[&Formula]) -> CalcError {
    let targets: Vec<&str> = formulas.iter().map(|formula| formula.target.as_str()).collect();
    let (target, text) = formulas
        .first()
        .map_or_else(Default::default, |first| (first.target.clone(), first.text.clone()));
    let mut measures = formulas.iter().map(|formula| (formula.cube, formula.measure));
    let first = measures.next();
    let hint = if measures.all(|measure| Some(measure) == first)
        && formulas.iter().any(|formula| !formula.region.is_empty())
    {
        "a member's formula must not read its own cells, nor a total that they are part of"
    } else {
        "break the cycle: one of them must not read the others, or only at earlier members of one \
         dimension, as PREVIOUS does"
    };
    CalcError::Formula {
        target,
        span: Span { start: 0, end: text.len() },
        text,
        message: format!("formulas need each other: {}", targets.join(", ")),
        hint: Some(hint.into()),
    }
}
