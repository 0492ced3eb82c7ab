//! Attributes of a dimension's members, and the text that says their type: `integer`, `member of rep`.

use serde::{Deserialize, Serialize};

use crate::value::ValueType;

const MEMBER_OF: &str = "member of ";

/// A typed property of the members of a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct AttributeDef {
    /// Its name.
    pub name: String,
    /// Its type; text where values are keys of members.
    pub value_type: ValueType,
    /// The dimension whose members the values name, each by its canonical key.
    pub member_of: Option<String>,
    /// One line for people.
    pub description: String,
}

impl AttributeDef {
    /// An attribute of a type, without a description.
    pub fn new(name: &str, value_type: ValueType) -> Self {
        let (name, description) = (name.into(), String::new());
        Self { name, value_type, member_of: None, description }
    }

    /// The type as model files say it.
    pub fn type_text(&self) -> String {
        match &self.member_of {
            Some(dimension) => format!("{MEMBER_OF}{dimension}"),
            None => self.value_type.to_string(),
        }
    }
}

/// An attribute as files and ledger entries hold it: its whole type is one text.
#[derive(Serialize, Deserialize)]
#[serde(rename = "AttributeDef", deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(rename = "type")]
    attribute_type: AttributeType,
    #[serde(default)]
    description: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
enum AttributeType {
    Value(ValueType),
    MemberOf(String),
}

impl TryFrom<String> for AttributeType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(dimension) = text.strip_prefix(MEMBER_OF) {
            return Ok(Self::MemberOf(dimension.trim().into()));
        }
        ValueType::try_from(text).map(Self::Value).map_err(|error| {
            let is_unknown = error.starts_with("unknown type");
            if is_unknown { format!("{error}, or member of a dimension") } else { error }
        })
    }
}

impl From<AttributeType> for String {
    fn from(attribute_type: AttributeType) -> Self {
        match attribute_type {
            AttributeType::Value(value_type) => value_type.to_string(),
            AttributeType::MemberOf(dimension) => format!("{MEMBER_OF}{dimension}"),
        }
    }
}

impl From<Written> for AttributeDef {
    fn from(Written { name, attribute_type, description }: Written) -> Self {
        let (value_type, member_of) = match attribute_type {
            AttributeType::Value(value_type) => (value_type, None),
            AttributeType::MemberOf(dimension) => (ValueType::Text, Some(dimension)),
        };
        Self { name, value_type, member_of, description }
    }
}

impl From<AttributeDef> for Written {
    fn from(AttributeDef { name, value_type, member_of, description }: AttributeDef) -> Self {
        let attribute_type =
            member_of.map_or(AttributeType::Value(value_type), AttributeType::MemberOf);
        Self { name, attribute_type, description }
    }
}
