//! From a syntax tree to a checked formula: names resolved, dimensions, types and supports compared.
//!
//! An expression is compiled in the frame where it is evaluated ([`Checker::node`]). What brings a
//! frame of its own (a measure, a modifier, a shift in time) is compiled there ([`Checker::source`])
//! and then embedded: each of its axes gets the member to which a point of the outer frame leads.

mod calls;
mod coerce;
mod frames;
mod fused;
mod habits;
mod hints;
mod inputs;
mod leads;
mod members;
mod modifiers;
mod on_branch;
mod paths;
mod quotes;
mod ratio;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cube::model::{Consolidation, Cube, FormulaDef, MeasureDef, TargetText};
use cube::{
    CubeError, CubeId, DimensionId, HierarchyId, LevelId, MeasureId, Model, ValueType, Version,
};

use crate::branches::Branches;
use crate::cycles;
use crate::error::{CalcError, Result};
use crate::functions::{Support, support_of};
use crate::node::{Aggregator, Axis, Frame, Kind, MemberMap, Node, Scope, Type, Value};
use crate::query::members::is_of_slices;
use crate::syntax::ast::{BinaryOperator, Expression, ExpressionKind};
use crate::syntax::{Span, parse};
use members::NamedMember;
pub(crate) use members::is_flat;

/// A formula that was checked against a model.
#[derive(Debug, Clone)]
pub struct Formula {
    /// `cube.measure`, with the region where it has one.
    pub target: String,
    /// The formula's text.
    pub text: String,
    /// The target's cube.
    pub cube: CubeId,
    /// The target.
    pub measure: MeasureId,
    /// The cube's own frame.
    pub frame: Frame,
    /// Axes of which only what is under a member is computed.
    pub region: Vec<(usize, String)>,
    /// What is computed.
    pub node: Node,
    /// The measure of its cube that takes what is written to it.
    pub inputs: Option<MeasureId>,
    /// Measures of its own branch that it reads.
    pub reads: BTreeSet<(CubeId, MeasureId)>,
    /// Records cubes of which it takes the first or the last row, blank or not.
    row_order: BTreeSet<CubeId>,
    /// Branches that it names, its own too.
    pub branches: BTreeSet<Arc<str>>,
    /// Dimensions (by position) and levels below which the result is blank.
    pub grain: Vec<(usize, LevelId)>,
    /// Whether consolidated cells are computed from consolidated operands.
    pub is_ratio: bool,
}

/// The records cubes of which an expression takes the first or the last row.
fn row_order(node: &Node) -> BTreeSet<CubeId> {
    let mut cubes = BTreeSet::new();
    node.visit(&mut |node| {
        if let Kind::Reduce(reduce) = &node.kind
            && matches!(reduce.aggregator, Aggregator::First | Aggregator::Last)
        {
            cubes.extend(reduce.inner.frame.rows);
        }
    });
    cubes
}

impl Formula {
    /// Whether a blank row of a cube makes a difference to it.
    pub(crate) fn takes_blanks_of(&self, cube: CubeId) -> bool {
        self.row_order.contains(&cube)
    }

    /// Whether it computes a member of a dimension from the totals of others, at every grain.
    pub fn is_of_totals(&self) -> bool {
        !self.region.is_empty() && !self.grain.is_empty()
    }

    /// Whether leaves are blank because the formula asks for a coarser grain.
    pub fn is_blank_at_leaves(&self, model: &Model) -> bool {
        let cube = model.cube_def(self.cube);
        self.grain.iter().any(|&(position, level)| {
            let dimension = cube.dimensions[position];
            let finest = cube.levels[position].or(model.dimension_def(dimension).leaf_level());
            finest != Some(level)
        })
    }

    /// How many levels above the leaves a level is, in the hierarchy that has it.
    pub fn height(model: &Model, dimension: DimensionId, level: LevelId) -> usize {
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
        dimension: DimensionId,
        hierarchy: HierarchyId,
        position: usize,
    ) -> usize {
        let levels = &model.dimension_def(dimension).hierarchies[hierarchy.idx()].levels;
        levels.len().saturating_sub(1 + position)
    }
}

/// Whether hints are looked for, by checking the formula with what they say in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    /// They are.
    Tried,
    /// They are not: a hint is being tried.
    None,
}

/// Parses and checks a formula of a branch, which may read others.
pub fn check(model: &Model, def: &FormulaDef, branches: &dyn Branches) -> Result<Formula> {
    let mut checker = Checker::new(model, def, branches, Advice::Tried)?;
    let found = checker.formula();
    found.map_err(|error| checker.misspelt().unwrap_or(error))
}

/// The same of a formula that is only tried: nobody reads its hints.
pub(crate) fn try_out(model: &Model, def: &FormulaDef, branches: &dyn Branches) -> Result<Formula> {
    Checker::new(model, def, branches, Advice::None)?.formula()
}

pub(crate) struct Checker<'a> {
    /// The model in which names are looked up: another branch's within `[ON branch]`.
    model: &'a Model,
    /// The model of the formula's own branch.
    own_model: &'a Model,
    def: &'a FormulaDef,
    /// The target's cube and measure, as the formula's own branch defines them.
    cube: &'a Cube,
    target: &'a MeasureDef,
    /// The cube of that name in `model`, and the measure; another branch may lack them.
    home: Option<CubeId>,
    measure: Option<MeasureId>,
    /// The target's own frame, in `model`.
    frame: Frame,
    branches: &'a dyn Branches,
    /// The branch whose model it is.
    branch: Arc<str>,
    /// Branches that were named so far.
    named: BTreeSet<Arc<str>>,
    advice: Advice,
    /// What was compiled already, by its place in the text.
    sources: HashMap<Span, Option<Scope>>,
    /// What the branch holds, where that is known.
    version: Option<&'a Version>,
    /// Members that were named so far.
    members: RefCell<Vec<NamedMember>>,
}

impl<'a> Checker<'a> {
    fn new(
        model: &'a Model,
        def: &'a FormulaDef,
        branches: &'a dyn Branches,
        advice: Advice,
    ) -> Result<Self> {
        let (home, measure) = model.target(&def.target)?;
        let cube = model.cube_def(home);
        Ok(Self {
            model,
            own_model: model,
            def,
            cube,
            target: cube.measure_def(measure),
            home: Some(home),
            measure: Some(measure),
            frame: Frame::of_cube(model, home),
            branches,
            branch: branches.own().into(),
            named: BTreeSet::new(),
            advice,
            sources: HashMap::new(),
            version: branches.held(),
            members: RefCell::default(),
        })
    }

    /// Reads the text and checks it.
    fn formula(&mut self) -> Result<Formula> {
        let (cube, measure) = self.own_model.target(&self.def.target)?;
        let tree = parse(&self.def.text).map_err(|error| self.unreadable(error))?;
        let region = self.region(tree.span)?;
        let frame = self.frame.clone();
        let (node, inputs) = self.whole(&tree, &frame, &region)?;
        let node = self.assignable(node)?;
        let is_ratio = self.target.consolidation == Consolidation::Formula;
        if is_ratio {
            self.check_ratio(&node)?;
        }
        self.check_leads(&node)?;
        self.check_support(&node, &region, &tree)?;
        let grain = self.grain(is_ratio, &region, &node, tree.span)?;
        let formula = Formula {
            target: self.def.target.clone(),
            text: self.def.text.clone(),
            cube,
            measure,
            reads: node.reads(),
            row_order: row_order(&node),
            branches: std::mem::take(&mut self.named),
            frame,
            region,
            node,
            inputs,
            grain,
            is_ratio,
        };
        match cycles::own_read(self.own_model, &formula).filter(|_| formula.region.is_empty()) {
            Some(span) => Err(self.reads_itself(&formula, span)),
            None => Ok(formula),
        }
    }
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

    /// The target's region: positions of axes and members.
    fn region(&self, span: Span) -> Result<Vec<(usize, String)>> {
        let target = TargetText::parse(&self.def.target)?;
        let axis = |(dimension, member): (String, String)| {
            let id = self.model.dimension(&dimension)?;
            let position = self.frame.position(id).ok_or_else(|| {
                let message = format!("the target has no dimension {dimension}");
                self.error(span, message, Some(self.dimensions_of(&self.frame)))
            })?;
            Ok((position, member))
        };
        target.region.into_iter().map(axis).collect()
    }

    /// The node as the target's type wants it.
    fn assignable(&self, node: Node) -> Result<Node> {
        match self.target.value_type {
            ValueType::Decimal { .. } | ValueType::Integer => self.as_number(node),
            ValueType::Date => self.as_date(node),
            ValueType::Boolean => self.as_boolean(node),
            ValueType::Text if node.value_type == Type::Number => Err(self.error(
                node.span,
                "expected a text, found a number".into(),
                Some("TEXT(x) writes a number as text".into()),
            )),
            ValueType::Text => self.as_text(node),
        }
    }

    /// A formula needs something that says where it has values.
    fn check_support(
        &self,
        node: &Node,
        region: &[(usize, String)],
        tree: &Expression,
    ) -> Result<()> {
        if node.reads().is_empty() && node.on_branches().is_empty() {
            return Err(self.error(
                tree.span,
                "the formula has no support: it reads no measure".into(),
                Some("what reads no measure would fill the whole cube; put it where a measure has values: IF(ISBLANK(measure), BLANK, ...)".into()),
            ));
        }
        if self.frame.rows.is_some() {
            return Ok(());
        }
        let fixed = region.iter().fold(0, |mask, &(position, _)| mask | 1 << position);
        let missing = self.frame.full() & !(provided(node) | fixed);
        let missing: Vec<Axis> = (0..self.frame.axes.len())
            .filter(|position| missing >> position & 1 == 1)
            .map(|position| self.frame.axes[position])
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(self.unsupported(node, &missing, tree)) }
    }

    fn grain(
        &self,
        is_ratio: bool,
        region: &[(usize, String)],
        node: &Node,
        span: Span,
    ) -> Result<Vec<(usize, LevelId)>> {
        let mut reads_texts = false;
        node.visit(&mut |node| reads_texts |= node.value_type == Type::Text);
        // a text has no total
        let is_of_totals = match region {
            [(axis, _)] => {
                !reads_texts && self.home.is_some_and(|cube| is_of_slices(node, cube, *axis))
            }
            _ => false,
        };
        if !self.def.at_or_above.is_empty() && !is_ratio && !is_of_totals {
            return Err(self.error(
                span,
                "at_or_above goes with a measure whose consolidation is formula, or with a formula on one member that reads other members of its dimension only".into(),
                Some("any other formula is computed at leaves, where it would be blank".into()),
            ));
        }
        let mut grain = Vec::new();
        for (dimension, level) in &self.def.at_or_above {
            let id = self.model.dimension(dimension)?;
            let position = self.frame.position(id);
            let position =
                position.ok_or_else(|| CubeError::Inconsistent(self.def.target.clone()))?;
            grain.push((position, self.model.dimension_def(id).level(level)?));
        }
        Ok(grain)
    }

    fn axis_name(&self, axis: Axis) -> &str {
        let def = self.model.dimension_def(axis.dimension);
        axis.level.map_or(&def.name, |level| &def.levels[level.idx()].name)
    }

    /// Compiles an expression in a frame.
    fn node(&mut self, expression: &Expression, frame: &Frame) -> Result<Node> {
        let span = expression.span;
        if let Some(scope) = self.source(expression)? {
            return self.embed(scope, frame, span);
        }
        match &expression.kind {
            ExpressionKind::Number(number) => {
                Ok(literal(Value::Number(*number), Type::Number, span))
            }
            ExpressionKind::Text(text) => {
                Ok(literal(Value::Text(text.as_str().into()), Type::Text, span))
            }
            ExpressionKind::Boolean(value) => {
                Ok(literal(Value::Boolean(*value), Type::Boolean, span))
            }
            ExpressionKind::Blank => Ok(Node {
                kind: Kind::Blank,
                value_type: Type::Blank,
                mask: 0,
                is_heavy: false,
                span,
            }),
            ExpressionKind::Path(path) => self.path(path, frame, span),
            ExpressionKind::Negate(inner) => {
                let inner = self.number(inner, frame)?;
                Ok(apply(crate::functions::Function::Negate, vec![inner], Type::Number, span))
            }
            ExpressionKind::Not(inner) => {
                let inner = self.node(inner, frame)?;
                let inner = self.as_boolean(inner)?;
                Ok(apply(crate::functions::Function::Not, vec![inner], Type::Boolean, span))
            }
            ExpressionKind::Binary(operator, a, b) => self.binary(*operator, a, b, frame, span),
            ExpressionKind::In(inner, values) => self.membership(inner, values, frame, span),
            ExpressionKind::Call(name, arguments) => self.call(name, arguments, frame, span),
            ExpressionKind::On(inner, date) => self.on_date(inner, date, frame, span),
            ExpressionKind::Modified(inner, _) => {
                let message = "a modifier needs a measure before it".into();
                let hint = "modifiers stand behind a measure, or an expression in brackets";
                Err(self.error(inner.span, message, Some(hint.into())))
            }
        }
    }

    fn number(&mut self, expression: &Expression, frame: &Frame) -> Result<Node> {
        let node = self.node(expression, frame)?;
        self.as_number(node)
    }

    fn binary(
        &mut self,
        operator: BinaryOperator,
        a: &Expression,
        b: &Expression,
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        use crate::functions::Function as F;
        use BinaryOperator as O;
        let (a, b) = self.pair(operator, a, b, frame)?;
        let function = match operator {
            O::Add => F::Add,
            O::Subtract => F::Subtract,
            O::Multiply => F::Multiply,
            O::Divide => F::Divide,
            O::Power => F::Power,
            O::Join => F::Join,
            O::Equal => F::Equal,
            O::NotEqual => F::NotEqual,
            O::Less => F::Less,
            O::LessOrEqual => F::LessOrEqual,
            O::Greater => F::Greater,
            O::GreaterOrEqual => F::GreaterOrEqual,
            O::And => F::And,
            O::Or => F::Or,
            O::Coalesce => F::Coalesce,
        };
        let (a, b, result) = match operator {
            O::Add | O::Subtract => self.additive(operator, a, b)?,
            O::Multiply | O::Divide | O::Power => {
                (self.as_number(a)?, self.as_number(b)?, Type::Number)
            }
            O::Join => (self.as_text(a)?, self.as_text(b)?, Type::Text),
            O::And | O::Or => (self.as_boolean(a)?, self.as_boolean(b)?, Type::Boolean),
            O::Coalesce => {
                let (a, b) = self.unified(a, b)?;
                let result = a.value_type;
                (a, b, result)
            }
            _ => {
                let (a, b) = self.unified(a, b)?;
                (a, b, Type::Boolean)
            }
        };
        Ok(apply(function, vec![a, b], result, span))
    }

    /// Two operands. What stands in double quotes beside a text or a member that it is compared with is
    /// a text, whatever else has that name.
    fn pair(
        &mut self,
        operator: BinaryOperator,
        a: &Expression,
        b: &Expression,
        frame: &Frame,
    ) -> Result<(Node, Node)> {
        let compares = matches!(operator, BinaryOperator::Equal | BinaryOperator::NotEqual);
        match (compares, quoted(a), quoted(b)) {
            (true, None, Some(text)) => {
                let a = self.node(a, frame)?;
                let b = self.beside(&a, text, b, frame)?;
                Ok((a, b))
            }
            (true, Some(text), None) => {
                let b = self.node(b, frame)?;
                let a = self.beside(&b, text, a, frame)?;
                Ok((a, b))
            }
            (true, None, None) => Ok((self.compared(a, b, frame)?, self.compared(b, a, frame)?)),
            _ => Ok((self.node(a, frame)?, self.node(b, frame)?)),
        }
    }

    fn beside(
        &mut self,
        other: &Node,
        text: &str,
        expression: &Expression,
        frame: &Frame,
    ) -> Result<Node> {
        match other.value_type {
            Type::Text | Type::Member(_) => {
                Ok(literal(Value::Text(text.into()), Type::Text, expression.span))
            }
            _ => self.node(expression, frame),
        }
    }

    /// Numbers add up; a date moves by days, and two dates are days apart.
    fn additive(&self, operator: BinaryOperator, a: Node, b: Node) -> Result<(Node, Node, Type)> {
        match (a.value_type, b.value_type, operator) {
            (Type::Date, Type::Date, BinaryOperator::Subtract) => Ok((a, b, Type::Number)),
            (Type::Date, _, _) => Ok((a, self.as_number(b)?, Type::Date)),
            _ => Ok((self.as_number(a)?, self.as_number(b)?, Type::Number)),
        }
    }

    fn membership(
        &mut self,
        inner: &Expression,
        values: &[Expression],
        frame: &Frame,
        span: Span,
    ) -> Result<Node> {
        let first = self.node(inner, frame)?;
        let mut arguments = vec![first];
        for value in values {
            let value = match quoted(value) {
                Some(text) => self.beside(&arguments[0].clone(), text, value, frame)?,
                None => self.compared(value, inner, frame)?,
            };
            let (inner, value) = self.unified(arguments[0].clone(), value)?;
            arguments[0] = inner;
            arguments.push(value);
        }
        Ok(apply(crate::functions::Function::In, arguments, Type::Boolean, span))
    }

    /// An expression that brings a frame of its own; none where it takes that of its surroundings.
    fn source(&mut self, expression: &Expression) -> Result<Option<Scope>> {
        if let Some(known) = self.sources.get(&expression.span) {
            return Ok(known.clone());
        }
        let scope = match &expression.kind {
            ExpressionKind::Path(path) => self.measure_scope(path, expression.span)?,
            ExpressionKind::Modified(inner, modifier) => Some(self.modified(inner, modifier)?),
            ExpressionKind::Call(name, arguments) => {
                self.call_scope(name, arguments, expression.span)?
            }
            _ => None,
        };
        self.sources.insert(expression.span, scope.clone());
        Ok(scope)
    }

    /// An expression in the frame that its measures have together.
    fn scope(&mut self, expression: &Expression) -> Result<Scope> {
        if let Some(scope) = self.source(expression)? {
            return Ok(scope);
        }
        let frame = self.natural_frame(expression)?;
        let node = self.node(expression, &frame)?;
        if frame.axes.is_empty() && node.reads().is_empty() {
            return Err(self.error(
                expression.span,
                "this reads no measure, so there is nothing to look at elsewhere".into(),
                Some("name a measure, or an expression in brackets that reads one".into()),
            ));
        }
        Ok(Scope { frame, node })
    }

    /// The map from members of one axis to those of a coarser one of the same dimension.
    fn ancestor_map(&self, from: Axis, to: Axis) -> Option<MemberMap> {
        let def = self.model.dimension_def(from.dimension);
        let to_name = &def.levels[to.level?.idx()].name;
        let from_level = from.level.or(def.leaf_level())?;
        let from_name = &def.levels[from_level.idx()].name;
        def.hierarchies.iter().enumerate().find_map(|(idx, hierarchy)| {
            let place = |name: &String| hierarchy.levels.iter().position(|level| level == name);
            let (from, to) = (place(from_name)?, place(to_name)?);
            (to < from).then(|| MemberMap::Ancestor(HierarchyId::from_idx(idx), to))
        })
    }

    /// The member of an axis to which a point of a frame leads.
    fn member_for(&self, axis: Axis, frame: &Frame, span: Span) -> Result<Node> {
        let Some(position) = frame.position(axis.dimension) else {
            return Err(self.lacks(axis.dimension, frame, span));
        };
        let outer = frame.axes[position];
        let member = axis_node(position, outer.dimension, span);
        if outer.level == axis.level {
            return Ok(member);
        }
        match self.ancestor_map(outer, axis) {
            Some(map) => Ok(mapped(member, map, axis.dimension)),
            None => Err(self.is_no_level(axis, outer, frame, span)),
        }
    }

    /// A scope as seen from another frame.
    fn embed(&self, scope: Scope, frame: &Frame, span: Span) -> Result<Node> {
        if scope.frame == *frame {
            return Ok(scope.node);
        }
        if let Some(rows) = scope.frame.rows {
            return Err(self.brought_in(self.rows_here(&scope, rows, frame, span)));
        }
        let leads = |axis: &Axis| {
            let outer = frame.position(axis.dimension).map(|position| frame.axes[position]);
            outer.is_some_and(|outer| {
                outer.level == axis.level || self.ancestor_map(outer, *axis).is_some()
            })
        };
        if !scope.frame.axes.iter().all(leads) {
            return Err(self.brought_in(self.does_not_fit(&scope, frame, span)));
        }
        let axes = scope.frame.axes.clone();
        let members = axes.iter().map(|&axis| self.member_for(axis, frame, span));
        let members = members.collect::<Result<Vec<_>>>()?;
        Ok(at(scope, members, span))
    }
}

/// What a single name in double quotes says.
fn quoted(expression: &Expression) -> Option<&str> {
    match &expression.kind {
        ExpressionKind::Path(path) => match path.as_slice() {
            [name] if name.is_quoted => Some(&name.text),
            _ => None,
        },
        _ => None,
    }
}

/// A literal.
fn literal(value: Value, value_type: Type, span: Span) -> Node {
    Node { kind: Kind::Literal(value), value_type, mask: 0, is_heavy: false, span }
}

/// The member of an axis.
fn axis_node(position: usize, dimension: DimensionId, span: Span) -> Node {
    Node {
        kind: Kind::Axis(position),
        value_type: Type::Member(dimension),
        mask: 0,
        is_heavy: false,
        span,
    }
}

/// The member to which another leads.
fn mapped(inner: Node, map: MemberMap, from: DimensionId) -> Node {
    let to = match map {
        MemberMap::Attribute(_, to) => to,
        _ => from,
    };
    Node {
        value_type: Type::Member(to),
        mask: inner.mask,
        is_heavy: inner.is_heavy,
        span: inner.span,
        kind: Kind::Map(Box::new(inner), from, map),
    }
}

/// A function of values at one point.
fn apply(
    function: crate::functions::Function,
    arguments: Vec<Node>,
    value_type: Type,
    span: Span,
) -> Node {
    let mask = match support_of(function) {
        Support::First => arguments.first().map_or(0, |first| first.mask),
        _ => arguments.iter().fold(0, |mask, argument| mask | argument.mask),
    };
    let is_heavy = arguments.iter().any(|argument| argument.is_heavy);
    Node { kind: Kind::Apply(function, arguments), value_type, mask, is_heavy, span }
}

/// A scope at other points. Its support runs over the axes from which a member follows one to one.
fn at(scope: Scope, members: Vec<Node>, span: Span) -> Node {
    let mut mask = 0;
    for (position, member) in members.iter().enumerate() {
        if scope.node.mask >> position & 1 == 1 {
            mask |= one_to_one(member).map_or(0, |axis| 1 << axis);
        }
    }
    Node {
        value_type: scope.node.value_type,
        mask,
        is_heavy: scope.node.is_heavy || members.iter().any(|member| member.is_heavy),
        span,
        kind: Kind::At(Box::new(scope), members),
    }
}

/// The axis whose members lead to different members each.
pub(crate) fn one_to_one(member: &Node) -> Option<usize> {
    match &member.kind {
        Kind::Axis(axis) => Some(*axis),
        Kind::Map(inner, _, MemberMap::Shift(..) | MemberMap::Parallel(..)) => one_to_one(inner),
        _ => None,
    }
}

/// The axes over which a node says by itself where it has values.
pub(crate) fn provided(node: &Node) -> u64 {
    match &node.kind {
        Kind::Apply(function, arguments) => match support_of(*function) {
            Support::All => arguments.iter().fold(0, |mask, argument| mask | provided(argument)),
            Support::First => arguments.first().map_or(0, provided),
            Support::Any => {
                let widest = arguments.iter().map(|argument| argument.mask).fold(0, |a, b| a | b);
                let supporting = arguments.iter().filter(|argument| argument.mask == widest);
                let mut masks = supporting.map(provided);
                masks.next().map_or(0, |first| masks.fold(first, |a, b| a & b))
            }
        },
        Kind::Share(share) => provided(&share.amount) | provided(&share.basis),
        Kind::Fill(value, scope) => provided(value) | provided(scope),
        Kind::Tier(tier) => provided(&tier.value),
        Kind::MemberText(member, ..) => provided(member),
        Kind::Window(window) => provided(&window.inner),
        Kind::At(scope, members) => {
            let axes = |mask: u64| {
                let positions = members.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
                let axes = positions.filter_map(|(_, member)| one_to_one(member));
                axes.fold(0, |axes, axis| axes | 1 << axis)
            };
            // what no member leads to was brought in
            let added = node.mask & !axes(scope.node.mask);
            added | axes(provided(&scope.node))
        }
        Kind::OnBranch(on) => provided(&on.scope.node),
        Kind::Stored(..) | Kind::Reduce(_) => node.mask,
        _ => 0,
    }
}
