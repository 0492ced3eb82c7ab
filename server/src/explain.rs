//! Explanations of cells for people and programs: an indented tree, or JSON.

use std::fmt::Write;

use clap::ValueEnum;
use protocol::explain::Explained;
use protocol::provenance::{WriteAction, WriteRecord};
use serde_json::{Map, Value, json};

use crate::timestamp::format_timestamp;

/// How an explanation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ExplainFormat {
    /// An indented tree.
    #[default]
    Text,
    /// An object with its children in it.
    Json,
}

/// An explanation as text that ends with a line feed.
pub fn render(explained: &Explained, format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Json => format!("{}\n", to_json(explained)),
        ExplainFormat::Text => {
            let mut text = String::new();
            write_node(explained, 0, &mut text);
            text
        }
    }
}

/// A node on lines of its own: the value, then what made it, then its children further right.
fn write_node(explained: &Explained, depth: usize, text: &mut String) {
    let (node, indent) = (&explained.node, "  ".repeat(depth));
    let place = explained.place_in_words().map(|place| format!("[{place}]")).unwrap_or_default();
    let value = node.value.as_deref().unwrap_or("blank");
    let mut line = |content: String| writeln!(text, "{indent}{content}").expect("text grows");
    line(format!("{}{place} = {value}  ({})", node.label, node.kind));
    if let Some(formula) = &node.formula {
        line(format!("  : {}", one_line(formula)));
    }
    if let Some(note) = &node.note {
        line(format!("  ! {note}"));
    }
    explained.writes.iter().for_each(|write| line(format!("  @ {}", write_line(write))));
    explained.children.iter().for_each(|child| write_node(child, depth + 1, text));
    if node.more > 0 {
        writeln!(text, "{indent}  ... {} more", node.more).expect("text grows");
    }
}

/// Who wrote it, when, through what, and from where: `#7 ana 2026-03-31T12:00:00Z psql`.
fn write_line(write: &WriteRecord) -> String {
    let WriteRecord { sequence, author, origin, .. } = write;
    let time = format_timestamp(write.time_us);
    let mut line = format!("#{sequence} {author} {time} {origin}");
    if let Some(file) = &write.file {
        line.push_str(&format!(", {file}"));
    }
    if let Some(row) = write.source_row {
        line.push_str(&format!(" row {row}"));
    }
    match (write.action, write.values.as_slice()) {
        (WriteAction::Remove, _) => line.push_str(": removed"),
        (WriteAction::Set, [(_, value)]) => {
            line.push_str(&format!(": {}", one_line(value.as_deref().unwrap_or("blank"))));
        }
        _ => {}
    }
    line
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An explanation as JSON; values are texts, so that no digit is lost.
pub fn to_json(explained: &Explained) -> Value {
    let node = &explained.node;
    let pairs = |pairs: &[(String, String)]| -> Value {
        let pairs = pairs.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    json!({
        "label": node.label,
        "kind": node.kind,
        "formula": node.formula,
        "place": pairs(&node.place),
        "key": node.key.as_deref().map(pairs),
        "value": node.value,
        "note": node.note,
        "valid_from": node.valid_from,
        "more": node.more,
        "writes": explained.writes.iter().map(write_json).collect::<Vec<_>>(),
        "children": explained.children.iter().map(to_json).collect::<Vec<_>>(),
    })
}

fn write_json(write: &WriteRecord) -> Value {
    let values = write.values.iter().map(|(name, value)| (name.clone(), json!(value)));
    json!({
        "sequence": write.sequence,
        "time": format_timestamp(write.time_us),
        "author": write.author,
        "origin": write.origin,
        "file": write.file,
        "source_row": write.source_row,
        "action": match write.action {
            WriteAction::Set => "set",
            WriteAction::Remove => "remove",
        },
        "values": values.collect::<Map<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use protocol::explain::ExplainNode;

    use super::*;

    /// A ratio of a row with a load behind it and a total that is cut.
    fn example() -> Explained {
        let node = |label: &str, kind: &str, value: Option<&str>| ExplainNode {
            label: label.into(),
            kind: kind.into(),
            place: vec![("rep".into(), "ada".into())],
            value: value.map(Into::into),
            ..ExplainNode::default()
        };
        let leaf = |node: ExplainNode, writes: Vec<WriteRecord>| Explained {
            node,
            writes,
            children: Vec::new(),
        };
        let write = WriteRecord {
            sequence: 5,
            time_us: 1_774_958_405_000_007,
            author: "bob".into(),
            origin: "http".into(),
            file: Some("deals.csv".into()),
            source_row: Some(3),
            action: WriteAction::Set,
            values: vec![("amount".into(), Some("2.50".into()))],
        };
        let row = ExplainNode {
            key: Some(vec![("deal".into(), "8".into())]),
            ..node("deals.amount", "row", Some("2.50"))
        };
        let sum = Explained {
            children: vec![leaf(row, vec![write])],
            ..leaf(
                ExplainNode { more: 12, ..node("quota.sales", "sum", Some("90.00")) },
                Vec::new(),
            )
        };
        let quota = leaf(node("quota.quota_amount", "input", None), Vec::new());
        let ratio = ExplainNode {
            formula: Some("sales /\n  quota_amount".into()),
            note: Some("division by blank".into()),
            ..node("quota.attainment", "formula", None)
        };
        Explained { children: vec![sum, quota], ..leaf(ratio, Vec::new()) }
    }

    #[test]
    fn a_tree_is_read_from_the_value_to_its_sources() {
        let expected = "\
quota.attainment[rep=ada] = blank  (formula)
  : sales / quota_amount
  ! division by blank
  quota.sales[rep=ada] = 90.00  (sum)
    deals.amount[deal=8, rep=ada] = 2.50  (row)
      @ #5 bob 2026-03-31T12:00:05.000007Z http, deals.csv row 3: 2.50
    ... 12 more
  quota.quota_amount[rep=ada] = blank  (input)
";
        assert_eq!(render(&example(), ExplainFormat::Text), expected);
    }

    #[test]
    fn json_holds_the_whole_tree() {
        let json = to_json(&example());
        let row = &json["children"][0]["children"][0];
        assert_eq!(row["key"]["deal"], "8");
        assert_eq!(row["writes"][0]["source_row"], 3);
        assert_eq!(row["writes"][0]["values"]["amount"], "2.50");
        assert_eq!(json["children"][0]["more"], 12);
        assert_eq!(json["value"], Value::Null);
    }
}
