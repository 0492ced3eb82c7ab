//! The branches of a tenant at one point of its ledger: `main`, and what was branched off it.
//!
//! A branch is a revision of its own that began as another branch's head; they share every piece
//! that neither has changed. A branch pins its base: what is written there later does not reach it.
//!
//! Formulas may read other branches, never in a circle: when a branch gets a new head, those that read
//! it get theirs with it ([`Branches::advanced`]).
//!
//! Invariant: numbers are given once. A name may be used again after its branch was dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use calc::{CalcError, Recomputed, Revision};
use cube::Change;
use cube::error::nearest;
use cube::view::{Interrupt, MemoryReservation, Moment, Position, Rights, View};

use crate::error::SqlError;
use crate::rules::RuleHistory;
use crate::tenant::{LedgerEntry, Snapshot};

/// The branch there always is.
pub const MAIN: &str = "main";
/// Its number.
pub const MAIN_NUMBER: u32 = 0;
/// The name by which Postgres clients know it.
pub const PUBLIC: &str = "public";
/// Longest name, in bytes: that of a PostgreSQL identifier.
pub const NAME_BYTES_MAX: usize = 63;
/// Names that a branch cannot have, because a schema has them.
const RESERVED: [&str; 5] = [MAIN, PUBLIC, "perfos", "information_schema", "head"];

/// One branch.
#[derive(Debug, Clone, Default)]
pub struct Branch {
    /// By which ledger records name it.
    pub number: u32,
    /// By which people name it.
    pub name: Arc<str>,
    /// Who made it; empty for `main`.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Where it began; none for `main`.
    pub base: Option<Arc<BranchBase>>,
    /// When it was made, in microseconds since 1970-01-01 UTC; none for `main`.
    pub created_us: Option<i64>,
    /// Model, members, rows and formulas.
    pub revision: Revision,
    /// The last ledger entry in it: its own, or the last of its base; 0 before the first.
    pub sequence: u64,
    /// The last entry that gave it a new head: its own, or one of a branch that its formulas read.
    pub moved_at: u64,
    /// How many entries were written on it.
    pub entry_count: u64,
    /// Every version of every formula, those of its base included.
    pub rules: RuleHistory,
}

/// Where a branch began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchBase {
    /// The other branch's number.
    pub number: u32,
    /// Its name then.
    pub name: Arc<str>,
    /// The last entry in its head then.
    pub sequence: u64,
    /// Where that branch began; it stays known when the branch is dropped.
    pub base: Option<Arc<Self>>,
}

/// Which ledger entries led to a state: those of its branch, of the branch's base up to where the
/// branch began, and so on up to `main`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The branch's number.
    pub number: u32,
    /// The last entry.
    pub sequence: u64,
    /// Where the branch began.
    pub base: Option<Arc<BranchBase>>,
}

impl Lineage {
    /// Whether the entry of a sequence, which is of the branch of a number, led to the state.
    pub fn holds(&self, number: u32, sequence: u64) -> bool {
        if number == self.number {
            return sequence <= self.sequence;
        }
        let bases = std::iter::successors(self.base.as_deref(), |base| base.base.as_deref());
        let mut bases = bases.filter(|base| base.number == number);
        bases.next().is_some_and(|base| sequence <= base.sequence)
    }
}

impl Branch {
    /// The schema by which Postgres clients know it.
    pub fn schema(&self) -> &str {
        if self.number == MAIN_NUMBER { PUBLIC } else { &self.name }
    }

    /// Which ledger entries led to its head.
    pub fn lineage(&self) -> Lineage {
        Lineage { number: self.number, sequence: self.sequence, base: self.base.clone() }
    }
}

/// All branches after one ledger entry.
#[derive(Debug, Clone)]
pub struct Branches {
    /// The last entry in the ledger, on whatever branch.
    pub sequence: u64,
    by_number: BTreeMap<u32, Arc<Branch>>,
    /// Of every branch there ever was.
    names: BTreeMap<u32, Arc<str>>,
}

impl Default for Branches {
    fn default() -> Self {
        let main = Branch { name: MAIN.into(), ..Branch::default() };
        let names = BTreeMap::from([(MAIN_NUMBER, Arc::clone(&main.name))]);
        Self { sequence: 0, by_number: BTreeMap::from([(MAIN_NUMBER, Arc::new(main))]), names }
    }
}

impl Branches {
    /// The branch there always is.
    pub fn main(&self) -> &Arc<Branch> {
        &self.by_number[&MAIN_NUMBER]
    }

    /// All branches, `main` first, then in the order they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Branch>> {
        self.by_number.values()
    }

    /// The same with one branch in a state that nobody else sees.
    #[must_use]
    pub fn with(&self, branch: Branch) -> Self {
        let mut branches = self.clone();
        branches.by_number.insert(branch.number, Arc::new(branch));
        branches
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_number.len()
    }

    /// The branch of a number.
    pub fn numbered(&self, number: u32) -> Option<&Arc<Branch>> {
        self.by_number.get(&number)
    }

    /// The branch of a name or schema.
    pub fn find(&self, name: &str) -> Option<&Arc<Branch>> {
        match name {
            MAIN | PUBLIC => Some(self.main()),
            name => self.by_number.values().find(|branch| branch.name.as_ref() == name),
        }
    }

    /// The branch of a name or schema; 3F000 where there is none.
    pub fn get(&self, name: &str) -> Result<&Arc<Branch>, SqlError> {
        self.find(name).ok_or_else(|| self.unknown(name))
    }

    /// The name of a branch that is or was.
    pub fn name_of(&self, number: u32) -> Option<&Arc<str>> {
        self.names.get(&number)
    }

    /// The number of the next branch.
    pub fn next_number(&self) -> u32 {
        self.names.keys().next_back().map_or(1, |last| last + 1)
    }

    /// That there is no such branch, and which there are.
    pub fn unknown(&self, name: &str) -> SqlError {
        let error = SqlError::new("3F000", format!("branch \"{name}\" does not exist"));
        let names = self.iter().map(|branch| branch.name.as_ref());
        let near = nearest(name, names.chain([PUBLIC]));
        if near.is_empty() {
            error.with_hint(format!(
                "perfos.branches lists what there is; CREATE SCHEMA \"{name}\" makes a branch"
            ))
        } else {
            error.with_hint(format!("did you mean {}?", near.join(", ")))
        }
    }

    /// Whether a new branch may have this name.
    pub fn check_new_name(&self, name: &str) -> Result<(), SqlError> {
        if RESERVED.contains(&name) || name.starts_with("pg_") {
            return Err(SqlError::new("42939", format!("\"{name}\" is reserved"))
                .with_hint("give the branch another name"));
        }
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins_well || !name.chars().all(is_part) || name.len() > NAME_BYTES_MAX {
            let message = format!("\"{name}\" cannot be the name of a branch");
            return Err(SqlError::new("42602", message).with_hint(format!(
                "lower-case letters, digits, _ and -, a letter first, at most {NAME_BYTES_MAX} bytes"
            )));
        }
        match self.find(name) {
            None => Ok(()),
            Some(_) => Err(SqlError::new("42P06", format!("branch \"{name}\" exists already"))
                .with_hint("give the new branch another name, or drop that one first")),
        }
    }

    /// The branches as the formulas of one of them see them.
    pub fn seen_by<'a>(&'a self, own: &'a str) -> SeenBy<'a> {
        SeenBy { all: self, own, heads: BTreeMap::new() }
    }

    /// A branch's revision after some changes, with those of the branches that read it, and what was
    /// computed again.
    pub fn advanced(&self, branch: &Branch, changes: &[Change]) -> calc::Result<Advanced> {
        let seen = self.seen_by(&branch.name);
        let (revision, ran) = branch.revision.apply_among(changes, &seen)?;
        let mut recomputed = vec![(Arc::clone(&branch.name), ran)];
        let mut heads = BTreeMap::new();
        let mut followers = Vec::new();
        let mut waiting: Vec<&Arc<Branch>> = self.readers_of(&branch.name).collect();
        if !waiting.is_empty() {
            heads.insert(Arc::clone(&branch.name), Arc::new(revision.clone()));
        }
        while !waiting.is_empty() {
            // one whose own branches have their new heads: there is one, as there is no circle
            let is_ready = |reader: &&Arc<Branch>| {
                let reads = &reader.revision.plan.branches;
                !waiting.iter().any(|other| reads.contains_key(&other.name))
            };
            let next = waiting.iter().position(is_ready).unwrap_or(0);
            let reader = waiting.swap_remove(next);
            let seen = SeenBy { all: self, own: &reader.name, heads: heads.clone() };
            let followed = reader.revision.follow(&heads, &seen).map_err(|source| {
                CalcError::OnBranch { branch: reader.name.to_string(), source: Box::new(source) }
            })?;
            let (next, ran) = followed;
            recomputed.push((Arc::clone(&reader.name), ran));
            heads.insert(Arc::clone(&reader.name), Arc::new(next.clone()));
            followers.push((reader.number, next));
        }
        Ok(Advanced { revision, followers, recomputed })
    }

    /// The branches whose formulas read a branch, by way of others perhaps.
    pub fn readers_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Branch>> {
        self.iter().filter(move |branch| branch.revision.plan.reads_branch(name))
    }

    /// Takes an entry with changes of a branch in: its next revision, and those of its readers.
    ///
    /// # Panics
    /// If there is no such branch: whoever computed the revision had it.
    pub fn commit(
        &mut self,
        number: u32,
        advanced: Advanced,
        changes: &[Change],
        entry: &LedgerEntry,
    ) {
        let mut take_in = |number: u32, revision: Revision| {
            let branch = self.by_number.get_mut(&number).expect("a branch that was computed on");
            let branch = Arc::make_mut(branch);
            branch.revision = revision;
            branch.moved_at = entry.sequence;
        };
        take_in(number, advanced.revision);
        advanced.followers.into_iter().for_each(|(number, revision)| take_in(number, revision));
        let branch = self.by_number.get_mut(&number).expect("a branch that was computed on");
        let branch = Arc::make_mut(branch);
        branch.sequence = entry.sequence;
        branch.entry_count += 1;
        branch.rules.record(changes, entry);
        self.sequence = entry.sequence;
    }

    /// Whether a branch may go: 2BP01 where formulas of others read it.
    pub fn check_unread(&self, branch: &Branch) -> Result<(), SqlError> {
        let mut readers = self.readers_of(&branch.name).flat_map(|reader| {
            let formulas = reader.revision.plan.formulas.iter();
            let reading = formulas.filter(|formula| formula.branches.contains(&branch.name));
            reading.map(|formula| format!("{} on branch \"{}\"", formula.target, reader.name))
        });
        let Some(first) = readers.next() else { return Ok(()) };
        let others = readers.count();
        let name = &branch.name;
        let message = format!("branch \"{name}\" cannot be dropped: formulas read it");
        let detail = match others {
            0 => first,
            others => format!("{first}, and {others} more"),
        };
        Err(SqlError::new("2BP01", message)
            .with_detail(detail)
            .with_hint(
                "perfos rule set gives each a text that does not read it, perfos rule remove takes it away",
            ))
    }

    /// The first revision of a new branch.
    pub fn first_revision(&self, base: &Branch, name: &str) -> calc::Result<Revision> {
        base.revision.branched(&self.seen_by(name))
    }

    /// Takes an entry in that makes a branch, named as the entry's, from another one's head.
    pub fn create(&mut self, base: &Branch, revision: Revision, entry: &LedgerEntry) {
        let name: Arc<str> = entry.branch.as_str().into();
        let from = BranchBase {
            number: base.number,
            name: Arc::clone(&base.name),
            sequence: base.sequence,
            base: base.base.clone(),
        };
        let branch = Branch {
            number: self.next_number(),
            name: Arc::clone(&name),
            owner: entry.author.clone(),
            reason: entry.reason.clone(),
            base: Some(Arc::new(from)),
            created_us: Some(entry.time_us),
            revision,
            sequence: base.sequence,
            moved_at: entry.sequence,
            entry_count: 0,
            rules: base.rules.clone(),
        };
        self.names.insert(branch.number, name);
        self.by_number.insert(branch.number, Arc::new(branch));
        self.sequence = entry.sequence;
    }

    /// Takes an entry in that drops a branch.
    ///
    /// # Panics
    /// If it is `main`, which stays.
    pub fn remove(&mut self, number: u32, entry: &LedgerEntry) {
        assert_ne!(number, MAIN_NUMBER, "main is never dropped");
        self.by_number.remove(&number);
        self.sequence = entry.sequence;
    }
}

/// What changes of a branch lead to.
pub struct Advanced {
    /// Its next revision.
    pub revision: Revision,
    /// Those of the branches that read it, by number.
    pub followers: Vec<(u32, Revision)>,
    /// What was computed again on each of them, its own first.
    pub recomputed: Vec<(Arc<str>, Recomputed)>,
}

impl Advanced {
    /// What was computed again in all; formulas of other branches behind these's names.
    pub fn all_recomputed(&self) -> Recomputed {
        let of_branch = |(at, (branch, ran)): (usize, &(Arc<str>, Recomputed))| {
            let branch = if at == 0 { String::new() } else { format!("{branch}: ") };
            let named = ran.0.iter().map(move |(target, n)| (format!("{branch}{target}"), *n));
            named.collect::<Vec<_>>()
        };
        Recomputed(self.recomputed.iter().enumerate().flat_map(of_branch).collect())
    }
}

/// The branches as the formulas of one of them see them.
pub struct SeenBy<'a> {
    all: &'a Branches,
    own: &'a str,
    /// Heads that are newer than those of `all`.
    heads: BTreeMap<Arc<str>, Arc<Revision>>,
}

impl calc::branches::Branches for SeenBy<'_> {
    fn own(&self) -> &str {
        self.own
    }

    fn find(&self, name: &str) -> Option<(Arc<str>, Revision)> {
        let branch = self.all.find(name)?;
        let head = self.heads.get(&branch.name).map(|head| Revision::clone(head));
        Some((Arc::clone(&branch.name), head.unwrap_or_else(|| branch.revision.clone())))
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.all.iter().map(|branch| Arc::clone(&branch.name)).collect()
    }
}

/// What a user can read at one moment: all branches after the same ledger entry.
#[derive(Debug, Clone)]
pub struct ReadPoint {
    /// The branches.
    pub branches: Arc<Branches>,
    /// What the user may see.
    pub rights: Arc<Rights>,
    /// What his reads may use.
    pub memory: MemoryReservation,
}

impl ReadPoint {
    /// What he reads of a branch; 3F000 where there is none.
    pub fn snapshot(&self, branch: &str) -> Result<Snapshot, SqlError> {
        Ok(self.snapshot_of(self.branches.get(branch)?))
    }

    /// What he reads of one of the branches.
    pub fn snapshot_of(&self, branch: &Branch) -> Snapshot {
        let (sequence, moment) = (branch.sequence, Moment::Head);
        let view = View {
            version: Arc::clone(&branch.revision.version),
            position: Position { branch: Arc::clone(&branch.name), sequence, moment },
            rights: Arc::clone(&self.rights),
            interrupt: Interrupt::default(),
            memory: self.memory.clone(),
            uses_aggregates: true,
        };
        let lineage = branch.lineage();
        let (plan, branches) = (Arc::clone(&branch.revision.plan), Arc::clone(&self.branches));
        Snapshot { view, plan, lineage, branches }
    }
}
