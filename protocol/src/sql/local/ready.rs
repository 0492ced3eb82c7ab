//! Plans that are ready to run: a statement that is run again on the state it was planned on, with the
//! same parameters and settings, is not planned again; nor is a text that is prepared again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;

use super::Plan;
use crate::sql::execution::CubeExec;
use crate::sql::session::Prepared;
use crate::sql::settings::Settings;
use crate::sql::tenant_catalog::Scope;

/// What a statement was planned for.
#[derive(Clone)]
pub(super) struct Basis {
    pub scope: Arc<Scope>,
    pub settings: Settings,
    pub parameters: Vec<ScalarValue>,
}

impl Basis {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.scope, &other.scope)
            && self.settings == other.settings
            && self.parameters == other.parameters
    }
}

/// The last plan of a statement, if it can be run again.
#[derive(Default)]
pub(super) struct Ready(Mutex<Option<(Basis, Arc<dyn ExecutionPlan>)>>);

impl Ready {
    /// The plan for a basis, as if it had never run.
    pub fn get(&self, basis: &Basis) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = last.as_ref().filter(|(of, _)| of.is(basis)).map(|(_, plan)| Arc::clone(plan));
        drop(last);
        plan.map(reset_plan_states).transpose()
    }

    fn is_kept(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps a plan where nothing but the basis decides what it gives: it reads cubes only, and no
    /// function of it looks at the clock or the session.
    pub fn keep(&self, basis: Basis, logical: &LogicalPlan, plan: &Arc<dyn ExecutionPlan>) {
        if is_of_cubes(plan) && is_immutable(logical) {
            let kept = (basis, Arc::clone(plan));
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
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
    basis: Basis,
    prepared: Prepared,
}

impl KnownTexts {
    /// The query of a text on a basis, with types that the client declared for its parameters.
    pub fn get(
        &mut self,
        text: &str,
        declared: &[Option<DataType>],
        basis: &Basis,
    ) -> Option<Prepared> {
        // plans of another state are of no use, and would keep it in memory
        self.0.retain(|known| Arc::ptr_eq(&known.basis.scope, &basis.scope));
        let is_same = |known: &&KnownText| {
            known.text == text && known.declared == declared && known.basis.is(basis)
        };
        let known = self.0.iter().find(is_same)?;
        // what may not be run again as it was planned is planned again
        let Some(Plan::Query { ready, .. }) = known.prepared.plan.downcast_ref() else {
            return None;
        };
        ready.is_kept().then(|| known.prepared.clone())
    }

    /// Keeps a query in the place of the oldest.
    pub fn keep(
        &mut self,
        text: String,
        declared: &[Option<DataType>],
        basis: Basis,
        prepared: &Prepared,
    ) {
        self.0.retain(|known| known.text != text || known.declared != declared);
        self.0.truncate(TEXTS_MAX - 1);
        let (declared, prepared) = (declared.to_vec(), prepared.clone());
        self.0.push_front(KnownText { text, declared, basis, prepared });
    }
}

fn is_of_cubes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let children = plan.children();
    match children.as_slice() {
        [] => (plan.as_ref() as &dyn std::any::Any).is::<CubeExec>(),
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
