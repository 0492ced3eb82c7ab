//! The system catalogs against the queries that PostgreSQL's clients send.
//!
//! `catalog/*.sql` hold the queries, each under a comment with its name; `catalog/*.out` what they
//! return here. `UPDATE_GOLDEN=1` writes the latter anew, to be reviewed as a diff.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;

use protocol::sql::catalog::{self, Catalog, SessionValues, SettingScope};
use protocol::sql::relation::{
    CatalogContents, ForeignKey, Nullability, Relation, RelationColumn, RelationKind,
};
use protocol::sql::rewrite;
use protocol::sql::session::PG_TYPE_METADATA;

fn column(name: &str, data_type: DataType, nullability: Nullability) -> RelationColumn {
    RelationColumn { name: name.into(), data_type, nullability, comment: None }
}

fn required(name: &str, data_type: DataType) -> RelationColumn {
    column(name, data_type, Nullability::Required)
}

fn nullable(name: &str, data_type: DataType) -> RelationColumn {
    column(name, data_type, Nullability::Nullable)
}

fn relation(
    schema: &str,
    name: &str,
    kind: RelationKind,
    columns: Vec<RelationColumn>,
) -> Relation {
    Relation {
        schema: schema.into(),
        name: name.into(),
        kind,
        comment: None,
        columns,
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        row_count: 0,
    }
}

fn dimension(name: &str, columns: Vec<RelationColumn>) -> Relation {
    let mut table = relation("public", name, RelationKind::Table, columns);
    table.primary_key = vec![0];
    table
}

fn contents() -> CatalogContents {
    let (int, text) = (|| DataType::Int32, || DataType::Utf8);
    let dimensions = ["date", "organization", "department", "scenario", "account"];
    let mut amount = nullable("amount", DataType::Decimal128(18, 4));
    amount.comment = Some("In dollars".into());
    let mut finance = relation(
        "public",
        "finance",
        RelationKind::Table,
        vec![
            required("date", DataType::Date32),
            required("organization", int()),
            required("department", int()),
            required("scenario", int()),
            required("account", int()),
            amount,
            nullable("date_year", int()),
            nullable("date_quarter", text()),
            nullable("organization_l1", text()),
            nullable("organization_l2", text()),
        ],
    );
    finance.comment = Some("Amounts by account".into());
    finance.primary_key = vec![0, 1, 2, 3, 4];
    finance.foreign_keys = dimensions
        .iter()
        .enumerate()
        .map(|(column, table)| ForeignKey {
            column,
            table: (*table).into(),
            referenced_column: "key".into(),
        })
        .collect();
    finance.row_count = 39409;
    let zoned = DataType::Timestamp(
        datafusion::arrow::datatypes::TimeUnit::Microsecond,
        Some("+00:00".into()),
    );
    CatalogContents {
        database: "adventureworks".into(),
        databases: vec!["adventureworks".into(), "demo".into()],
        user: "ana".into(),
        schemas: vec!["public".into(), "perfos".into()],
        roles: vec!["analyst".into()],
        relations: vec![
            finance,
            dimension(
                "account",
                vec![
                    required("key", int()),
                    required("name", text()),
                    nullable("parent", int()),
                    nullable("depth", int()),
                    nullable("weight", DataType::Decimal128(38, 10)),
                ],
            ),
            dimension(
                "organization",
                vec![required("key", int()), required("name", text()), nullable("parent", int())],
            ),
            dimension("department", vec![required("key", int()), required("name", text())]),
            dimension("scenario", vec![required("key", int()), required("name", text())]),
            dimension(
                "date",
                vec![
                    required("key", DataType::Date32),
                    nullable("year", int()),
                    nullable("quarter", text()),
                ],
            ),
            relation(
                "perfos",
                "branches",
                RelationKind::View,
                vec![
                    nullable("id", DataType::Int64),
                    nullable("name", text()),
                    nullable("created", zoned),
                ],
            ),
            relation(
                "perfos",
                "ledger",
                RelationKind::View,
                vec![nullable("sequence", DataType::Int64), nullable("kind", text())],
            ),
        ],
        settings: vec![
            ("search_path".into(), "public".into(), "Schemas searched".into()),
            ("perfos.aggregates".into(), "strict".into(), "What sum and avg do".into()),
        ],
    }
}

struct Values(Arc<Catalog>);

impl SessionValues for Values {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.0)
    }

    fn backend_pid(&self) -> i32 {
        4711
    }

    fn set_setting(&self, _: &str, value: &str, _: SettingScope) -> Result<String> {
        Ok(value.to_owned())
    }

    fn started_at_us(&self) -> i64 {
        0
    }
}

fn session() -> (SessionContext, Arc<Catalog>) {
    session_of(contents())
}

fn session_of(contents: CatalogContents) -> (SessionContext, Arc<Catalog>) {
    let contents = Arc::new(contents);
    let catalog = Catalog::new(Arc::clone(&contents));
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema("adventureworks", "public")
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    config.options_mut().sql_parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
    let context = SessionContext::new_with_config(config);
    let database = MemoryCatalogProvider::new();
    for schema in &contents.schemas {
        database.register_schema(schema, Arc::new(MemorySchemaProvider::new())).unwrap();
    }
    let (pg_catalog, information_schema) = catalog.schema_providers();
    database.register_schema("pg_catalog", pg_catalog).unwrap();
    database.register_schema("information_schema", information_schema).unwrap();
    context.register_catalog("adventureworks", Arc::new(database));
    for function in catalog::functions(Arc::new(Values(Arc::clone(&catalog)))) {
        context.register_udf(function);
    }
    context.add_analyzer_rule(catalog::subquery_rule());
    (context, catalog)
}

/// Runs one statement as a session would; the rows as text, a NULL as nothing.
async fn run(context: &SessionContext, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let catalog = &Catalog::new(Arc::new(contents()));
    let dialect = datafusion::common::config::Dialect::PostgreSQL;
    let mut statement = context.state().sql_to_statement(sql, &dialect)?;
    if let Statement::Statement(inner) = &mut statement {
        rewrite::for_catalog(inner);
    }
    let plan = context.state().statement_to_plan(statement).await?;
    let batches = context.execute_logical_plan(plan).await?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let fields = batch.schema_ref().fields().iter().zip(batch.columns());
            rows.push(
                fields
                    .map(|(field, column)| {
                        let value = print(column, row)?;
                        let kind = field.metadata().get(PG_TYPE_METADATA).map_or("", |kind| kind);
                        Some(match value.parse() {
                            Ok(oid) if kind.starts_with("reg") => {
                                catalog::registered_name(catalog, kind, oid)
                            }
                            _ => value,
                        })
                    })
                    .collect(),
            );
        }
    }
    Ok(rows)
}

/// A value as the wire prints it.
fn print(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Boolean => if column.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            let items: Vec<String> = (0..items.len())
                .map(|at| print(&items, at).unwrap_or_else(|| "NULL".into()))
                .collect();
            format!("{{{}}}", items.join(","))
        }
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
        _ => ArrayFormatter::try_new(column, &FormatOptions::default())
            .map(|formatter| formatter.value(row).to_string())
            .unwrap_or_default(),
    })
}

/// The queries of a file: name and text.
fn queries(text: &str) -> Vec<(String, String)> {
    let mut queries: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("-- "), queries.last_mut()) {
            (Some(name), _) => queries.push((name.to_owned(), String::new())),
            (None, Some((_, sql))) => {
                sql.push_str(line);
                sql.push('\n');
            }
            (None, None) => {}
        }
    }
    for (_, sql) in &mut queries {
        *sql = sql.trim().trim_end_matches(';').to_owned();
    }
    queries
}

/// `{oid:public.finance}` as the oid of that relation.
async fn with_oids(context: &SessionContext, sql: &str) -> Result<String> {
    let mut result = sql.to_owned();
    while let Some(start) = result.find("{oid:") {
        let end = start + result[start..].find('}').unwrap_or_default();
        let name = result[start + 5..end].to_owned();
        let rows = run(context, &format!("SELECT '{name}'::regclass::oid")).await?;
        let oid = rows.first().and_then(|row| row[0].clone()).unwrap_or_default();
        result.replace_range(start..=end, &oid);
    }
    Ok(result)
}

fn folder() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs tests")).join("tests/catalog")
}

async fn check_file(name: &str) {
    let (context, catalog) = session();
    let text = std::fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap();
    let mut output = String::new();
    let mut failures = Vec::new();
    for (title, sql) in queries(&text) {
        let sql = with_oids(&context, &sql).await.unwrap();
        writeln!(output, "-- {title}").unwrap();
        match run(&context, &sql).await {
            Ok(rows) => {
                for row in rows {
                    let row: Vec<String> =
                        row.into_iter().map(|value| value.unwrap_or_default()).collect();
                    writeln!(output, "{}", row.join("|").replace('\n', "\\n")).unwrap();
                }
            }
            Err(error) => {
                writeln!(output, "ERROR").unwrap();
                failures.push(format!("{title}: {}", message(&error)));
            }
        }
        writeln!(output).unwrap();
    }
    // Oids are stable but mean nothing to a reader.
    for relation in &catalog.contents().relations {
        let sql = format!("SELECT '{}.{}'::regclass::oid", relation.schema, relation.name);
        let rows = run(&context, &sql).await.unwrap();
        let oid = rows[0][0].clone().unwrap();
        output = output.replace(&oid, &format!("<{}>", relation.name));
    }
    let path = folder().join(format!("{name}.out"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &output).unwrap();
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == output, "{name}.out differs; UPDATE_GOLDEN=1 rewrites it");
}

fn message(error: &DataFusionError) -> String {
    error.to_string().lines().take(3).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn psql_commands() {
    check_file("psql").await;
}

#[tokio::test]
async fn queries_of_other_clients() {
    check_file("clients").await;
}

/// What a user writes over cubes must reach the planner as it was written.
#[test]
fn statements_over_cubes_pass_unchanged() {
    for sql in [
        "SELECT date_year, measure(amount) FROM finance GROUP BY date_year ORDER BY 1",
        "SELECT f.account, (SELECT max(a.name) FROM account AS a WHERE a.key = f.account) FROM finance AS f",
        "SELECT amount::NUMERIC(18,2), date::TEXT FROM finance WHERE date_quarter LIKE '2011%'",
        "SELECT * FROM generate_series(1, 10) AS s (n)",
        "SELECT ARRAY[1, 2] = '{1,2}', 'x' = ANY('{x,y}')",
        "WITH pg_class AS (SELECT 1 AS oid) SELECT oid FROM pg_class",
        "INSERT INTO finance (date, account) VALUES ('2011-08-01', 4)",
        "UPDATE finance SET amount = 3 WHERE account = 4",
    ] {
        let mut statement = parse(sql);
        let before = statement.to_string();
        rewrite::for_catalog(&mut statement);
        assert_eq!(before, statement.to_string());
        assert!(!rewrite::touches_catalog(&statement), "{sql}");
    }
}

fn parse(sql: &str) -> datafusion::sql::sqlparser::ast::Statement {
    let dialect = datafusion::sql::sqlparser::dialect::PostgreSqlDialect {};
    datafusion::sql::sqlparser::parser::Parser::parse_sql(&dialect, sql).unwrap().remove(0)
}

#[test]
fn columns_have_the_names_that_postgresql_gives() {
    let cases: &[(&str, &[&str])] = &[
        (
            "SELECT sum(x), x::text, 1, true, current_user",
            &["sum", "x", "?column?", "bool", "current_user"],
        ),
        ("SELECT NULL, NULL, '1'::int4", &["?column?", "?column?", "int4"]),
        ("SELECT CASE WHEN a THEN b END, CASE WHEN a THEN b ELSE c END", &["case", "c"]),
        (
            "SELECT (SELECT max(y) FROM t), EXISTS (SELECT 1), ARRAY(SELECT 1)",
            &["max", "exists", "array"],
        ),
        ("SELECT a.b, \"C d\", A AS Total FROM a", &["b", "C d", "total"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(rewrite::column_names(&parse(sql)).unwrap(), *expected, "{sql}");
    }
    assert_eq!(rewrite::column_names(&parse("SELECT * FROM t")), None);
}

/// Adding and removing tables leaves every other oid as it was.
#[tokio::test]
async fn oids_stay() {
    async fn oids(contents: CatalogContents) -> Vec<Vec<Option<String>>> {
        let (context, _) = session_of(contents);
        let sql = "SELECT oid, relname FROM pg_class WHERE oid >= 16384 AND relname <> 'finance' \
                   AND relname <> 'finance_pkey' ORDER BY 2";
        run(&context, sql).await.unwrap()
    }
    let mut fewer = contents();
    fewer.relations.remove(0);
    assert_eq!(oids(contents()).await, oids(fewer).await);
}

/// Every oid that one catalog names is a row of the catalog it points to.
#[tokio::test]
async fn oids_agree_between_catalogs() {
    let (context, _) = session();
    for (table, column, target) in [
        ("pg_attribute", "attrelid", "pg_class"),
        ("pg_attribute", "atttypid", "pg_type"),
        ("pg_class", "relnamespace", "pg_namespace"),
        ("pg_class", "relowner", "pg_roles"),
        ("pg_class", "reltype", "pg_type"),
        ("pg_class", "relam", "pg_am"),
        ("pg_constraint", "conrelid", "pg_class"),
        ("pg_constraint", "confrelid", "pg_class"),
        ("pg_constraint", "conindid", "pg_class"),
        ("pg_index", "indexrelid", "pg_class"),
        ("pg_index", "indrelid", "pg_class"),
        ("pg_type", "typnamespace", "pg_namespace"),
        ("pg_type", "typrelid", "pg_class"),
        ("pg_type", "typarray", "pg_type"),
        ("pg_type", "typelem", "pg_type"),
        ("pg_type", "typinput", "pg_proc"),
        ("pg_type", "typreceive", "pg_proc"),
        ("pg_proc", "pronamespace", "pg_namespace"),
        ("pg_proc", "prorettype", "pg_type"),
        ("pg_cast", "castfunc", "pg_proc"),
        ("pg_database", "datdba", "pg_roles"),
        ("pg_database", "dattablespace", "pg_tablespace"),
        ("pg_description", "classoid", "pg_class"),
        ("pg_rewrite", "ev_class", "pg_class"),
    ] {
        let sql = format!(
            "SELECT t.{column} FROM pg_catalog.{table} t WHERE t.{column} <> 0 AND t.{column} NOT IN \
             (SELECT oid FROM pg_catalog.{target})"
        );
        let lost = run(&context, &sql).await.unwrap();
        assert!(lost.is_empty(), "{table}.{column}: {lost:?}");
    }
}

/// Every catalog can be read whole, in the columns it declares.
#[tokio::test]
async fn every_catalog_can_be_read() {
    let (context, _) = session();
    let sql = "SELECT table_schema, table_name FROM information_schema.tables \
               WHERE table_schema IN ('pg_catalog', 'information_schema')";
    let tables = run(&context, sql).await.unwrap();
    assert_eq!(tables.len(), 208);
    for table in tables {
        let (schema, name) = (table[0].clone().unwrap(), table[1].clone().unwrap());
        run(&context, &format!("SELECT * FROM {schema}.{name} ORDER BY 1")).await.unwrap();
    }
}
