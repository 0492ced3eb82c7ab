//! A Postgres client that does as little as one can: it counts rows and takes nothing out of them, so that
//! what is measured is the server.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail, ensure};
use bytes::BytesMut;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;

/// How values come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

/// A connection.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet taken.
    filled: std::ops::Range<usize>,
}

impl Raw {
    /// Logs in, by SCRAM where the server asks for it.
    pub fn connect(address: &str, user: &str, database: &str, password: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut raw = Self { stream, buffer: vec![0; 1 << 20], filled: 0..0 };
        let mut out = BytesMut::new();
        frontend::startup_message([("user", user), ("database", database)], &mut out)?;
        raw.stream.write_all(&out)?;
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (tag, body) = raw.message()?;
            let body = raw.buffer[body].to_vec();
            out.clear();
            match tag {
                b'Z' => return Ok(raw),
                b'R' => match body.first_chunk().map(|code| i32::from_be_bytes(*code)) {
                    Some(10) => {
                        frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut out)?;
                    }
                    Some(11) => {
                        scram.update(&body[4..])?;
                        frontend::sasl_response(scram.message(), &mut out)?;
                    }
                    Some(12) => scram.finish(&body[4..])?,
                    Some(0) => {}
                    other => bail!("a way to log in that is not known here: {other:?}"),
                },
                b'E' => bail!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
            raw.stream.write_all(&out)?;
        }
    }

    /// The number of rows of a query.
    pub fn rows(&mut self, sql: &str, format: Format) -> Result<u64> {
        let mut out = BytesMut::new();
        match format {
            Format::Text => frontend::query(sql, &mut out)?,
            Format::Binary => {
                frontend::parse("", sql, [], &mut out)?;
                let nothing: [i16; 0] = [];
                let no_value = |(): (), _: &mut BytesMut| Ok(postgres_protocol::IsNull::Yes);
                let bound =
                    frontend::bind("", "", nothing, Vec::<()>::new(), no_value, [1i16], &mut out);
                ensure!(bound.is_ok(), "no message that binds");
                frontend::execute("", 0, &mut out)?;
                frontend::sync(&mut out);
            }
        }
        self.stream.write_all(&out)?;
        let mut rows = 0;
        loop {
            match self.message()? {
                (b'D', _) => rows += 1,
                (b'Z', _) => return Ok(rows),
                (b'E', body) => bail!("{}", String::from_utf8_lossy(&self.buffer[body])),
                _ => {}
            }
        }
    }

    /// The next message: its tag, and where its body is in the buffer.
    fn message(&mut self) -> Result<(u8, std::ops::Range<usize>)> {
        self.need(5)?;
        let head = &self.buffer[self.filled.start..];
        let length = u32::from_be_bytes(*head[1..].first_chunk().context("a head of five bytes")?);
        let (tag, length) = (head[0], usize::try_from(length)? + 1);
        self.need(length)?;
        let body = self.filled.start + 5..self.filled.start + length;
        self.filled.start += length;
        Ok((tag, body))
    }

    /// Reads until so many bytes are there.
    fn need(&mut self, count: usize) -> Result<()> {
        while self.filled.len() < count {
            if self.filled.start + count > self.buffer.len() {
                self.buffer.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
                self.buffer.resize(self.buffer.len().max(count), 0);
            }
            let read = self.stream.read(&mut self.buffer[self.filled.end..])?;
            ensure!(read > 0, "the server closed the connection");
            self.filled.end += read;
            if self.filled.end == self.buffer.len() && self.filled.len() < count {
                self.buffer.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            }
        }
        if self.filled.is_empty() {
            self.filled = 0..0;
        }
        Ok(())
    }
}
