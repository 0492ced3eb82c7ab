//! A revision kept up to date by random changes, the inputs that it must hold, and the same state
//! built anew.

use std::collections::BTreeMap;

use calc::{CalcError, Revision};
use cube::change::{DatedValue, DatedWrite, MemberWrite, MembersWrite, RowsAction, RowsWrite};
use cube::model::{FormulaDef, ModelChange};
use cube::value::{KeyPart, parse_date};
use cube::{
    AttributeId, Change, CubeId, DimensionId, HierarchyId, MeasureId, MemberId, Scalar, ValueType,
    Version,
};

use crate::dice::Dice;
use crate::model::{self, Choice, PRODUCT, REP, SCENARIO};
use crate::recipe::{self, Formulas};

/// Key (of records) and coordinate (of cells).
pub type Place = (Vec<KeyPart>, Vec<MemberId>);
/// Per cube, values by place, texts as themselves.
pub type Table = BTreeMap<(usize, Place), (Vec<MemberId>, Vec<Option<Scalar>>)>;

const DAYS: [&str; 10] = [
    "2023-11-20",
    "2023-12-31",
    "2024-01-01",
    "2024-01-15",
    "2024-01-31",
    "2024-02-01",
    "2024-02-29",
    "2024-03-31",
    "2024-04-01",
    "2024-04-10",
];

#[derive(Clone)]
pub struct World {
    pub choice: Choice,
    pub base: Revision,
    pub revision: Revision,
    /// The formulas that steps write.
    pub kind: Formulas,
    /// What was written and is not computed.
    inputs: Table,
}

/// One random step, as bytes.
pub type Step = Vec<u8>;

impl World {
    pub fn new(choice: Choice, base: Revision) -> Self {
        let kind = Formulas::Plain;
        let mut world = Self { choice, revision: base.clone(), base, kind, inputs: Table::new() };
        for change in model::first_members() {
            world.apply(&change).expect("the first members are right");
        }
        world
    }

    fn version(&self) -> &Version {
        &self.revision.version
    }

    /// Applies a change; an error leaves all as it was.
    pub fn apply(&mut self, change: &Change) -> Result<(), CalcError> {
        let (revision, _) = self.revision.apply(&[model::texts(), change.clone()])?;
        self.revision = revision;
        if let Change::Rows(write) = change {
            self.note_rows(write);
        }
        self.forget_computed();
        Ok(())
    }

    fn note_rows(&mut self, write: &RowsWrite) {
        let def = self.revision.version.model.cube_def(write.cube);
        let (width, axes) = (def.def.key.len(), def.dimensions.len());
        let count = def.def.measures.len();
        for row in 0..write.row_count(width, axes) {
            let key = write.keys[row * width..(row + 1) * width].to_vec();
            let coordinate =
                write.coordinates.get(row * axes..(row + 1) * axes).unwrap_or(&[]).to_vec();
            let place = if width > 0 { (key, Vec::new()) } else { (key, coordinate.clone()) };
            let at = (write.cube.idx(), place);
            if write.action == RowsAction::Remove {
                self.inputs.remove(&at);
                continue;
            }
            let known = self.inputs.entry(at).or_insert_with(|| (Vec::new(), vec![None; count]));
            known.0 = coordinate;
            for (idx, measure) in write.measures.iter().enumerate() {
                let value = write.values.get(row * write.measures.len() + idx);
                let is_text = def.measure_def(*measure).value_type == ValueType::Text;
                known.1[measure.idx()] = value.map(|value| match is_text {
                    true => Scalar::Text(model::TEXTS[value as usize].into()),
                    false => Scalar::Stored(value),
                });
            }
        }
    }

    /// Inputs that came to lie where a formula computes are gone.
    fn forget_computed(&mut self) {
        let version = &self.revision.version;
        for ((cube, _), (coordinate, values)) in &mut self.inputs {
            for (measure, value) in values.iter_mut().enumerate() {
                let member = |position: usize| coordinate[position];
                if version.is_computed(
                    CubeId::from_idx(*cube),
                    MeasureId::from_idx(measure),
                    member,
                ) {
                    *value = None;
                }
            }
        }
        self.inputs.retain(|(cube, _), (_, values)| {
            *cube == model::DEALS || values.iter().any(Option::is_some)
        });
    }

    /// All values, or only those that no formula computes.
    pub fn table(version: &Version, only_inputs: bool) -> Table {
        let mut table = Table::new();
        for cube in 0..version.cubes.len() {
            let id = CubeId::from_idx(cube);
            let rows = version.rows(id).all(version.empty_rows(id));
            for row in 0..rows.len() {
                let coordinate = rows.coordinate(row);
                let key: Vec<KeyPart> =
                    rows.keys.iter().map(|column| column[row].clone()).collect();
                let place =
                    if key.is_empty() { (key, coordinate.clone()) } else { (key, Vec::new()) };
                let value = |(measure, column): (usize, &cube::ValueList)| {
                    let member = |position: usize| coordinate[position];
                    let measure = MeasureId::from_idx(measure);
                    let is_text = version.model.cube_def(id).measure_def(measure).value_type
                        == ValueType::Text;
                    column
                        .get(row)
                        .filter(|_| !only_inputs || !version.is_computed(id, measure, member))
                        .map(|value| match is_text {
                            true => Scalar::Text(version.texts.text(value).clone()),
                            false => Scalar::Stored(value),
                        })
                };
                let values: Vec<Option<Scalar>> =
                    rows.values.iter().enumerate().map(value).collect();
                if cube == model::DEALS || values.iter().any(Option::is_some) {
                    assert!(table.insert((cube, place), (coordinate, values)).is_none(), "twice");
                }
            }
        }
        table
    }

    /// Shows the first difference.
    pub fn compare(&self, what: &str, kept: &Table, again: &Table) {
        let places: std::collections::BTreeSet<_> = kept.keys().chain(again.keys()).collect();
        for place in places {
            let (a, b) = (kept.get(place), again.get(place));
            if a == b {
                continue;
            }
            let def = self.version().model.cube_def(CubeId::from_idx(place.0));
            let coordinate = a.or(b).map(|(coordinate, _)| coordinate.clone()).unwrap_or_default();
            let keys: Vec<&str> = def
                .dimensions
                .iter()
                .zip(&coordinate)
                .map(|(id, member)| self.version().dimension(*id).key(*member))
                .collect();
            for (idx, measure) in def.def.measures.iter().enumerate() {
                let value = |of: Option<&(Vec<MemberId>, Vec<Option<Scalar>>)>| {
                    of.and_then(|(_, values)| values[idx].clone())
                };
                assert_eq!(
                    value(a),
                    value(b),
                    "{what}: {}.{} at {keys:?}\n{}",
                    def.def.name,
                    measure.name,
                    self.formulas()
                );
            }
            assert_eq!(a, b, "{what}: {} {keys:?}\n{}", def.def.name, self.formulas());
        }
    }

    pub fn formulas(&self) -> String {
        let formulas = self.version().model.formulas.iter();
        formulas.map(|formula| format!("  {} = {}\n", formula.target, formula.text)).collect()
    }

    /// What was written is there and nothing else.
    pub fn check_inputs(&self) {
        self.compare("inputs", &Self::table(self.version(), true), &self.inputs);
    }

    /// Setting a formula again changes nothing.
    pub fn check_filled_again(&self) {
        let before = Self::table(self.version(), false);
        for formula in &self.version().model.formulas {
            let change = Change::Model(ModelChange::SetFormula(FormulaDef::clone(formula)));
            let revision = match self.revision.apply(&[change]) {
                Ok((revision, _)) => revision,
                Err(error) => panic!("filled again {}: {error}", formula.target),
            };
            self.compare(
                &format!("filled again {}", formula.target),
                &Self::table(&revision.version, false),
                &before,
            );
        }
    }

    /// The same model, members and inputs at once, formulas last; with one more change, formulas after it.
    pub fn rebuilt_at_once(&self, more: Option<&Change>) -> Result<Revision, CalcError> {
        let mut changes: Vec<Change> = vec![model::texts()];
        for dimension in [REP, PRODUCT, SCENARIO, model::STEP] {
            changes.push(model::members(dimension, 0, self.final_members(dimension, true)));
            changes.extend(self.dated(dimension));
        }
        for cube in 0..self.version().cubes.len() {
            changes.extend(self.rows(cube, usize::MAX));
        }
        let mut formulas = self.set_formulas();
        match more {
            Some(Change::Model(ModelChange::SetFormula(formula))) => {
                let set = Change::Model(ModelChange::SetFormula(formula.clone()));
                let known = self.version().model.formulas.iter();
                match known.into_iter().position(|known| known.target == formula.target) {
                    Some(at) => formulas[at] = set,
                    None => formulas.push(set),
                }
            }
            Some(Change::Model(ModelChange::RemoveFormula { target })) => {
                let known = self.version().model.formulas.iter();
                let at = known.into_iter().position(|known| known.target == *target);
                formulas.remove(at.expect("the formula is there"));
            }
            other => changes.extend(other.cloned()),
        }
        changes.extend(formulas);
        Ok(self.base.apply(&changes)?.0)
    }

    /// The pieces as one change, and one more.
    pub fn rebuilt_of_pieces(&self, more: Option<&Change>) -> Result<Revision, CalcError> {
        let mut changes = vec![model::texts()];
        changes.extend(self.pieces());
        changes.extend(more.cloned());
        Ok(self.base.apply(&changes)?.0)
    }

    /// Formulas first and backwards, rows one by one, properties of members last.
    fn pieces(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for dimension in [model::STEP, SCENARIO, PRODUCT, REP] {
            changes.push(model::members(dimension, 0, self.final_members(dimension, false)));
        }
        changes.extend(self.set_formulas().into_iter().rev());
        for cube in (0..self.version().cubes.len()).rev() {
            changes.extend(self.rows(cube, 1).into_iter().rev());
        }
        for dimension in [PRODUCT, REP, SCENARIO] {
            changes.extend(self.dated(dimension));
            let count = self.version().dimension(dimension).member_count();
            for member in self.final_members(dimension, true) {
                changes.push(model::members(dimension, count, vec![member]));
            }
        }
        changes
    }

    /// The pieces, one after the other.
    pub fn rebuilt_by_pieces(&self) -> Result<Revision, CalcError> {
        let mut revision = self.base.clone();
        for change in self.pieces() {
            revision = revision.apply(&[model::texts(), change.clone()])?.0;
            if std::env::var_os("PIECES").is_some() {
                for formula in &revision.version.model.formulas {
                    let set = Change::Model(ModelChange::SetFormula(FormulaDef::clone(formula)));
                    let Ok((again, _)) = revision.apply(&[set]) else { continue };
                    self.compare(
                        &format!("{change:?}"),
                        &Self::table(&revision.version, false),
                        &Self::table(&again.version, false),
                    );
                }
            }
        }
        Ok(revision)
    }

    fn set_formulas(&self) -> Vec<Change> {
        let formulas = self.version().model.formulas.iter();
        formulas
            .map(|formula| Change::Model(ModelChange::SetFormula(FormulaDef::clone(formula))))
            .collect()
    }

    fn final_members(&self, id: DimensionId, with_properties: bool) -> Vec<MemberWrite> {
        let dimension = self.version().dimension(id);
        let write = |member: MemberId| {
            let hierarchies = (0..dimension.def.hierarchies.len()).map(HierarchyId::from_idx);
            let parent = |h| (h, dimension.parent(h, member).map(|p| dimension.key(p).to_string()));
            let attributes = (0..dimension.def.attributes.len()).map(AttributeId::from_idx);
            MemberWrite {
                key: dimension.key(member).into(),
                level: dimension.level(member),
                name: with_properties.then(|| dimension.name(member).to_string()),
                parents: hierarchies.filter(|_| with_properties).map(parent).collect(),
                attributes: attributes
                    .filter(|_| with_properties)
                    .map(|a| (a, dimension.undated(a, member).cloned()))
                    .collect(),
            }
        };
        dimension.members().map(write).collect()
    }

    fn dated(&self, id: DimensionId) -> Vec<Change> {
        let dimension = self.version().dimension(id);
        let attributes = (0..dimension.def.attributes.len()).map(AttributeId::from_idx);
        let write = |attribute: AttributeId| {
            let values = dimension.members().flat_map(|member| {
                dimension.dated(attribute, member).iter().map(move |(from, value)| DatedValue {
                    member: dimension.key(member).into(),
                    valid_from: *from,
                    value: value.clone(),
                })
            });
            Change::Dated(DatedWrite { dimension: id, attribute, values: values.collect() })
        };
        attributes.filter(|&attribute| dimension.is_dated(attribute)).map(write).collect()
    }

    /// The inputs of a cube, so many rows a change.
    fn rows(&self, cube: usize, batch: usize) -> Vec<Change> {
        let def = self.version().model.cube_def(CubeId::from_idx(cube));
        let measures: Vec<MeasureId> = (0..def.def.measures.len())
            .map(MeasureId::from_idx)
            .filter(|&measure| self.version().model.is_input(CubeId::from_idx(cube), measure))
            .collect();
        let all: Vec<_> = self.inputs.iter().filter(|((of, _), _)| *of == cube).collect();
        all.chunks(batch.min(all.len().max(1)))
            .map(|rows| {
                let mut write = RowsWrite {
                    cube: CubeId::from_idx(cube),
                    action: RowsAction::Set,
                    measures: measures.clone(),
                    keys: Vec::new(),
                    coordinates: Vec::new(),
                    values: cube::ValueList::new(),
                };
                for ((_, (key, _)), (coordinate, values)) in rows {
                    write.keys.extend(key.iter().cloned());
                    write.coordinates.extend(coordinate);
                    write.values.extend(measures.iter().map(|measure| {
                        values[measure.idx()].as_ref().map(|value| match value {
                            Scalar::Stored(value) => *value,
                            Scalar::Text(text) => {
                                let mut texts = model::TEXTS.iter();
                                texts.position(|known| **known == **text).expect("known") as i64
                            }
                        })
                    }));
                }
                Change::Rows(write)
            })
            .collect()
    }

    /// The change that a step makes here.
    pub fn change(&self, step: &Step) -> Option<Change> {
        let mut dice = Dice(step);
        match dice.roll(24) {
            0..=6 => Some(self.set_cells(&mut dice)),
            7 => Some(self.remove_cells(&mut dice)),
            8..=10 => Some(self.set_deals(&mut dice)),
            11 => self.remove_deal(&mut dice),
            12 => Some(self.attribute(&mut dice)),
            13 => Some(self.dated_value(&mut dice)),
            14 => Some(self.moved(&mut dice)),
            15 => Some(self.added(&mut dice)),
            16 => self.removed_formula(&mut dice),
            _ => {
                let (target, text) = recipe::formula(self.choice, self.kind, &mut dice);
                Some(set_formula(target, &text))
            }
        }
    }

    fn fact_members(&self, cube: usize, position: usize, dice: &mut Dice<'_>) -> MemberId {
        let id = CubeId::from_idx(cube);
        let def = self.version().model.cube_def(id);
        let dimension = self.version().dimension(def.dimensions[position]);
        if def.dimensions[position] == model::DATE && def.levels[position].is_none() {
            return dimension.find(dice.pick(&DAYS)).expect("a day");
        }
        let all: Vec<MemberId> =
            dimension.members().filter(|&m| self.version().holds_facts(id, position, m)).collect();
        dice.pick(&all)
    }

    fn coordinate(&self, cube: usize, dice: &mut Dice<'_>) -> Vec<MemberId> {
        let axes = self.version().model.cube_def(CubeId::from_idx(cube)).dimensions.len();
        (0..axes).map(|position| self.fact_members(cube, position, dice)).collect()
    }

    /// Measures that take input, some of them.
    fn measures(&self, cube: usize, dice: &mut Dice<'_>) -> Vec<MeasureId> {
        let id = CubeId::from_idx(cube);
        let count = self.version().model.cube_def(id).def.measures.len();
        let all = (0..count).map(MeasureId::from_idx);
        let mut all: Vec<MeasureId> =
            all.filter(|&m| self.version().model.is_input(id, m)).collect();
        let kept = 1 + dice.roll(all.len());
        let start = if kept == all.len() { 0 } else { dice.roll(all.len() - kept + 1) };
        all.drain(..start);
        all.truncate(kept);
        all
    }

    fn value(&self, cube: usize, measure: MeasureId, dice: &mut Dice<'_>) -> Option<i64> {
        let def = self.version().model.cube_def(CubeId::from_idx(cube)).measure_def(measure);
        let roll = dice.roll(256) as i64;
        (roll % 8 != 7).then(|| match def.value_type {
            ValueType::Boolean => roll % 2,
            ValueType::Date => i64::from(parse_date(dice.pick(&DAYS)).expect("a day")),
            ValueType::Integer => roll % 12 - 2,
            ValueType::Text => roll % model::TEXTS.len() as i64,
            _ if def.name == "threshold" => roll % 16 * 10_000,
            _ => (roll - 60) * 1_250,
        })
    }

    fn rows_write(
        &self,
        cube: usize,
        keys: Vec<KeyPart>,
        coordinates: Vec<MemberId>,
        rows: usize,
        dice: &mut Dice<'_>,
    ) -> Change {
        let measures = self.measures(cube, dice);
        let values = (0..rows)
            .flat_map(|_| measures.iter().map(|&m| self.value(cube, m, dice)).collect::<Vec<_>>());
        let values = values.collect();
        Change::Rows(RowsWrite {
            cube: CubeId::from_idx(cube),
            action: RowsAction::Set,
            measures,
            keys,
            coordinates,
            values,
        })
    }

    fn set_cells(&self, dice: &mut Dice<'_>) -> Change {
        let cube = dice.pick(&[
            model::PLAN,
            model::PLAN,
            model::PLAN,
            model::PRICE,
            model::BUDGET,
            model::DAILY,
            model::DAILY,
            model::RATES,
            model::FX,
        ]);
        let mut coordinates: Vec<Vec<MemberId>> =
            (0..1 + dice.roll(4)).map(|_| self.coordinate(cube, dice)).collect();
        coordinates.sort();
        coordinates.dedup();
        self.rows_write(cube, Vec::new(), coordinates.concat(), coordinates.len(), dice)
    }

    fn remove_cells(&self, dice: &mut Dice<'_>) -> Change {
        let cells: Vec<_> =
            self.inputs.iter().filter(|((cube, _), _)| *cube != model::DEALS).collect();
        let (cube, coordinate) = match cells.is_empty() {
            true => (model::PLAN, self.coordinate(model::PLAN, dice)),
            false => {
                let ((cube, _), (coordinate, _)) = cells[dice.roll(cells.len())];
                (*cube, coordinate.clone())
            }
        };
        Change::Rows(RowsWrite {
            cube: CubeId::from_idx(cube),
            action: RowsAction::Remove,
            measures: Vec::new(),
            keys: Vec::new(),
            coordinates: coordinate,
            values: cube::ValueList::new(),
        })
    }

    fn set_deals(&self, dice: &mut Dice<'_>) -> Change {
        let mut keys: Vec<usize> = (0..1 + dice.roll(3)).map(|_| dice.roll(6)).collect();
        keys.sort_unstable();
        keys.dedup();
        let coordinates: Vec<MemberId> =
            keys.iter().flat_map(|_| self.coordinate(model::DEALS, dice)).collect();
        let count = keys.len();
        let keys = keys.into_iter().map(|key| KeyPart::Text(format!("d{key}").into())).collect();
        self.rows_write(model::DEALS, keys, coordinates, count, dice)
    }

    fn remove_deal(&self, dice: &mut Dice<'_>) -> Option<Change> {
        let deals: Vec<_> = self.inputs.keys().filter(|(cube, _)| *cube == model::DEALS).collect();
        let (_, (keys, _)) = *deals.get(dice.roll(deals.len()))?;
        Some(Change::Rows(RowsWrite {
            cube: CubeId::from_idx(model::DEALS),
            action: RowsAction::Remove,
            measures: Vec::new(),
            keys: keys.clone(),
            coordinates: Vec::new(),
            values: cube::ValueList::new(),
        }))
    }

    fn some_member(&self, id: DimensionId, dice: &mut Dice<'_>) -> String {
        let dimension = self.version().dimension(id);
        let member = MemberId::from_idx(dice.roll(dimension.member_count()));
        dimension.key(member).into()
    }

    fn attribute_value(
        &self,
        id: DimensionId,
        dice: &mut Dice<'_>,
    ) -> (AttributeId, Option<Scalar>) {
        let count = self.version().dimension(id).def.attributes.len();
        let attribute = AttributeId::from_idx(dice.roll(count));
        let def = &self.version().dimension(id).def.attributes[attribute.idx()];
        let roll = dice.roll(40) as i64;
        let value = match (def.name.as_str(), def.value_type) {
            ("operator", _) => Scalar::Text(dice.pick(&["+", "-", "~"]).into()),
            ("owner", _) => Scalar::Text(dice.pick(&["r1", "r2", "r0", "r4", "r3"]).into()),
            (_, ValueType::Text) => Scalar::Text(dice.pick(&["a-1", "b", "bx"]).into()),
            (_, ValueType::Date) => {
                Scalar::Stored(i64::from(parse_date(dice.pick(&DAYS)).expect("a day")))
            }
            _ => Scalar::Stored((roll - 10) * 50),
        };
        (attribute, (roll % 5 != 4).then_some(value))
    }

    fn attribute(&self, dice: &mut Dice<'_>) -> Change {
        let id = dice.pick(&[PRODUCT, PRODUCT, REP]);
        let count = self.version().dimension(id).member_count();
        let key = self.some_member(id, dice);
        let attributes = vec![self.attribute_value(id, dice)];
        model::members(id, count, vec![MemberWrite { key, attributes, ..MemberWrite::default() }])
    }

    fn dated_value(&self, dice: &mut Dice<'_>) -> Change {
        let id = dice.pick(&[PRODUCT, PRODUCT, REP]);
        let member = self.some_member(id, dice);
        let (attribute, value) = self.attribute_value(id, dice);
        let valid_from = parse_date(dice.pick(&DAYS)).expect("a day");
        let values = vec![DatedValue { member, valid_from, value }];
        Change::Dated(DatedWrite { dimension: id, attribute, values })
    }

    /// A member with another parent, or another name.
    fn moved(&self, dice: &mut Dice<'_>) -> Change {
        let id = dice.pick(&[PRODUCT, REP, PRODUCT, SCENARIO]);
        let dimension = self.version().dimension(id);
        let count = dimension.member_count();
        let key = self.some_member(id, dice);
        let is_renamed = id == SCENARIO || dice.roll(4) == 3;
        let write = if is_renamed {
            MemberWrite {
                key,
                name: Some(dice.pick(&["new", "budget", "later", "p9"]).into()),
                ..MemberWrite::default()
            }
        } else {
            let parent = match dice.roll(5) {
                0 => None,
                _ => Some(self.some_member(id, dice)),
            };
            MemberWrite { key, parents: vec![(HierarchyId(0), parent)], ..MemberWrite::default() }
        };
        model::members(id, count, vec![write])
    }

    fn added(&self, dice: &mut Dice<'_>) -> Change {
        let id = dice.pick(&[PRODUCT, REP, SCENARIO, PRODUCT, model::STEP]);
        let dimension = self.version().dimension(id);
        let count = dimension.member_count();
        let is_category = id == PRODUCT && dice.roll(4) == 3;
        let key = match id {
            PRODUCT if is_category => format!("c{}", 2 + dice.roll(2)),
            PRODUCT => dice.pick(&["p3", "p4", "later", "new"]).into(),
            REP => dice.pick(&["r4", "r5", "r6"]).into(),
            SCENARIO => dice.pick(&["forecast", "later"]).into(),
            _ => String::from(dice.pick(&["s3", "s4"])),
        };
        let level = if id != PRODUCT { None } else { Some(if is_category { 0 } else { 1 }) };
        let parent = match dice.roll(3) {
            0 if id == PRODUCT && !is_category => Some(dice.pick(&["c0", "c1"])),
            0 if id == REP => Some("r1"),
            _ => None,
        };
        let mut write = model::member(&key, parent, level);
        if dimension.find(&key).is_some() {
            write.parents.clear();
        }
        if matches!(id, PRODUCT | REP) {
            write.attributes = vec![self.attribute_value(id, dice), self.attribute_value(id, dice)];
        }
        Change::Members(MembersWrite {
            dimension: id,
            first_new: MemberId::from_idx(count),
            members: vec![write],
        })
    }

    fn removed_formula(&self, dice: &mut Dice<'_>) -> Option<Change> {
        let formulas = &self.version().model.formulas;
        let formula = formulas.get(dice.roll(formulas.len()))?;
        Some(Change::Model(ModelChange::RemoveFormula { target: formula.target.clone() }))
    }
}

pub fn set_formula(target: &str, text: &str) -> Change {
    Change::Model(ModelChange::SetFormula(FormulaDef {
        target: target.into(),
        text: text.into(),
        description: String::new(),
        at_or_above: BTreeMap::default(),
    }))
}
