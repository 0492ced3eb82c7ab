//! Maintained aggregates from end to end: the server chooses some after what was asked, they answer in
//! place of rows, and every write is in their answers at once.

use std::fmt::Write;
use std::path::Path;
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

/// A model with a definition of shops; gives its folder.
fn write_model(folder: &Path, shop: &str) -> Result<String> {
    write_file(folder, "model/model.toml", "name = \"shops\"\n")?;
    write_file(folder, "model/dimensions/shop.toml", shop)?;
    let product = DIMENSION.replace("{name}", "product");
    write_file(folder, "model/dimensions/product.toml", &product)?;
    let month = "name = \"month\"\nkey_type = \"integer\"\n";
    write_file(folder, "model/dimensions/month.toml", month)?;
    write_file(folder, "model/cubes/sales.toml", SALES)?;
    Ok(folder.join("model").to_string_lossy().into_owned())
}

/// Shops and products in groups of ten, and an amount in every cell.
fn loaded() -> Result<DataFolder> {
    let (data, folder) = (DataFolder::new("shops")?, tempfile::tempdir()?);
    let folder = folder.path();
    data.run(&["apply", &write_model(folder, &DIMENSION.replace("{name}", "shop"))?])?;
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

/// A level in between and a hierarchy more, while there are cells and aggregates of them.
#[test]
fn a_level_comes_while_totals_are_kept() -> Result<()> {
    let (data, folder) = (loaded()?, tempfile::tempdir()?);
    let server = data.serve()?;
    ask_until_covered(&server)?;
    let before = server.rows(BY_GROUP)?;
    let shop =
        DIMENSION.replace("{name}", "shop").replace("[\"group\", ", "[\"group\", \"zone\", ");
    let shop = shop
        + "[[level]]\nname = \"zone\"\n[[level]]\nname = \"owner\"\n\
           [[hierarchy]]\nname = \"owner\"\nkind = \"levels\"\nlevels = [\"owner\", \"shop\"]\n";
    let model = write_model(folder.path(), &shop)?;
    for expected in [
        "~ hierarchies of shop (shop: group, zone, shop; owner: owner, shop)",
        "the model is up to date",
    ] {
        let applied = server.run(&data, &["apply", &model])?;
        let text = tests::text_of(&applied);
        ensure!(applied.status.success() && text.contains(expected), "{text}");
    }
    ensure!(server.rows(BY_GROUP)? == before, "another answer than before");
    let load = |rows: &str, map: &str| -> Result<()> {
        let file = write_file(folder.path(), "members.csv", rows)?;
        let map = write_file(folder.path(), "members.toml", map)?;
        let loaded = server.run(&data, &["load", &file, "--dimension", "shop", "--map", &map])?;
        ensure!(loaded.status.success(), "{}", tests::text_of(&loaded));
        Ok(())
    };
    load(
        "key,parent\nzone 1,shop group 0\n",
        "[members]\nkey = \"key\"\nlevel = \"zone\"\nparent = { shop = \"parent\" }\n",
    )?;
    load("key\nacme\n", "[members]\nkey = \"key\"\nlevel = \"owner\"\n")?;
    load(
        "key,zone,owner\nshop 0,zone 1,acme\nshop 59,,acme\n",
        "[members]\nkey = \"key\"\nparent = { shop = { column = \"zone\", default = \"shop group 5\" }, owner = \"owner\" }\n",
    )?;
    ensure!(server.rows(BY_GROUP)? == before, "groups are what they were");
    let of = |level: &str| {
        format!(
            "SELECT shop_{level}, sum(amount) FROM sales WHERE product = 'product 1' AND shop_{level} IS NOT NULL GROUP BY 1"
        )
    };
    // a shop sells its number and the month's in each month, and a quarter
    for _ in 0..3 {
        ensure!(server.rows(&of("zone"))? == ["zone 1,215.00"], "{:?}", server.rows(&of("zone")));
        ensure!(server.rows(&of("owner"))? == ["acme,1610.00"], "{:?}", server.rows(&of("owner")));
    }
    Ok(())
}

/// A dimension more for a cube that has cells and aggregates, while the server answers.
#[test]
fn a_dimension_comes_while_totals_are_kept() -> Result<()> {
    let (data, folder) = (loaded()?, tempfile::tempdir()?);
    let server = data.serve()?;
    ask_until_covered(&server)?;
    let before = server.rows(BY_GROUP)?;
    let apply = |expected: &str| -> Result<()> {
        let applied =
            server.run(&data, &["apply", &folder.path().join("model").to_string_lossy()])?;
        let text = tests::text_of(&applied);
        ensure!(text.contains(expected), "{text}");
        Ok(())
    };
    write_model(folder.path(), &DIMENSION.replace("{name}", "shop"))?;
    write_file(folder.path(), "model/dimensions/scenario.toml", "name = \"scenario\"\n")?;
    apply("+ dimension scenario")?;
    let file = write_file(folder.path(), "scenarios.csv", "key\nactual\nbudget\n")?;
    let loaded = server.run(&data, &["load", &file, "--dimension", "scenario"])?;
    ensure!(loaded.status.success(), "{}", tests::text_of(&loaded));
    let more = "\"month\", \"scenario\"]";
    write_file(folder.path(), "model/cubes/sales.toml", &SALES.replace("\"month\"]", more))?;
    apply("add a line behind dimensions: earlier_rows = { scenario = \"KEY\" }")?;
    let said = format!("{more}\nearlier_rows = {{ scenario = \"actual\" }}");
    write_file(folder.path(), "model/cubes/sales.toml", &SALES.replace("\"month\"]", &said))?;
    apply("+ dimension scenario of sales (earlier rows: actual)")?;
    apply("the model is up to date")?;
    ensure!(server.rows(BY_GROUP)? == before, "another answer than before");
    let by_scenario = "SELECT scenario, sum(amount) FROM sales GROUP BY 1 ORDER BY 1";
    let actual = server.rows(by_scenario)?;
    ensure!(actual == ["actual,1932000.00"], "{actual:?}");
    server.rows(
        "INSERT INTO sales (shop, product, month, scenario, amount) VALUES ('shop 0', 'product 10', 1, 'budget', 7)",
    )?;
    ask_until_covered(&server)?;
    let after = server.rows(by_scenario)?;
    ensure!(after == ["actual,1932000.00", "budget,7.00"], "{after:?}");
    let rest = server
        .rows("DELETE FROM sales WHERE scenario = 'budget'")
        .and_then(|_| server.rows(BY_GROUP))?;
    ensure!(rest == before, "{rest:?}");
    drop(server);
    // the ledger leads to the same
    let server = data.serve()?;
    ensure!(server.rows(BY_GROUP)? == before, "another answer after the start");
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
