//! Small pieces of syntax tree, made and recognised.

use datafusion::sql::sqlparser::ast::{
    Array, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, ObjectNamePart, Value,
};

/// The last part of a dotted name, in lower case unless it is quoted.
pub(super) fn last_part(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(ObjectNamePart::as_ident).map(folded)
}

/// The part before the last, where there is one.
pub(super) fn qualifier(name: &ObjectName) -> Option<String> {
    let at = name.0.len().checked_sub(2)?;
    name.0.get(at).and_then(ObjectNamePart::as_ident).map(folded)
}

/// An identifier as PostgreSQL reads it.
pub(super) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// An identifier that means exactly this name.
pub(super) fn ident(name: &str) -> Ident {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if plain { Ident::new(name) } else { Ident::with_quote('"', name) }
}

/// A one-part name.
pub(super) fn object_name(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(ident(name))])
}

/// A call of a function.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: object_name(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: argument_list(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Arguments by position.
pub(super) fn argument_list(arguments: Vec<Expr>) -> FunctionArguments {
    FunctionArguments::List(FunctionArgumentList {
        duplicate_treatment: None,
        args: arguments
            .into_iter()
            .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
            .collect(),
        clauses: Vec::new(),
    })
}

/// The expression of an argument.
pub(super) fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// A string literal.
pub(super) fn string(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

/// NULL
pub(super) fn null() -> Expr {
    Expr::value(Value::Null)
}

/// The text of a string literal.
pub(super) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

/// The elements of an array literal in its text form, `'{a,b}'`.
pub(super) fn array_elements(expr: &Expr) -> Option<Vec<Expr>> {
    let inner = literal(expr)?.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let items: Vec<&str> = inner.split(',').map(|item| item.trim().trim_matches('"')).collect();
    let numbers = items.iter().all(|item| item.parse::<i64>().is_ok());
    let element = |item: &&str| match (*item, numbers) {
        ("NULL" | "null", _) => null(),
        (item, true) => Expr::value(Value::Number(item.to_owned(), false)),
        (item, false) => string(item),
    };
    Some(items.iter().map(element).collect())
}

/// `ARRAY[...]`
pub(super) fn array(elements: Vec<Expr>) -> Expr {
    Expr::Array(Array { elem: elements, named: true })
}

/// The expression inside parentheses.
pub(super) fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// Moves an expression out, leaving NULL.
pub(super) fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, null())
}
