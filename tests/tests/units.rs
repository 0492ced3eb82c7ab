//! Units and members that formulas name, from end to end: a model folder with units is applied, a
//! formula that does not fit is refused, a member that is not there is reported by apply, load, rules
//! and SQL.

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tests::{DataFolder, PASSWORD, USER, text_of, write_file};

const FILES: &[(&str, &str)] = &[
    ("model.toml", "name = \"group\"\n"),
    (
        "dimensions/entity.toml",
        "name = \"entity\"\n[[attribute]]\nname = \"currency\"\ntype = \"member of currency\"\n",
    ),
    ("dimensions/currency.toml", "name = \"currency\"\n"),
    ("dimensions/scenario.toml", "name = \"scenario\"\n"),
    (
        "cubes/ledger.toml",
        "name = \"ledger\"\nkind = \"cells\"\ndimensions = [\"entity\", \"scenario\"]\n\
         [[measure]]\nname = \"amount\"\ntype = \"decimal(18,2)\"\nunit = \"entity.currency\"\n\
         description = \"What was posted\"\n\
         [[measure]]\nname = \"euros\"\ntype = \"decimal(18,2)\"\nunit = \"EUR\"\n\
         [[measure]]\nname = \"budget\"\ntype = \"decimal(18,2)\"\nunit = \"EUR\"\n",
    ),
    (
        "cubes/fx.toml",
        "name = \"fx\"\nkind = \"cells\"\ndimensions = [\"currency\"]\n\
         [[measure]]\nname = \"rate\"\ntype = \"decimal(18,6)\"\nunit = \"EUR/currency\"\n\
         consolidation = \"none\"\n",
    ),
    (
        "rules/ledger.toml",
        "[[formula]]\ntarget = \"ledger.euros\"\n\
         text = \"CONVERT(amount, from: entity.currency, to: 'EUR', rate: fx.rate)\"\n\
         [[formula]]\ntarget = \"ledger.budget\"\n\
         text = \"euros[SELECT: scenario = 'budget'][ADD CONSTANT: scenario]\"\n",
    ),
];

fn model() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for (path, text) in FILES {
        write_file(folder.path(), path, text)?;
    }
    Ok(folder)
}

fn has(printed: &str, expected: &[&str]) -> Result<()> {
    for text in expected {
        ensure!(printed.contains(text), "{text:?} is missing in:\n{printed}");
    }
    Ok(())
}

/// What a command that must fail printed.
fn refused(data: &DataFolder, arguments: &[&str]) -> Result<String> {
    let output = data.command(arguments)?.output()?;
    ensure!(!output.status.success(), "{arguments:?} succeeded:\n{}", text_of(&output));
    Ok(text_of(&output))
}

#[test]
fn a_model_with_units_is_applied_loaded_and_read() -> Result<()> {
    let (data, folder) = (DataFolder::new("group")?, model()?);
    let path = folder.path().to_string_lossy().into_owned();
    let applied = data.run(&["apply", &path])?;
    has(
        &applied,
        &[
            "~ unit ledger.amount = entity.currency",
            "warning: ledger.amount is in entity.currency: totals over entity mix units",
            "pending: members of currency not loaded yet: \"EUR\", in ledger.euros",
            "pending: members of scenario not loaded yet: \"budget\", in ledger.budget",
        ],
    )?;
    let again = data.run(&["apply", &path])?;
    has(&again, &["the model is up to date", "pending: members of scenario"])?;
    ensure!(!again.contains("warning"), "{again}");
    let load = |name: &str, kind: &str, text: &str| -> Result<String> {
        let file = write_file(folder.path(), &format!("maps/{name}.csv"), text)?;
        data.run(&["load", &file, kind, name])
    };
    let currencies = load("currency", "--dimension", "key\nEUR\nUSD\n")?;
    ensure!(!currencies.contains("members of currency"), "{currencies}");
    load("entity", "--dimension", "key,currency\nfr,EUR\nus,USD\n")?;
    let scenarios = load("scenario", "--dimension", "key\nactual\nbudgets\n")?;
    has(
        &scenarios,
        &[
            "warning: ledger.budget: scenario has no member \"budget\"",
            "  | euros[SELECT: scenario = 'budget'][ADD CONSTANT: scenario]",
            "  |                          ^^^^^^^^",
            "  = help: did you mean \"budgets\"?",
        ],
    )?;
    load("fx", "--cube", "currency,rate\nUSD,0.5\n")?;
    load("ledger", "--cube", "entity,scenario,amount\nfr,actual,10\nus,actual,10\n")?;
    let server = data.serve()?;
    let euros = server.rows("SELECT entity, euros FROM ledger ORDER BY 1")?;
    ensure!(euros == ["fr,10.00", "us,5.00"], "{euros:?}");
    let units =
        server.rows("SELECT measure, unit, computed FROM perfos.measures WHERE cube = 'ledger'")?;
    ensure!(units == ["amount,entity.currency,f", "euros,EUR,t", "budget,EUR,t"], "{units:?}");
    let comments = server.rows(
        "SELECT a.attname, d.description FROM pg_description d \
         JOIN pg_class c ON c.oid = d.objoid \
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid \
         WHERE c.relname = 'ledger' AND d.objsubid > 0 ORDER BY a.attnum",
    )?;
    let expected = ["amount,What was posted; in entity.currency", "euros,in EUR", "budget,in EUR"];
    ensure!(comments == expected, "{comments:?}");
    let missing = server.rows(
        "SELECT target, missing_members FROM perfos.rules WHERE missing_members IS NOT NULL",
    )?;
    let expected =
        "ledger.budget,\"scenario has no member \"\"budget\"\" (did you mean \"\"budgets\"\"?)\"";
    ensure!(missing == [expected], "{missing:?}");
    server.kill()?;
    has(&data.verify()?, &["verified"])
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() -> Result<()> {
    let (data, folder) = (DataFolder::new("group")?, model()?);
    let path = folder.path().to_string_lossy().into_owned();
    data.run(&["apply", &path])?;
    let set = |text: &str| {
        ["rule", "set", "ledger.budget", "--text", text, "--reason", "x"].map(String::from)
    };
    let mixed = set("euros + amount");
    let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
    has(
        &refused(&data, &mixed)?,
        &[
            "euros is in EUR and amount is in entity.currency: they cannot be added",
            "CONVERT(amount, from: entity.currency, to: \"EUR\", rate: fx.rate)",
        ],
    )?;
    let cubes =
        FILES.iter().find(|(path, _)| *path == "cubes/ledger.toml").map_or("", |file| file.1);
    write_file(folder.path(), "cubes/ledger.toml", &cubes.replacen("\"EUR\"", "\"USD\"", 1))?;
    has(
        &refused(&data, &["apply", &path])?,
        &["error: the result is in EUR, but ledger.euros is in USD", "--> rules/ledger.toml:3:9"],
    )?;
    let other = set("euros[SELECT: scenario = 'x'][ADD CONSTANT: scenario]");
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    let compared = ["rule", "compare", "ledger.budget", "--text", other[4]];
    let pending = "pending: members of scenario not loaded yet: \"x\", in ledger.budget";
    has(&data.run(&compared)?, &[pending])?;
    let server = data.serve()?;
    let mut over_http = data.command(&compared)?;
    over_http.env_remove("PERFOS_DATA").env("PERFOS_SERVER", format!("http://{}", server.http));
    over_http.env("PERFOS_USER", USER).env("PERFOS_PASSWORD", PASSWORD);
    has(&text_of(&over_http.output()?), &[pending])?;
    server.kill()?;
    has(&data.run(&other)?, &["version 2 is in force", pending])
}
