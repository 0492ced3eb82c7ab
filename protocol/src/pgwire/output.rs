//! What the server says: whole messages appended to one buffer, handed to the socket when it is
//! full or when the client waits.

use std::io;

use bytes::{BufMut, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::types::PgColumn;
use crate::error::SqlError;
use crate::sql::session::TransactionStatus;

/// How bad an error is: whether the connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// As PostgreSQL prints it.
    Text,
    /// As PostgreSQL's `send` functions write it.
    Binary,
}

/// Replies not yet handed to the socket. Holds whole messages only, whatever fails meanwhile.
#[derive(Default)]
pub(super) struct Output {
    buffer: BytesMut,
    /// Where the last whole message ends.
    whole: usize,
}

impl Output {
    /// Appends one message; an error leaves nothing of it behind.
    pub(super) fn message<E>(
        &mut self,
        kind: u8,
        body: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), E> {
        self.drop_partial();
        self.buffer.put_u8(kind);
        let start = self.buffer.len();
        self.buffer.put_i32(0);
        let written = body(&mut self.buffer);
        if written.is_err() {
            self.drop_partial();
            return written;
        }
        // A message is built of one row or one statement's columns, far below 2 GiB.
        let length = i32::try_from(self.buffer.len() - start).unwrap_or(i32::MAX);
        self.buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.whole = self.buffer.len();
        Ok(())
    }

    /// Appends a message whose body cannot fail.
    fn plain(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        let written: Result<(), std::convert::Infallible> = self.message(kind, |buffer| {
            body(buffer);
            Ok(())
        });
        match written {
            Ok(()) => {}
        }
    }

    /// Forgets a message a panic left half written.
    pub(super) fn drop_partial(&mut self) {
        self.buffer.truncate(self.whole);
    }

    /// Bytes waiting.
    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Hands everything to the socket.
    pub(super) async fn flush(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        if self.whole > 0 {
            self.drop_partial();
            let bytes = self.buffer.split();
            self.whole = 0;
            socket.write_all(&bytes).await?;
        }
        Ok(())
    }

    /// The one byte that refuses TLS or GSSAPI.
    pub(super) fn refuse_encryption(&mut self) {
        self.buffer.put_u8(b'N');
        self.whole = self.buffer.len();
    }

    pub(super) fn authentication_ok(&mut self) {
        self.plain(b'R', |body| body.put_i32(0));
    }

    pub(super) fn authentication_sasl(&mut self, mechanism: &str) {
        self.plain(b'R', |body| {
            body.put_i32(10);
            put_string(body, mechanism);
            body.put_u8(0);
        });
    }

    pub(super) fn authentication_sasl_continue(&mut self, data: &str) {
        self.plain(b'R', |body| {
            body.put_i32(11);
            body.put_slice(data.as_bytes());
        });
    }

    pub(super) fn authentication_sasl_final(&mut self, data: &str) {
        self.plain(b'R', |body| {
            body.put_i32(12);
            body.put_slice(data.as_bytes());
        });
    }

    /// The newest minor version served, and the protocol options that are not.
    pub(super) fn negotiate_protocol_version(&mut self, minor: i32, options: &[&str]) {
        self.plain(b'v', |body| {
            body.put_i32(minor);
            body.put_i32(i32::try_from(options.len()).unwrap_or(i32::MAX));
            for option in options {
                put_string(body, option);
            }
        });
    }

    pub(super) fn parameter_status(&mut self, name: &str, value: &str) {
        self.plain(b'S', |body| {
            put_string(body, name);
            put_string(body, value);
        });
    }

    pub(super) fn backend_key_data(&mut self, pid: i32, secret: &[u8]) {
        self.plain(b'K', |body| {
            body.put_i32(pid);
            body.put_slice(secret);
        });
    }

    pub(super) fn ready_for_query(&mut self, status: TransactionStatus) {
        self.plain(b'Z', |body| {
            body.put_u8(match status {
                TransactionStatus::Idle => b'I',
                TransactionStatus::Open => b'T',
                TransactionStatus::Failed => b'E',
            });
        });
    }

    pub(super) fn parse_complete(&mut self) {
        self.plain(b'1', |_| {});
    }

    pub(super) fn bind_complete(&mut self) {
        self.plain(b'2', |_| {});
    }

    pub(super) fn close_complete(&mut self) {
        self.plain(b'3', |_| {});
    }

    pub(super) fn no_data(&mut self) {
        self.plain(b'n', |_| {});
    }

    pub(super) fn portal_suspended(&mut self) {
        self.plain(b's', |_| {});
    }

    pub(super) fn empty_query_response(&mut self) {
        self.plain(b'I', |_| {});
    }

    pub(super) fn command_complete(&mut self, tag: &str) {
        self.plain(b'C', |body| put_string(body, tag));
    }

    pub(super) fn parameter_description(&mut self, oids: &[u32]) {
        self.plain(b't', |body| {
            // A Bind cannot carry more than a 16-bit count of them either.
            body.put_u16(u16::try_from(oids.len()).unwrap_or(u16::MAX));
            for oid in oids.iter().take(usize::from(u16::MAX)) {
                body.put_u32(*oid);
            }
        });
    }

    /// The columns of a result; `format(i)` is how column `i` will be written.
    pub(super) fn row_description(
        &mut self,
        columns: &[PgColumn],
        format: impl Fn(usize) -> Format,
    ) {
        self.plain(b'T', |body| {
            body.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
            for (position, column) in columns.iter().enumerate().take(usize::from(u16::MAX)) {
                put_string(body, &column.name);
                body.put_u32(0); // of no table
                body.put_i16(0); // at no position in it
                body.put_u32(column.pg_type.oid());
                body.put_i16(column.size);
                body.put_i32(column.modifier);
                body.put_i16(match format(position) {
                    Format::Text => 0,
                    Format::Binary => 1,
                });
            }
        });
    }

    /// An error, with all its fields.
    pub(super) fn error(&mut self, severity: Severity, error: &SqlError) {
        let severity = match severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        self.plain(b'E', |body| {
            let mut field = |code: u8, value: &str| {
                body.put_u8(code);
                put_string(body, value);
            };
            field(b'S', severity);
            field(b'V', severity);
            field(b'C', error.sqlstate);
            field(b'M', &error.message);
            if let Some(detail) = &error.detail {
                field(b'D', detail);
            }
            if let Some(hint) = &error.hint {
                field(b'H', hint);
            }
            if let Some(position) = error.position {
                field(b'P', &position.to_string());
            }
            body.put_u8(0);
        });
    }
}

/// A string and its zero byte; a zero byte inside ends it early, as it would on the wire.
fn put_string(buffer: &mut BytesMut, text: &str) {
    let text = text.split('\0').next().unwrap_or_default();
    buffer.put_slice(text.as_bytes());
    buffer.put_u8(0);
}
