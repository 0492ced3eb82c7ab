#!/usr/bin/env python3
"""The flat table of the Star Schema Benchmark from a file into memory: our engine beside its peers.

    load.py PERFOS SSB FOLDER ROUNDS          as `cargo xtask bench load` calls it

SSB makes the table of `cargo xtask bench ssb` at scale 1, which is written to FOLDER as CSV and as Parquet, all of its columns.
Ours loads the row key, the four dimensions and the six measures into a cube of a data folder, as `perfos load` does: each
row's members are found, the totals of the file are certified, the state is hashed, and the entry is durable in the ledger. What
the other columns say is known of the members. The peers make a table in memory of all columns, names as Enum, and keep no ledger.

Times are from the file to the table, ours those of the whole process less those of one that loads a file of one row. Peers are interleaved
round by round. The last line has the figures: ratios are the time of the peer by ours.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = 2
os.environ["POLARS_MAX_THREADS"] = str(THREADS)

import duckdb  # noqa: E402
import polars as pl  # noqa: E402

MODEL = 'name = "flat"\n'
CALENDAR = 'name = "date"\nkey_type = "date"\n[calendar]\nstart = 1992-01-01\nend = 1998-12-31\n'
DIMENSION = """name = "{0}"
key_type = "integer"
{1}[[hierarchy]]
name = "{0}"
levels = [{2}]
"""
CUBE = """name = "lineorder"
kind = "records"
key = [ {{ name = "lo_orderkey", type = "bigint" }}, {{ name = "lo_linenumber", type = "smallint" }} ]
dimensions = ["date", "customer", "supplier", "part"]
{0}"""
MEASURES = ["lo_quantity", "lo_discount", "lo_tax", "lo_extendedprice", "lo_revenue", "lo_supplycost"]
MAP = """[key]
lo_orderkey = "lo_orderkey"
lo_linenumber = "lo_linenumber"
[dimensions]
date = "lo_orderdate"
customer = "c_custkey"
supplier = "s_suppkey"
part = "p_partkey"
[measures]
{0}"""
# per dimension: its key, and the columns of its levels
DIMENSIONS = {
    "customer": ("c_custkey", ["c_region", "c_nation", "c_city"]),
    "supplier": ("s_suppkey", ["s_region", "s_nation", "s_city"]),
    "part": ("p_partkey", ["p_mfgr", "p_category", "p_brand"]),
}


def write_model(folder):
    for part in ("dimensions", "cubes"):
        (folder / part).mkdir(parents=True)
    (folder / "model.toml").write_text(MODEL)
    (folder / "dimensions/date.toml").write_text(CALENDAR)
    for name, (_, levels) in DIMENSIONS.items():
        names = [level[2:] for level in levels] + [name]
        each = "".join(f'[[level]]\nname = "{level}"\n' for level in names)
        text = DIMENSION.format(name, each, ", ".join(f'"{level}"' for level in names))
        (folder / f"dimensions/{name}.toml").write_text(text)
    measures = "".join(f'[[measure]]\nname = "{name}"\ntype = "integer"\n' for name in MEASURES)
    (folder / "cubes/lineorder.toml").write_text(CUBE.format(measures))
    (folder.parent / "lineorder.map.toml").write_text(MAP.format("".join(f'{m} = "{m}"\n' for m in MEASURES)))


class Ours:
    def __init__(self, perfos, folder, table):
        self.perfos, self.model, self.data = perfos, folder / "model", folder / "data"
        write_model(self.model)
        self.run("tenant", "create", "flat")
        self.run("apply", self.model)
        for name, (key, levels) in DIMENSIONS.items():
            self.members(folder, table, name, key, levels)
        table.head(1).write_csv(folder / "one.csv")
        self.empty = folder / "empty"
        shutil.copytree(self.data, self.empty)

    def run(self, *arguments):
        environment = os.environ | {
            "PERFOS_DATA": str(self.data), "PERFOS_TENANT": "flat", "RAYON_NUM_THREADS": str(THREADS)
        }
        command = [self.perfos, "--config", "/dev/null", *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
        return done.stdout

    def members(self, folder, table, name, key, levels):
        upper = None
        for level in levels + [key]:
            columns = [level] + ([upper] if upper else [])
            file, map_file = folder / f"{level}.csv", folder / f"{level}.toml"
            table.select(columns).unique().sort(level).write_csv(file)
            lines = ["[members]", f'key = "{level}"']
            lines += [f'level = "{level[2:]}"'] if level != key else []
            lines += [f'parent = {{ {name} = "{upper}" }}'] if upper else []
            map_file.write_text("\n".join(lines) + "\n")
            self.run("load", file, "--dimension", name, "--map", map_file)
            upper = level

    def load(self, file):
        shutil.rmtree(self.data)
        shutil.copytree(self.empty, self.data)
        start = time.perf_counter()
        said = self.run("load", file, "--cube", "lineorder", "--map", self.model.parent / "lineorder.map.toml")
        return time.perf_counter() - start, said


def polars_loads(file, schema):
    start = time.perf_counter()
    frame = pl.read_csv(file, schema=schema) if file.suffix == ".csv" else pl.read_parquet(file)
    assert len(frame) > 0
    return time.perf_counter() - start


class Duck:
    def __init__(self, table):
        self.connection = duckdb.connect(config={"threads": THREADS})
        self.types = {}
        for column, kind in table.schema.items():
            if isinstance(kind, pl.Enum):
                names = ", ".join("'" + name.replace("'", "''") + "'" for name in kind.categories)
                self.connection.execute(f"CREATE TYPE {column}_names AS ENUM ({names})")
                self.types[column] = f"{column}_names"

    def load(self, file):
        columns = ", ".join(f"{c}::{self.types[c]} AS {c}" if c in self.types else c for c in self.columns(file))
        start = time.perf_counter()
        self.connection.execute(f"CREATE OR REPLACE TABLE flat AS SELECT {columns} FROM '{file}'")
        took = time.perf_counter() - start
        self.connection.execute("DROP TABLE flat")
        return took

    def columns(self, file):
        return [row[0] for row in self.connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()]


def main():
    perfos, program, folder, rounds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    made = [program, "1", "random", folder / "flat.arrow", str(THREADS)]
    subprocess.run(made, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    table = pl.read_ipc(folder / "flat.arrow")
    names = [name for name, kind in table.schema.items() if isinstance(kind, pl.Categorical)]
    table = table.with_columns(
        pl.col(name).cast(pl.Enum(table[name].unique().cast(pl.String).sort())) for name in names
    )
    files = [folder / "flat.csv", folder / "flat.parquet"]
    table.write_csv(files[0])
    table.write_parquet(files[1])
    ours, duck = Ours(perfos, folder, table), Duck(table)
    schema, rows = table.schema, len(table)
    del table
    print(f"{rows} rows; CSV {files[0].stat().st_size / 1e6:.0f} MB, Parquet {files[1].stat().st_size / 1e6:.0f} MB")
    one = statistics.median(ours.load(folder / "one.csv")[0] for _ in range(3))
    figures = {}
    for file in files:
        engines = {
            "ours": lambda: ours.load(file)[0] - one,
            "polars": lambda: polars_loads(file, schema),
            "duckdb": lambda: duck.load(file),
        }
        times = {name: [] for name in engines}
        for _ in range(rounds):
            for name, load in engines.items():
                times[name].append(load())
        for name, taken in times.items():
            figures[f"{name}_{file.suffix[1:]}_s"] = statistics.median(taken)
    for kind in ("csv", "parquet"):
        for peer in ("polars", "duckdb"):
            figures[f"{peer}_{kind}_ratio"] = figures[f"{peer}_{kind}_s"] / figures[f"ours_{kind}_s"]
    print(" ".join(f"{name}={value:.2f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
