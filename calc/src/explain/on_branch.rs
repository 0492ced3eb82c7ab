//! What an expression is on another branch: explained there, at the members of the same keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use cube::View;
use cube::view::{Position, Rights};

use super::{ExplainNode, Explainer, Found, Point};
use crate::branches::OnBranch;
use crate::error::Result;
use crate::evaluate::Session;
use crate::node::Node;

impl Explainer<'_> {
    pub(super) fn on_branch(
        &self,
        node: &Node,
        on: &OnBranch,
        Point { frame, block, depth }: Point<'_>,
    ) -> Result<ExplainNode> {
        let mut explained = ExplainNode {
            label: format!("on branch {}", on.branch),
            kind: "branch".into(),
            branch: Some(on.branch.to_string()),
            place: self.frame_place(frame, block),
            value: self.shown(node, frame, block)?,
            ..ExplainNode::default()
        };
        let Some(block) = self.session.block_on_branch(on, block) else {
            explained.note = Some("the branch has no such member".into());
            return Ok(explained);
        };
        let view = self.view_of(on);
        let there = Explainer {
            view: &view,
            plan: &on.head.plan,
            session: Session::new(&view.version, &on.head.plan.tables, "explanation"),
            options: self.options,
        };
        let mut found = Found::default();
        let at = Point { frame: &on.scope.frame, block: &block, depth };
        there.expression(&on.scope.node, at, &mut found)?;
        explained.note = found.note();
        explained.children = found.nodes;
        Ok(explained)
    }

    /// The other branch as the same reader sees it.
    fn view_of(&self, on: &OnBranch) -> View {
        let (here, there) = (&self.view.version, &on.head.version);
        let mut allowed = BTreeMap::new();
        for (&dimension, members) in &self.view.rights.allowed {
            let own = &here.dimensions[dimension.idx()];
            let Ok(id) = there.model.dimension(&own.def.name) else { continue };
            let table = self.plan.tables.ids_in(own, &there.dimensions[id.idx()]);
            let members = table.map_or_else(|| members.clone(), |table| table.image_of(members));
            allowed.insert(id, members);
        }
        View {
            version: Arc::clone(there),
            position: Position { branch: Arc::clone(&on.branch), ..self.view.position.clone() },
            rights: Arc::new(Rights { allowed }),
            ..self.view.clone()
        }
    }
}
