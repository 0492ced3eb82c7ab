//! The extended query protocol: statements, portals, parameters.

use protocol::pgwire::limits::Limits;

use crate::client::{
    Client, bind, close, describe, execute, fields, frame, kinds, parse, row, rows, sqlstate, tags,
};
use crate::house::{self, PASSWORD};

async fn client() -> (house::House, Client) {
    let house = house::open().await;
    let client = Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap();
    (house, client)
}

#[tokio::test]
async fn a_statement_is_prepared_described_bound_and_run() {
    let (_house, mut client) = client().await;
    let replies = client
        .series(&[
            parse("s", "SELECT region FROM sales WHERE amount = $1 AND count < $2", &[]),
            describe(b'S', "s"),
            bind("p", "s", 0, &[Some(b"10.5"), Some(b"7")], 0),
            describe(b'P', "p"),
            execute("p", 0),
            close(b'P', "p"),
            close(b'S', "s"),
        ])
        .await;
    assert_eq!(kinds(&replies), "1tT2TDC33Z");
    // numeric and integer
    assert_eq!(replies[1].1.as_ref(), b"\0\x02\0\0\x06\xa4\0\0\0\x17");
    assert_eq!(rows(&replies), [[Some("north".to_owned())]]);
    assert_eq!(tags(&replies)[0], "SELECT 1");
}

#[tokio::test]
async fn parameters_of_every_number_type_bind_to_a_numeric() {
    let (_house, mut client) = client().await;
    let sql = "SELECT region FROM sales WHERE amount = $1";
    let numeric = [0, 2, 0, 0, 0x40, 0, 0, 2, 0, 3, 0x09, 0xc4];
    for (oid, format, value) in [
        (0, 0, b"-3.25".as_slice()),
        (1700, 0, b"-3.250"),
        (701, 0, b"-3.25"),
        (25, 0, b"-325e-2"),
        (1043, 0, b" -3.25 "),
        (705, 0, b"-3.25"),
        (701, 1, &(-3.25_f64).to_be_bytes()),
        (700, 1, &(-3.25_f32).to_be_bytes()),
        (1700, 1, &numeric),
        (0, 1, &numeric),
    ] {
        let replies = client
            .series(&[
                parse("", sql, &[oid]),
                bind("", "", format, &[Some(value)], 0),
                execute("", 0),
            ])
            .await;
        assert_eq!(kinds(&replies), "12DCZ", "{oid} {format} {replies:?}");
        assert_eq!(rows(&replies), [[Some("south".to_owned())]]);
    }
    for (oid, format, value) in [
        (21, 1, 7_i16.to_be_bytes().to_vec()),
        (23, 1, 7_i32.to_be_bytes().to_vec()),
        (20, 0, b"7".to_vec()),
    ] {
        let replies = client
            .series(&[
                parse("", "SELECT region FROM sales WHERE amount < $1 ORDER BY 1", &[oid]),
                bind("", "", format, &[Some(&value)], 0),
                execute("", 0),
            ])
            .await;
        assert_eq!(rows(&replies), [[Some("south".to_owned())]], "{replies:?}");
    }
}

#[tokio::test]
async fn a_parameter_that_does_not_fit_exactly_is_refused() {
    let (_house, mut client) = client().await;
    let sql = "SELECT region FROM sales WHERE amount = $1 AND count = $2";
    for (amount, count, expected) in [
        (b"1.005".as_slice(), b"1".as_slice(), "22003"),
        (b"123456789012", b"1", "22003"),
        (b"NaN", b"1", "22003"),
        (b"1e1000000000", b"1", "22003"),
        (b"1e-1000000000", b"1", "22003"),
        (b"many", b"1", "22P02"),
        (b"", b"1", "22P02"),
        (b"1", b"2147483648", "22003"),
        (b"1", b"1.5", "22P02"),
        (b"1", b"\xff", "22021"),
    ] {
        let replies = client
            .series(&[
                parse("", sql, &[]),
                bind("", "", 0, &[Some(amount), Some(count)], 0),
                execute("", 0),
            ])
            .await;
        assert_eq!(kinds(&replies), "1EZ");
        assert_eq!(sqlstate(&replies[1]), expected, "{replies:?}");
    }
    let told =
        client.series(&[parse("", sql, &[]), bind("", "", 0, &[Some(b"1"), Some(b"x")], 0)]).await;
    assert_eq!(fields(&told[1].1)[&'D'], "parameter $2");
}

#[tokio::test]
async fn rows_come_in_binary_when_asked() {
    let (_house, mut client) = client().await;
    let replies = client
        .series(&[
            parse("", "SELECT * FROM types", &[]),
            bind("", "", 0, &[], 1),
            describe(b'P', ""),
            execute("", 0),
        ])
        .await;
    assert_eq!(kinds(&replies), "12TDDCZ");
    let values: Vec<_> = row(&replies[3]).into_iter().map(Option::unwrap).collect();
    assert_eq!(values[0], [1]);
    assert_eq!(values[1], 0.1_f64.to_be_bytes());
    assert_eq!(values[2], [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    assert_eq!(values[3], b"word");
    assert_eq!(values[4], (1_709_254_923_123_456_i64 - 946_684_800_000_000).to_be_bytes());
    assert_eq!(values[5], [0, 0xff]);
    let list = [1, 1, 23, 3, 1, 4, 1, -1, 4, 3].map(i32::to_be_bytes).concat();
    assert_eq!(values[6], list);
    assert_eq!(values[7], 4_000_000_000_u32.to_be_bytes());
    assert_eq!(
        (values[8].as_slice(), values[9].as_slice()),
        (b"pg_class".as_slice(), b"r".as_slice())
    );
    assert!(row(&replies[4]).iter().all(Option::is_none));
}

#[tokio::test]
async fn a_portal_gives_its_rows_in_parts() {
    let (_house, mut client) = client().await;
    let replies = client
        .series(&[
            parse("s", "SELECT count FROM sales ORDER BY count", &[]),
            bind("p", "s", 0, &[], 0),
            execute("p", 2),
            execute("p", 2),
            execute("p", 2),
        ])
        .await;
    assert_eq!(kinds(&replies), "12DDsDCCZ");
    assert_eq!(tags(&replies), ["SELECT 1", "SELECT 0"]);
    // Outside a transaction a portal ends at Sync; inside, it lives on to the transaction's end.
    let replies = client.series(&[execute("p", 1)]).await;
    assert_eq!(sqlstate(&replies[0]), "34000");
    client.query("BEGIN").await;
    let replies = client.series(&[bind("p", "s", 0, &[], 0), execute("p", 1)]).await;
    assert_eq!(kinds(&replies), "2DsZ");
    let replies = client.series(&[execute("p", 2)]).await;
    assert_eq!(kinds(&replies), "DDsZ");
    let replies = client.series(&[execute("p", 2)]).await;
    assert_eq!((kinds(&replies).as_str(), tags(&replies)[0].as_str()), ("CZ", "SELECT 0"));
    let replies = client.series(&[bind("p", "s", 0, &[], 0)]).await;
    assert_eq!(sqlstate(&replies[0]), "42P03");
    client.query("ROLLBACK").await;
    let replies = client.series(&[execute("p", 2)]).await;
    assert_eq!(sqlstate(&replies[0]), "34000");
}

#[tokio::test]
async fn no_row_limit_hurts() {
    let (_house, mut client) = client().await;
    for limit in [0, -1, i32::MIN, i32::MAX, i32::MAX - 1, 2_000_000_000, 4] {
        let replies = client
            .series(&[
                parse("", "SELECT count FROM sales ORDER BY count", &[]),
                bind("", "", 0, &[], 0),
                execute("", limit),
            ])
            .await;
        assert_eq!(kinds(&replies), "12DDDCZ", "{limit}");
        assert_eq!(tags(&replies), ["SELECT 3"]);
    }
}

#[tokio::test]
async fn after_an_error_everything_up_to_sync_is_passed_over() {
    let (_house, mut client) = client().await;
    let replies = client
        .series(&[
            parse("", "SELECT * FROM nowhere", &[]),
            bind("", "", 0, &[], 0),
            execute("", 0),
            frame(b'Q', b"SELECT 1\0"),
            frame(b'B', b"\xff"),
        ])
        .await;
    assert_eq!((kinds(&replies).as_str(), sqlstate(&replies[0]).as_str()), ("EZ", "42P01"));
    client.query("BEGIN").await;
    let replies =
        client.series(&[parse("", "midway", &[]), bind("", "", 0, &[], 0), execute("", 0)]).await;
    assert_eq!(kinds(&replies), "12DDDDDDDDDDEZ");
    assert_eq!(replies.last().unwrap().1.as_ref(), b"E");
}

#[tokio::test]
async fn flush_sends_what_there_is() {
    let (_house, mut client) = client().await;
    client.raw(&[parse("", "SELECT 1", &[]), frame(b'H', b"")].concat()).await;
    assert_eq!(client.reply().await.unwrap().0, b'1');
    client.raw(&[describe(b'S', ""), frame(b'H', b"")].concat()).await;
    assert_eq!(client.reply().await.unwrap().0, b't');
    assert_eq!(client.reply().await.unwrap().0, b'T');
    assert_eq!(kinds(&client.series(&[]).await), "Z");
}

#[tokio::test]
async fn statements_without_rows_and_without_anything() {
    let (_house, mut client) = client().await;
    let replies = client
        .series(&[
            parse("", "", &[]),
            describe(b'S', ""),
            bind("", "", 0, &[], 0),
            describe(b'P', ""),
            execute("", 0),
            execute("", 0),
            parse("b", "BEGIN", &[]),
            bind("", "b", 0, &[], 0),
            describe(b'P', ""),
            execute("", 0),
            execute("", 0),
        ])
        .await;
    assert_eq!(kinds(&replies), "1tn2nII12nCEZ");
    assert_eq!(sqlstate(&replies[11]), "55000");
}

#[tokio::test]
async fn names_that_are_taken_missing_or_too_many() {
    let limits = Limits { prepared_statements_max: 2, portals_max: 2, ..Limits::default() };
    let house = house::open_within(limits).await;
    let mut client = Client::login(house.address, "acme", "ann", PASSWORD).await.unwrap();
    client.query("BEGIN").await;
    let one = |name: &str| parse(name, "SELECT 1", &[]);
    assert_eq!(kinds(&client.series(&[one("a"), one("b")]).await), "11Z");
    let portals = [bind("p", "a", 0, &[], 0), bind("q", "a", 0, &[], 0)];
    assert_eq!(kinds(&client.series(&portals).await), "22Z");
    for (message, expected) in [
        (one("a"), "42P05"),
        (one("c"), "54000"),
        (bind("r", "a", 0, &[], 0), "54000"),
        (bind("p", "a", 0, &[], 0), "42P03"),
        (bind("p", "x", 0, &[], 0), "26000"),
        (describe(b'S', "x"), "26000"),
        (describe(b'P', "x"), "34000"),
        (execute("x", 0), "34000"),
        (parse("", "SELECT 1; SELECT 2", &[]), "42601"),
        (parse("", "SELECT 1", &[999_999_999]), "42704"),
    ] {
        client.query("ROLLBACK").await;
        client.query("BEGIN").await;
        client.series(&portals).await;
        let replies = client.series(&[message]).await;
        assert_eq!(sqlstate(&replies[0]), expected);
    }
    client.query("ROLLBACK").await;
    // The unnamed statement has a place of its own, and DEALLOCATE makes room.
    assert_eq!(kinds(&client.series(&[one(""), one("")]).await), "11Z");
    assert_eq!(tags(&client.query("DEALLOCATE a").await), ["DEALLOCATE"]);
    assert_eq!(kinds(&client.series(&[one("c")]).await), "1Z");
    assert_eq!(tags(&client.query("DISCARD ALL").await), ["DISCARD ALL"]);
    assert_eq!(kinds(&client.series(&[one("a"), one("b")]).await), "11Z");
}

#[tokio::test]
async fn a_bind_that_does_not_match_its_statement_is_refused() {
    let (_house, mut client) = client().await;
    client.series(&[parse("s", "SELECT region, count FROM sales WHERE count = $1", &[])]).await;
    let codes = |parameter: &[u8], result: &[u8]| {
        frame(b'B', &[b"\0s\0", parameter, b"\0\x01\0\0\0\x011", result].concat())
    };
    for (message, expected) in [
        (bind("", "s", 0, &[], 0), "08P01"),
        (bind("", "s", 0, &[Some(b"1"), Some(b"2")], 0), "08P01"),
        (bind("", "s", 2, &[Some(b"1")], 0), "22023"),
        (bind("", "s", 1, &[Some(b"1")], 0), "22P03"),
        (bind("", "s", 0, &[Some(b"1")], 7), "22023"),
        (codes(b"\0\x02\0\0\0\0", b"\0\0"), "08P01"),
        (codes(b"\0\0", b"\0\x03\0\0\0\0\0\0"), "08P01"),
        (codes(b"\0\0", b"\xff\xff"), "08P01"),
    ] {
        let replies = client.series(&[message]).await;
        assert_eq!(sqlstate(&replies[0]), expected, "{replies:?}");
    }
    // Formats of each column on its own, and a NULL.
    let replies = client.series(&[codes(b"\0\0", b"\0\x02\0\0\0\x01"), execute("", 0)]).await;
    assert_eq!(row(&replies[1])[1].as_deref(), Some([0, 0, 0, 1].as_slice()));
    let replies = client.series(&[bind("", "s", 0, &[None], 0), execute("", 0)]).await;
    assert_eq!(tags(&replies), ["SELECT 0"]);
}
