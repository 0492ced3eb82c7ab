//! Names: measures, dimensions, levels, attributes, members.

use cube::model::FormulaDef;
use cube::{AttributeId, CubeError, CubeId, DimensionId, HierarchyId, MeasureId, ValueType};

use super::{Checker, axis_node, literal, mapped};
use crate::error::Result;
use crate::node::{Axis, Frame, Kind, MemberMap, Node, Scope, Type, Value};
use crate::syntax::Span;
use crate::syntax::ast::{Expression, ExpressionKind, Name};

/// Measures of a cube that are tried in its place at most.
const MEASURES_TRIED_MAX: usize = 8;

impl Checker<'_> {
    /// A measure's stored value in its cube's own frame.
    pub(super) fn stored(&self, cube: CubeId, measure: MeasureId, span: Span) -> Result<Node> {
        let def = self.model.cube_def(cube).measure_def(measure);
        let value_type = match def.value_type {
            ValueType::Decimal { .. } | ValueType::Integer => Type::Number,
            ValueType::Date => Type::Date,
            ValueType::Boolean => Type::Boolean,
            ValueType::Text => Type::Text,
        };
        let target = format!("{}.{}", self.model.cube_def(cube).def.name, def.name);
        let is_above = |formula: &std::sync::Arc<FormulaDef>| {
            formula.target == target && !formula.at_or_above.is_empty()
        };
        if Some(cube) != self.home && self.model.formulas.iter().any(is_above) {
            return Err(self.error(
                span,
                format!("{} is blank below a level and is not read by other cubes", def.name),
                Some("read the measures it is made of".into()),
            ));
        }
        let mask = Frame::of_cube(self.model, cube).full();
        Ok(Node { kind: Kind::Stored(cube, measure), value_type, mask, is_heavy: false, span })
    }

    /// The frame of a cube and a measure of it, where the path names one.
    pub(super) fn measure_scope(&mut self, path: &[Name], span: Span) -> Result<Option<Scope>> {
        let (cube, measure) = match path {
            [name] => {
                let own = self.home.map(|cube| (cube, self.model.cube_def(cube)));
                let own = own.and_then(|(id, cube)| Some((id, cube.measure(&name.key()).ok()?)));
                let Some(own) = own else { return Ok(None) };
                own
            }
            [cube, name] => {
                let Ok(id) = self.model.cube(&cube.key()) else { return Ok(None) };
                let def = self.model.cube_def(id);
                match def.measure(&name.key()) {
                    Ok(measure) => (id, measure),
                    Err(_) => {
                        let is_axis = self.axis_named(&Frame::of_cube(self.model, id), name);
                        if is_axis.is_some() {
                            return Ok(None);
                        }
                        return Err(self.unknown_measure(name.span, id, &name.key()));
                    }
                }
            }
            _ => return Ok(None),
        };
        let node = self.stored(cube, measure, span)?;
        Ok(Some(Scope { frame: Frame::of_cube(self.model, cube), node }))
    }

    /// The axis of a frame that a name means: its dimension, or the level at which it is.
    pub(super) fn axis_named(&self, frame: &Frame, name: &Name) -> Option<usize> {
        let key = name.key();
        let by_dimension =
            frame.axes.iter().position(|axis| self.model.dimension_def(axis.dimension).name == key);
        by_dimension.or_else(|| {
            frame.axes.iter().position(|&axis| {
                let leaf = self.model.dimension_def(axis.dimension).leaf_level();
                let level = axis.level.or(leaf);
                self.axis_name(Axis { level, ..axis }) == key
            })
        })
    }

    /// The axis that an expression names.
    pub(super) fn axis_of(&self, expression: &Expression, frame: &Frame) -> Result<usize> {
        let path = match &expression.kind {
            ExpressionKind::Path(path) => path.as_slice(),
            _ => &[],
        };
        let axis = match path {
            [name] => self.axis_named(frame, name),
            [cube, name] if self.model.cube(&cube.key()).is_ok() => self.axis_named(frame, name),
            [dimension, level] => {
                let position = self.axis_named(frame, dimension);
                position.filter(|_| self.axis_named(frame, level) == position)
            }
            _ => None,
        };
        axis.ok_or_else(|| {
            let owner = self.owner(frame);
            let message = format!("expected a dimension of {owner}");
            self.error(expression.span, message, Some(self.dimensions_of(frame)))
        })
    }

    /// A path that is no measure.
    pub(super) fn path(&mut self, path: &[Name], frame: &Frame, span: Span) -> Result<Node> {
        let rest = match path {
            [cube, rest @ ..] if !rest.is_empty() && self.model.cube(&cube.key()).is_ok() => rest,
            all => all,
        };
        match rest {
            [name] => self.single_name(name, frame, span),
            [dimension, name] => {
                let id = self
                    .model
                    .dimension(&dimension.key())
                    .map_err(|error| self.unknown_owner(dimension, &error))?;
                self.of_dimension(id, name, frame, span)
            }
            _ => Err(self.error(
                span,
                "a path has up to three names".into(),
                Some("cube.measure, dimension.attribute, dimension.\"member\", or one of these behind a cube and a dot".into()),
            )),
        }
    }

    fn unknown_owner(&self, name: &Name, error: &CubeError) -> crate::CalcError {
        let cubes = self.model.cubes.iter().map(|cube| cube.def.name.as_str());
        let dimensions = self.model.dimensions.iter().map(|def| def.name.as_str());
        match error {
            CubeError::Unknown { .. } => {
                self.unknown(name.span, "cube or dimension", &name.text, cubes.chain(dimensions))
            }
            other => self.cube_error(name.span, other),
        }
    }

    fn single_name(&self, name: &Name, frame: &Frame, span: Span) -> Result<Node> {
        if let Some(position) = self.axis_named(frame, name) {
            return Ok(axis_node(position, frame.axes[position].dimension, span));
        }
        if let Ok(id) = self.model.dimension(&name.key()) {
            let axis = Axis { dimension: id, level: None };
            return self.member_for(axis, frame, span);
        }
        for (position, axis) in frame.axes.iter().enumerate() {
            if let Some(node) = self.level_of(position, *axis, &name.key(), span) {
                return Ok(node);
            }
        }
        if name.is_quoted {
            return Ok(literal(Value::Text(name.text.as_str().into()), Type::Text, span));
        }
        if let Ok(cube) = self.model.cube(&name.key()) {
            return Err(self.is_a_cube(cube, span));
        }
        // all words of `IF a THEN b ELSE c` are one name
        let is_first = self.def.text.trim().starts_with(&name.text);
        if let Some(error) = self.spelled_if().filter(|_| is_first) {
            return Err(error);
        }
        let measures = self.cube.def.measures.iter().map(|measure| measure.name.as_str());
        let axes = frame.axes.iter().map(|&axis| self.axis_name(axis));
        Err(self.unknown(span, "measure or dimension", &name.text, measures.chain(axes)))
    }

    /// A cube stands where a measure of it is meant.
    fn is_a_cube(&self, cube: CubeId, span: Span) -> crate::CalcError {
        let def = &self.model.cube_def(cube).def;
        let measures = def.measures.iter().map(|measure| format!("{}.{}", def.name, measure.name));
        let measures: Vec<String> = measures.take(MEASURES_TRIED_MAX).collect();
        let hint = self.first_tried(span, &measures).map_or_else(
            || format!("name one of its measures, as {}", measures.join(", ")),
            |measure| format!("name one of its measures, as {measure}"),
        );
        self.error(span, format!("{} is a cube", def.name), Some(hint))
    }

    /// The ancestor of an axis's member at a level of a name.
    fn level_of(&self, position: usize, axis: Axis, name: &str, span: Span) -> Option<Node> {
        let level = self.model.dimension_def(axis.dimension).level(name).ok()?;
        let to = Axis { level: Some(level), ..axis };
        let map = self.ancestor_map(axis, to)?;
        Some(mapped(axis_node(position, axis.dimension, span), map, axis.dimension))
    }

    /// `dimension.name`: an attribute, a level or a member.
    fn of_dimension(
        &self,
        dimension: DimensionId,
        name: &Name,
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let def = self.model.dimension_def(dimension);
        let key = name.key();
        if let Ok(attribute) = def.attribute(&key) {
            let member = self.member_in(dimension, frame, span)?;
            return self.attribute(member, dimension, attribute, None, span);
        }
        if let Ok(level) = def.level(&key) {
            let level = Some(level).filter(|&level| def.leaf_level() != Some(level));
            return self.member_for(Axis { dimension, level }, frame, span);
        }
        if name.is_quoted {
            return Ok(self.named_member(dimension, name.text.clone(), span));
        }
        let attributes = def.attributes.iter().map(|attribute| attribute.name.as_str());
        let levels = def.levels.iter().map(|level| level.name.as_str());
        Err(self.unknown(name.span, "attribute or level", &name.text, attributes.chain(levels)))
    }

    /// The member of a dimension at a point, at whatever level the frame has it.
    pub(super) fn member_in(
        &self,
        dimension: DimensionId,
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        match frame.position(dimension) {
            Some(position) => Ok(axis_node(position, dimension, span)),
            None => self.member_for(Axis { dimension, level: None }, frame, span),
        }
    }

    /// An attribute of a member: a value, or a member of another dimension.
    pub(super) fn attribute(
        &self,
        member: Node,
        dimension: DimensionId,
        attribute: AttributeId,
        on: Option<Node>,
        span: Span,
    ) -> Result<Node> {
        let def = &self.model.dimension_def(dimension).attributes[attribute.idx()];
        let target = def.member_of.as_ref().map(|name| self.model.dimension(name)).transpose()?;
        let value_type = match (target, def.value_type) {
            (Some(target), _) if on.is_none() => {
                let map = MemberMap::Attribute(attribute, target);
                return Ok(Node { span, ..mapped(member, map, dimension) });
            }
            (Some(target), _) => Type::Member(target),
            (None, ValueType::Decimal { .. } | ValueType::Integer) => Type::Number,
            (None, ValueType::Date) => Type::Date,
            (None, ValueType::Boolean) => Type::Boolean,
            (None, ValueType::Text) => Type::Text,
        };
        let mask = member.mask | on.as_ref().map_or(0, |on| on.mask);
        let is_heavy = member.is_heavy || on.as_ref().is_some_and(|on| on.is_heavy);
        let kind = Kind::Attribute(Box::new(member), dimension, attribute, on.map(Box::new));
        Ok(Node { kind, value_type, mask, is_heavy, span })
    }

    /// `employee.manager ON date`.
    pub(super) fn on_date(
        &mut self,
        inner: &Expression,
        date: &Expression,
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let expected = || {
            let hint =
                "dimension.attribute ON date; a measure has its value at the cell's own date";
            self.error(inner.span, "ON follows an attribute".into(), Some(hint.into()))
        };
        let ExpressionKind::Path(path) = &inner.kind else { return Err(expected()) };
        let [.., dimension, name] = path.as_slice() else { return Err(expected()) };
        let id = self
            .model
            .dimension(&dimension.key())
            .map_err(|error| self.unknown_owner(dimension, &error))?;
        let attribute = self
            .model
            .dimension_def(id)
            .attribute(&name.key())
            .map_err(|_| self.unknown_attribute(name.span, id, &name.key()))?;
        let member = self.member_in(id, frame, span)?;
        let date = self.node(date, frame)?;
        let date = self.as_date(date)?;
        self.attribute(member, id, attribute, Some(date), span)
    }

    /// A hierarchy of a dimension, the default one where none is named.
    pub(super) fn hierarchy(
        &self,
        dimension: DimensionId,
        name: Option<&Name>,
    ) -> Result<HierarchyId> {
        let def = self.model.dimension_def(dimension);
        match name {
            Some(name) => {
                let names = def.hierarchies.iter().map(|hierarchy| hierarchy.name.as_str());
                let unknown = |_| self.unknown(name.span, "hierarchy", &name.key(), names);
                def.hierarchy(&name.key()).map_err(unknown)
            }
            None => Ok(HierarchyId(0)),
        }
    }
}
