//! The simple query protocol.

use crate::client::{Client, fields, kinds, row, rows, sqlstate, tags};
use crate::house::{self, PASSWORD};

async fn client() -> (house::House, Client) {
    let house = house::open().await;
    let client = Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap();
    (house, client)
}

fn texts(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[tokio::test]
async fn rows_come_with_their_description_and_tag() {
    let (_house, mut client) = client().await;
    let replies = client.query("SELECT region, amount, day FROM sales ORDER BY region").await;
    assert_eq!(kinds(&replies), "TDDDCZ");
    assert_eq!(
        replies[0].1.as_ref(),
        [
            b"\0\x03region\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0".as_slice(),
            b"amount\0\0\0\0\0\0\0\0\0\x06\xa4\xff\xff\0\x0a\0\x06\0\0",
            b"day\0\0\0\0\0\0\0\0\0\x04\x3a\0\x04\xff\xff\xff\xff\0\0",
        ]
        .concat()
    );
    let expected = [
        texts(&["north", "10.50", "1970-01-01"]),
        texts(&["south", "-3.25", "2000-01-01"]),
        vec![Some("west".to_owned()), None, Some("2024-10-04".to_owned())],
    ];
    assert_eq!(rows(&replies), expected);
    assert_eq!(tags(&replies), ["SELECT 3"]);
    assert_eq!(replies[5].1.as_ref(), b"I");
}

#[tokio::test]
async fn statements_are_answered_in_order_and_an_error_stops_the_rest() {
    let (_house, mut client) = client().await;
    let replies = client.query("SELECT 1; BEGIN; SELECT 2; ROLLBACK; SELECT 3").await;
    assert_eq!(kinds(&replies), "TDCCTDCCTDCZ");
    assert_eq!(tags(&replies), ["SELECT 1", "BEGIN", "SELECT 1", "ROLLBACK", "SELECT 1"]);
    let replies = client.query("SELECT 1; SELECT * FROM nowhere; SELECT 3").await;
    assert_eq!(kinds(&replies), "TDCEZ");
    let told = fields(&replies[3].1);
    assert_eq!(told[&'C'], "42P01");
    assert_eq!((told[&'S'].as_str(), told[&'V'].as_str()), ("ERROR", "ERROR"));
    assert_eq!((told[&'H'].as_str(), told[&'P'].as_str()), ("look again", "8"));
    assert_eq!(replies[4].1.as_ref(), b"I");
}

#[tokio::test]
async fn nothing_is_answered_as_nothing() {
    let (_house, mut client) = client().await;
    for sql in ["", " ", ";", " ; ; "] {
        assert_eq!(kinds(&client.query(sql).await), "IZ", "{sql:?}");
    }
}

#[tokio::test]
async fn the_status_byte_is_the_sessions() {
    let (_house, mut client) = client().await;
    let mut status = async |sql: &str| {
        let replies = client.query(sql).await;
        (tags(&replies), char::from(replies.last().unwrap().1[0]))
    };
    let tag = |tag: &str| vec![tag.to_owned()];
    assert_eq!(status("BEGIN").await, (tag("BEGIN"), 'T'));
    assert_eq!(status("SELECT 1").await, (tag("SELECT 1"), 'T'));
    assert_eq!(status("SELECT * FROM nowhere").await, (vec![], 'E'));
    assert_eq!(status("SELECT 1").await, (vec![], 'E'));
    assert_eq!(status("COMMIT").await, (tag("ROLLBACK"), 'I'));
    assert_eq!(status("BEGIN").await.1, 'T');
    assert_eq!(status("midway").await, (vec![], 'E'));
    assert_eq!(status("ROLLBACK").await, (tag("ROLLBACK"), 'I'));
    assert_eq!(status("UPDATE sales SET count = 1").await, (tag("UPDATE 3"), 'I'));
    assert_eq!(
        status("INSERT INTO sales VALUES ('a', 1, '2020-01-01', 1), ('b', 2, '2020-01-01', 1)")
            .await,
        (tag("INSERT 0 2"), 'I')
    );
}

#[tokio::test]
async fn an_error_among_the_rows_ends_them() {
    let (_house, mut client) = client().await;
    let replies = client.query("midway").await;
    assert_eq!(kinds(&replies), "TDDDDDDDDDDEZ");
    let told = fields(&replies[11].1);
    assert_eq!((told[&'C'].as_str(), told[&'D'].as_str()), ("22012", "in row 10"));
    assert_eq!(tags(&client.query("SELECT 1").await), ["SELECT 1"]);
}

#[tokio::test]
async fn every_type_is_told_and_printed() {
    let (_house, mut client) = client().await;
    let replies = client.query("SELECT * FROM types").await;
    let told: Vec<_> = row(&replies[1])
        .into_iter()
        .map(|value| String::from_utf8(value.unwrap()).unwrap())
        .collect();
    let expected = [
        "t",
        "0.1",
        "-12345.678",
        "word",
        "2024-03-01 01:02:03.123456+00",
        "\\x00ff",
        "{1,NULL,3}",
        "4000000000",
        "pg_class",
        "r",
    ];
    assert_eq!(told, expected);
    assert!(row(&replies[2]).iter().all(Option::is_none));
    let mut description = replies[0].1.as_ref();
    let mut oids = Vec::new();
    description = &description[2..];
    while !description.is_empty() {
        let end = description.iter().position(|byte| *byte == 0).unwrap();
        let fixed = &description[end + 1..end + 19];
        oids.push(u32::from_be_bytes(fixed[6..10].try_into().unwrap()));
        description = &description[end + 19..];
    }
    assert_eq!(oids, [16, 701, 1700, 25, 1184, 17, 1007, 26, 19, 18]);
}

#[tokio::test]
async fn copy_and_function_calls_are_refused_and_the_connection_goes_on() {
    let (_house, mut client) = client().await;
    let replies = client.query("COPY sales FROM STDIN").await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies[0]).as_str()), ("EZ", "0A000"));
    client.send(b'd', b"1\t2\n").await;
    client.send(b'c', b"").await;
    client.send(b'F', b"\0\0\0\x01\0\0\0\0\0\0").await;
    let replies = client.replies().await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies[0]).as_str()), ("EZ", "0A000"));
    let replies = client.query("SELECT $1 + 1").await;
    assert_eq!(sqlstate(&replies[0]), "42P02");
    assert_eq!(tags(&client.query("SELECT 1").await), ["SELECT 1"]);
}
