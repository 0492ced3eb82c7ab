//! Expressions in PostgreSQL's dialect that DataFusion writes otherwise.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArgumentClause, FunctionArguments, OrderBy,
    OrderByKind, Query, SelectItem, SetExpr, Subscript, Value,
};

use super::build::{
    argument_list, array, array_elements, call, folded, last_part, literal, object_name, string,
    take, unnested,
};
use super::casts;
use super::touches::is_system_qualified;
use crate::sql::catalog::is_boolean_column;

/// Functions that return sets, which here return arrays.
const SET_RETURNING: &[&str] = &[
    "_pg_expandarray",
    "aclexplode",
    "generate_series",
    "generate_subscripts",
    "pg_get_keywords",
    "pg_options_to_table",
    "pg_partition_ancestors",
    "pg_partition_tree",
];

/// Whether a function returns a set.
pub(super) fn returns_set(name: &str) -> bool {
    SET_RETURNING.contains(&name)
}

/// `current_user` without parentheses, as a call. The dates and times among the keywords are
/// DataFusion's own and stay.
pub(super) fn call_keywords(expr: &mut Expr) {
    match expr {
        Expr::Function(function) => {
            let keyword = last_part(&function.name).is_some_and(|name| is_keyword(&name));
            if keyword && matches!(function.args, FunctionArguments::None) {
                function.args = argument_list(Vec::new());
            }
        }
        // The word is reserved: a column of this name is quoted.
        Expr::Identifier(word) if word.quote_style.is_none() => {
            let word = folded(word);
            if is_keyword(&word) {
                *expr = call(&word, Vec::new());
            }
        }
        _ => {}
    }
}

fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "current_user"
            | "session_user"
            | "user"
            | "current_role"
            | "current_catalog"
            | "current_schema"
    )
}

/// Rewrites one expression whose parts are rewritten already.
pub(super) fn rewrite(expr: &mut Expr) {
    match expr {
        Expr::Function(_) => function(expr),
        Expr::Cast { .. } => casts::rewrite(expr),
        Expr::Collate { expr: inner, .. } => *expr = take(inner),
        Expr::BinaryOp { left, op, right } => {
            operator(op);
            if matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) {
                compare_flags(left, right);
                for side in [left, right] {
                    if let Some(elements) = array_elements(side) {
                        **side = array(elements);
                    }
                }
            }
        }
        Expr::AnyOp { .. } | Expr::AllOp { .. } => any(expr),
        Expr::CompoundFieldAccess { .. } => field_access(expr),
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let escape = escape_char.as_ref().and_then(|value| match &value.value {
                Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => {
                    Some(text.clone())
                }
                _ => None,
            });
            if let Some(escape) = escape
                && let Some(text) = literal(pattern)
            {
                **pattern = string(&with_backslash(text, &escape));
                *escape_char = None;
            }
        }
        _ => {}
    }
}

/// `indisprimary = 't'`: the literal as the boolean that the column holds.
fn compare_flags(left: &mut Expr, right: &mut Expr) {
    flag(left, right);
    flag(right, left);
}

fn flag(column: &Expr, value: &mut Expr) {
    let name = match unnested(column) {
        Expr::Identifier(name) => folded(name),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded).unwrap_or_default(),
        _ => return,
    };
    let meant = match literal(value) {
        Some("t" | "true" | "1" | "on" | "yes") => true,
        Some("f" | "false" | "0" | "off" | "no") => false,
        _ => return,
    };
    if is_boolean_column(&name) {
        *value = Expr::value(Value::Boolean(meant));
    }
}

/// A LIKE pattern with a backslash in place of its own escape character.
fn with_backslash(pattern: &str, escape: &str) -> String {
    let own = escape.chars().next();
    let mut result = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if Some(letter) == own {
            result.push('\\');
            result.extend(letters.next());
        } else if letter == '\\' {
            result.push_str("\\\\");
        } else {
            result.push(letter);
        }
    }
    result
}

fn function(expr: &mut Expr) {
    let Expr::Function(function) = expr else { return };
    let Some(name) = last_part(&function.name) else { return };
    if name == "array"
        && let FunctionArguments::Subquery(query) = &mut function.args
    {
        let query = std::mem::replace(query, Box::new(empty_query()));
        *expr = array_of(query);
        return;
    }
    if is_system_qualified(&function.name) {
        function.name = object_name(&name);
    }
    if returns_set(&name) {
        let call_of_set = take(expr);
        *expr = call("unnest", vec![call_of_set]);
    }
}

fn empty_query() -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Values(datafusion::sql::sqlparser::ast::Values {
            explicit_row: false,
            value_keyword: false,
            rows: Vec::new(),
        })),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// `ARRAY(SELECT x ...)` as `(SELECT array_agg(x) ...)`; of no rows it is the empty array.
fn array_of(mut query: Box<Query>) -> Expr {
    let order = query.order_by.take();
    if let SetExpr::Select(select) = query.body.as_mut()
        && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_mut_slice()
    {
        let value = take(item);
        let mut aggregate = call("array_agg", vec![value.clone()]);
        if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut aggregate
            && let Some(OrderBy { kind: OrderByKind::Expressions(mut keys), .. }) = order
        {
            for key in &mut keys {
                // `ORDER BY 1` is the value itself.
                if let Expr::Value(_) = &key.expr {
                    key.expr = value.clone();
                }
            }
            list.clauses.push(FunctionArgumentClause::OrderBy(keys));
        }
        *item = aggregate;
    }
    call("coalesce", vec![Expr::Subquery(query), array(Vec::new())])
}

/// `OPERATOR(pg_catalog.~)` as `~`.
fn operator(op: &mut BinaryOperator) {
    let BinaryOperator::PGCustomBinaryOperator(parts) = op else { return };
    let plain = match parts.last().map(String::as_str) {
        Some("=") => BinaryOperator::Eq,
        Some("<>" | "!=") => BinaryOperator::NotEq,
        Some("<") => BinaryOperator::Lt,
        Some("<=") => BinaryOperator::LtEq,
        Some(">") => BinaryOperator::Gt,
        Some(">=") => BinaryOperator::GtEq,
        Some("+") => BinaryOperator::Plus,
        Some("-") => BinaryOperator::Minus,
        Some("*") => BinaryOperator::Multiply,
        Some("/") => BinaryOperator::Divide,
        Some("||") => BinaryOperator::StringConcat,
        Some("~") => BinaryOperator::PGRegexMatch,
        Some("!~") => BinaryOperator::PGRegexNotMatch,
        Some("~*") => BinaryOperator::PGRegexIMatch,
        Some("!~*") => BinaryOperator::PGRegexNotIMatch,
        Some("~~") => BinaryOperator::PGLikeMatch,
        Some("!~~") => BinaryOperator::PGNotLikeMatch,
        Some("~~*") => BinaryOperator::PGILikeMatch,
        Some("!~~*") => BinaryOperator::PGNotILikeMatch,
        _ => return,
    };
    *op = plain;
}

/// `x = ANY('{a,b}')` as `x IN ('a', 'b')`, and text arrays as arrays elsewhere.
fn any(expr: &mut Expr) {
    let is_any = matches!(expr, Expr::AnyOp { .. });
    let (Expr::AnyOp { left, compare_op, right, .. } | Expr::AllOp { left, compare_op, right }) =
        expr
    else {
        return;
    };
    operator(compare_op);
    let elements = match unnested(right) {
        Expr::Array(literal) => Some(literal.elem.clone()),
        other => array_elements(other),
    };
    let Some(elements) = elements else { return };
    let negated = match (compare_op, is_any) {
        (BinaryOperator::Eq, true) => false,
        (BinaryOperator::NotEq, false) => true,
        _ => {
            **right = array(elements);
            return;
        }
    };
    *expr = if elements.is_empty() {
        Expr::value(Value::Boolean(negated))
    } else {
        Expr::InList { expr: Box::new(take(left)), list: elements, negated }
    };
}

/// The columns whose arrays count from 0.
fn is_vector(expr: &Expr) -> bool {
    let last = match unnested(expr) {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    };
    matches!(
        last.as_deref(),
        Some("indkey" | "indclass" | "indcollation" | "indoption" | "proargtypes" | "tgattr")
    )
}

/// `i.indkey[0]` comes as an access to `indkey` of `i`, and then to its element.
fn join_name(root: &mut Expr, chain: &mut Vec<AccessExpr>) {
    let mut parts = match &*root {
        Expr::Identifier(name) => vec![name.clone()],
        Expr::CompoundIdentifier(parts) => parts.clone(),
        _ => return,
    };
    let before = parts.len();
    while chain.len() > 1 {
        let AccessExpr::Dot(Expr::Identifier(name)) = &chain[0] else { break };
        parts.push(name.clone());
        chain.remove(0);
    }
    if parts.len() > before {
        *root = Expr::CompoundIdentifier(parts);
    }
}

/// `(keys).n` and `indkey[0]`.
fn field_access(expr: &mut Expr) {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return };
    join_name(root, access_chain);
    let [access] = access_chain.as_mut_slice() else { return };
    match access {
        AccessExpr::Dot(Expr::Identifier(field)) => {
            let field = folded(field);
            let root = match take(root) {
                Expr::Nested(inner) => *inner,
                other => other,
            };
            *expr = call("get_field", vec![root, string(&field)]);
        }
        AccessExpr::Subscript(Subscript::Index { index }) if is_vector(root) => {
            *expr = call("perfos_element", vec![take(root), take(index)]);
        }
        _ => {}
    }
}
