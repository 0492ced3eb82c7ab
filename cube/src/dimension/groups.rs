//! Members grouped by their ancestors down to a level: what level columns of segments hold, and what
//! predicates and groupings by names are evaluated on, once a group.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use roaring::RoaringBitmap;

use super::Dimension;
use crate::id::{HierarchyId, LevelId, MemberId};

/// A level column holds up to so many groups: two bytes a row.
const GROUPS_MAX: usize = 1 << 16;
/// A level column is made where a group has so many members on average.
const MEMBERS_A_GROUP: usize = 8;

/// Members told apart by their ancestors from the top of a hierarchy down to one level.
///
/// Groups are numbered by walking the hierarchy from the top, so that those below one ancestor follow
/// each other; those of members that no row names come last.
#[derive(Debug)]
pub struct LevelGroups {
    /// Per member, its group.
    pub codes: Vec<u32>,
    /// Per group, the first of its members that rows may name; NONE where there is none.
    pub first: Vec<MemberId>,
    /// Shared with the groups of other states of the dimension that put the same members into the
    /// same groups: what was made of one state's codes is right for the others' too.
    pub identity: Arc<()>,
    at: GroupsAt,
    facts: Arc<RoaringBitmap>,
    sets: OnceLock<Vec<RoaringBitmap>>,
}

impl LevelGroups {
    /// The groups of a dimension's members; `before` are those of an earlier state.
    fn new(dimension: &Dimension, at: GroupsAt, before: Option<&Self>) -> Self {
        let GroupsAt { facts, hierarchy, position } = at;
        let levels = &dimension.shape(hierarchy).ancestors;
        let levels = &levels[..levels.len().min(position + 1)];
        // the deepest ancestor has all the others above it
        let deepest = |member: MemberId| {
            let mut upwards = levels.iter().rev().map(|level| level[member.idx()]);
            upwards.find(|&ancestor| ancestor != MemberId::NONE).unwrap_or(MemberId::NONE)
        };
        let count = dimension.member_count();
        // one place more for the members without any ancestor
        let place = |ancestor: MemberId| ancestor.idx().min(count);
        let mut group_at = vec![u32::MAX; count + 1];
        let mut found: Vec<MemberId> = Vec::new();
        let ancestors: Vec<MemberId> = dimension.members().map(deepest).collect();
        for &ancestor in &ancestors {
            if group_at[place(ancestor)] == u32::MAX {
                group_at[place(ancestor)] = 0;
                found.push(ancestor);
            }
        }
        let order = |ancestor: MemberId| match ancestor {
            MemberId::NONE => u32::MAX,
            ancestor => dimension.order(ancestor),
        };
        let path = |&ancestor: &MemberId| -> Vec<u32> {
            let above = |level: &Vec<MemberId>| match ancestor {
                MemberId::NONE => u32::MAX,
                ancestor => order(level[ancestor.idx()]),
            };
            levels.iter().map(above).chain([ancestor.0]).collect()
        };
        let mut has_facts = vec![false; count + 1];
        for (member, &ancestor) in dimension.members().zip(&ancestors) {
            has_facts[place(ancestor)] |= dimension.holds_facts_at(facts, member);
        }
        // those that no row names come last, so that the codes of rows stay narrow
        found.sort_by_cached_key(|ancestor| (!has_facts[place(*ancestor)], path(ancestor)));
        for (group, &ancestor) in (0..).zip(&found) {
            group_at[place(ancestor)] = group;
        }
        let codes: Vec<u32> = ancestors.iter().map(|&a| group_at[place(a)]).collect();
        let mut first = vec![MemberId::NONE; found.len()];
        for (member, &group) in dimension.members().zip(&codes) {
            let first = &mut first[group as usize];
            if *first == MemberId::NONE && dimension.holds_facts_at(facts, member) {
                *first = member;
            }
        }
        let is_same =
            |before: &&Self| before.first.len() == first.len() && codes.starts_with(&before.codes);
        let identity = before.filter(is_same).map(|before| Arc::clone(&before.identity));
        let facts = Arc::clone(dimension.facts_at(facts));
        let identity = identity.unwrap_or_default();
        Self { codes, first, identity, at, facts, sets: OnceLock::new() }
    }

    /// The groups by the same levels in another state of the dimension.
    pub(crate) fn of_other_state(&self, dimension: &Dimension) -> Arc<Self> {
        dimension.groups(self.at.facts, self.at.hierarchy, self.at.position)
    }

    /// Whether members of one group have the same ancestors down to a level.
    pub(crate) fn are_within(&self, hierarchy: HierarchyId, position: usize) -> bool {
        self.at.hierarchy == hierarchy && position <= self.at.position
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Per group, its members that rows may name.
    pub fn sets(&self) -> &[RoaringBitmap] {
        self.sets.get_or_init(|| {
            let mut sets = vec![RoaringBitmap::new(); self.len()];
            for member in self.facts.iter() {
                sets[self.codes[member as usize] as usize].insert(member);
            }
            sets
        })
    }
}

/// Which groups of a dimension's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupsAt {
    /// The level of the members that rows name; none: leaves.
    facts: Option<LevelId>,
    hierarchy: HierarchyId,
    /// The lowest level that tells members apart.
    position: usize,
}

/// What is found out about a dimension's members when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Lazy {
    groups: Mutex<Vec<(GroupsAt, Arc<LevelGroups>)>>,
    /// Groups of earlier states of the dimension.
    earlier: Vec<(GroupsAt, Arc<LevelGroups>)>,
    /// Of leaves, then per level.
    facts: Vec<OnceLock<Arc<RoaringBitmap>>>,
}

impl Lazy {
    /// Nothing found out yet, in a dimension of so many levels that was another before.
    pub fn after(before: &Self, levels: usize) -> Self {
        let mut earlier = before.known().clone();
        let is_known = |at: &GroupsAt| earlier.iter().any(|(known, _)| known == at);
        let older = before.earlier.iter().filter(|(at, _)| !is_known(at)).cloned();
        let older: Vec<_> = older.collect();
        earlier.extend(older);
        Self {
            groups: Mutex::default(),
            earlier,
            facts: (0..=levels).map(|_| OnceLock::new()).collect(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<(GroupsAt, Arc<LevelGroups>)>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dimension {
    /// The members by their ancestors in a hierarchy down to the level at a position, for cubes that
    /// use the dimension at a level (none: at its leaves).
    pub fn groups(
        &self,
        facts: Option<LevelId>,
        hierarchy: HierarchyId,
        position: usize,
    ) -> Arc<LevelGroups> {
        let at = GroupsAt { facts, hierarchy, position };
        let mut known = self.derived.lazy.known();
        if let Some((_, groups)) = known.iter().find(|(known, _)| *known == at) {
            return Arc::clone(groups);
        }
        let before = self.derived.lazy.earlier.iter().find(|(earlier, _)| *earlier == at);
        let before = before.map(|(_, groups)| groups.as_ref());
        let groups = Arc::new(LevelGroups::new(self, at, before));
        known.push((at, Arc::clone(&groups)));
        groups
    }

    /// The groups whose numbers are worth a column of their own where members are told apart by those
    /// at a position: of the lowest level with few groups for its members.
    pub fn column_groups(
        &self,
        facts: Option<LevelId>,
        hierarchy: HierarchyId,
        position: usize,
    ) -> Option<Arc<LevelGroups>> {
        let shape = self.shape(hierarchy);
        let is_few =
            |count: usize| count <= GROUPS_MAX && count * MEMBERS_A_GROUP <= self.member_count();
        let upwards = (position..shape.ancestors.len()).rev();
        let upwards = upwards.filter(|&at| is_few(shape.sizes[at]));
        let mut groups = upwards.map(|at| self.groups(facts, hierarchy, at));
        groups.find(|groups| is_few(groups.len()))
    }

    /// The members that rows may name in cubes that use the dimension at a level (none: at its
    /// leaves).
    pub fn facts_at(&self, level: Option<LevelId>) -> &Arc<RoaringBitmap> {
        self.derived.lazy.facts[level.map_or(0, |level| level.idx() + 1)].get_or_init(|| {
            let facts = self.members().filter(|&member| self.holds_facts_at(level, member));
            Arc::new(facts.map(|member| member.0).collect())
        })
    }
}
