//! `x[ON branch]`: x is checked in that branch's model, then seen from here by the names of its
//! dimensions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use cube::error::nearest;
use cube::{DimensionId, Model};

use super::Checker;
use crate::branches::OnBranch;
use crate::error::Result;
use crate::node::{Axis, Frame, Kind, Node, Scope, Type};
use crate::syntax::Span;
use crate::syntax::ast::{Expression, Modifier};

impl Checker<'_> {
    pub(super) fn on_branch(&mut self, inner: &Expression, modifier: &Modifier) -> Result<Scope> {
        let name = match &modifier.aggregator {
            Some(name) if modifier.arguments.is_empty() && modifier.basis.is_none() => name,
            _ => {
                return Err(self.error(
                    modifier.span,
                    "expected the name of a branch".into(),
                    Some("for example [ON main], or [ON \"plan-b\"] in quotes".into()),
                ));
            }
        };
        let text = if name.is_quoted { name.text.clone() } else { name.key() };
        if *text == *self.branch {
            self.named.insert(Arc::clone(&self.branch));
            return self.scope(inner);
        }
        let Some((branch, head)) = self.branches.find(&text) else {
            return Err(self.unknown_branch(&text, name.span));
        };
        self.named.insert(Arc::clone(&branch));
        if branch == self.branch {
            return self.scope(inner);
        }
        if head.plan.reads_branch(self.branches.own()) {
            let own = self.branches.own();
            return Err(self.error(
                name.span,
                format!("branch {branch} reads {own}, so {own} cannot read {branch}"),
                Some("compare the two from one side only".into()),
            ));
        }
        let head = Arc::new(head);
        let model = Arc::clone(&head.version.model);
        let home = model.cube(&self.cube.def.name).ok();
        let measure = home.and_then(|cube| model.cube_def(cube).measure(&self.target.name).ok());
        let mut there = Checker {
            model: &model,
            own_model: self.own_model,
            def: self.def,
            cube: self.cube,
            target: self.target,
            home,
            measure,
            frame: self.frame_in(&model),
            branches: self.branches,
            branch: Arc::clone(&branch),
            named: std::mem::take(&mut self.named),
            advice: self.advice,
            sources: HashMap::new(),
            version: Some(&head.version),
            members: RefCell::default(),
        };
        let scope = there.scope(inner).and_then(|scope| {
            there.check_leads(&scope.node)?;
            Ok(scope)
        });
        let scope = scope.map_err(|error| there.misspelt().unwrap_or(error));
        self.named = there.named;
        self.seen_from_here(scope?, branch, Arc::clone(&head), modifier.span)
    }

    fn unknown_branch(&self, text: &str, span: Span) -> crate::CalcError {
        let names = self.branches.names();
        let near = nearest(text, names.iter().map(AsRef::as_ref));
        let hint = if near.is_empty() {
            "perfos branch list shows what there is".into()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        self.error(span, format!("branch {text} does not exist"), Some(hint))
    }

    /// The target's frame in another branch's model, as far as that has its dimensions.
    fn frame_in(&self, model: &Model) -> Frame {
        let axes = self.frame.axes.iter().filter_map(|axis| axis_in(self.model, model, *axis));
        Frame { axes: axes.collect(), rows: None }
    }

    /// An expression of another branch's model as the own one sees it.
    fn seen_from_here(
        &self,
        scope: Scope,
        branch: Arc<str>,
        head: Arc<crate::Revision>,
        span: Span,
    ) -> Result<Scope> {
        let there = &head.version.model;
        if let Some(rows) = scope.frame.rows {
            let cube = &there.cube_def(rows).def;
            return Err(self.error(
                span,
                format!(
                    "{} is a cube of rows: what it holds is aggregated on its branch",
                    cube.name
                ),
                Some(format!(
                    "for example {}.x[BY SUM: {}][ON {}]",
                    cube.name,
                    cube.dimension_names().collect::<Vec<_>>().join(", "),
                    written(&branch)
                )),
            ));
        }
        let mut axes = Vec::with_capacity(scope.frame.axes.len());
        for &axis in &scope.frame.axes {
            let here = axis_in(there, self.model, axis);
            axes.push(here.ok_or_else(|| self.only_there(there, axis.dimension, &branch, span))?);
        }
        let frame = Frame { axes, rows: None };
        let value_type = match scope.node.value_type {
            Type::Member(dimension) => {
                let axis = axis_in(there, self.model, Axis { dimension, level: None });
                let here = axis.ok_or_else(|| self.only_there(there, dimension, &branch, span))?;
                Type::Member(here.dimension)
            }
            other => other,
        };
        let mask = scope.node.mask;
        let on = OnBranch { branch, head, scope, frame: frame.clone() };
        let node =
            Node { kind: Kind::OnBranch(Box::new(on)), value_type, mask, is_heavy: true, span };
        Ok(Scope { frame, node })
    }

    fn only_there(
        &self,
        there: &Model,
        dimension: DimensionId,
        branch: &str,
        span: Span,
    ) -> crate::CalcError {
        let name = &there.dimension_def(dimension).name;
        self.error(
            span,
            format!("on branch {branch} this varies over {name}, which is not known here"),
            Some(format!("take it away there: [REMOVE SUM: {name}][ON {}]", written(branch))),
        )
    }
}

/// A branch's name as a formula has it.
fn written(branch: &str) -> String {
    if branch.contains('-') { format!("\"{branch}\"") } else { branch.to_string() }
}

/// The axis of the same names in another model.
fn axis_in(from: &Model, to: &Model, axis: Axis) -> Option<Axis> {
    let def = from.dimension_def(axis.dimension);
    let dimension = to.dimension(&def.name).ok()?;
    let level = match axis.level {
        Some(level) => {
            let name = &def.levels[level.idx()].name;
            Some(to.dimension_def(dimension).level(name).ok()?)
        }
        None => None,
    };
    Some(Axis { dimension, level })
}
