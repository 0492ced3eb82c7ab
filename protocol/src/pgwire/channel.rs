//! The socket of a connection with its two buffers: whole messages come out, whole messages go in.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::End;
use super::message::PROTOCOL_VIOLATION;
use super::output::Output;
use crate::error::SqlError;

/// Bytes asked of the socket at a time: memory grows with what arrives, not with what is announced.
const READ_BYTES: usize = 16 * 1024;
/// Bytes a length takes, which counts itself.
const LENGTH_BYTES: usize = 4;

/// A connection's socket and buffers.
pub(super) struct Channel {
    socket: TcpStream,
    input: BytesMut,
    /// Replies to be sent.
    pub(super) output: Output,
    output_bytes_max: usize,
}

impl Channel {
    pub(super) fn new(socket: TcpStream, output_bytes_max: usize) -> Self {
        Self { socket, input: BytesMut::new(), output: Output::default(), output_bytes_max }
    }

    /// Reads a packet that has no type before its length; `None` when the client is gone before it.
    pub(super) async fn read_packet(&mut self, bytes_max: usize) -> Result<Option<Bytes>, End> {
        if !self.fill(LENGTH_BYTES).await? {
            return Ok(None);
        }
        let length = self.length_at(0, bytes_max)?;
        if !self.fill(length).await? {
            return Ok(None);
        }
        self.input.advance(LENGTH_BYTES);
        Ok(Some(self.input.split_to(length - LENGTH_BYTES).freeze()))
    }

    /// Reads a message's type and body; `None` when the client is gone. Nothing is lost when the
    /// future is dropped before it is ready.
    pub(super) async fn read_message(
        &mut self,
        bytes_max: usize,
    ) -> Result<Option<(u8, Bytes)>, End> {
        if !self.fill(1 + LENGTH_BYTES).await? {
            return Ok(None);
        }
        let length = self.length_at(1, bytes_max)?;
        if !self.fill(1 + length).await? {
            return Ok(None);
        }
        let kind = self.input.get_u8();
        self.input.advance(LENGTH_BYTES);
        Ok(Some((kind, self.input.split_to(length - LENGTH_BYTES).freeze())))
    }

    /// The length that is written at an offset, checked against the bound.
    fn length_at(&self, offset: usize, bytes_max: usize) -> Result<usize, End> {
        let announced = (&self.input[offset..offset + LENGTH_BYTES]).get_i32();
        match usize::try_from(announced) {
            Ok(length) if length < LENGTH_BYTES => {
                Err(SqlError::new(PROTOCOL_VIOLATION, "invalid message length").into())
            }
            Ok(length) if length > bytes_max => Err(SqlError::new("54000", "message too long")
                .with_detail(format!("{length} bytes were announced, {bytes_max} are taken"))
                .with_hint("send the data in several statements")
                .into()),
            Ok(length) => Ok(length),
            Err(_) => Err(SqlError::new(PROTOCOL_VIOLATION, "invalid message length").into()),
        }
    }

    /// Waits until so many bytes are there; false when the client is gone before.
    async fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        while self.input.len() < bytes {
            self.input.reserve(READ_BYTES);
            if self.socket.read_buf(&mut self.input).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hands all replies to the socket.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.output.flush(&mut self.socket).await
    }

    /// Hands the replies to the socket when there are many.
    pub(super) async fn flush_if_full(&mut self) -> io::Result<()> {
        if self.output.len() < self.output_bytes_max { Ok(()) } else { self.flush().await }
    }

    /// Hands all replies to the socket and ends the connection.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.socket.shutdown().await
    }

    /// Returns when the client has closed its end; never while it only sends more.
    pub(super) async fn gone(&self) {
        if let Ok(1..) = self.socket.peek(&mut [0]).await {
            std::future::pending::<()>().await;
        }
    }
}
