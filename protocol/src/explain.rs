//! Explaining a cell: from its text to the tree of what made it, down to the ledger entries.
//!
//! The tree is `calc`'s; here the cell is found by the names a person gives it, and every input of
//! the tree is joined with who wrote it, when, and from which row of which file. Doors only render.

pub mod cell;
mod origin;
mod resolve;

use std::sync::Arc;

use crate::error::SqlError;
use crate::provenance::{ProvenanceRequest, WriteRecord};
use crate::tenant::{Snapshot, Tenant};
pub use calc::explain::{CellRef, ExplainNode, Place};

pub use resolve::resolve;

/// Contributors of a node that are shown, unless asked for otherwise.
pub const TOP_DEFAULT: usize = 10;
/// Contributors of a node that may be asked for.
pub const TOP_MAX: usize = 1_000;

/// What is shown of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Contributors of a node, the largest first.
    pub top: usize,
    /// Which page of the contributors of the cell itself, from 1.
    pub page: usize,
    /// Writes of each input, the newest first.
    pub writes: usize,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { top: TOP_DEFAULT, page: 1, writes: 1 }
    }
}

impl ExplainOptions {
    fn of_tree(self) -> calc::explain::Options {
        let page = self.page.saturating_sub(1);
        calc::explain::Options { top: self.top, page, ..calc::explain::Options::default() }
    }
}

/// A node of an explanation with the writes behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What it is.
    pub node: ExplainNode,
    /// Who wrote it, the newest first; of nodes that are written only.
    pub writes: Vec<WriteRecord>,
    /// What it is made of, in the order of the node's children, which have moved here.
    pub children: Vec<Explained>,
}

impl Explained {
    /// Key and members as one text, `deal=7, rep=ada`; none of a total over everything.
    pub fn place_in_words(&self) -> Option<String> {
        let pairs = self.node.key.iter().flatten().chain(&self.node.place);
        let words: Vec<String> = pairs.map(|(name, text)| format!("{name}={text}")).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The explanation of the cell that a text names, in a snapshot of a tenant.
///
/// # Errors
/// A text that names no cell, with the position in it; whatever a read may run into.
pub async fn explain(
    tenant: &dyn Tenant,
    snapshot: &Snapshot,
    text: &str,
    options: ExplainOptions,
) -> Result<Explained, SqlError> {
    if !(1..=TOP_MAX).contains(&options.top) || options.page == 0 {
        let message = format!("an explanation shows 1 to {TOP_MAX} contributors, from page 1 on");
        return Err(SqlError::new("22023", message));
    }
    let cell = resolve(&snapshot.view.version, &cell::parse(text)?)?;
    let read = snapshot.clone();
    let derived = crate::sql::execution::compute(move || {
        let Snapshot { view, plan, .. } = &read;
        let explained = calc::explain::explain(view, plan, &cell, options.of_tree());
        explained.map_err(|error| SqlError::from(error).into())
    });
    let tree = derived.await.map_err(|error| crate::sql::sqlstate::from_engine(&error, ""))?;
    with_writes(tenant, snapshot, tree, options.writes).await
}

/// The answer to a question about an earlier state.
pub fn no_history() -> SqlError {
    const AS_OF_REFUSED: &str =
        "explain --as-of (as_of) is not available yet: the history of values is not served";
    SqlError::new("0A000", AS_OF_REFUSED)
        .with_detail("a cell is explained as it is now")
        .with_hint("--writes N shows the last N writes of each input, with their values and times")
}

/// A tree with the newest writes of all its nodes, looked up in one pass over the ledger.
pub async fn with_writes(
    tenant: &dyn Tenant,
    snapshot: &Snapshot,
    tree: ExplainNode,
    limit: usize,
) -> Result<Explained, SqlError> {
    let (lineage, version) = (snapshot.lineage.clone(), Arc::clone(&snapshot.view.version));
    let own = ProvenanceRequest { asked: Vec::new(), limit, lineage, version };
    let mut requests = vec![(snapshot.view.position.branch.to_string(), own)];
    let numbered = number(snapshot, tree, 0, &mut requests);
    let mut writes = Vec::with_capacity(requests.len());
    for (_, request) in requests {
        writes.push(match request.asked.is_empty() || limit == 0 {
            true => Vec::new(),
            false => tenant.provenance(request).await?,
        });
    }
    Ok(numbered.explained(&writes))
}

/// A node and its question: the branch's number, and its own there.
struct Numbered {
    node: ExplainNode,
    question: Option<(usize, usize)>,
    children: Vec<Numbered>,
}

/// The questions of a tree whose root is of one of the branches that are asked about.
fn number(
    snapshot: &Snapshot,
    mut node: ExplainNode,
    of: usize,
    requests: &mut Vec<(String, ProvenanceRequest)>,
) -> Numbered {
    let request = &mut requests[of].1;
    let question = origin::asked_of(&request.version, &node).map(|question| {
        // the same input may feed several formulas
        let asked = &mut request.asked;
        let known = asked.iter().position(|known| *known == question);
        let place = known.unwrap_or_else(|| {
            asked.push(question);
            asked.len() - 1
        });
        (of, place)
    });
    let inside = match &node.branch {
        Some(branch) => request_of(snapshot, branch, requests),
        None => of,
    };
    let children = std::mem::take(&mut node.children).into_iter();
    let children = children.map(|child| number(snapshot, child, inside, requests)).collect();
    Numbered { node, question, children }
}

/// The place of the request about a branch, which is added where it is not there yet.
fn request_of(
    snapshot: &Snapshot,
    name: &str,
    requests: &mut Vec<(String, ProvenanceRequest)>,
) -> usize {
    if let Some(known) = requests.iter().position(|(known, _)| known == name) {
        return known;
    }
    // formulas read branches that are there: what is read cannot be dropped
    let Some(branch) = snapshot.branches.find(name) else { return 0 };
    let request = ProvenanceRequest {
        asked: Vec::new(),
        limit: requests[0].1.limit,
        lineage: branch.lineage(),
        version: Arc::clone(&branch.revision.version),
    };
    requests.push((name.to_owned(), request));
    requests.len() - 1
}

impl Numbered {
    fn explained(self, writes: &[Vec<Vec<WriteRecord>>]) -> Explained {
        let own = self.question.and_then(|(of, place)| writes.get(of)?.get(place)).cloned();
        let children = self.children.into_iter().map(|child| child.explained(writes)).collect();
        Explained { node: self.node, writes: own.unwrap_or_default(), children }
    }
}

#[cfg(test)]
mod tests;
