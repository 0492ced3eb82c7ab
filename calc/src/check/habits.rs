//! What people write who know spreadsheets or another language, and what it is here.

use super::Checker;
use crate::error::CalcError;
use crate::node::{Axis, Scope};
use crate::syntax::ast::{Argument, ExpressionKind, Name};
use crate::syntax::{Span, SyntaxError};

/// Words that begin a modifier.
const KEYWORDS: [&str; 7] = ["BY", "REMOVE", "KEEP", "SELECT", "FILTER", "EXCLUDE", "ADD"];
/// Aggregations of spreadsheets, and the aggregators that they are.
const AGGREGATIONS: [(&str, &str); 5] =
    [("SUM", "SUM"), ("AVERAGE", "AVG"), ("AVG", "AVG"), ("COUNT", "COUNT"), ("COUNTA", "COUNT")];
/// Functions of spreadsheets, and what does their work.
const FUNCTIONS: [(&str, &str); 9] = [
    ("SUMIF", "choose with FILTER, then aggregate with BY SUM or REMOVE SUM"),
    ("SUMIFS", "choose with FILTER, then aggregate with BY SUM or REMOVE SUM"),
    ("COUNTIF", "choose with FILTER, then aggregate with BY COUNT or REMOVE COUNT"),
    ("COUNTIFS", "choose with FILTER, then aggregate with BY COUNT or REMOVE COUNT"),
    ("AVERAGEIF", "choose with FILTER, then aggregate with BY AVG or REMOVE AVG"),
    ("VLOOKUP", "LOOKUP(x, dimension: member) reads x at another member"),
    ("XLOOKUP", "LOOKUP(x, dimension: member) reads x at another member"),
    ("IFERROR", "SAFEDIV(x, y, otherwise) divides; x ?? y takes y where x is blank"),
    ("SUMPRODUCT", "multiply, in brackets, then aggregate with BY SUM or REMOVE SUM"),
];

impl Checker<'_> {
    /// The error of a text that cannot be read.
    pub(super) fn unreadable(&self, error: SyntaxError) -> CalcError {
        let SyntaxError { span, message } = error;
        let known = self.spelled_if().or_else(|| self.in_round_brackets(span));
        if let Some(error) = known.or_else(|| self.without_colon(span, &message)) {
            return error;
        }
        let hint = self.syntax_hint(span);
        self.error(span, message, hint)
    }

    /// What to do about a text that cannot be read.
    fn syntax_hint(&self, span: Span) -> Option<String> {
        let before = self.def.text.get(..span.start)?;
        let after = self.def.text.get(span.end..)?;
        if before.trim_end().to_uppercase().ends_with("[ON") {
            let name: String = self.text(span).split_whitespace().collect();
            let quoted = self.tried(span, &format!("\"{name}\""));
            let words = || "quotes go around the whole name, as in [ON \"plan-b\"]".to_string();
            return Some(quoted.map_or_else(words, |quoted| format!("write {quoted}")));
        }
        let is_between_digits = before.ends_with(|c: char| c.is_ascii_digit())
            && after.starts_with(|c: char| c.is_ascii_digit());
        if self.text(span) == "," && is_between_digits {
            let point = self.tried(span, ".");
            return Some(format!("decimals are behind a point{}", written(point)));
        }
        if self.text(span).len() > 1 && self.text(span).starts_with(|c: char| c.is_ascii_digit()) {
            return Some("round it, or make it of smaller numbers".into());
        }
        other_language(&self.def.text, span.start).map(String::from)
    }

    /// `IF a THEN b ELSE c`.
    pub(super) fn spelled_if(&self) -> Option<CalcError> {
        let text = self.def.text.trim();
        let fragment = called_if(text)?;
        let start = self.def.text.find(text)?;
        let span = Span { start, end: start + text.len() };
        let tried = self.tried(span, &fragment).map(|fragment| format!("write {fragment}"));
        let hint = tried.unwrap_or_else(|| "it is written IF(condition, value, otherwise)".into());
        Some(self.error(span, "IF is a function".into(), Some(hint)))
    }

    /// `units(BY SUM: product)`: a modifier in round brackets, up to what cannot be read.
    pub(super) fn in_round_brackets(&self, near: Span) -> Option<CalcError> {
        let text = &self.def.text;
        let open = text.get(..near.end)?.rfind('(')?;
        let word = text[open + 1..].split_whitespace().next()?.trim_end_matches(':').to_uppercase();
        KEYWORDS.contains(&word.as_str()).then_some(())?;
        let close = open + text[open..].find(')')?;
        let is_of_name = |c: char| c.is_alphanumeric() || "_.\"".contains(c);
        let start = text[..open].trim_end_matches(is_of_name).len();
        let span = Span { start, end: close + 1 };
        let fragment = format!("{}[{}]", &text[start..open], &text[open + 1..close]);
        let hint = written(self.tried(span, &fragment));
        let message = "a modifier stands in square brackets".into();
        Some(self.error(span, message, Some(format!("{word} is a modifier{hint}"))))
    }

    /// `[BY product, date]`, `[FILTER units > 3]`, `["bike"]`: a modifier that lacks its words or its colon.
    fn without_colon(&self, span: Span, message: &str) -> Option<CalcError> {
        message.starts_with("expected \":\"").then_some(())?;
        let text = &self.def.text;
        let open = text.get(..span.start)?.rfind('[')?;
        let close = open + text[open..].find(']')?;
        let span = Span { start: open, end: close + 1 };
        let inside = text[open + 1..close].trim();
        let (word, rest) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let keyword = word.to_uppercase();
        let rest = rest.trim_start();
        let (second, others) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (message, fragments, otherwise) = match keyword.as_str() {
            "BY" | "REMOVE" | "KEEP" => (
                format!("{keyword} names an aggregator, a colon and dimensions"),
                vec![
                    format!("[{keyword} {}: {others}]", second.to_uppercase()),
                    format!("[{keyword} SUM: {rest}]"),
                ],
                "the aggregator is SUM, AVG, MIN, MAX or another one, with a colon behind it",
            ),
            "ADD" => (
                "ADD says how, and has a colon before the dimensions".to_string(),
                vec![
                    format!("[ADD {}: {others}]", second.to_uppercase()),
                    format!("[ADD CONSTANT: {rest}]"),
                ],
                "it is ADD CONSTANT, ADD SPLIT or ADD WEIGHT, with a colon behind it",
            ),
            "FILTER" | "EXCLUDE" | "SELECT" => (
                format!("{keyword} has a colon behind it"),
                vec![format!("[{keyword}: {rest}]")],
                "the colon stands behind the first word",
            ),
            _ => (
                "square brackets hold a modifier".to_string(),
                self.selections(inside),
                "one member is chosen with SELECT: and dimension = \"member\"",
            ),
        };
        let whole: Vec<String> =
            fragments.into_iter().filter(|fragment| !fragment.ends_with(": ]")).collect();
        let tried = self.first_tried(span, &whole).map(|fragment| format!("write {fragment}"));
        Some(self.error(span, message, Some(tried.unwrap_or_else(|| otherwise.into()))))
    }

    /// What chooses a member by its name, in whatever dimension has it.
    fn selections(&self, word: &str) -> Vec<String> {
        let word = word.trim_matches(['"', '\'']);
        let dimensions = (0..self.model.dimensions.len()).map(cube::DimensionId::from_idx);
        let holding = dimensions.filter(|&dimension| self.holds(dimension, word));
        let word = word.replace('"', "\"\"");
        let select = |dimension| {
            let name = &self.model.dimension_def(dimension).name;
            format!("[SELECT: {name} = \"{word}\"]")
        };
        holding.map(select).collect()
    }

    /// A function that does not exist here, but where people come from.
    pub(super) fn foreign_call(
        &mut self,
        name: &Name,
        arguments: &[Argument],
        span: Span,
    ) -> Option<CalcError> {
        let word = name.text.to_uppercase();
        let message = format!("there is no function {word}");
        if let Some((_, hint)) = FUNCTIONS.iter().find(|(known, _)| *known == word) {
            return Some(self.error(name.span, message, Some((*hint).into())));
        }
        let (_, aggregator) = AGGREGATIONS.iter().find(|(known, _)| *known == word)?;
        let [Argument { name: None, value }] = arguments else {
            let hint = match *aggregator {
                "SUM" => "values are added with +; over members they are aggregated with BY SUM",
                _ => "values are aggregated over members, with BY or REMOVE",
            };
            return Some(self.error(name.span, message, Some(hint.into())));
        };
        let scope = match self.scope(value) {
            Ok(scope) => scope,
            Err(error) => return Some(error),
        };
        let mut x = self.text(value.span).to_string();
        if matches!(value.kind, ExpressionKind::Binary(..)) {
            x = format!("({x})");
        }
        let behind = self.aggregations(&scope, aggregator);
        let fragments: Vec<String> = behind.iter().map(|behind| format!("{x}{behind}")).collect();
        let hint = match self.first_tried(span, &fragments) {
            Some(tried) => format!("aggregations are modifiers: write {tried}"),
            None => format!(
                "aggregations are modifiers behind what they aggregate: BY {aggregator} keeps dimensions, REMOVE {aggregator} takes them away"
            ),
        };
        Some(self.error(span, message, Some(hint)))
    }

    /// Modifiers that bring an expression to the dimensions of the target, or to none.
    fn aggregations(&self, scope: &Scope, aggregator: &str) -> Vec<String> {
        let own = &self.frame.axes;
        if let Some(rows) = scope.frame.rows {
            let items: Vec<String> =
                own.iter().filter_map(|&axis| self.by_item(rows, axis)).collect();
            return vec![format!("[BY {aggregator}: {}]", items.join(", "))];
        }
        let lacking = |axis: &&Axis| self.frame.position(axis.dimension).is_none();
        let lacking: Vec<Axis> = scope.frame.axes.iter().filter(lacking).copied().collect();
        let axes = if lacking.is_empty() { &scope.frame.axes } else { &lacking };
        let removed = format!("[REMOVE {aggregator}: {}]", self.names_text(axes));
        let added = format!("{removed}[ADD CONSTANT: {}]", self.axes_text(axes));
        vec![removed, added]
    }
}

/// `: write` and what was tried, where there is something.
fn written(tried: Option<String>) -> String {
    tried.map_or_else(String::new, |tried| format!(": write {tried}"))
}

/// `IF a THEN b ELSE c` as the function.
fn called_if(text: &str) -> Option<String> {
    let words = |text: &str| text.to_ascii_uppercase().replace(['\n', '\t'], " ");
    let upper = words(text);
    let condition = upper.strip_prefix("IF").filter(|rest| rest.starts_with([' ', '(']))?;
    let then = 2 + condition.find(" THEN ")?;
    let rest = then + " THEN ".len();
    let condition = text[2..then].trim();
    let Some(at) = upper[rest..].find(" ELSE ") else {
        return Some(format!("IF({condition}, {}, BLANK)", text[rest..].trim()));
    };
    let otherwise = text[rest + at + " ELSE ".len()..].trim();
    let otherwise = called_if(otherwise).unwrap_or_else(|| otherwise.to_string());
    Some(format!("IF({condition}, {}, {otherwise})", text[rest..rest + at].trim()))
}

/// What to write in place of what other languages write.
fn other_language(text: &str, at: usize) -> Option<&'static str> {
    let rest = text.get(at..)?;
    let before = text.get(..at)?;
    Some(if rest.starts_with('=') && before.trim().is_empty() {
        "a formula begins without ="
    } else if rest.starts_with(';') {
        "arguments are separated by commas"
    } else if rest.starts_with("!=") {
        "\"not equal\" is written <>"
    } else if rest.starts_with('=') && before.ends_with('=') {
        "\"equal\" is written ="
    } else if rest.starts_with("||") {
        "texts are joined by &; \"or\" is written OR"
    } else if rest.starts_with('&') && before.ends_with('&') {
        "\"and\" is written AND"
    } else if rest.starts_with('!') {
        "\"not\" is written NOT"
    } else if rest.starts_with('%') {
        "a share is written as a number: 15 % is 0.15"
    } else if rest.starts_with(['{', '}', '$', '#', '@', '\\', '`']) {
        "names with such signs stand in double quotes, texts in single ones"
    } else {
        return None;
    })
}
