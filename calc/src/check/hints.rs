//! What an error tells a planner to write.
//!
//! Text in backquotes can be typed as it stands: it takes the place of what the error points at, or,
//! where it begins with a bracket and what is pointed at does not, goes behind it. Each was tried
//! before it is shown: the formula with it is accepted, its units too, or its next error is further on.

use cube::model::{Consolidation, FormulaDef, UnitFactor};
use cube::{CubeError, CubeId, DimensionId, ValueType};

use super::{Advice, Checker, Formula};
use crate::error::CalcError;
use crate::node::{Axis, Frame, Kind, Node, Scope, Type, Value};
use crate::syntax::Span;
use crate::syntax::ast::{Expression, ExpressionKind};
use crate::units;

/// Names that a hint lists at most.
const NAMES_SHOWN_MAX: usize = 12;
/// Text up to this long is shown again in a hint; of longer text only what goes behind it.
const SHOWN_AGAIN_MAX: usize = 60;

impl Checker<'_> {
    /// The text that stands at a place.
    pub(super) fn text(&self, span: Span) -> &str {
        self.def.text.get(span.start..span.end).unwrap_or_default()
    }

    /// A name that does not exist, with those most like it, else with those that do.
    pub(super) fn unknown<'n>(
        &self,
        span: Span,
        kind: &'static str,
        name: &str,
        existing: impl Iterator<Item = &'n str>,
    ) -> CalcError {
        let existing: Vec<&str> = existing.collect();
        let error = CubeError::unknown(kind, name, existing.iter().copied());
        let hint = error.hint().unwrap_or_else(|| match existing.len() {
            0 => format!("there is no {kind} here"),
            count => {
                let shown = existing[..count.min(NAMES_SHOWN_MAX)].join(", ");
                let more = if count > NAMES_SHOWN_MAX { " and others" } else { "" };
                format!("there are {shown}{more}")
            }
        });
        self.error(span, error.to_string(), Some(hint))
    }

    /// A cube that does not exist.
    pub(super) fn unknown_cube(&self, span: Span, name: &str) -> CalcError {
        let cubes = self.model.cubes.iter().map(|cube| cube.def.name.as_str());
        self.unknown(span, "cube", name, cubes)
    }

    /// A measure that a cube does not have.
    pub(super) fn unknown_measure(&self, span: Span, cube: CubeId, name: &str) -> CalcError {
        let measures = &self.model.cube_def(cube).def.measures;
        self.unknown(span, "measure", name, measures.iter().map(|measure| measure.name.as_str()))
    }

    /// An attribute that a dimension does not have.
    pub(super) fn unknown_attribute(
        &self,
        span: Span,
        dimension: DimensionId,
        name: &str,
    ) -> CalcError {
        let attributes = &self.model.dimension_def(dimension).attributes;
        let names = attributes.iter().map(|attribute| attribute.name.as_str());
        self.unknown(span, "attribute", name, names)
    }

    /// A level that a dimension does not have.
    pub(super) fn unknown_level(
        &self,
        span: Span,
        dimension: DimensionId,
        name: &str,
    ) -> CalcError {
        let levels = &self.model.dimension_def(dimension).levels;
        self.unknown(span, "level", name, levels.iter().map(|level| level.name.as_str()))
    }

    /// An axis as BY takes it: `rep`, `date.month`.
    pub(super) fn axis_text(&self, axis: Axis) -> String {
        let def = self.model.dimension_def(axis.dimension);
        match axis.level {
            Some(level) => format!("{}.{}", def.name, def.levels[level.idx()].name),
            None => def.name.clone(),
        }
    }

    /// Axes as BY takes them.
    pub(super) fn axes_text(&self, axes: &[Axis]) -> String {
        axes.iter().map(|&axis| self.axis_text(axis)).collect::<Vec<_>>().join(", ")
    }

    /// The dimensions of axes, as REMOVE takes them.
    pub(super) fn names_text(&self, axes: &[Axis]) -> String {
        let names = axes.iter().map(|axis| self.model.dimension_def(axis.dimension).name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Who has a frame, in words.
    pub(super) fn owner(&self, frame: &Frame) -> String {
        if *frame == self.frame {
            return "the target".into();
        }
        let mut cubes = (0..self.model.cubes.len()).map(CubeId::from_idx);
        let cube =
            frame.rows.or_else(|| cubes.find(|&id| Frame::of_cube(self.model, id) == *frame));
        match cube {
            Some(cube) => format!("cube {}", self.model.cube_def(cube).def.name),
            None => "what stands here".into(),
        }
    }

    /// The dimensions that a frame has, in words.
    pub(super) fn dimensions_of(&self, frame: &Frame) -> String {
        match frame.axes.as_slice() {
            [] => "it has no dimension left".into(),
            axes => format!("its dimensions are {}", self.axes_text(axes)),
        }
    }

    /// A dimension is named where it is not.
    pub(super) fn lacks(&self, dimension: DimensionId, frame: &Frame, span: Span) -> CalcError {
        let name = &self.model.dimension_def(dimension).name;
        let message = format!("{} has no dimension {name}", self.owner(frame));
        self.error(span, message, Some(self.dimensions_of(frame)))
    }

    /// A level is named that the members here do not lead to.
    pub(super) fn is_no_level(
        &self,
        axis: Axis,
        outer: Axis,
        frame: &Frame,
        span: Span,
    ) -> CalcError {
        let (own, outer) = (self.axis_text(axis), self.axis_text(outer));
        let message = format!("{} is by {outer}, which does not lead to {own}", self.owner(frame));
        let hint = format!("name {outer}, or a level above it in the same hierarchy");
        self.error(span, message, Some(hint))
    }

    /// A formula with other text at a place, in backquotes, where it gets further than this one.
    pub(super) fn tried(&self, span: Span, fragment: &str) -> Option<String> {
        let is_behind = fragment.starts_with('[') && !self.text(span).starts_with('[');
        let text = &self.def.text;
        let (start, end) = (if is_behind { span.end } else { span.start }, span.end);
        let changed = format!("{}{fragment}{}", text.get(..start)?, text.get(end..)?);
        (self.advice == Advice::Tried).then_some(())?;
        let def = FormulaDef { text: changed, ..self.def.clone() };
        let mut with = Checker::new(self.own_model, &def, self.branches, Advice::None).ok()?;
        let place = Span { start, end: start + fragment.len() };
        let gets_further = match with.formula() {
            Ok(formula) => units::fits(self.own_model, &formula),
            Err(CalcError::Formula { span: next, .. }) => next.start >= place.end,
            Err(_) => false,
        };
        (gets_further && !with.names_unknown(place)).then(|| format!("`{fragment}`"))
    }

    /// The first of some texts that can take the place of another.
    pub(super) fn first_tried(&self, span: Span, fragments: &[String]) -> Option<String> {
        fragments.iter().find_map(|fragment| self.tried(span, fragment))
    }

    /// An expression with something behind it, or what goes behind it.
    fn with_behind(&self, span: Span, behind: &str) -> Option<String> {
        let text = self.text(span);
        if text.chars().count() > SHOWN_AGAIN_MAX || text.contains('\n') {
            return self.tried(span, behind).map(|behind| format!("write {behind} behind it"));
        }
        self.tried(span, &format!("{text}{behind}")).map(|whole| format!("write {whole}"))
    }

    /// How the values of an expression become one; none for ratios and members.
    fn aggregator_of(&self, node: &Node) -> Option<&'static str> {
        let rule = match &node.kind {
            Kind::Stored(cube, measure) => {
                Some(self.model.cube_def(*cube).measure_def(*measure).consolidation)
            }
            _ => None,
        };
        match (node.value_type, rule) {
            (Type::Number, Some(Consolidation::Formula)) | (Type::Member(_) | Type::Blank, _) => {
                None
            }
            (Type::Number, Some(Consolidation::Average)) => Some("AVG"),
            (Type::Number | Type::Date, Some(Consolidation::Min)) => Some("MIN"),
            (Type::Number, Some(Consolidation::Max)) | (Type::Date, _) => Some("MAX"),
            (Type::Number, Some(Consolidation::Count)) => Some("COUNT"),
            (Type::Number, _) => Some("SUM"),
            (Type::Boolean, _) => Some("ANY"),
            (Type::Text, _) => Some("LAST"),
        }
    }

    /// Rows stand where a frame has no place for them: they are aggregated to exactly what it has.
    pub(super) fn rows_here(
        &self,
        scope: &Scope,
        rows: CubeId,
        frame: &Frame,
        span: Span,
    ) -> CalcError {
        let name = &self.model.cube_def(rows).def.name;
        let message =
            format!("{name} is a cube of rows: what it holds is read through an aggregation");
        let Some(aggregator) = self.aggregator_of(&scope.node) else {
            let hint = "a ratio does not add up: aggregate what it is made of, each with BY";
            return self.error(span, message, Some(hint.into()));
        };
        let (mut items, mut missing) = (Vec::new(), Vec::new());
        for &axis in &frame.axes {
            match self.by_item(rows, axis) {
                Some(item) => items.push(item),
                None => missing.push(axis),
            }
        }
        let mut behind = if items.is_empty() {
            format!("[REMOVE {aggregator}: {}]", self.axes_text(&scope.frame.axes))
        } else {
            format!("[BY {aggregator}: {}]", items.join(", "))
        };
        if !missing.is_empty() && frame.rows.is_none() {
            behind.push_str(&format!("[ADD CONSTANT: {}]", self.axes_text(&missing)));
        }
        let hint = self.with_behind(span, &behind).unwrap_or_else(|| {
            format!(
                "aggregate it with BY to dimensions of {}: {}",
                self.owner(frame),
                self.axes_text(&frame.axes)
            )
        });
        self.error(span, message, Some(hint))
    }

    /// What of a cube of rows leads to the members of an axis: its own dimension, a member that an
    /// attribute holds, a day that a row holds.
    pub(super) fn by_item(&self, rows: CubeId, axis: Axis) -> Option<String> {
        let own = Frame::of_cube(self.model, rows);
        if let Some(position) = own.position(axis.dimension) {
            let has = own.axes[position];
            let leads = has.level == axis.level || self.ancestor_map(has, axis).is_some();
            return leads.then(|| self.axis_text(axis));
        }
        let wanted = &self.model.dimension_def(axis.dimension).name;
        for own in own.axes.iter().filter(|_| axis.level.is_none()) {
            let def = self.model.dimension_def(own.dimension);
            let mut attributes = def.attributes.iter();
            let found = attributes.find(|attribute| attribute.member_of.as_ref() == Some(wanted));
            if let Some(attribute) = found {
                return Some(format!("{}.{}", def.name, attribute.name));
            }
        }
        let cube = &self.model.cube_def(rows).def;
        let mut measures = cube.measures.iter().filter(|_| self.is_calendar(axis.dimension));
        let date = measures.find(|measure| measure.value_type == ValueType::Date)?;
        let day = format!("{}.{}", cube.name, date.name);
        match axis
            .level
            .map(|level| self.model.dimension_def(axis.dimension).levels[level.idx()].name.as_str())
        {
            None => Some(day),
            Some(level @ ("month" | "quarter" | "year")) => {
                Some(format!("{}({day})", level.to_uppercase()))
            }
            Some(_) => None,
        }
    }

    /// An expression varies over what its surroundings do not have, or is finer.
    pub(super) fn does_not_fit(&self, scope: &Scope, frame: &Frame, span: Span) -> CalcError {
        let (mut lacking, mut finer, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        for &axis in &scope.frame.axes {
            match frame.position(axis.dimension).map(|position| frame.axes[position]) {
                None => lacking.push(axis),
                Some(outer) if outer.level == axis.level => {}
                Some(outer) if self.ancestor_map(outer, axis).is_some() => {}
                Some(outer) if self.ancestor_map(axis, outer).is_some() => {
                    finer.push((axis, outer))
                }
                Some(outer) => apart.push((axis, outer)),
            }
        }
        let owner = self.owner(frame);
        let message = match (lacking.first(), finer.first(), apart.first()) {
            (Some(_), _, _) => {
                format!(
                    "this varies over {}, which {owner} does not have",
                    self.names_text(&lacking)
                )
            }
            (None, Some((axis, outer)), _) => {
                let (axis, outer) = (self.axis_text(*axis), self.axis_text(*outer));
                format!("this is by {axis}, which is finer than {outer} of {owner}")
            }
            (None, None, Some((axis, outer))) => {
                let (axis, outer) = (self.axis_text(*axis), self.axis_text(*outer));
                format!("this is by {axis}, to which no {outer} of {owner} leads")
            }
            (None, None, None) => format!("this does not have the dimensions of {owner}"),
        };
        let looked_up = || self.looked_up(&lacking, frame, span);
        let fitted = || self.fitting(scope, &lacking, &finer, span);
        // rates of a member to which an attribute leads are not to be added up
        let fitting = match self.text(span).contains('[') {
            true => fitted().or_else(looked_up),
            false => looked_up().or_else(fitted),
        };
        let hint = fitting.unwrap_or_else(|| {
            let names = self.names_text(&lacking);
            if self.is_in_units_of(&scope.node, &lacking) {
                return format!(
                    "choose one member of {names} with SELECT or LOOKUP: each has a unit of its own"
                );
            }
            let dimensions = self.axes_text(&frame.axes);
            let aggregate = format!("aggregate it to dimensions of {owner}: {dimensions}");
            match lacking.is_empty() {
                true => aggregate,
                false => {
                    format!("choose one member of {names} with SELECT or LOOKUP, or {aggregate}")
                }
            }
        });
        self.error(span, message, Some(hint))
    }

    /// Whether what an expression reads is counted in something else for each member of some axes.
    fn is_in_units_of(&self, node: &Node, axes: &[Axis]) -> bool {
        let reads = node.reads();
        let units =
            reads.iter().filter_map(|(cube, measure)| self.model.cube_def(*cube).unit(*measure));
        units.flat_map(|unit| &unit.factors).any(|(factor, _)| match factor {
            UnitFactor::Name(_) => false,
            UnitFactor::Member(dimension) | UnitFactor::Attribute(dimension, _) => {
                axes.iter().any(|axis| axis.dimension == *dimension)
            }
        })
    }

    /// What an expression is at the member to which an attribute leads.
    fn looked_up(&self, lacking: &[Axis], frame: &Frame, span: Span) -> Option<String> {
        let [Axis { dimension, level: None }] = lacking else { return None };
        let wanted = &self.model.dimension_def(*dimension).name;
        let text = self.text(span);
        let owners = frame.axes.iter().map(|axis| self.model.dimension_def(axis.dimension));
        let fragments = owners.flat_map(|owner| {
            let leads = owner.attributes.iter().filter(|a| a.member_of.as_ref() == Some(wanted));
            leads.map(|a| format!("LOOKUP({text}, {wanted}: {}.{})", owner.name, a.name))
        });
        let mut fragments: Vec<String> = fragments.collect();
        if let Some(open) = text.find('[') {
            let x = &text[..open];
            let there = |looked_up: &String| format!("IF(ISBLANK({x}), BLANK, {looked_up})");
            fragments.extend(fragments.iter().map(there).collect::<Vec<_>>());
        }
        self.first_tried(span, &fragments).map(|text| format!("write {text}"))
    }

    /// A formula where a measure that it aggregates has values.
    fn where_it_is(&self, node: &Node, tree: &Expression) -> Option<String> {
        let mut fragments = Vec::new();
        node.visit(&mut |node| {
            if let Kind::Reduce(reduce) = &node.kind
                && matches!(reduce.inner.node.kind, Kind::Stored(..))
            {
                let (x, own) = (self.text(reduce.inner.node.span), self.text(tree.span));
                fragments.push(format!("IF(ISBLANK({x}), BLANK, {own})"));
            }
        });
        self.first_tried(tree.span, &fragments)
    }

    fn fitting(
        &self,
        scope: &Scope,
        lacking: &[Axis],
        finer: &[(Axis, Axis)],
        span: Span,
    ) -> Option<String> {
        if self.text(span).to_uppercase().contains("[ADD") {
            let names = self.axes_text(lacking);
            return Some(format!(
                "take {names} out of ADD: only the target's dimensions are brought in"
            ));
        }
        let aggregator = self.aggregator_of(&scope.node)?;
        let mut behind = String::new();
        if !finer.is_empty() {
            let outer: Vec<Axis> = finer.iter().map(|(_, outer)| *outer).collect();
            behind.push_str(&format!("[BY {aggregator}: {}]", self.axes_text(&outer)));
        }
        if !lacking.is_empty() {
            behind.push_str(&format!("[REMOVE {aggregator}: {}]", self.names_text(lacking)));
        }
        let hint = self.with_behind(span, &behind)?;
        Some(if lacking.is_empty() {
            hint
        } else {
            format!("{hint}, or choose one member with SELECT")
        })
    }

    /// A formula that does not say along some dimensions of its target where it has values.
    pub(super) fn unsupported(
        &self,
        node: &Node,
        missing: &[Axis],
        tree: &Expression,
    ) -> CalcError {
        let names = self.axes_text(missing);
        let message = format!("the formula has no support along {names}");
        if let Some((span, hint)) = self.kept_by_modifiers(node, missing) {
            return self.error(span, message, Some(hint));
        }
        let is_whole = matches!(
            tree.kind,
            ExpressionKind::Path(_) | ExpressionKind::Modified(..) | ExpressionKind::Call(..)
        );
        let own = self.text(tree.span);
        let own = if is_whole { own.to_string() } else { format!("({own})") };
        let added = |how: &str| self.tried(tree.span, &format!("{own}[ADD {how}: {names}]"));
        let hint = match (added("CONSTANT"), added("SPLIT")) {
            (Some(constant), Some(split)) => format!(
                "write {constant} to have the same value for each {names}, or {split} for equal parts"
            ),
            (Some(constant), None) => {
                format!("write {constant} to have the same value for each {names}")
            }
            (None, _) if let Some(there) = self.where_it_is(node, tree) => {
                format!("to have it where there are values, write {there}")
            }
            (None, _) => format!(
                "its value is repeated along {names} and makes no cells there; multiply it by a measure that has values in each, or bring {names} into every operand"
            ),
        };
        self.error(tree.span, message, Some(hint))
    }

    /// A formula reads its own target where that is not known yet; within a modifier of what another cube
    /// holds, perhaps that cube's measure of the same name is meant.
    pub(super) fn reads_itself(&self, formula: &Formula, span: Span) -> CalcError {
        let before = self.def.text.get(..span.start).unwrap_or_default();
        let is_within = before.matches('[').count() > before.matches(']').count();
        let cubes = formula.reads.iter().filter(|(cube, _)| is_within && *cube != formula.cube);
        let named = cubes.map(|(cube, _)| &self.own_model.cube_def(*cube).def.name);
        let fragments: Vec<String> =
            named.map(|cube| format!("{cube}.{}", self.target.name)).collect();
        let hint = match self.first_tried(span, &fragments) {
            Some(meant) => format!("did you mean {meant}?"),
            None => {
                "its own values may be read at earlier members of one dimension only, as PREVIOUS \
                     does"
                    .into()
            }
        };
        let message = format!("the formula needs its own result, {}", self.def.target);
        self.error(span, message, Some(hint))
    }

    /// The aggregations that took the missing dimensions away, and what keeps them.
    fn kept_by_modifiers(&self, node: &Node, missing: &[Axis]) -> Option<(Span, String)> {
        let mut changes: Vec<(Span, String)> = Vec::new();
        let mut found: Vec<Axis> = Vec::new();
        let mut keeps = false;
        node.visit(&mut |node| {
            let Kind::Reduce(reduce) = &node.kind else { return };
            let is_lost = |axis: &&Axis| {
                let inner = reduce.inner.frame.position(axis.dimension);
                let inner = inner.map(|position| reduce.inner.frame.axes[position]);
                let leads = inner.is_some_and(|inner| {
                    inner.level == axis.level || self.ancestor_map(inner, **axis).is_some()
                });
                leads && reduce.result.position(axis.dimension).is_none()
            };
            let lost: Vec<Axis> = missing.iter().filter(is_lost).copied().collect();
            let text = self.text(node.span);
            let keyword = text.trim_start_matches('[').trim_start().to_uppercase();
            if lost.is_empty() || changes.iter().any(|(span, _)| *span == node.span) {
                return;
            }
            let names = self.axes_text(&lost);
            let changed = match text.strip_suffix(']') {
                Some(open) if keyword.starts_with("BY") => {
                    keeps = true;
                    format!("{open}, {names}]")
                }
                Some(_) if keyword.starts_with("REMOVE") || keyword.starts_with("KEEP") => {
                    format!("{text}[ADD CONSTANT: {names}]")
                }
                _ => return,
            };
            found.extend(lost);
            changes.push((node.span, changed));
        });
        let open: Vec<Axis> =
            missing.iter().filter(|axis| !found.contains(axis)).copied().collect();
        if let [(span, changed)] = changes.as_mut_slice() {
            if !open.is_empty() {
                changed.push_str(&format!("[ADD CONSTANT: {}]", self.axes_text(&open)));
            }
            let why = if keeps {
                let names = self.axes_text(&found);
                format!("it took {names} away; to keep it, write ")
            } else {
                "to have the total beside each member, write ".into()
            };
            return self.tried(*span, changed).map(|text| (*span, format!("{why}{text}")));
        }
        let names = (!changes.is_empty() && open.is_empty()).then(|| self.axes_text(missing))?;
        let (first, _) = changes.first()?;
        Some((
            *first,
            format!("keep {names} in each of the {} aggregations that take it away", changes.len()),
        ))
    }

    /// What to do where a value of one type stands in the place of another.
    pub(super) fn conversion(&self, node: &Node, wanted: Type) -> Option<String> {
        let text = self.text(node.span);
        let fits = |fragments: &[String], words: &str| {
            let tried = self.first_tried(node.span, fragments);
            Some(tried.map_or_else(|| words.to_string(), |text| format!("write {text}")))
        };
        match (wanted, node.value_type, &node.kind) {
            (Type::Number, Type::Text, Kind::Literal(Value::Text(literal))) => {
                let number: String = literal.to_string();
                let is_number = cube::Number::parse(&number).is_some();
                let fragments = if is_number { vec![number] } else { Vec::new() };
                fits(
                    &fragments,
                    "numbers and measures stand without quotes; no member has this name here",
                )
            }
            (Type::Number, Type::Text, _) => {
                fits(&[format!("VALUE({text})")], "VALUE makes a number of a text")
            }
            (Type::Number, Type::Boolean, _) => {
                fits(&[format!("IF({text}, 1, 0)")], "IF makes a number of a condition")
            }
            (Type::Number, Type::Date, _) => {
                fits(&[], "YEAR, MONTH and DAY are its numbers; two dates are days apart")
            }
            (Type::Number, Type::Member(dimension), _) => {
                let def = self.model.dimension_def(dimension);
                let mut attributes = def.attributes.iter();
                let number = attributes.find(|a| a.value_type.is_number() && a.member_of.is_none());
                let fragments = number.map(|a| format!("{}.{}", def.name, a.name));
                let words = "a member is no number: read a measure at it, or one of its attributes";
                fits(&fragments.into_iter().collect::<Vec<_>>(), words)
            }
            (Type::Boolean, Type::Number, Kind::Literal(Value::Number(number)))
                if ["0", "1"].contains(&number.to_string().as_str()) =>
            {
                let word = if *number == cube::Number::ZERO { "FALSE" } else { "TRUE" };
                fits(&[word.into()], "a condition is TRUE or FALSE")
            }
            (Type::Boolean, Type::Number, _) => fits(
                &[format!("{text} <> 0"), format!("({text} <> 0)")],
                "compare it with a number",
            ),
            (Type::Boolean, Type::Text, Kind::Literal(Value::Text(literal))) => {
                let words = "a condition is TRUE or FALSE, without quotes";
                match literal.to_lowercase().as_str() {
                    "true" | "yes" => fits(&["TRUE".into()], words),
                    "false" | "no" => fits(&["FALSE".into()], words),
                    _ => fits(&[], words),
                }
            }
            (Type::Boolean, _, _) => fits(&[], "compare it with = or another comparison"),
            (Type::Text, Type::Date, _) => {
                fits(&[], "YEAR, MONTH and DAY of it are numbers, which TEXT makes texts of")
            }
            (Type::Text, _, _) => {
                fits(&[format!("IF({text}, 'true', 'false')")], "IF makes a text of it")
            }
            (Type::Date, Type::Text, Kind::Literal(_)) => {
                fits(&[], "a day that exists is written year, month, day: '2024-03-31'")
            }
            (Type::Date, _, _) => fits(
                &[],
                "a date is a measure or an attribute of that type, DATE(year, month, day), or a text such as '2024-03-31'",
            ),
            (Type::Member(dimension), _, _) => {
                let name = &self.model.dimension_def(dimension).name;
                let words = format!(
                    "name a member in double quotes, or an attribute whose type is \"member of {name}\""
                );
                fits(&self.behind_dimension(node.span, dimension), &words)
            }
            (Type::Blank, _, _) => None,
            (Type::Number, _, _) => None,
        }
    }
}
