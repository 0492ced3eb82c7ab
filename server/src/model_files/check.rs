//! Whether planned changes can be: every definition and formula is tried before anything is applied.
//!
//! Definitions are tried in stages (dimensions, cubes, formulas, data) so that one fault is not
//! reported again by everything that needs it; within a stage all faults are reported.

use calc::branches::{Branches, WithMembers};
use calc::{CalcError, Plan, Revision};
use cube::model::{Consolidation, ModelChange, axis_parts};
use cube::{Change, CubeError, Model};

use super::compare::Planned;
use super::definitions::Definitions;
use super::problem::FileProblem;
use super::source::{Source, Step};

/// The changes in an order that applies, or all that is wrong with them.
pub(super) fn checked(
    revision: &Revision,
    branches: &dyn Branches,
    files: &Definitions<'_>,
    planned: Vec<Planned>,
) -> Result<Vec<ModelChange>, Vec<FileProblem>> {
    let mut model = Model::clone(&revision.version.model);
    let (assertions, planned): (Vec<_>, Vec<_>) = planned.into_iter().partition(is_assertion);
    let (formulas, definitions): (Vec<_>, Vec<_>) = planned.into_iter().partition(is_formula);
    let (units, definitions): (Vec<_>, Vec<_>) = definitions.into_iter().partition(is_unit);
    let (cubes, dimensions): (Vec<_>, Vec<_>) = definitions.into_iter().partition(is_cube);
    define(&mut model, files, &dimensions)?;
    check_members(&model, files)?;
    for stage in [&cubes, &units, &formulas, &assertions] {
        define(&mut model, files, stage)?;
    }
    check_ratios(&model, files)?;
    let held = WithMembers { branches, version: &revision.version };
    check_formulas(&model, &held, files)?;
    check_cycles(&model, branches, files)?;
    let definitions = dimensions.into_iter().chain(cubes).chain(units);
    let ordered: Vec<Planned> = definitions.chain(formulas).chain(assertions).collect();
    try_on_data(revision, branches, files, &ordered)?;
    Ok(ordered.into_iter().map(|planned| planned.change).collect())
}

fn is_formula(planned: &Planned) -> bool {
    matches!(planned.change, ModelChange::SetFormula(_) | ModelChange::RemoveFormula { .. })
}

fn is_assertion(planned: &Planned) -> bool {
    matches!(planned.change, ModelChange::SetAssertion { .. } | ModelChange::RemoveAssertion { .. })
}

fn is_unit(planned: &Planned) -> bool {
    matches!(planned.change, ModelChange::SetUnit { .. })
}

fn is_cube(planned: &Planned) -> bool {
    matches!(
        planned.change,
        ModelChange::AddCube(_)
            | ModelChange::AddMeasure { .. }
            | ModelChange::AddCubeDimension { .. }
    )
}

/// Adds one stage's definitions to the model.
fn define(
    model: &mut Model,
    files: &Definitions<'_>,
    stage: &[Planned],
) -> Result<(), Vec<FileProblem>> {
    let mut problems = Vec::new();
    for planned in stage {
        match model.with(&planned.change) {
            Ok(next) => *model = next,
            Err(error) => problems.push(problem_of(files, planned, &CalcError::Cube(error))),
        }
    }
    none_or(problems)
}

/// Every attribute of members names a dimension, in whatever order the files came.
fn check_members(model: &Model, files: &Definitions<'_>) -> Result<(), Vec<FileProblem>> {
    let mut problems = Vec::new();
    for dimension in &files.dimensions {
        for (index, attribute) in dimension.def.attributes.iter().enumerate() {
            let Some(of) = &attribute.member_of else { continue };
            if let Err(error) = model.dimension(of) {
                let steps = [Step::Key("attribute"), Step::Index(index), Step::Key("type")];
                let problem = files.source(dimension.source).problem(&steps, error.to_string());
                problems.push(problem.with_hint(error.hint()));
            }
        }
    }
    none_or(problems)
}

/// Every measure that consolidates by its formula has one.
fn check_ratios(model: &Model, files: &Definitions<'_>) -> Result<(), Vec<FileProblem>> {
    let mut problems = Vec::new();
    for cube in &files.cubes {
        for (index, measure) in cube.def.measures.iter().enumerate() {
            let target = format!("{}.{}", cube.def.name, measure.name);
            if measure.consolidation == Consolidation::Formula
                && !model.formulas.iter().any(|formula| formula.target == target)
            {
                let steps = [Step::Key("measure"), Step::Index(index), Step::Key("consolidation")];
                let message = format!("{target}: its consolidation is formula and it has none");
                let hint = "add a [[formula]] with this target to a file of rules/";
                let problem = files.source(cube.source).problem(&steps, message);
                problems.push(problem.with_hint(Some(hint.into())));
            }
        }
    }
    none_or(problems)
}

/// Checks every formula.
fn check_formulas(
    model: &Model,
    branches: &dyn Branches,
    files: &Definitions<'_>,
) -> Result<(), Vec<FileProblem>> {
    let mut problems = Vec::new();
    for formula in &files.formulas {
        let checked = calc::check::check(model, &formula.def, branches);
        if let Err(error) =
            checked.and_then(|checked| calc::units::check(model, &checked, branches))
        {
            let planned = Planned {
                change: ModelChange::SetFormula(formula.def.clone()),
                source: Some(formula.source),
                item: Some(("formula", formula.index)),
            };
            problems.push(problem_of(files, &planned, &error));
        }
    }
    none_or(problems)
}

/// Formulas do not need each other.
fn check_cycles(
    model: &Model,
    branches: &dyn Branches,
    files: &Definitions<'_>,
) -> Result<(), Vec<FileProblem>> {
    let compiled = Plan::compile(model, branches);
    compiled.map(drop).map_err(|error| vec![problem_of_target(files, &error)])
}

/// Applies the changes to what the tenant holds, and forgets the result.
fn try_on_data(
    revision: &Revision,
    branches: &dyn Branches,
    files: &Definitions<'_>,
    planned: &[Planned],
) -> Result<(), Vec<FileProblem>> {
    let change = |planned: &Planned| Change::Model(planned.change.clone());
    let changes: Vec<Change> = planned.iter().map(change).collect();
    // units were compared in the whole
    let Err(error) = revision.apply_step(&changes, branches) else { return Ok(()) };
    // which of them it comes from: the first that gives it by itself
    let mut revision = revision.clone();
    for planned in planned {
        match revision.apply_step(&[change(planned)], branches) {
            Ok((next, _)) => revision = next,
            Err(own) if own.to_string() == error.to_string() => {
                return Err(vec![problem_of(files, planned, &error)]);
            }
            Err(_) => {}
        }
    }
    Err(vec![problem_of_target(files, &error)])
}

/// An error of applying a change, at its item in the files.
fn problem_of(files: &Definitions<'_>, planned: &Planned, error: &CalcError) -> FileProblem {
    let Some(source) = planned.source else {
        return FileProblem::of_file("rules", error.to_string()).with_hint(error.hint());
    };
    let file = files.source(source);
    let mut steps = planned.steps();
    let changed = match &planned.change {
        ModelChange::SetFormula(formula) => Some(&formula.target),
        _ => None,
    };
    if is_unit(planned) {
        steps.push(Step::Key("unit"));
        return file.problem(&steps, error.to_string()).with_hint(error.hint());
    }
    if let (ModelChange::AddCubeDimension { dimension, member, .. }, CalcError::Cube(error)) =
        (&planned.change, error)
    {
        return dimension_problem(file, &steps, (dimension, member.is_some()), error);
    }
    match error {
        CalcError::Formula { span, message, target, .. } if changed == Some(target) => {
            steps.push(Step::Key("text"));
            file.problem_inside(&steps, *span, message).with_hint(error.hint())
        }
        CalcError::Cube(error) => file.cube_problem(&steps, error),
        CalcError::Formula { .. } => problem_of_target(files, error),
        _ => file.problem(&steps, error.to_string()).with_hint(error.hint()),
    }
}

/// An error of one more dimension: at the dimension, or at the member that earlier rows are of.
fn dimension_problem(
    file: &Source<'_>,
    steps: &[Step<'_>],
    (dimension, is_said): (&str, bool),
    error: &CubeError,
) -> FileProblem {
    let (name, _) = axis_parts(dimension);
    let is_of_member = match error {
        CubeError::Unknown { kind, .. } => *kind == "member",
        CubeError::InvalidValue { .. } | CubeError::OutsideCalendar { .. } => true,
        _ => false,
    };
    if is_said && is_of_member {
        let said = [Step::Key("earlier_rows"), Step::Key(name)];
        return file.problem(&said, error.to_string()).with_hint(error.hint());
    }
    let problem = file.cube_problem(steps, error);
    match error {
        CubeError::Definition(_) if !is_said => problem.with_hint(Some(format!(
            "add a line behind dimensions: earlier_rows = {{ {name} = \"KEY\" }}"
        ))),
        _ => problem,
    }
}

/// An error that names a formula's target, at that formula.
fn problem_of_target(files: &Definitions<'_>, error: &CalcError) -> FileProblem {
    let CalcError::Formula { target: wanted, span, message, .. } = error else {
        return FileProblem::of_file("rules", error.to_string()).with_hint(error.hint());
    };
    let formula = files.formulas.iter().find(|formula| &formula.def.target == wanted);
    let problem = match formula {
        Some(formula) => {
            let steps = [Step::Key("formula"), Step::Index(formula.index), Step::Key("text")];
            files.source(formula.source).problem_inside(&steps, *span, message)
        }
        None => FileProblem::of_file("rules", error.to_string()),
    };
    problem.with_hint(error.hint())
}

fn none_or(problems: Vec<FileProblem>) -> Result<(), Vec<FileProblem>> {
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
