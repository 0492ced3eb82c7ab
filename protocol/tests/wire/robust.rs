//! Cancelling, shutting down, and clients that misbehave.

use bytes::{BufMut, BytesMut};
use protocol::pgwire::limits::Limits;

use crate::client::{Client, bind, execute, fields, frame, kinds, parse, sqlstate, tags};
use crate::house::{self, House, PASSWORD};

/// Sends a cancel request and waits until the server has closed its connection.
pub async fn cancel(house: &House, pid: i32, secret: i32) {
    let mut canceller = Client::open(house.address).await;
    let mut body = BytesMut::new();
    body.put_i32(80_877_102);
    body.put_i32(pid);
    body.put_i32(secret);
    canceller.packet(&body).await;
    assert!(canceller.reply().await.is_none());
}

async fn client(house: &House) -> Client {
    Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap()
}

#[tokio::test]
async fn the_right_secret_stops_a_statement() {
    let house = house::open().await;
    let mut client = client(&house).await;
    client.send(b'Q', b"wait now\0").await;
    cancel(&house, client.pid, client.secret.wrapping_add(1)).await;
    cancel(&house, client.pid + 1, client.secret).await;
    cancel(&house, client.pid, client.secret).await;
    let replies = client.replies().await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies[0]).as_str()), ("EZ", "57014"));
    // While rows are streamed, too.
    client.send(b'Q', b"wait rows\0").await;
    cancel(&house, client.pid, client.secret).await;
    let replies = client.replies().await;
    assert_eq!(sqlstate(&replies[replies.len() - 2]), "57014");
    assert_eq!(tags(&client.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_no_other() {
    let house = house::open().await;
    let mut other = client(&house).await;
    for statement in [b"panic now\0".as_slice(), b"panic rows\0"] {
        let mut victim = client(&house).await;
        victim.send(b'Q', statement).await;
        let replies = victim.until_closed().await;
        let told = fields(&replies.last().unwrap().1);
        assert_eq!((told[&'C'].as_str(), told[&'S'].as_str()), ("XX000", "FATAL"));
        assert!(!told[&'M'].contains("as asked"));
    }
    assert_eq!(tags(&other.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test]
async fn a_shutdown_tells_everyone_and_ends() {
    let house = house::open().await;
    let mut idle = client(&house).await;
    let mut busy = client(&house).await;
    busy.send(b'Q', b"wait now\0").await;
    house.stop.send(true).unwrap();
    let told = idle.until_closed().await;
    assert_eq!(sqlstate(&told[0]), "57P01");
    let told = busy.until_closed().await;
    assert_eq!(sqlstate(told.last().unwrap()), "57P01");
    house.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_statement() {
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let house = house::open_within(limits).await;
    let mut leaver = client(&house).await;
    leaver.send(b'Q', b"wait now\0").await;
    drop(leaver);
    // Its place is free only once its statement has ended.
    loop {
        match Client::login(house.address, "acme", "ann", PASSWORD).await {
            Ok(_) => break,
            Err(refused) => assert_eq!(sqlstate(&refused), "53300"),
        }
    }
}

#[tokio::test]
async fn messages_that_are_not_the_protocol_are_refused() {
    let house = house::open().await;
    // The framing is broken: the connection cannot go on.
    for bytes in [
        [&b"Q"[..], &3_i32.to_be_bytes()].concat(),
        [&b"Q"[..], &(-1_i32).to_be_bytes()].concat(),
        frame(b'?', b""),
        frame(0xff, b"x"),
    ] {
        let mut client = client(&house).await;
        client.raw(&bytes).await;
        let replies = client.until_closed().await;
        assert_eq!(sqlstate(&replies[0]), "08P01", "{bytes:?}");
    }
    let mut client = client(&house).await;
    client.raw(&[&b"Q"[..], &i32::MAX.to_be_bytes()].concat()).await;
    assert_eq!(sqlstate(&client.until_closed().await[0]), "54000");
    // Only the message is broken: the connection goes on.
    let mut client = self::client(&house).await;
    client.send(b'Q', b"SELECT 1").await;
    assert_eq!(sqlstate(&client.replies().await[0]), "08P01");
    for message in [
        frame(b'P', b"s\0SELECT 1\0\0\x09"),
        frame(b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        frame(b'B', b""),
        frame(b'E', b"\0\0"),
        frame(b'D', b"X\0"),
        frame(b'C', b""),
        frame(b'H', b"x"),
        frame(b'P', b"\xff\0SELECT 1\0\0\0"),
    ] {
        let replies = client.series(&[message]).await;
        let expected = ["08P01", "22021"];
        assert!(expected.contains(&sqlstate(&replies[0]).as_str()), "{replies:?}");
        assert_eq!(kinds(&replies), "EZ");
    }
    assert_eq!(tags(&client.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test]
async fn startup_packets_that_are_not_the_protocol_are_refused() {
    let house = house::open().await;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\0\0\0\x04",
        b"\0\0\0\x00",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x08\0\x03\0\0",
        b"\0\0\0\x0d\0\x03\0\0user\0",
    ] {
        let mut client = Client::open(house.address).await;
        client.raw(bytes).await;
        let replies = client.until_closed().await;
        assert!(["08P01", "54000"].contains(&sqlstate(&replies[0]).as_str()), "{bytes:?}");
    }
    // Leaving at any point is no trouble.
    for bytes in [b"".as_slice(), b"\0", b"\0\0\0\x50\0\x03"] {
        let mut client = Client::open(house.address).await;
        client.raw(bytes).await;
    }
    client(&house).await;
}

/// Replays of a random, but always the same, stream of mangled messages.
#[tokio::test]
async fn mangled_messages_never_end_the_server() {
    let house = house::open().await;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    };
    let good = [
        parse("s", "SELECT region FROM sales WHERE amount = $1", &[1700]),
        bind("", "s", 1, &[Some(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 1])], 1),
        execute("", 1),
        frame(b'Q', b"SELECT 1; SELECT 2\0"),
        frame(b'S', b""),
    ];
    for _ in 0..200 {
        let mut client = client(&house).await;
        let mut bytes = Vec::new();
        for _ in 0..4 {
            let mut message = good[random() % good.len()].clone();
            for _ in 0..random() % 4 {
                // The length is left alone, so that most bodies are read.
                let place = random() % message.len();
                if !(1..5).contains(&place) {
                    message[place] = u8::try_from(random() % 256).unwrap();
                }
            }
            bytes.extend(message);
        }
        bytes.extend(frame(b'S', b""));
        bytes.extend(frame(b'X', b""));
        client.raw(&bytes).await;
        for reply in client.until_closed().await {
            assert!(reply.0 != b'E' || sqlstate(&reply) != "XX000", "{bytes:?} {reply:?}");
        }
    }
    assert_eq!(tags(&client(&house).await.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test]
async fn a_large_result_is_streamed() {
    let house = house::open().await;
    let mut client = client(&house).await;
    let sql = "SELECT a.value, repeat('x', 1000) FROM generate_series(1, 100000) AS a(value)\0";
    client.send(b'Q', sql.as_bytes()).await;
    let replies = client.replies().await;
    assert_eq!(replies.len(), 100_003);
    assert_eq!(tags(&replies), ["SELECT 100000"]);
}
