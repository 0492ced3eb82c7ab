//! A PostgreSQL client over a bare socket, which can also say what no driver would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::api::auth::sasl::scram::gen_salted_password;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer takes longer than this.
const PATIENCE: Duration = Duration::from_secs(20);

/// One message of the server: its type and body.
pub type Reply = (u8, Bytes);

pub struct Client {
    pub socket: TcpStream,
    /// What the server told of its parameters.
    pub parameters: BTreeMap<String, String>,
    pub pid: i32,
    pub secret: i32,
}

/// The fields of an error by their letters.
pub fn fields(body: &Bytes) -> BTreeMap<char, String> {
    body.split(|byte| *byte == 0)
        .filter(|field| !field.is_empty())
        .map(|field| (char::from(field[0]), String::from_utf8_lossy(&field[1..]).into_owned()))
        .collect()
}

/// The SQLSTATE of an error.
pub fn sqlstate(reply: &Reply) -> String {
    assert_eq!(reply.0, b'E', "not an error: {reply:?}");
    fields(&reply.1)[&'C'].clone()
}

/// The types of some messages as text: `TDDCZ`.
pub fn kinds(replies: &[Reply]) -> String {
    replies.iter().map(|(kind, _)| char::from(*kind)).collect()
}

/// The values of a DataRow.
pub fn row(reply: &Reply) -> Vec<Option<Vec<u8>>> {
    assert_eq!(reply.0, b'D', "not a row: {reply:?}");
    let mut body = reply.1.clone();
    let count = body.get_u16();
    let values = (0..count)
        .map(|_| {
            let length = body.get_i32();
            usize::try_from(length).ok().map(|length| body.split_to(length).to_vec())
        })
        .collect();
    assert!(body.is_empty());
    values
}

/// The values of all DataRows as text.
pub fn rows(replies: &[Reply]) -> Vec<Vec<Option<String>>> {
    let text = |value: Option<Vec<u8>>| value.map(|value| String::from_utf8(value).unwrap());
    replies
        .iter()
        .filter(|(kind, _)| *kind == b'D')
        .map(|reply| row(reply).into_iter().map(text).collect())
        .collect()
}

/// Command tags in order.
pub fn tags(replies: &[Reply]) -> Vec<String> {
    replies
        .iter()
        .filter(|(kind, _)| *kind == b'C')
        .map(|(_, body)| String::from_utf8_lossy(&body[..body.len() - 1]).into_owned())
        .collect()
}

pub fn string(body: &mut BytesMut, text: &str) {
    body.put_slice(text.as_bytes());
    body.put_u8(0);
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        let mut block = [0_u8; 64];
        block[..key.len()].copy_from_slice(key);
        block.iter().map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

impl Client {
    /// Connects and sends a startup packet.
    pub async fn begin(address: SocketAddr, parameters: &[(&str, &str)]) -> Self {
        let mut client = Self::open(address).await;
        let mut body = BytesMut::new();
        body.put_i32(3 << 16);
        for (name, value) in parameters {
            string(&mut body, name);
            string(&mut body, value);
        }
        body.put_u8(0);
        client.packet(&body).await;
        client
    }

    /// Connects, and says nothing.
    pub async fn open(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        Self { socket, parameters: BTreeMap::new(), pid: 0, secret: 0 }
    }

    /// Connects as a user and proves a password; the error if it is refused.
    pub async fn login(
        address: SocketAddr,
        database: &str,
        user: &str,
        password: &str,
    ) -> Result<Self, Reply> {
        let mut client = Self::begin(address, &[("user", user), ("database", database)]).await;
        client.prove(password).await?;
        client.settle().await?;
        Ok(client)
    }

    /// Reads up to the first ReadyForQuery.
    pub async fn settle(&mut self) -> Result<(), Reply> {
        loop {
            let (kind, mut body) = self.reply().await.expect("the server hung up");
            match kind {
                b'S' => {
                    let mut parts = body.split(|byte| *byte == 0);
                    let mut next = || String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
                    let name = next();
                    self.parameters.insert(name, next());
                }
                b'K' => {
                    self.pid = body.get_i32();
                    self.secret = body.get_i32();
                    assert!(body.is_empty());
                }
                b'Z' => return Ok(()),
                b'E' => return Err((kind, body)),
                b'R' | b'v' => {}
                other => panic!("unexpected {}", char::from(other)),
            }
        }
    }

    /// The client's side of SCRAM-SHA-256.
    pub async fn prove(&mut self, password: &str) -> Result<(), Reply> {
        let (kind, body) = self.reply().await.expect("the server hung up");
        if kind == b'E' {
            return Err((kind, body));
        }
        assert_eq!((kind, body.as_ref()), (b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0".as_slice()));
        let first = "n=,r=clientnonce";
        let mut message = BytesMut::new();
        string(&mut message, "SCRAM-SHA-256");
        message.put_i32(i32::try_from(first.len() + 3).unwrap());
        message.put_slice(format!("n,,{first}").as_bytes());
        self.send(b'p', &message).await;
        let (kind, mut body) = self.reply().await.expect("the server hung up");
        if kind == b'E' {
            return Err((kind, body));
        }
        assert_eq!((kind, body.get_i32()), (b'R', 11));
        let server_first = String::from_utf8(body.to_vec()).unwrap();
        let part = |letter: &str| {
            server_first.split(',').find_map(|part| part.strip_prefix(letter)).unwrap().to_owned()
        };
        let (nonce, salt) = (part("r="), STANDARD.decode(part("s=")).unwrap());
        assert!(nonce.starts_with("clientnonce") && nonce.len() > 24);
        let salted = gen_salted_password(password, &salt, part("i=").parse().unwrap());
        let without_proof = format!("c=biws,r={nonce}");
        let exchange = format!("{first},{server_first},{without_proof}");
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(&client_key), exchange.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(k, s)| k ^ s).collect();
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        self.send(b'p', last.as_bytes()).await;
        let (kind, mut body) = self.reply().await.expect("the server hung up");
        if kind == b'E' {
            return Err((kind, body));
        }
        assert_eq!((kind, body.get_i32()), (b'R', 12));
        let server_key = hmac(&salted, b"Server Key");
        let expected = format!("v={}", STANDARD.encode(hmac(&server_key, exchange.as_bytes())));
        assert_eq!(body.as_ref(), expected.as_bytes());
        assert_eq!(self.reply().await.unwrap(), (b'R', Bytes::from_static(&[0, 0, 0, 0])));
        Ok(())
    }

    /// Sends a packet without a type.
    pub async fn packet(&mut self, body: &[u8]) {
        let mut packet = BytesMut::new();
        packet.put_i32(i32::try_from(body.len() + 4).unwrap());
        packet.put_slice(body);
        self.socket.write_all(&packet).await.unwrap();
    }

    /// Sends a message.
    pub async fn send(&mut self, kind: u8, body: &[u8]) {
        self.raw(&frame(kind, body)).await;
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// The next message; none when the server has closed the connection.
    pub async fn reply(&mut self) -> Option<Reply> {
        let read = async {
            let kind = self.socket.read_u8().await.ok()?;
            let length = self.socket.read_i32().await.ok()?;
            let mut body = vec![0; usize::try_from(length - 4).unwrap()];
            self.socket.read_exact(&mut body).await.ok()?;
            Some((kind, Bytes::from(body)))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server did not answer")
    }

    /// All messages up to ReadyForQuery, which is the last.
    pub async fn replies(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let reply = self.reply().await.expect("the server hung up");
            let last = reply.0 == b'Z';
            replies.push(reply);
            if last {
                return replies;
            }
        }
    }

    /// All messages up to the end of the connection.
    pub async fn until_closed(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.reply().await {
            replies.push(reply);
        }
        replies
    }

    /// A simple query with all its replies.
    pub async fn query(&mut self, sql: &str) -> Vec<Reply> {
        self.send(b'Q', &[sql.as_bytes(), b"\0"].concat()).await;
        self.replies().await
    }

    /// Messages sent at once, then Sync; all replies.
    pub async fn series(&mut self, messages: &[Vec<u8>]) -> Vec<Reply> {
        let all = [messages.concat(), frame(b'S', b"")].concat();
        self.raw(&all).await;
        self.replies().await
    }
}

/// A message with its type and length.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

pub fn parse(name: &str, sql: &str, oids: &[u32]) -> Vec<u8> {
    let mut body = BytesMut::new();
    string(&mut body, name);
    string(&mut body, sql);
    body.put_u16(u16::try_from(oids.len()).unwrap());
    oids.iter().for_each(|oid| body.put_u32(*oid));
    frame(b'P', &body)
}

/// A Bind whose parameters are all of one format.
pub fn bind(
    portal: &str,
    statement: &str,
    format: i16,
    values: &[Option<&[u8]>],
    result_format: i16,
) -> Vec<u8> {
    let mut body = BytesMut::new();
    string(&mut body, portal);
    string(&mut body, statement);
    body.put_u16(1);
    body.put_i16(format);
    body.put_u16(u16::try_from(values.len()).unwrap());
    for value in values {
        match value {
            Some(value) => {
                body.put_i32(i32::try_from(value.len()).unwrap());
                body.put_slice(value);
            }
            None => body.put_i32(-1),
        }
    }
    body.put_u16(1);
    body.put_i16(result_format);
    frame(b'B', &body)
}

pub fn describe(target: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[target], name.as_bytes(), b"\0"].concat())
}

pub fn close(target: u8, name: &str) -> Vec<u8> {
    frame(b'C', &[&[target], name.as_bytes(), b"\0"].concat())
}

pub fn execute(portal: &str, rows_max: i32) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0", &rows_max.to_be_bytes()].concat())
}
