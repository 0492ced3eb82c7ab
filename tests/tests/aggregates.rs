//! Maintained aggregates from end to end: the server chooses some after what was asked, they answer in
//! place of rows, and every write is in their answers at once.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::{DataFolder, Server, write_file};

const SHOPS: usize = 60;
const PRODUCTS: usize = 40;
const MONTHS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

const DIMENSION: &str = "name = \"{name}\"\n[[level]]\nname = \"group\"\n[[level]]\nname = \"{name}\"\n\
     [[hierarchy]]\nname = \"{name}\"\nkind = \"levels\"\nlevels = [\"group\", \"{name}\"]\n";
const SALES: &str = "name = \"sales\"\nkind = \"cells\"\ndimensions = [\"shop\", \"product\", \"month\"]\n\
     [[measure]]\nname = \"amount\"\ntype = \"decimal(18,2)\"\n";

/// Shops and products in groups of ten, and an amount in every cell.
fn loaded() -> Result<DataFolder> {
    let (data, folder) = (DataFolder::new("shops")?, tempfile::tempdir()?);
    let folder = folder.path();
    write_file(folder, "model/model.toml", "name = \"shops\"\n")?;
    for name in ["shop", "product"] {
        write_file(
            folder,
            &format!("model/dimensions/{name}.toml"),
            &DIMENSION.replace("{name}", name),
        )?;
    }
    write_file(
        folder,
        "model/dimensions/month.toml",
        "name = \"month\"\nkey_type = \"integer\"\n",
    )?;
    write_file(folder, "model/cubes/sales.toml", SALES)?;
    data.run(&["apply", &folder.join("model").to_string_lossy()])?;
    for (name, count) in [("shop", SHOPS), ("product", PRODUCTS)] {
        let mut groups = String::from("key\n");
        (0..count / 10).try_for_each(|group| writeln!(groups, "{name} group {group}"))?;
        let file = write_file(folder, "groups.csv", &groups)?;
        let map =
            write_file(folder, "groups.toml", "[members]\nkey = \"key\"\nlevel = \"group\"\n")?;
        data.run(&["load", &file, "--dimension", name, "--map", &map])?;
        let mut members = String::from("key,parent\n");
        (0..count).try_for_each(|n| writeln!(members, "{name} {n},{name} group {}", n / 10))?;
        let file = write_file(folder, "members.csv", &members)?;
        data.run(&["load", &file, "--dimension", name])?;
    }
    let mut months = String::from("key\n");
    (1..=MONTHS).try_for_each(|month| writeln!(months, "{month}"))?;
    data.run(&["load", &write_file(folder, "months.csv", &months)?, "--dimension", "month"])?;
    let mut cells = String::from("shop,product,month,amount\n");
    for shop in 0..SHOPS {
        for product in 0..PRODUCTS {
            for month in 1..=MONTHS {
                writeln!(cells, "shop {shop},product {product},{month},{}.25", shop + month)?;
            }
        }
    }
    data.run(&["load", &write_file(folder, "cells.csv", &cells)?, "--cube", "sales"])?;
    Ok(data)
}

const BY_GROUP: &str = "SELECT shop_group, sum(amount) FROM sales WHERE product_group = 'product group 1' GROUP BY 1 ORDER BY 1";

/// Asks until the server has chosen an aggregate for it.
fn ask_until_covered(server: &Server) -> Result<()> {
    let started = Instant::now();
    while !server.rows(&format!("EXPLAIN {BY_GROUP}"))?.concat().contains("from aggregate [") {
        ensure!(started.elapsed() < PATIENCE, "no aggregate was chosen");
        server.rows(BY_GROUP)?;
    }
    Ok(())
}

#[test]
fn aggregates_are_chosen_and_follow_every_write() -> Result<()> {
    let data = loaded()?;
    let server = data.serve()?;
    let before = server.rows(BY_GROUP)?;
    ensure!(before[0] == "shop group 0,30500.00", "{before:?}");
    ask_until_covered(&server)?;
    ensure!(server.rows(BY_GROUP)? == before, "another answer than before");
    server.rows(
        "UPDATE sales SET amount = 0.25 WHERE shop = 'shop 0' AND product = 'product 10' AND month = 1",
    )?;
    let after = server.rows(BY_GROUP)?;
    ensure!(after[0] == "shop group 0,30499.00" && after[1..] == before[1..], "{after:?}");
    server.rows(
        "DELETE FROM sales WHERE product_group = 'product group 1' AND shop_group = 'shop group 0'",
    )?;
    ensure!(server.rows(BY_GROUP)? == before[1..], "rows that went away still count");
    let listed = server.rows(
        "SELECT cube, hits > 0, bytes > 0 FROM perfos.aggregates WHERE columns LIKE '%product_group%'",
    )?;
    ensure!(listed.iter().any(|row| row == "sales,t,t"), "{listed:?}");
    server.kill()?;
    ensure!(data.verify()?.contains("verified"), "the ledger is not what it was");
    Ok(())
}
