//! The members of a dimension, their hierarchies, and what follows from them: ancestors and path
//! weights, kept dense so that a rollup never touches names.

mod digests;
mod groups;
mod history;

use std::sync::{Arc, OnceLock};

use chrono::{Datelike, Months, NaiveDate};
use indexmap::IndexSet;

use crate::change::{DatedWrite, MemberWrite, MembersWrite};
use crate::error::{CubeError, Result};
use crate::id::{AttributeId, HierarchyId, LevelId, MemberId};
use crate::limits::{DIMENSION_MEMBERS_MAX, HIERARCHY_DEPTH_MAX, KEY_BYTES_MAX};
use crate::model::{CalendarDef, DimensionDef, HierarchyDef, HierarchyKind};
use crate::number::{Number, Rounding};
use crate::state_hash::NameDigest;
use crate::value::{KeyType, Scalar, ValueType, date_of_days, format_date, parse_date};
use groups::Lazy;
use history::History;

pub use groups::LevelGroups;

/// The members of one dimension.
#[derive(Debug, Clone)]
pub struct Dimension {
    /// What the model says.
    pub def: Arc<DimensionDef>,
    keys: IndexSet<Arc<str>>,
    names: Vec<Arc<str>>,
    levels: Vec<Option<LevelId>>,
    /// Per hierarchy with parents of its own, per member.
    parents: Vec<Vec<MemberId>>,
    /// Per attribute, per member: the undated value.
    attributes: Vec<Vec<Option<Scalar>>>,
    /// Per attribute, the dated values.
    histories: Vec<Arc<History>>,
    derived: Arc<Derived>,
    /// Per member, where many rows have asked for them; keys never change.
    digests: OnceLock<Arc<[NameDigest]>>,
}

#[derive(Debug, Default)]
struct Derived {
    hierarchies: Vec<HierarchyShape>,
    level_columns: Vec<LevelColumn>,
    /// Per level, the columns of cubes that use the dimension at it.
    level_columns_at: Vec<Vec<LevelColumn>>,
    /// Position of each member in the declared order of keys; empty: the order of ids.
    order: Vec<u32>,
    lazy: Lazy,
}

/// What follows from a hierarchy's parents.
#[derive(Debug, Default)]
pub struct HierarchyShape {
    /// Per level position, per member: the ancestor there (itself at its own level), or NONE.
    pub ancestors: Vec<Vec<MemberId>>,
    /// Per member, the position of its level.
    pub depth: Vec<u16>,
    /// Per level position, the number of its members.
    pub sizes: Vec<usize>,
    /// Path weights, where the hierarchy is weighted.
    pub weights: Option<Weights>,
}

/// Path weights of a hierarchy as integers of one scale: what a member counts for in an ancestor.
#[derive(Debug)]
pub struct Weights {
    /// Digits after the point of every weight.
    pub scale: u32,
    /// Per member, its weight in its parent.
    pub own: Vec<i64>,
    /// Per level position, per member: the weight in the ancestor there; 1 where there is none.
    pub to_level: Vec<Vec<i64>>,
    /// Per member: the weight in the total over all roots.
    pub to_top: Vec<i64>,
}

/// A level that SQL shows as a column of every cube with the dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelColumn {
    /// The column's name after `<dimension>_`: `year`, `l1`, `ownership_l1`.
    pub name: String,
    /// The hierarchy it is read through.
    pub hierarchy: HierarchyId,
    /// The position of the level in the hierarchy, 0 at the top.
    pub position: usize,
    /// The declared type of the members' names.
    pub key_type: KeyType,
}

impl Dimension {
    /// The dimension of a definition; a calendar has its members from the start.
    pub fn new(def: Arc<DimensionDef>) -> Result<Self> {
        let own_parents = def.hierarchies.len();
        let attributes = vec![Vec::new(); def.attributes.len()];
        let mut dimension = Self {
            keys: IndexSet::new(),
            names: Vec::new(),
            levels: Vec::new(),
            parents: vec![Vec::new(); own_parents],
            attributes,
            histories: vec![Arc::default(); def.attributes.len()],
            derived: Arc::default(),
            digests: OnceLock::new(),
            def: Arc::clone(&def),
        };
        if let Some(calendar) = &def.calendar {
            let members = calendar_members(&def, calendar)?;
            let write =
                MembersWrite { dimension: crate::DimensionId(0), first_new: MemberId(0), members };
            dimension = dimension.with_members(&write)?;
        } else {
            dimension.derive()?;
        }
        Ok(dimension)
    }

    /// Number of members; ids are below it.
    pub fn member_count(&self) -> usize {
        self.keys.len()
    }

    /// All members in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = MemberId> + use<> {
        (0..self.keys.len()).map(MemberId::from_idx)
    }

    /// The member of a canonical key.
    pub fn find(&self, key: &str) -> Option<MemberId> {
        self.keys.get_index_of(key).map(MemberId::from_idx)
    }

    /// The member of a key in any spelling its type allows.
    pub fn resolve(&self, key: &str) -> Result<MemberId> {
        self.find_spelled(self.def.key_type, key).ok_or_else(|| {
            let keys = self.keys.iter().map(|existing| existing.as_ref());
            let outside = self.outside_calendar(key);
            outside.unwrap_or_else(|| CubeError::unknown("member", key, keys))
        })
    }

    /// Why a day or a period is no member, where only the calendar's first and last day are to blame;
    /// other dates that look like it would not help.
    pub fn outside_calendar(&self, key: &str) -> Option<CubeError> {
        let calendar = self.def.calendar.as_ref().filter(|_| is_period(key))?;
        let CalendarDef { start, end, .. } = calendar;
        (self.find_spelled(self.def.key_type, key).is_none()).then(|| CubeError::OutsideCalendar {
            key: key.to_string(),
            calendar: format!("{}, which runs from {start} to {end}", self.def.name),
        })
    }

    fn find_spelled(&self, key_type: KeyType, key: &str) -> Option<MemberId> {
        self.find(key).or_else(|| self.find(&key_type.canonical(key).ok()?))
    }

    /// The leaf member of a key: one that may hold facts.
    pub fn resolve_leaf(&self, key: &str) -> Result<MemberId> {
        self.resolve_at(None, key)
    }

    /// The member of a key on a level; none: a leaf, one that may hold facts.
    pub fn resolve_at(&self, level: Option<LevelId>, key: &str) -> Result<MemberId> {
        let member = self.find_spelled(self.key_type_at(level), key);
        let member = member.or_else(|| self.find_spelled(self.def.key_type, key));
        let Some(member) = member else {
            if let Some(outside) = self.outside_calendar(key) {
                return Err(outside);
            }
            let on_level = self.members().filter(|&member| self.holds_facts_at(level, member));
            return Err(CubeError::unknown("member", key, on_level.map(|member| self.key(member))));
        };
        if self.holds_facts_at(level, member) {
            return Ok(member);
        }
        let name = |level: LevelId| self.def.levels[level.idx()].name.as_str();
        let (expected, reason) = match level {
            None => (
                format!("leaf member of dimension {}", self.def.name),
                "it is a consolidated member; facts go to its leaves".into(),
            ),
            Some(level) => (
                format!("{} of dimension {}", name(level), self.def.name),
                format!(
                    "it is on level {}, and the cube is at {}",
                    self.level(member).map_or("none", name),
                    name(level)
                ),
            ),
        };
        Err(CubeError::InvalidValue { value: key.to_string(), expected, reason })
    }

    /// The type of the keys of a level's members; none: of leaves. Keys above them are text.
    pub fn key_type_at(&self, level: Option<LevelId>) -> KeyType {
        match level {
            Some(level) if Some(level) != self.def.leaf_level() => KeyType::Text,
            _ => self.def.key_type,
        }
    }

    /// A member's ancestor on a level, or itself; none where it has none there.
    pub fn ancestor_at(&self, level: LevelId, member: MemberId) -> Option<MemberId> {
        let name = &self.def.levels[level.idx()].name;
        let through = |(shape, def): (&HierarchyShape, &HierarchyDef)| {
            let position = def.levels.iter().position(|level| level == name)?;
            Some(shape.ancestors[position][member.idx()]).filter(|&found| found != MemberId::NONE)
        };
        self.derived.hierarchies.iter().zip(&self.def.hierarchies).find_map(through)
    }

    /// Per member, the one that has its key in another state of the dimension, or NONE; none where
    /// the two are one.
    pub fn ids_in(self: &Arc<Self>, other: &Arc<Self>) -> Option<Vec<MemberId>> {
        if Arc::ptr_eq(self, other) {
            return None;
        }
        let id = |member: MemberId| {
            let key = self.key(member);
            let is_same = member.idx() < other.member_count() && other.key(member) == key;
            if is_same { member } else { other.find(key).unwrap_or(MemberId::NONE) }
        };
        Some(self.members().map(id).collect())
    }

    /// A member's key.
    pub fn key(&self, member: MemberId) -> &str {
        &self.keys[member.idx()]
    }

    /// A member's name.
    pub fn name(&self, member: MemberId) -> &str {
        &self.names[member.idx()]
    }

    /// A member's level, in a dimension with levels.
    pub fn level(&self, member: MemberId) -> Option<LevelId> {
        self.levels[member.idx()]
    }

    /// A member's parent in a hierarchy.
    pub fn parent(&self, hierarchy: HierarchyId, member: MemberId) -> Option<MemberId> {
        let own = self.parents_of(hierarchy);
        Some(self.parents[own.idx()][member.idx()]).filter(|&parent| parent != MemberId::NONE)
    }

    /// The hierarchy whose parents a hierarchy uses.
    fn parents_of(&self, hierarchy: HierarchyId) -> HierarchyId {
        match &self.def.hierarchies[hierarchy.idx()].same_as {
            Some(other) => self.def.hierarchy(other).unwrap_or(hierarchy),
            None => hierarchy,
        }
    }

    /// A member's value of an attribute: the latest of dated ones, else the undated one.
    pub fn attribute(&self, attribute: AttributeId, member: MemberId) -> Option<&Scalar> {
        self.attribute_on(attribute, member, i32::MAX)
    }

    /// A member's value of an attribute on a day, in days since 1970-01-01: the dated one that holds
    /// then, or the undated one before all of them.
    pub fn attribute_on(
        &self,
        attribute: AttributeId,
        member: MemberId,
        day: i32,
    ) -> Option<&Scalar> {
        match self.histories[attribute.idx()].on(member, day) {
            Some(dated) => dated.as_ref(),
            None => self.undated(attribute, member),
        }
    }

    /// A member's value of an attribute before all dated ones.
    pub fn undated(&self, attribute: AttributeId, member: MemberId) -> Option<&Scalar> {
        self.attributes[attribute.idx()][member.idx()].as_ref()
    }

    /// A member's dated values of an attribute: the day (since 1970-01-01) from which each holds, in
    /// order, and the value, none where it is blank from then on.
    pub fn dated(&self, attribute: AttributeId, member: MemberId) -> &[(i32, Option<Scalar>)] {
        self.histories[attribute.idx()].of(member)
    }

    /// Whether an attribute has dated values.
    pub fn is_dated(&self, attribute: AttributeId) -> bool {
        !self.histories[attribute.idx()].is_empty()
    }

    /// Whether cells and rows may name the member: any member of a parent-child dimension (its data
    /// member), a member of the last level otherwise.
    pub fn holds_facts(&self, member: MemberId) -> bool {
        match self.def.leaf_level() {
            Some(leaf) => self.levels[member.idx()] == Some(leaf),
            None => true,
        }
    }

    /// Whether cells and rows of a cube that uses the dimension at a level (none: at its leaves) may
    /// name the member.
    pub fn holds_facts_at(&self, level: Option<LevelId>, member: MemberId) -> bool {
        match level {
            Some(level) => self.levels[member.idx()] == Some(level),
            None => self.holds_facts(member),
        }
    }

    /// What follows from a hierarchy's parents.
    pub fn shape(&self, hierarchy: HierarchyId) -> &HierarchyShape {
        &self.derived.hierarchies[hierarchy.idx()]
    }

    /// The levels that SQL shows as columns.
    pub fn level_columns(&self) -> &[LevelColumn] {
        &self.derived.level_columns
    }

    /// The levels that SQL shows as columns of a cube that uses the dimension at a level (none: at
    /// its leaves): that level and those above it.
    pub fn level_columns_at(&self, level: Option<LevelId>) -> &[LevelColumn] {
        match level {
            Some(level) => &self.derived.level_columns_at[level.idx()],
            None => &self.derived.level_columns,
        }
    }

    /// Position of a member in the declared order: of dates by time, else the order of arrival.
    pub fn order(&self, member: MemberId) -> u32 {
        self.derived.order.get(member.idx()).copied().unwrap_or(member.0)
    }

    /// The dimension under a changed definition: attributes may be more.
    pub fn with_definition(&self, def: Arc<DimensionDef>) -> Result<Self> {
        let mut dimension = self.clone();
        let count = dimension.member_count();
        dimension.attributes.resize(def.attributes.len(), vec![None; count]);
        dimension.histories.resize(def.attributes.len(), Arc::default());
        dimension.parents.resize(def.hierarchies.len(), vec![MemberId::NONE; count]);
        // what had no levels holds facts
        let leaf_level = def.leaf_level();
        dimension.levels.iter_mut().for_each(|level| *level = level.or(leaf_level));
        let is_structure = def.hierarchies != self.def.hierarchies;
        dimension.def = def;
        match is_structure {
            true => dimension.derive()?,
            false => dimension.check_columns()?,
        }
        Ok(dimension)
    }

    /// The dimension with members added and changed.
    pub fn with_members(&self, write: &MembersWrite) -> Result<Self> {
        if write.first_new.idx() != self.member_count() {
            return Err(CubeError::Inconsistent(format!(
                "new members of {} start at {}, expected {}",
                self.def.name,
                write.first_new.0,
                self.member_count()
            )));
        }
        let mut dimension = self.clone();
        for member in &write.members {
            dimension.add_or_rename(member)?;
        }
        for member in &write.members {
            dimension.set_properties(member)?;
        }
        if dimension.member_count() > DIMENSION_MEMBERS_MAX {
            return Err(CubeError::Definition(format!(
                "dimension {} would have more than {DIMENSION_MEMBERS_MAX} members",
                self.def.name
            )));
        }
        dimension.derive()?;
        Ok(dimension)
    }

    /// The dimension with dated values of an attribute.
    pub fn with_dated(&self, write: &DatedWrite) -> Result<Self> {
        let Some(def) = self.def.attributes.get(write.attribute.idx()) else {
            let message = format!("no attribute {} in {}", write.attribute.0, self.def.name);
            return Err(CubeError::Inconsistent(message));
        };
        let mut dimension = self.clone();
        let history = Arc::make_mut(&mut dimension.histories[write.attribute.idx()]);
        for dated in &write.values {
            let member = self.find(&dated.member).ok_or_else(|| {
                let keys = self.keys.iter().map(|existing| existing.as_ref());
                CubeError::unknown("member", &dated.member, keys)
            })?;
            let is_text = matches!(dated.value, Some(Scalar::Text(_)));
            let is_of_type =
                dated.value.is_none() || is_text == (def.value_type == ValueType::Text);
            if !is_of_type || date_of_days(dated.valid_from).is_none() {
                let message = format!("a dated value of {}.{}", self.def.name, def.name);
                return Err(CubeError::Inconsistent(message));
            }
            history.set(member, dated.valid_from, dated.value.clone());
        }
        if self.def.hierarchies.iter().any(|h| h.weight.as_ref() == Some(&def.name)) {
            dimension.derive()?;
        }
        Ok(dimension)
    }

    fn add_or_rename(&mut self, member: &MemberWrite) -> Result<()> {
        if member.key.len() > KEY_BYTES_MAX
            || member.name.as_ref().is_some_and(|n| n.len() > KEY_BYTES_MAX)
        {
            return Err(CubeError::Definition(format!(
                "member {:.40}...: keys and names have at most {KEY_BYTES_MAX} bytes",
                member.key
            )));
        }
        let leaf_level = self.def.leaf_level();
        if let Some(id) = self.find(&member.key) {
            if let Some(name) = &member.name {
                self.names[id.idx()] = name.as_str().into();
            }
            if member.level.is_some() && member.level != self.levels[id.idx()] {
                return Err(CubeError::Definition(format!(
                    "member {:?} of dimension {} is on another level already; keys are unique within a dimension",
                    member.key, self.def.name
                )));
            }
            return Ok(());
        }
        let level = member.level.or(leaf_level);
        let key = if level == leaf_level {
            self.def.key_type.canonical(&member.key)?
        } else {
            KeyType::Text.canonical(&member.key)?
        };
        if key != member.key {
            return Err(CubeError::Inconsistent(format!("key {:?} is not canonical", member.key)));
        }
        let key: Arc<str> = key.into();
        self.names.push(member.name.as_deref().map_or_else(|| Arc::clone(&key), Into::into));
        self.keys.insert(key);
        self.digests.take();
        self.levels.push(level);
        self.parents.iter_mut().for_each(|parents| parents.push(MemberId::NONE));
        self.attributes.iter_mut().for_each(|values| values.push(None));
        Ok(())
    }

    fn set_properties(&mut self, member: &MemberWrite) -> Result<()> {
        let id = self.resolve(&member.key)?;
        for (hierarchy, parent) in &member.parents {
            let parent = match parent {
                Some(key) => self.resolve(key)?,
                None => MemberId::NONE,
            };
            let own = self.parents_of(*hierarchy);
            self.parents[own.idx()][id.idx()] = parent;
        }
        for (attribute, value) in &member.attributes {
            self.attributes[attribute.idx()][id.idx()].clone_from(value);
        }
        Ok(())
    }

    fn derive(&mut self) -> Result<()> {
        let mut derived = Derived { order: self.declared_order(), ..Derived::default() };
        for idx in 0..self.def.hierarchies.len() {
            derived.hierarchies.push(self.derive_shape(HierarchyId::from_idx(idx))?);
        }
        derived.level_columns = self.derive_level_columns(&derived.hierarchies);
        let levels = (0..self.def.levels.len()).map(LevelId::from_idx);
        derived.level_columns_at = levels.map(|level| self.columns_above(level)).collect();
        derived.lazy = Lazy::after(&self.derived.lazy, self.def.levels.len());
        self.derived = Arc::new(derived);
        self.check_columns()
    }

    fn hierarchy_kind(&self, hierarchy: HierarchyId) -> HierarchyKind {
        self.def.hierarchies[hierarchy.idx()].kind
    }

    /// Levels are shown as columns: each has a name of its own, which no attribute has.
    fn check_columns(&self) -> Result<()> {
        let columns = &self.derived.level_columns;
        for (at, level) in columns.iter().enumerate() {
            let column = format!("{}_{}", self.def.name, level.name);
            let refused = |what: &str| {
                let message = format!("dimension {:?}: {column:?} is {what}", self.def.name);
                Err(CubeError::Definition(message))
            };
            if self.def.attribute(&column).is_ok() {
                return refused("the column of a level, name the attribute otherwise");
            }
            let is_depth = self.hierarchy_kind(level.hierarchy) == HierarchyKind::ParentChild;
            let is_level = is_depth && self.def.level(&level.name).is_ok();
            if is_level || columns[..at].iter().any(|other| other.name == level.name) {
                return refused(
                    "the column of two levels, name the level or the hierarchy otherwise",
                );
            }
        }
        Ok(())
    }

    fn declared_order(&self) -> Vec<u32> {
        if self.def.key_type != KeyType::Date {
            return Vec::new();
        }
        let mut sorted: Vec<usize> = (0..self.member_count()).collect();
        sorted.sort_by_key(|&idx| (parse_date(&self.keys[idx]), idx));
        let mut order = vec![0; sorted.len()];
        for (position, idx) in sorted.into_iter().enumerate() {
            order[idx] = MemberId::from_idx(position).0;
        }
        order
    }

    fn derive_shape(&self, hierarchy: HierarchyId) -> Result<HierarchyShape> {
        let def = &self.def.hierarchies[hierarchy.idx()];
        let parents = &self.parents[self.parents_of(hierarchy).idx()];
        let depth = match def.kind {
            HierarchyKind::ParentChild => self.depths(parents, &def.name)?,
            HierarchyKind::Levels => self.level_positions(hierarchy, parents)?,
        };
        let level_count = match def.kind {
            HierarchyKind::Levels => def.levels.len(),
            HierarchyKind::ParentChild => {
                depth.iter().max().map_or(1, |&deepest| usize::from(deepest) + 1)
            }
        };
        let mut ancestors = vec![vec![MemberId::NONE; parents.len()]; level_count];
        for member in 0..parents.len() {
            let mut at = MemberId::from_idx(member);
            while at != MemberId::NONE {
                if let Some(level) = ancestors.get_mut(usize::from(depth[at.idx()])) {
                    level[member] = at;
                }
                at = parents[at.idx()];
            }
        }
        let weights = match &def.weight {
            None => None,
            Some(name) => {
                Some(self.derive_weights(self.def.attribute(name)?, parents, &ancestors)?)
            }
        };
        let mut sizes = vec![0; level_count];
        for &position in &depth {
            if let Some(size) = sizes.get_mut(usize::from(position)) {
                *size += 1;
            }
        }
        Ok(HierarchyShape { ancestors, depth, sizes, weights })
    }

    fn depths(&self, parents: &[MemberId], hierarchy: &str) -> Result<Vec<u16>> {
        const UNKNOWN: u16 = u16::MAX;
        let mut depths = vec![UNKNOWN; parents.len()];
        let mut path = Vec::new();
        for member in 0..parents.len() {
            let mut at = member;
            while depths[at] == UNKNOWN {
                if path.len() > HIERARCHY_DEPTH_MAX {
                    return Err(self.too_deep_or_cyclic(member, parents, hierarchy));
                }
                path.push(at);
                match parents[at] {
                    MemberId::NONE => break,
                    parent => at = parent.idx(),
                }
            }
            while let Some(at) = path.pop() {
                depths[at] = match parents[at] {
                    MemberId::NONE => 0,
                    parent => depths[parent.idx()] + 1,
                };
                if usize::from(depths[at]) >= HIERARCHY_DEPTH_MAX {
                    return Err(self.too_deep_or_cyclic(at, parents, hierarchy));
                }
            }
        }
        Ok(depths)
    }

    fn too_deep_or_cyclic(
        &self,
        member: usize,
        parents: &[MemberId],
        hierarchy: &str,
    ) -> CubeError {
        // after as many steps as there are members, a path that has not ended is on its cycle
        let mut at = MemberId::from_idx(member);
        for _ in 0..parents.len() {
            at = parents[at.idx()];
            if at == MemberId::NONE {
                return CubeError::Definition(format!(
                    "member {:?} is deeper than {HIERARCHY_DEPTH_MAX} levels in hierarchy {hierarchy:?}",
                    self.keys[member]
                ));
            }
        }
        CubeError::HierarchyCycle {
            member: self.key(at).to_string(),
            hierarchy: hierarchy.to_string(),
        }
    }

    /// Position in the hierarchy of each member's level; parents are on levels above.
    fn level_positions(&self, hierarchy: HierarchyId, parents: &[MemberId]) -> Result<Vec<u16>> {
        let def = &self.def.hierarchies[hierarchy.idx()];
        let mut position_of_level = vec![u16::MAX; self.def.levels.len()];
        for (position, level) in def.levels.iter().enumerate() {
            position_of_level[self.def.level(level)?.idx()] =
                u16::try_from(position).unwrap_or(u16::MAX);
        }
        let positions: Vec<u16> = self
            .levels
            .iter()
            .map(|level| level.map_or(u16::MAX, |level| position_of_level[level.idx()]))
            .collect();
        for (member, &parent) in parents.iter().enumerate() {
            if parent == MemberId::NONE {
                continue;
            }
            if positions[parent.idx()] >= positions[member] || positions[member] == u16::MAX {
                return Err(CubeError::Definition(format!(
                    "member {:?} of dimension {}: its parent {:?} in hierarchy {:?} is not on a level above",
                    self.keys[member],
                    self.def.name,
                    self.keys[parent.idx()],
                    def.name
                )));
            }
        }
        Ok(positions)
    }

    fn derive_weights(
        &self,
        attribute: AttributeId,
        parents: &[MemberId],
        ancestors: &[Vec<MemberId>],
    ) -> Result<Weights> {
        let value_type = self.def.attributes[attribute.idx()].value_type;
        let own = self
            .members()
            .map(|member| weight_of(self.attribute(attribute, member), value_type))
            .collect::<Result<Vec<_>>>()?;
        // per member, from itself upwards: (node, weight of the member in that node)
        let mut to_level = vec![vec![Number::new(1, 0); parents.len()]; ancestors.len()];
        let mut to_top = Vec::with_capacity(parents.len());
        for member in 0..parents.len() {
            let mut weight = Number::new(1, 0);
            let mut at = MemberId::from_idx(member);
            while at != MemberId::NONE {
                if let Some(level) = ancestors.iter().position(|level| level[member] == at) {
                    to_level[level][member] = weight;
                }
                weight = weight.times(own[at.idx()])?;
                at = parents[at.idx()];
            }
            to_top.push(weight);
        }
        let all = own.iter().chain(&to_top).chain(to_level.iter().flatten());
        let scale = all.map(|number| number.normalized().scale).max().unwrap_or(0);
        let scaled = |numbers: &[Number]| {
            let scaled = numbers.iter().map(|number| {
                let weight = number.rescaled(scale, Rounding::HalfEven)?;
                i64::try_from(weight).map_err(|_| {
                    CubeError::Overflow(format!("a path weight of dimension {}", self.def.name))
                })
            });
            scaled.collect::<Result<Vec<i64>>>()
        };
        Ok(Weights {
            scale,
            own: scaled(&own)?,
            to_level: to_level.iter().map(|level| scaled(level)).collect::<Result<_>>()?,
            to_top: scaled(&to_top)?,
        })
    }

    fn derive_level_columns(&self, shapes: &[HierarchyShape]) -> Vec<LevelColumn> {
        let mut columns: Vec<LevelColumn> = Vec::new();
        for (idx, hierarchy) in self.def.hierarchies.iter().enumerate() {
            let id = HierarchyId::from_idx(idx);
            match hierarchy.kind {
                HierarchyKind::Levels => self.add_columns(&mut columns, id, &hierarchy.levels),
                HierarchyKind::ParentChild => {
                    let prefix =
                        if idx == 0 { String::new() } else { format!("{}_", hierarchy.name) };
                    for position in 0..shapes[idx].ancestors.len() {
                        let name = format!("{prefix}l{}", position + 1);
                        columns.push(LevelColumn {
                            name,
                            hierarchy: id,
                            position,
                            key_type: KeyType::Text,
                        });
                    }
                }
            }
        }
        columns
    }

    /// The columns of a level and of the levels above it, in every hierarchy that has it.
    fn columns_above(&self, level: LevelId) -> Vec<LevelColumn> {
        let name = &self.def.levels[level.idx()].name;
        let mut columns = Vec::new();
        for (idx, hierarchy) in self.def.hierarchies.iter().enumerate() {
            let position = hierarchy.levels.iter().position(|level| level == name);
            let levels = position.map_or(&[][..], |position| &hierarchy.levels[..=position]);
            self.add_columns(&mut columns, HierarchyId::from_idx(idx), levels);
        }
        columns
    }

    /// Adds the columns of a hierarchy's levels, from the top, that are not there yet.
    fn add_columns(
        &self,
        columns: &mut Vec<LevelColumn>,
        hierarchy: HierarchyId,
        levels: &[String],
    ) {
        for (position, name) in levels.iter().enumerate() {
            if columns.iter().any(|column| &column.name == name) {
                continue;
            }
            let level = self.def.level(name).map(|level| &self.def.levels[level.idx()]);
            let key_type = level.map_or(KeyType::Text, |level| level.key_type);
            columns.push(LevelColumn { name: name.clone(), hierarchy, position, key_type });
        }
    }
}

fn weight_of(value: Option<&Scalar>, value_type: ValueType) -> Result<Number> {
    Ok(match value {
        None => Number::new(1, 0),
        Some(Scalar::Stored(value)) => {
            Number::new(i128::from(*value), value_type.scale()).normalized()
        }
        Some(Scalar::Text(text)) => match text.as_ref() {
            "+" => Number::new(1, 0),
            "-" => Number::new(-1, 0),
            "~" => Number::ZERO,
            other => {
                return Err(CubeError::InvalidValue {
                    value: other.to_string(),
                    expected: "operator".into(),
                    reason: "expected +, - or ~".into(),
                });
            }
        },
    })
}

/// Whether a key is one that some calendar has: a day, a month, a quarter or a year.
fn is_period(key: &str) -> bool {
    let first_day = match key.split_once("-Q") {
        Some((year, "1" | "2" | "3" | "4")) => format!("{year}-01-01"),
        _ => format!("{key}{}", "-01".repeat(2usize.saturating_sub(key.matches('-').count()))),
    };
    parse_date(&first_day).is_some()
}

fn calendar_members(def: &DimensionDef, calendar: &CalendarDef) -> Result<Vec<MemberWrite>> {
    let (start, end) = calendar.days(&def.name)?;
    let level = |name: &str| def.level(name).map(Some);
    let calendar_id = def.hierarchy("calendar")?;
    let fiscal_id = def.hierarchy("fiscal").ok();
    let mut members: IndexSet<String> = IndexSet::new();
    let mut writes = Vec::new();
    let mut add = |write: MemberWrite| {
        if members.insert(write.key.clone()) {
            writes.push(write);
        }
    };
    let outside = || CubeError::Definition("a calendar day out of range".into());
    for day in start..=end {
        let date = date_of_days(day).ok_or_else(outside)?;
        let (year, quarter) = (date.year(), date.month0() / 3 + 1);
        let (year_key, quarter_key) = (year.to_string(), format!("{year}-Q{quarter}"));
        let month_key = date.format("%Y-%m").to_string();
        let member = |key: &str, level: &str| -> Result<MemberWrite> {
            Ok(MemberWrite {
                key: key.into(),
                level: def.level(level).map(Some)?,
                ..MemberWrite::default()
            })
        };
        add(member(&year_key, "year")?);
        add(MemberWrite {
            parents: vec![(calendar_id, Some(year_key.clone()))],
            ..member(&quarter_key, "quarter")?
        });
        let mut month = member(&month_key, "month")?;
        month.parents.push((calendar_id, Some(quarter_key)));
        let mut leaf = member(&format_date(day), "day")?;
        leaf.parents.push((calendar_id, Some(month_key.clone())));
        if let (Some(fiscal_id), Some(first_month)) = (fiscal_id, calendar.fiscal_start_month) {
            let (fiscal_year, fiscal_quarter) =
                fiscal_period(date, first_month).ok_or_else(outside)?;
            let year_key = format!("FY{fiscal_year}");
            let quarter_key = format!("FY{fiscal_year}-Q{fiscal_quarter}");
            add(MemberWrite {
                key: year_key.clone(),
                name: Some(fiscal_year.to_string()),
                level: level("fiscal_year")?,
                ..MemberWrite::default()
            });
            add(MemberWrite {
                parents: vec![(fiscal_id, Some(year_key))],
                ..member(&quarter_key, "fiscal_quarter")?
            });
            month.parents.push((fiscal_id, Some(quarter_key)));
            leaf.parents.push((fiscal_id, Some(month_key)));
        }
        add(month);
        add(leaf);
    }
    Ok(writes)
}

/// The fiscal year (named after the year in which it ends) and quarter of a date.
fn fiscal_period(date: NaiveDate, first_month: u32) -> Option<(i32, u32)> {
    let month = date.with_day(1)?;
    let shifted = month.checked_sub_months(Months::new(first_month - 1))?;
    let ends_later = i32::from(first_month > 1);
    Some((shifted.year() + ends_later, shifted.month0() / 3 + 1))
}
