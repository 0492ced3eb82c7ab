//! Startup and authentication.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use protocol::pgwire::limits::Limits;
use tokio::io::AsyncReadExt;

use crate::client::{Client, fields, sqlstate};
use crate::house::{self, PASSWORD};

#[tokio::test]
async fn a_right_password_opens_a_session() {
    let house = house::open().await;
    let client = Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap();
    let told = |name: &str| client.parameters[name].as_str();
    assert_eq!(told("server_version"), "15.18");
    assert_eq!(told("client_encoding"), "UTF8");
    assert_eq!(told("server_encoding"), "UTF8");
    assert_eq!(told("DateStyle"), "ISO, MDY");
    assert_eq!(told("integer_datetimes"), "on");
    assert_eq!(told("standard_conforming_strings"), "on");
    assert_eq!(told("TimeZone"), "UTC");
    assert_eq!(told("IntervalStyle"), "postgres");
    assert_eq!(told("is_superuser"), "off");
    assert_eq!(told("session_authorization"), "ann");
    assert_ne!(client.pid, 0);
}

#[tokio::test]
async fn a_wrong_password_an_unknown_user_and_an_unknown_tenant_look_alike() {
    let house = house::open().await;
    let mut messages = Vec::new();
    for (database, user, password) in [
        ("acme", "ann", "wrong"),
        ("acme", "bob", PASSWORD),
        ("nowhere", "ann", PASSWORD),
        ("acme", "ann", ""),
    ] {
        let refused = Client::login(house.address, database, user, password).await.err().unwrap();
        assert_eq!(sqlstate(&refused), "28P01");
        let mut told = fields(&refused.1);
        assert_eq!(told[&'S'], "FATAL");
        let message = told.get_mut(&'M').unwrap();
        *message = message.replace(user, "USER");
        messages.push(told);
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[tokio::test]
async fn a_tenant_that_does_not_open_is_told_after_authentication_only() {
    let house = house::open().await;
    let refused = Client::login(house.address, "gone", "ann", PASSWORD).await.err().unwrap();
    assert_eq!(sqlstate(&refused), "3D000");
    let refused = Client::login(house.address, "gone", "ann", "wrong").await.err().unwrap();
    assert_eq!(sqlstate(&refused), "28P01");
}

#[tokio::test]
async fn tls_and_gssapi_are_refused_and_the_startup_goes_on() {
    let house = house::open().await;
    let mut client = Client::open(house.address).await;
    for code in [80_877_103_i32, 80_877_104] {
        client.packet(&code.to_be_bytes()).await;
        assert_eq!(client.socket.read_u8().await.unwrap(), b'N');
    }
    let mut startup = BytesMut::new();
    startup.put_i32(3 << 16);
    startup.put_slice(b"user\0ann\0database\0acme\0\0");
    client.packet(&startup).await;
    client.prove(PASSWORD).await.unwrap();
    client.settle().await.unwrap();
}

#[tokio::test]
async fn startup_settings_reach_the_directory() {
    let house = house::open().await;
    let parameters = [
        ("user", "ann"),
        ("database", "acme"),
        ("application_name", "notebook"),
        ("options", "-c search_path=main --statement-timeout=5"),
        ("extra_float_digits", "3"),
        ("client_encoding", "utf-8"),
    ];
    let mut client = Client::begin(house.address, &parameters).await;
    client.prove(PASSWORD).await.unwrap();
    client.settle().await.unwrap();
    assert_eq!(client.parameters["application_name"], "notebook");
    let opened = house.opened.lock().unwrap()[0].clone();
    assert_eq!(opened.application_name, "notebook");
    let settings: Vec<_> = opened.settings.into_iter().collect();
    let expected =
        [("extra_float_digits", "3"), ("search_path", "main"), ("statement_timeout", "5")];
    assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_newer_protocol_is_negotiated_down_and_an_older_one_refused() {
    let house = house::open().await;
    let startup = |version: i32| {
        let mut body = BytesMut::new();
        body.put_i32(version);
        body.put_slice(b"user\0ann\0database\0acme\0_pq_.shiny\0on\0\0");
        body
    };
    let mut client = Client::open(house.address).await;
    client.packet(&startup((3 << 16) | 2)).await;
    let (kind, body) = client.reply().await.unwrap();
    assert_eq!((kind, body.as_ref()), (b'v', b"\0\0\0\0\0\0\0\x01_pq_.shiny\0".as_slice()));
    client.prove(PASSWORD).await.unwrap();
    client.settle().await.unwrap();

    let mut client = Client::open(house.address).await;
    client.packet(&startup(2 << 16)).await;
    assert_eq!(sqlstate(&client.reply().await.unwrap()), "0A000");
}

#[tokio::test]
async fn other_mechanisms_and_messages_are_refused() {
    let house = house::open().await;
    let parameters = [("user", "ann"), ("database", "acme")];
    for message in [
        b"SCRAM-SHA-256-PLUS\0\0\0\0\x06p=x,,n".as_slice(),
        b"PLAIN\0\0\0\0\x01x",
        b"SCRAM-SHA-256\0\xff\xff\xff\xff",
        b"SCRAM-SHA-256\0\0\0\0\x02xx",
        b"SCRAM-SHA-256\0\x7f\xff\xff\xffxx",
        b"s3cret\0",
    ] {
        let mut client = Client::begin(house.address, &parameters).await;
        client.reply().await.unwrap();
        client.send(b'p', message).await;
        assert_eq!(sqlstate(&client.reply().await.unwrap()), "08P01");
        assert!(client.reply().await.is_none());
    }
    // A query before authentication.
    let mut client = Client::begin(house.address, &parameters).await;
    client.reply().await.unwrap();
    client.send(b'Q', b"SELECT 1\0").await;
    assert_eq!(sqlstate(&client.reply().await.unwrap()), "08P01");
    // No user at all.
    let mut client = Client::begin(house.address, &[]).await;
    assert_eq!(sqlstate(&client.reply().await.unwrap()), "28000");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_cancel_requests_still_pass() {
    let house = house::open_within(Limits { connections_max: 2, ..Limits::default() }).await;
    let first = Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap();
    let mut second = Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap();
    let refused = Client::login(house.address, "acme", "ann", PASSWORD).await.err().unwrap();
    assert_eq!(sqlstate(&refused), "53300");
    second.send(b'Q', b"wait now\0").await;
    crate::robust::cancel(&house, second.pid, second.secret).await;
    assert_eq!(sqlstate(&second.replies().await[0]), "57014");
    drop(first);
    // The place is free once the server has seen the client leave.
    loop {
        match Client::login(house.address, "acme", "ann", PASSWORD).await {
            Ok(_) => break,
            Err(refused) => assert_eq!(sqlstate(&refused), "53300"),
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_authenticate_in_time_is_dropped() {
    let limits = Limits { authentication_timeout: Duration::from_millis(50), ..Limits::default() };
    let house = house::open_within(limits).await;
    let mut silent = Client::open(house.address).await;
    assert_eq!(sqlstate(&silent.reply().await.unwrap()), "57014");
    assert!(silent.reply().await.is_none());
    let mut slow = Client::begin(house.address, &[("user", "ann"), ("database", "acme")]).await;
    slow.reply().await.unwrap();
    assert_eq!(sqlstate(&slow.reply().await.unwrap()), "57014");
}
