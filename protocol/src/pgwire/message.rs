//! What a client may say, read from the exact bytes of each message (PostgreSQL's protocol 3.0).
//!
//! Reading never goes past a message's own end, and never allocates by a number the client wrote:
//! what does not add up is 08P01.

use bytes::{Buf, Bytes};

use crate::error::SqlError;

/// The SQLSTATE of a message that is not what the protocol says.
pub(super) const PROTOCOL_VIOLATION: &str = "08P01";

/// The first packet of a connection.
#[derive(Debug)]
pub(super) enum Startup {
    /// The client asks for TLS.
    Ssl,
    /// The client asks for GSSAPI encryption.
    Gss,
    /// Another connection's statement is to be stopped.
    Cancel { pid: i32, secret: Bytes },
    /// A session: the protocol version and the parameters in order.
    Session { major: u16, minor: u16, parameters: Vec<(String, String)> },
}

const SSL_REQUEST: i32 = 80_877_103;
const GSS_REQUEST: i32 = 80_877_104;
const CANCEL_REQUEST: i32 = 80_877_102;

impl Startup {
    /// Reads a startup packet without its length.
    pub(super) fn read(body: Bytes) -> Result<Self, SqlError> {
        let mut reader = Reader(body);
        match reader.int32()? {
            SSL_REQUEST => Ok(Self::Ssl),
            GSS_REQUEST => Ok(Self::Gss),
            CANCEL_REQUEST => Ok(Self::Cancel { pid: reader.int32()?, secret: reader.0 }),
            version => {
                let mut parameters = Vec::new();
                loop {
                    let name = reader.string()?;
                    if name.is_empty() {
                        break;
                    }
                    parameters.push((name, reader.string()?));
                }
                let [a, b, c, d] = version.to_be_bytes();
                Ok(Self::Session {
                    major: u16::from_be_bytes([a, b]),
                    minor: u16::from_be_bytes([c, d]),
                    parameters,
                })
            }
        }
    }
}

/// A message after the startup packet.
#[derive(Debug)]
pub(super) enum Message {
    /// `Q`: a string of statements.
    Query { sql: String },
    /// `P`: prepare a statement.
    Parse { name: String, sql: String, parameter_oids: Vec<u32> },
    /// `B`: give a statement its parameters.
    Bind {
        portal: String,
        statement: String,
        parameter_formats: Vec<i16>,
        parameters: Vec<Option<Bytes>>,
        result_formats: Vec<i16>,
    },
    /// `D`: what a statement or portal takes and returns.
    Describe { target: Target, name: String },
    /// `E`: run a portal; zero or less means all its rows.
    Execute { portal: String, rows_max: i32 },
    /// `C`: forget a statement or portal.
    Close { target: Target, name: String },
    /// `H`: send what is buffered.
    Flush,
    /// `S`: the end of a series; errors are over.
    Sync,
    /// `F`: call a function, which is not offered.
    FunctionCall,
    /// `d`, `c`, `f`: copy data where no copy is going on.
    Copy,
    /// `X`: goodbye.
    Terminate,
}

/// What Describe and Close speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// `S`
    Statement,
    /// `P`
    Portal,
}

impl Message {
    /// Whether a type byte is one of a client's messages; after any other nothing can be trusted.
    pub(super) fn is_known(kind: u8) -> bool {
        b"QPBDECHSFdcfX".contains(&kind)
    }

    /// Reads the body of a message of the given type.
    pub(super) fn read(kind: u8, body: Bytes) -> Result<Self, SqlError> {
        let mut reader = Reader(body);
        let message = match kind {
            b'Q' => Self::Query { sql: reader.string()? },
            b'P' => Self::Parse {
                name: reader.string()?,
                sql: reader.string()?,
                parameter_oids: reader.list(|reader| reader.int32().map(i32::cast_unsigned))?,
            },
            b'B' => Self::Bind {
                portal: reader.string()?,
                statement: reader.string()?,
                parameter_formats: reader.list(Reader::int16)?,
                parameters: reader.list(Reader::value)?,
                result_formats: reader.list(Reader::int16)?,
            },
            b'D' => Self::Describe { target: reader.target()?, name: reader.string()? },
            b'E' => Self::Execute { portal: reader.string()?, rows_max: reader.int32()? },
            b'C' => Self::Close { target: reader.target()?, name: reader.string()? },
            b'H' => Self::Flush,
            b'S' => Self::Sync,
            b'X' => Self::Terminate,
            b'F' => return Ok(Self::FunctionCall),
            b'd' | b'c' | b'f' => return Ok(Self::Copy),
            other => {
                return Err(SqlError::new(
                    PROTOCOL_VIOLATION,
                    format!("invalid frontend message type {other}"),
                ));
            }
        };
        if reader.0.has_remaining() {
            return Err(SqlError::new(PROTOCOL_VIOLATION, "invalid message format")
                .with_detail("the message is longer than what it says"));
        }
        Ok(message)
    }
}

/// Whether an error at this message type makes the server skip to the next Sync.
pub(super) fn is_extended(kind: u8) -> bool {
    matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
}

/// A SASL message of authentication: the mechanism (first message only) and its data.
pub(super) struct Sasl {
    pub(super) mechanism: String,
    pub(super) data: Bytes,
}

impl Sasl {
    /// Reads a SASLInitialResponse.
    pub(super) fn read_initial(body: Bytes) -> Result<Self, SqlError> {
        let mut reader = Reader(body);
        let mechanism = reader.string()?;
        let data = reader.value()?.unwrap_or_default();
        Ok(Self { mechanism, data })
    }
}

/// A cursor over one message; every step is checked.
struct Reader(Bytes);

fn short() -> SqlError {
    SqlError::new(PROTOCOL_VIOLATION, "insufficient data left in message")
}

impl Reader {
    fn int16(&mut self) -> Result<i16, SqlError> {
        self.0.try_get_i16().map_err(|_| short())
    }

    fn int32(&mut self) -> Result<i32, SqlError> {
        self.0.try_get_i32().map_err(|_| short())
    }

    /// A string up to its zero byte.
    fn string(&mut self) -> Result<String, SqlError> {
        let length = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| SqlError::new(PROTOCOL_VIOLATION, "invalid string in message"))?;
        let text = self.0.split_to(length);
        self.0.advance(1);
        String::from_utf8(text.to_vec()).map_err(|_| {
            SqlError::new("22021", "invalid byte sequence for encoding \"UTF8\"")
                .with_hint("set client_encoding to UTF8 and send UTF-8")
        })
    }

    /// A value with its length before it; -1 is NULL.
    fn value(&mut self) -> Result<Option<Bytes>, SqlError> {
        let length = self.int32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| short())?;
        if length > self.0.len() {
            return Err(short());
        }
        Ok(Some(self.0.split_to(length)))
    }

    /// A list with its 16-bit count before it.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, SqlError>,
    ) -> Result<Vec<T>, SqlError> {
        let count = self.int16()?.cast_unsigned();
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn target(&mut self) -> Result<Target, SqlError> {
        match self.0.try_get_u8().map_err(|_| short())? {
            b'S' => Ok(Target::Statement),
            b'P' => Ok(Target::Portal),
            other => Err(SqlError::new(
                PROTOCOL_VIOLATION,
                format!("invalid DESCRIBE or CLOSE message subtype {other}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_message_is_an_error_and_not_a_panic() {
        let mut bind = Vec::new();
        bind.extend_from_slice(b"portal\0statement\0");
        bind.extend_from_slice(&[0, 1, 0, 1]);
        bind.extend_from_slice(&[0, 2, 0, 0, 0, 2, b'4', b'2', 0xff, 0xff, 0xff, 0xff]);
        bind.extend_from_slice(&[0, 1, 0, 1]);
        assert!(Message::read(b'B', Bytes::from(bind.clone())).is_ok());
        for cut in 0..bind.len() {
            let error = Message::read(b'B', Bytes::from(bind[..cut].to_vec())).unwrap_err();
            assert_eq!(error.sqlstate, PROTOCOL_VIOLATION);
        }
        bind.push(0);
        assert!(Message::read(b'B', Bytes::from(bind)).is_err());
    }

    #[test]
    fn a_length_the_message_does_not_hold_is_refused() {
        let mut bind = b"\0\0\0\0\0\x01".to_vec();
        bind.extend_from_slice(&i32::MAX.to_be_bytes());
        assert!(Message::read(b'B', Bytes::from(bind)).is_err());
        assert!(Message::read(b'P', Bytes::from_static(b"\0\0\xff\xff")).is_err());
        assert!(Message::read(b'Q', Bytes::from_static(b"\xff\0")).is_err());
        assert!(Message::read(b'?', Bytes::new()).is_err());
    }
}
