//! Errors raised while rows are computed, as the one error clients know.

use std::error::Error;

use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use crate::error::SqlError;

/// The error a stream of rows failed with: the session's own where it is wrapped inside.
pub(super) fn of_stream(error: &DataFusionError) -> SqlError {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(own) = inner.downcast_ref::<SqlError>() {
            return own.clone();
        }
        if let Some(arrow) = inner.downcast_ref::<ArrowError>()
            && let Some(sqlstate) = sqlstate_of_arrow(arrow)
        {
            return SqlError::new(sqlstate, message_of(arrow));
        }
        source = inner.source();
    }
    let root = error.find_root();
    let sqlstate = match root {
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::ResourcesExhausted(_) => "53200",
        DataFusionError::Plan(_) => "42000",
        DataFusionError::SchemaError(..) => "42703",
        _ => "XX000",
    };
    SqlError::new(sqlstate, root.strip_backtrace())
}

fn sqlstate_of_arrow(error: &ArrowError) -> Option<&'static str> {
    match error {
        ArrowError::DivideByZero => Some("22012"),
        ArrowError::ArithmeticOverflow(_) => Some("22003"),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => Some("22P02"),
        ArrowError::NotYetImplemented(_) => Some("0A000"),
        ArrowError::OffsetOverflowError(_) => Some("54000"),
        _ => None,
    }
}

fn message_of(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::ArithmeticOverflow(text)
        | ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::NotYetImplemented(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_own_error_is_found_inside_others() {
        let own = SqlError::new("57014", "canceling statement due to user request");
        let wrapped = DataFusionError::External(Box::new(own.clone())).context("while scanning");
        assert_eq!(of_stream(&wrapped), own);
        let arrow = ArrowError::ExternalError(Box::new(own.clone()));
        assert_eq!(of_stream(&DataFusionError::from(arrow)), own);
    }

    #[test]
    fn arithmetic_has_its_sqlstates() {
        let error = DataFusionError::from(ArrowError::DivideByZero);
        assert_eq!(of_stream(&error), SqlError::new("22012", "division by zero"));
        let error = DataFusionError::NotImplemented("this".to_owned());
        assert_eq!(of_stream(&error).sqlstate, "0A000");
    }
}
