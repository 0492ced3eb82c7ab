//! From a syntax tree to a checked plan: names resolved, dimensions and types compared.

use cube::model::{Consolidation, Cube, CubeKind, FormulaDef};
use cube::{AttributeId, CubeError, CubeId, HierarchyId, LevelId, MeasureId, Model, Number};

use crate::error::{CalcError, Result};
use crate::syntax::ast::{BinaryOperator, Expression, ExpressionKind, Modifier, Name};
use crate::syntax::{Span, parse};

/// A formula that was checked against a model.
#[derive(Debug, Clone)]
pub struct Formula {
    /// `cube.measure`.
    pub target: String,
    /// The target's cube.
    pub cube: CubeId,
    /// The target.
    pub measure: MeasureId,
    /// What is computed.
    pub node: Node,
    /// Measures of the same cube it reads.
    pub operands: Vec<MeasureId>,
    /// Attributes it reads: position of the dimension in the cube, attribute.
    pub attributes: Vec<(usize, AttributeId)>,
    /// Aggregations of other cubes it reads.
    pub aggregates: Vec<Aggregate>,
    /// Dimensions (by position) and levels below which the result is blank.
    pub grain: Vec<(usize, LevelId)>,
    /// Whether consolidated cells are computed from consolidated operands.
    pub is_ratio: bool,
}

/// What a formula computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A literal.
    Constant(Number),
    /// A measure of the same cell.
    Measure(MeasureId),
    /// An attribute of the cell's member: index into [`Formula::attributes`].
    Attribute(usize),
    /// An aggregation of another cube: index into [`Formula::aggregates`].
    Aggregate(usize),
    /// The other sign.
    Negate(Box<Node>),
    /// Two operands.
    Binary(BinaryOperator, Box<Node>, Box<Node>),
}

/// `cube.measure[BY SUM: ...]`: the sum of the rows of another cube that share the cell's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// The cube that is summed.
    pub cube: CubeId,
    /// The measure that is summed.
    pub measure: MeasureId,
    /// Per dimension of the target, its position in the summed cube.
    pub positions: Vec<usize>,
}

impl Node {
    /// Whether it comes from fewer dimensions than the cell has and so adds no support to `+ -`.
    pub fn is_broadcast(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Attribute(_) => true,
            Self::Measure(_) | Self::Aggregate(_) => false,
            Self::Negate(inner) => inner.is_broadcast(),
            Self::Binary(_, a, b) => a.is_broadcast() && b.is_broadcast(),
        }
    }
}

impl Formula {
    /// Whether leaves are blank because the formula asks for a coarser grain.
    pub fn is_blank_at_leaves(&self, model: &Model) -> bool {
        let cube = model.cube_def(self.cube);
        self.grain.iter().any(|&(position, level)| {
            model.dimension_def(cube.dimensions[position]).leaf_level() != Some(level)
        })
    }

    /// How many levels above the leaves a level is, in the hierarchy that has it.
    pub fn height(model: &Model, dimension: cube::DimensionId, level: LevelId) -> usize {
        let def = model.dimension_def(dimension);
        let name = &def.levels[level.idx()].name;
        let heights = def.hierarchies.iter().filter_map(|hierarchy| {
            let position = hierarchy.levels.iter().position(|other| other == name)?;
            Some(hierarchy.levels.len() - 1 - position)
        });
        heights.max().unwrap_or(0)
    }

    /// How many levels above the leaves a position of a hierarchy is.
    pub fn height_at(
        model: &Model,
        dimension: cube::DimensionId,
        hierarchy: HierarchyId,
        position: usize,
    ) -> usize {
        let levels = &model.dimension_def(dimension).hierarchies[hierarchy.idx()].levels;
        levels.len().saturating_sub(1 + position)
    }
}

/// Parses and checks a formula.
pub fn check(model: &Model, def: &FormulaDef) -> Result<Formula> {
    let (cube_id, measure) = model.target(&def.target)?;
    let cube = model.cube_def(cube_id);
    let mut checker = Checker {
        model,
        def,
        cube,
        cube_id,
        operands: Vec::new(),
        attributes: Vec::new(),
        aggregates: Vec::new(),
    };
    let tree = parse(&def.text).map_err(|error| checker.error(error.span, error.message, None))?;
    let node = checker.node(&tree)?;
    let is_ratio = cube.measure_def(measure).consolidation == Consolidation::Formula;
    if !cube.measure_def(measure).value_type.is_number() {
        return Err(checker.error(tree.span, "the target is not a number".into(), None));
    }
    if is_ratio && !(checker.attributes.is_empty() && checker.aggregates.is_empty()) {
        return Err(checker.error(
            tree.span,
            "a measure whose consolidation is formula reads measures of its own cube and numbers only".into(),
            Some("put the other operands into measures of their own".into()),
        ));
    }
    if node.is_broadcast() {
        return Err(checker.error(
            tree.span,
            "the formula has no support: it reads no measure".into(),
            Some("a constant alone would fill the whole cube".into()),
        ));
    }
    if !def.at_or_above.is_empty() && !is_ratio {
        return Err(checker.error(
            tree.span,
            "at_or_above goes with a measure whose consolidation is formula".into(),
            Some("any other formula is computed at leaves, where it would be blank".into()),
        ));
    }
    let mut grain = Vec::new();
    for (dimension, level) in &def.at_or_above {
        let id = model.dimension(dimension)?;
        let position =
            cube.position(id).ok_or_else(|| CubeError::Inconsistent(def.target.clone()))?;
        grain.push((position, model.dimension_def(id).level(level)?));
    }
    let Checker { operands, attributes, aggregates, .. } = checker;
    Ok(Formula {
        target: def.target.clone(),
        cube: cube_id,
        measure,
        node,
        operands,
        attributes,
        aggregates,
        grain,
        is_ratio,
    })
}

struct Checker<'a> {
    model: &'a Model,
    def: &'a FormulaDef,
    cube: &'a Cube,
    cube_id: CubeId,
    operands: Vec<MeasureId>,
    attributes: Vec<(usize, AttributeId)>,
    aggregates: Vec<Aggregate>,
}

impl Checker<'_> {
    fn error(&self, span: Span, message: String, hint: Option<String>) -> CalcError {
        CalcError::Formula {
            target: self.def.target.clone(),
            text: self.def.text.clone(),
            span,
            message,
            hint,
        }
    }

    fn cube_error(&self, span: Span, error: &CubeError) -> CalcError {
        self.error(span, error.to_string(), error.hint())
    }

    fn node(&mut self, expression: &Expression) -> Result<Node> {
        match &expression.kind {
            ExpressionKind::Number(number) => Ok(Node::Constant(*number)),
            ExpressionKind::Negate(inner) => Ok(Node::Negate(Box::new(self.node(inner)?))),
            ExpressionKind::Binary(operator, a, b) => {
                Ok(Node::Binary(*operator, Box::new(self.node(a)?), Box::new(self.node(b)?)))
            }
            ExpressionKind::Call(name, _) => Err(self.error(
                name.span,
                format!("function {} is not available yet", name.text.to_uppercase()),
                None,
            )),
            ExpressionKind::Path(path) => self.path(path, expression.span),
            ExpressionKind::Modified(inner, modifier) => self.modified(inner, modifier),
        }
    }

    fn path(&mut self, path: &[Name], span: Span) -> Result<Node> {
        match path {
            [measure] => self.own_measure(measure),
            [owner, name] => {
                let owner_name = owner.text.to_lowercase();
                if owner_name == self.cube.def.name {
                    return self.own_measure(name);
                }
                match self.model.dimension(&owner_name) {
                    Ok(dimension) => self.attribute(dimension, name, span),
                    Err(_) if self.model.cube(&owner_name).is_ok() => Err(self.error(
                        span,
                        format!(
                            "{}.{} is of another cube; it is read through a modifier",
                            owner.text, name.text
                        ),
                        Some(format!(
                            "for example {}.{}[BY SUM: {}]",
                            owner.text,
                            name.text,
                            self.cube.def.dimensions.join(", ")
                        )),
                    )),
                    Err(error) => Err(self.cube_error(owner.span, &error)),
                }
            }
            _ => Err(self.error(
                span,
                "a path has one or two names: measure, or dimension.attribute".into(),
                None,
            )),
        }
    }

    fn own_measure(&mut self, name: &Name) -> Result<Node> {
        let measure = self
            .cube
            .measure(&name.text.to_lowercase())
            .map_err(|error| self.cube_error(name.span, &error))?;
        if !self.cube.measure_def(measure).value_type.is_number() {
            return Err(self.error(
                name.span,
                format!("measure {} is not a number", name.text),
                None,
            ));
        }
        if !self.operands.contains(&measure) {
            self.operands.push(measure);
        }
        Ok(Node::Measure(measure))
    }

    fn attribute(&mut self, dimension: cube::DimensionId, name: &Name, span: Span) -> Result<Node> {
        let def = self.model.dimension_def(dimension);
        let Some(position) = self.cube.position(dimension) else {
            return Err(self.error(
                span,
                format!("cube {} has no dimension {}", self.cube.def.name, def.name),
                Some(format!("its dimensions are {}", self.cube.def.dimensions.join(", "))),
            ));
        };
        let attribute = def
            .attribute(&name.text.to_lowercase())
            .map_err(|error| self.cube_error(name.span, &error))?;
        if !def.attributes[attribute.idx()].value_type.is_number() {
            return Err(self.error(
                name.span,
                format!("attribute {} is not a number", name.text),
                None,
            ));
        }
        self.attributes.push((position, attribute));
        Ok(Node::Attribute(self.attributes.len() - 1))
    }

    fn modified(&mut self, inner: &Expression, modifier: &Modifier) -> Result<Node> {
        let keyword = modifier.keyword.text.to_uppercase();
        let aggregator = modifier.aggregator.as_ref().map(|name| name.text.to_uppercase());
        if (keyword.as_str(), aggregator.as_deref()) != ("BY", Some("SUM")) {
            return Err(self.error(
                modifier.keyword.span,
                format!(
                    "modifier {keyword} {} is not available yet",
                    aggregator.unwrap_or_default()
                ),
                Some("BY SUM is".into()),
            ));
        }
        let ExpressionKind::Path(path) = &inner.kind else {
            return Err(self.error(
                inner.span,
                "BY SUM goes with a measure of another cube".into(),
                None,
            ));
        };
        let [cube_name, measure_name] = path.as_slice() else {
            return Err(self.error(inner.span, "expected cube.measure".into(), None));
        };
        if self.cube.def.kind == CubeKind::Records {
            return Err(self.error(
                inner.span,
                "a formula of a records cube does not read other cubes yet".into(),
                None,
            ));
        }
        let source_id = self
            .model
            .cube(&cube_name.text.to_lowercase())
            .map_err(|error| self.cube_error(cube_name.span, &error))?;
        let source = self.model.cube_def(source_id);
        if source_id == self.cube_id {
            return Err(self.error(
                inner.span,
                "BY SUM over the formula's own cube is not available yet".into(),
                None,
            ));
        }
        let measure = source
            .measure(&measure_name.text.to_lowercase())
            .map_err(|error| self.cube_error(measure_name.span, &error))?;
        let def = source.measure_def(measure);
        if def.consolidation == Consolidation::Formula || !def.value_type.is_number() {
            return Err(self.error(
                measure_name.span,
                format!("{} does not add up", measure_name.text),
                None,
            ));
        }
        let positions = self.by_positions(source, modifier)?;
        let aggregate = Aggregate { cube: source_id, measure, positions };
        self.aggregates.push(aggregate);
        Ok(Node::Aggregate(self.aggregates.len() - 1))
    }

    /// Per dimension of the target, its position in the source: BY names exactly the target's dimensions.
    fn by_positions(&self, source: &Cube, modifier: &Modifier) -> Result<Vec<usize>> {
        let mut named = Vec::new();
        for argument in &modifier.arguments {
            let ExpressionKind::Path(path) = &argument.kind else {
                return Err(self.error(argument.span, "expected a dimension".into(), None));
            };
            let name = match path.as_slice() {
                [name] => name,
                [cube, name] if cube.text.to_lowercase() == source.def.name => name,
                _ => {
                    return Err(self.error(
                        argument.span,
                        "mappings by attributes are not available yet".into(),
                        None,
                    ));
                }
            };
            let id = self
                .model
                .dimension(&name.text.to_lowercase())
                .map_err(|error| self.cube_error(name.span, &error))?;
            if source.position(id).is_none() || self.cube.position(id).is_none() {
                return Err(self.error(
                    name.span,
                    format!(
                        "{} is not a dimension of both {} and {}",
                        name.text, source.def.name, self.cube.def.name
                    ),
                    None,
                ));
            }
            named.push(id);
        }
        let missing = self.cube.dimensions.iter().find(|id| !named.contains(id));
        if let Some(&missing) = missing {
            return Err(self.error(
                modifier.span,
                format!(
                    "BY does not name {}, a dimension of the target",
                    self.model.dimension_def(missing).name
                ),
                None,
            ));
        }
        let positions = self.cube.dimensions.iter().filter_map(|&id| source.position(id));
        Ok(positions.collect())
    }
}
