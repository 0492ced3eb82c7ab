//! Plans that are ready to run: a statement that is run again with the same settings and with parameters that
//! it had lately is not planned again as long as definitions and members are the same; nor is a text that is prepared
//! again. Rows may have changed: the plan is put on those that there are now.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;

use super::Plan;
use crate::sql::execution::CubeExec;
use crate::sql::session::Prepared;
use crate::sql::settings::Settings;
use crate::sql::tenant_catalog::Scope;
use crate::tenant::Snapshot;

/// What a statement is run with.
#[derive(Clone)]
pub(super) struct Basis {
    pub scope: Arc<Scope>,
    pub settings: Settings,
    pub parameters: Vec<ScalarValue>,
}

/// Plans of a statement that are kept, each for other parameters.
const PLANS_MAX: usize = 32;

/// The last plans of a statement that can be run again, the newest last.
#[derive(Default)]
pub(super) struct Ready(Mutex<VecDeque<Kept>>);

/// A plan on states without rows, so that it keeps none in memory.
#[derive(Clone)]
struct Kept {
    settings: Settings,
    parameters: Vec<ScalarValue>,
    plan: Arc<dyn ExecutionPlan>,
}

impl Kept {
    fn is_for(&self, basis: &Basis) -> bool {
        self.settings == basis.settings && self.parameters == basis.parameters
    }

    /// The plan on what a scope shows, as if it had never run; none where it would be another.
    fn on(&self, scope: &Scope) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let mut is_alike = true;
        let put = |node: Arc<dyn ExecutionPlan>| {
            let Some(leaf) = cube_exec(&node) else {
                return Ok(Transformed::yes(node.reset_state()?));
            };
            match snapshot_like(scope, leaf.snapshot()) {
                Some(snapshot) => Ok(Transformed::yes(Arc::new(leaf.on(snapshot)) as _)),
                None => {
                    is_alike = false;
                    Ok(Transformed::new(node, false, TreeNodeRecursion::Stop))
                }
            }
        };
        let plan = Arc::clone(&self.plan).transform_up(put)?.data;
        Ok(is_alike.then_some(plan))
    }

    /// Whether the plan can be put on what a scope shows.
    fn fits(&self, scope: &Scope) -> bool {
        let mut fits = true;
        let visited = self.plan.apply(|node| {
            fits &=
                cube_exec(node).is_none_or(|leaf| snapshot_like(scope, leaf.snapshot()).is_some());
            Ok(TreeNodeRecursion::Continue)
        });
        visited.is_ok() && fits
    }
}

/// The state of a branch now, where a plan made on an earlier one is right for it.
fn snapshot_like(scope: &Scope, earlier: &Snapshot) -> Option<Snapshot> {
    let branch = scope.point.branches.find(&earlier.view.position.branch)?;
    Some(scope.snapshot_of(branch)).filter(|now| now.is_alike(earlier))
}

/// What reads a cube, where a plan is that.
pub(super) fn cube_exec(node: &Arc<dyn ExecutionPlan>) -> Option<&CubeExec> {
    (node.as_ref() as &dyn std::any::Any).downcast_ref()
}

impl Ready {
    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan for a basis, as if it had never run.
    pub fn get(&self, basis: &Basis) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let kept = self.kept().iter().find(|kept| kept.is_for(basis)).cloned();
        kept.map_or(Ok(None), |kept| kept.on(&basis.scope))
    }

    /// Whether there is a plan for what a basis shows, with some parameters.
    fn fits(&self, basis: &Basis) -> bool {
        let newest = self.kept().back().filter(|kept| kept.settings == basis.settings).cloned();
        newest.is_some_and(|kept| kept.fits(&basis.scope))
    }

    /// Keeps a plan where nothing but the basis decides what it gives: it reads cubes only, and no
    /// function of it looks at the clock or the session. Says whether it did.
    pub fn keep(
        &self,
        basis: Basis,
        logical: &LogicalPlan,
        plan: &Arc<dyn ExecutionPlan>,
    ) -> Result<bool> {
        if !is_of_cubes(plan) || !is_immutable(logical) {
            return Ok(false);
        }
        let without_rows = |node: Arc<dyn ExecutionPlan>| {
            Ok(match cube_exec(&node) {
                Some(leaf) => {
                    Transformed::yes(Arc::new(leaf.on(leaf.snapshot().without_rows())) as _)
                }
                None => Transformed::no(node),
            })
        };
        let plan = Arc::clone(plan).transform_up(without_rows)?.data;
        let mut all = self.kept();
        all.retain(|kept| !kept.is_for(&basis));
        if all.len() >= PLANS_MAX {
            all.pop_front();
        }
        all.push_back(Kept { settings: basis.settings, parameters: basis.parameters, plan });
        Ok(true)
    }
}

/// Texts whose plans a session keeps.
const TEXTS_MAX: usize = 64;

/// The newest queries of a session by their text.
#[derive(Default)]
pub(super) struct KnownTexts(VecDeque<KnownText>);

struct KnownText {
    text: String,
    declared: Vec<Option<DataType>>,
    prepared: Prepared,
}

impl KnownText {
    fn fits(&self, basis: &Basis) -> bool {
        match self.prepared.plan.downcast_ref() {
            Some(Plan::Query { ready, .. }) => ready.fits(basis),
            _ => false,
        }
    }
}

impl KnownTexts {
    /// The query of a text on a basis, with types that the client declared for its parameters.
    pub fn get(
        &mut self,
        text: &str,
        declared: &[Option<DataType>],
        basis: &Basis,
    ) -> Option<Prepared> {
        let known = self.0.iter().position(|k| k.text == text && k.declared == declared)?;
        if self.0[known].fits(basis) {
            return Some(self.0[known].prepared.clone());
        }
        // what may not be run again as it was planned is planned again
        self.0.remove(known);
        None
    }

    /// Keeps a query that was run, in the place of the oldest.
    pub fn keep(&mut self, text: String, declared: &[Option<DataType>], prepared: &Prepared) {
        self.0.retain(|known| known.text != text || known.declared != declared);
        self.0.truncate(TEXTS_MAX - 1);
        let (declared, prepared) = (declared.to_vec(), prepared.clone());
        self.0.push_front(KnownText { text, declared, prepared });
    }
}

fn is_of_cubes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let children = plan.children();
    match children.as_slice() {
        [] => cube_exec(plan).is_some(),
        children => children.iter().all(|child| is_of_cubes(child)),
    }
}

fn is_immutable(plan: &LogicalPlan) -> bool {
    let mut is_immutable = true;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|inner| {
                if let Expr::ScalarFunction(function) = inner {
                    let volatility = function.func.signature().volatility;
                    is_immutable &= volatility == Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    visited.is_ok() && is_immutable
}
