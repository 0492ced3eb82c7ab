#!/usr/bin/env python3
"""The Star Schema Benchmark, flat: thirteen queries in our engine and its peers, from SQL text to rows.

    ssb.py PROGRAM FOLDER SCALE ORDER ROUNDS ENGINES MEASURE          as `cargo xtask bench ssb` calls it

PROGRAM makes the rows, keeps them as a cube, and writes them to an Arrow file in FOLDER, from which the
peers load one table each into memory. All answers are compared before anything is timed. Then, query by
query and round by round, each engine runs once, so that what else the machine does meets all alike.

MEASURE is `scans`, without maintained aggregates, `covered` or `all`. For `covered` our engine has chosen
aggregates after the thirteen queries, then 26 more are drawn; statements are prepared on all sides, and before
each of its turns our engine writes 1,000 cells, which its peers are spared.

The last line has the figures as `name=value`: ratios are the time of the fastest peer by ours, geometric means;
`covered_ratio` is of the thirteen queries, `heldout_ratio` of those drawn later, all of them, covered or not;
`bytes_per_row` is what `perfos.cubes` says after the scans; `load_ratio` compares loads into memory, ours from
changes that are generated meanwhile, the peers' from the Arrow file.
"""

import importlib
import importlib.metadata
import json
import math
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

THREADS = 2
# of one engine while it loads, the file that it reads included
BYTES_A_ROW = 130
# read when the library is loaded
os.environ["POLARS_MAX_THREADS"] = str(THREADS)

SELECT_1 = "SELECT sum(lo_extendedprice * lo_discount) AS revenue FROM lineorder WHERE "
SELECT_2 = "SELECT sum(lo_revenue) AS revenue, d_year, p_brand FROM lineorder WHERE "
SELECT_3 = "SELECT {0}, {1}, d_year, sum(lo_revenue) AS revenue FROM lineorder WHERE "
SELECT_4 = "SELECT {0}, sum(lo_revenue - lo_supplycost) AS profit FROM lineorder WHERE "
BY_BRAND = " GROUP BY d_year, p_brand ORDER BY d_year, p_brand"
BY_REVENUE = " GROUP BY {0}, {1}, d_year ORDER BY d_year, revenue DESC"
BY_COLUMNS = " GROUP BY {0} ORDER BY {0}"
SIX_YEARS = "d_year BETWEEN 1992 AND 1997"
TWO_CITIES = "c_city IN ('UNITED KI1', 'UNITED KI5') AND s_city IN ('UNITED KI1', 'UNITED KI5')"
TWO_MAKERS = "(p_mfgr = 'MFGR#1' OR p_mfgr = 'MFGR#2')"
TWO_YEARS = "(d_year = 1997 OR d_year = 1998)"


def flight_3(columns, where):
    return (SELECT_3 + where + BY_REVENUE).replace("{0}", columns[0]).replace("{1}", columns[1]), (2, 3)


def flight_4(columns, where):
    return (SELECT_4 + where + BY_COLUMNS).replace("{0}", ", ".join(columns)), range(len(columns))


# Per query: its text, and which of its columns its ORDER BY names. What is in braces engines say in their own words.
QUERIES = {
    "Q1.1": (SELECT_1 + "d_year = 1993 AND lo_discount BETWEEN 1 AND 3 AND lo_quantity < 25", ()),
    "Q1.2": (SELECT_1 + "{january_1994} AND lo_discount BETWEEN 4 AND 6 AND lo_quantity BETWEEN 26 AND 35", ()),
    "Q1.3": (SELECT_1 + "{week_6_of_1994} AND lo_discount BETWEEN 5 AND 7 AND lo_quantity BETWEEN 26 AND 35", ()),
    "Q2.1": (SELECT_2 + "p_category = 'MFGR#12' AND s_region = 'AMERICA'" + BY_BRAND, (1, 2)),
    "Q2.2": (SELECT_2 + "{eight_brands} AND s_region = 'ASIA'" + BY_BRAND, (1, 2)),
    "Q2.3": (SELECT_2 + "p_brand = 'MFGR#2239' AND s_region = 'EUROPE'" + BY_BRAND, (1, 2)),
    "Q3.1": flight_3(("c_nation", "s_nation"), f"c_region = 'ASIA' AND s_region = 'ASIA' AND {SIX_YEARS}"),
    "Q3.2": flight_3(
        ("c_city", "s_city"), f"c_nation = 'UNITED STATES' AND s_nation = 'UNITED STATES' AND {SIX_YEARS}"
    ),
    "Q3.3": flight_3(("c_city", "s_city"), f"{TWO_CITIES} AND {SIX_YEARS}"),
    "Q3.4": flight_3(("c_city", "s_city"), TWO_CITIES + " AND {december_1997}"),
    "Q4.1": flight_4(("d_year", "c_nation"), f"c_region = 'AMERICA' AND s_region = 'AMERICA' AND {TWO_MAKERS}"),
    "Q4.2": flight_4(
        ("d_year", "s_nation", "p_category"),
        f"c_region = 'AMERICA' AND s_region = 'AMERICA' AND {TWO_YEARS} AND {TWO_MAKERS}",
    ),
    "Q4.3": flight_4(
        ("d_year", "s_city", "p_brand"),
        f"c_region = 'AMERICA' AND s_nation = 'UNITED STATES' AND {TWO_YEARS} AND p_category = 'MFGR#14'",
    ),
}
WORDS = {
    "january_1994": "d_yearmonthnum = 199401",
    "december_1997": "d_yearmonth = 'Dec1997'",
    "week_6_of_1994": "d_weeknuminyear = 6 AND d_year = 1994",
    "eight_brands": "p_brand BETWEEN 'MFGR#2221' AND 'MFGR#2228'",
}


def texts_by_column(file):
    """Per column of names, all the names there are, in order: what an ENUM needs to know beforehand."""
    import pyarrow as pa

    with pa.ipc.open_file(file) as source:
        batch = source.get_batch(0)
    columns = zip(batch.schema.names, batch.columns)
    columns = [(name, column) for name, column in columns if pa.types.is_dictionary(column.type)]
    return {name: sorted(column.dictionary.to_pylist()) for name, column in columns}


class Ours:
    """The cube, in a process of its own, which measures itself."""

    name = "Performance OS"
    words = {
        "january_1994": "date_month = '1994-01'",
        "december_1997": "date_month = '1997-12'",
        "week_6_of_1994": "date BETWEEN '1994-02-05' AND '1994-02-11'",
        "eight_brands": "part_brand BETWEEN 'MFGR#2221' AND 'MFGR#2228'",
    }
    PREFIXES = {"d": "date", "c": "customer", "s": "supplier", "p": "part"}

    def __init__(self, program, scale, order, file):
        arguments = [program, scale, order, file, str(THREADS)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.loaded = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"error: {self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def sql(self, query):
        renamed = re.sub(r"\b([dcsp])_(?=[a-z])", lambda match: self.PREFIXES[match[1]] + "_", query)
        return renamed.format(**self.words)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.answer()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def run(self, sql):
        answer = self.tell(sql)
        return answer["ns"], answer["rows"]

    def run_prepared(self, name, sql):
        return self.run("prepare " + sql)

    def source(self, sql):
        """The aggregate that answers, as EXPLAIN has it."""
        lines = [row[0] for row in self.run("EXPLAIN " + sql)[1]]
        found = re.search(r"from aggregate \[(.*?)\]", "\n".join(lines))
        return found[1] if found else ""

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    """An engine in this process: `execute` gives its own form of a result, `rows` takes it apart."""

    words = WORDS

    def sql(self, query):
        return query.format(**self.words)

    def run(self, sql):
        start = time.perf_counter_ns()
        result = self.execute(sql)
        elapsed = time.perf_counter_ns() - start
        return elapsed, [[str(value) for value in row] for row in self.rows(result)]

    def run_prepared(self, name, sql):
        return self.run(sql)

    def close(self):
        pass


class Polars(Peer):
    """A frame with columns of type Enum, asked in SQL."""

    name = "Polars"
    package = "polars"
    # of an Enum a list is a good deal faster than a range
    words = WORDS | {"eight_brands": f"p_brand IN {tuple(f'MFGR#222{last}' for last in range(1, 9))}"}

    def __init__(self, file):
        import polars as pl

        kinds = {name: pl.Enum(texts) for name, texts in texts_by_column(file).items()}
        frame = pl.read_ipc(file).with_columns(pl.col(name).cast(kind) for name, kind in kinds.items()).rechunk()
        self.context = pl.SQLContext(lineorder=frame.lazy())
        self.prepared = {}

    def sql(self, query):
        # its sum of a 32-bit column is of 32 bits
        return re.sub(r"sum\((.*?)\) AS", r"sum(CAST(\1 AS BIGINT)) AS", super().sql(query))

    def execute(self, sql):
        return self.context.execute(sql).collect()

    def run_prepared(self, name, sql):
        if name not in self.prepared:
            self.prepared[name] = self.context.execute(sql)
        start = time.perf_counter_ns()
        result = self.prepared[name].collect()
        return time.perf_counter_ns() - start, result.rows()

    def rows(self, result):
        return result.rows()


class DuckDb(Peer):
    """A table in memory with columns of ENUM types."""

    name = "DuckDB"
    package = "duckdb"
    # between two texts it would compare texts
    words = WORDS | {
        "eight_brands": "p_brand BETWEEN CAST('MFGR#2221' AS p_brand_type) AND CAST('MFGR#2228' AS p_brand_type)"
    }

    def __init__(self, file):
        import duckdb
        import pyarrow as pa

        self.connection = duckdb.connect(config={"threads": THREADS})
        texts = texts_by_column(file)
        for name, values in texts.items():
            quoted = ", ".join(f"'{value}'" for value in values)
            self.connection.execute(f"CREATE TYPE {name}_type AS ENUM ({quoted})")
        with pa.memory_map(file) as source:
            rows = pa.ipc.open_file(source).read_all()
            column = lambda name: f"CAST({name} AS {name}_type) AS {name}" if name in texts else name
            columns = ", ".join(map(column, rows.column_names))
            self.connection.register("rows", rows)
            self.connection.execute(f"CREATE TABLE lineorder AS SELECT {columns} FROM rows")
            self.connection.unregister("rows")
        self.prepared = {}

    def execute(self, sql):
        return self.connection.execute(sql).fetchall()

    def run_prepared(self, name, sql):
        if name not in self.prepared:
            self.prepared[name] = re.sub(r"\W", "_", name)
            self.connection.execute(f"PREPARE {self.prepared[name]} AS {sql}")
        return self.run(f"EXECUTE {self.prepared[name]}")

    def rows(self, result):
        return result


class Chdb(Peer):
    """A table of the Memory engine with LowCardinality columns."""

    name = "chdb"
    package = "chdb"

    def __init__(self, file, folder):
        from chdb.session import Session

        self.session = Session(os.path.join(folder, "chdb"))
        self.session.query(f"SET max_threads = {THREADS}")
        self.session.query("CREATE DATABASE IF NOT EXISTS ssb")
        source = f"file('{file}', Arrow)"
        # the file has no blanks, and a column that could have some would be slower
        described = self.session.query(f"DESCRIBE TABLE {source}", "TSV")
        kinds = re.sub(r"Nullable\((\w+)\)", r"\1", str(described)).splitlines()
        columns = [" ".join(line.split("\t")[:2]) for line in kinds]
        self.session.query(f"CREATE TABLE ssb.lineorder ({', '.join(columns)}) ENGINE = Memory")
        self.session.query(f"INSERT INTO ssb.lineorder SELECT * FROM {source}")
        self.session.query("USE ssb")

    def execute(self, sql):
        return self.session.query(sql, "TSV")

    def rows(self, result):
        return [line.split("\t") for line in str(result).splitlines()]

    def close(self):
        self.session.close()


# What may be grouped by and filtered: per dimension its levels, and what of one there is on the next.
DRAWN_LEVELS = {
    "d": [("d_year", 7)],
    "c": [("c_region", 5), ("c_nation", 25), ("c_city", 250)],
    "s": [("s_region", 5), ("s_nation", 25), ("s_city", 250)],
    "p": [("p_mfgr", 5), ("p_category", 25), ("p_brand", 1000)],
}
DRAWN_SUMS = ["lo_extendedprice * lo_discount", "lo_revenue", "lo_revenue - lo_supplycost"]
DRAWN_RANGES = ["lo_discount BETWEEN 2 AND 4", "lo_quantity < 25", "lo_quantity BETWEEN 26 AND 35"]
# groups of one answer: what somebody might look at
DRAWN_GROUPS_MAX = 20_000


def draw(texts, count, seed=2026):
    """More queries of the same kind: sums, groups and filters by any levels, drawn from a seed."""
    drawn, rng = {}, random.Random(seed)
    while len(drawn) < count:
        total = rng.choice(DRAWN_SUMS)
        groups = {dimension: rng.choice(DRAWN_LEVELS[dimension]) for dimension in rng.sample("dcsp", rng.randint(1, 3))}
        conditions, wanted = [], dict.fromkeys("dcsp", 1.0)
        for dimension in rng.sample("dcsp", rng.randint(1, 3)):
            column, size = rng.choice(DRAWN_LEVELS[dimension])
            if dimension == "d":
                first = rng.randint(1992, 1997)
                conditions.append(f"d_year BETWEEN {first} AND {first + 1}")
            else:
                names = rng.sample(texts[column], rng.randint(1, 2))
                names = ", ".join(f"'{name}'" for name in names)
                conditions.append(f"{column} IN ({names})")
            wanted[dimension] = 2.0 / size
        if total == DRAWN_SUMS[0] and rng.random() < 0.5:
            conditions.append(rng.choice(DRAWN_RANGES))
        expected = math.prod(max(1.0, size * wanted[of]) for of, (_, size) in groups.items())
        if expected > DRAWN_GROUPS_MAX:
            continue
        columns = ", ".join(column for column, _ in groups.values())
        query = f"SELECT {columns}, sum({total}) AS total FROM lineorder WHERE {' AND '.join(conditions)}"
        query += f" GROUP BY {columns} ORDER BY {columns}"
        drawn[f"D{len(drawn) + 1}"] = (query, tuple(range(len(groups))))
    return drawn


def compare(engines, queries):
    """The number of rows of each answer; an error where engines differ, in the rows or in their order."""
    counts = {}
    for name, (query, order) in queries.items():
        expected = None
        for engine in engines:
            try:
                _, rows = engine.run(engine.sql(query))
            except Exception as error:
                sys.exit(f"error: {name} in {engine.name}: {error}\n{engine.sql(query)}")
            # rows that are equal in the columns of ORDER BY may come in any order
            found = [[row[column] for column in order] for row in rows], sorted(rows)
            expected = expected or found
            if found != expected:
                first = engines[0].name
                shown = f"{first}: {expected[1][:5]}\n{engine.name}: {found[1][:5]}"
                sys.exit(f"error: {name}: {engine.name} differs from {first}\n{shown}")
        counts[name] = len(expected[1])
    return counts


def compare_with_rows(ours, queries):
    """An error where aggregates answer otherwise than all rows do, after all that was written."""
    for name, (query, _) in queries.items():
        answers = []
        for aggregates in ["on", "off"]:
            ours.tell("use " + aggregates)
            answers.append(ours.run(ours.sql(query))[1])
        if answers[0] != answers[1]:
            sys.exit(f"error: {name}: aggregates differ from rows\n{answers[0][:5]}\n{answers[1][:5]}")
    ours.tell("use on")


def measure(engines, queries, rounds):
    """Per query and engine, the times in milliseconds."""
    measured = {}
    for name, (query, _) in queries.items():
        texts = [engine.sql(query) for engine in engines]
        times = [[] for _ in engines]
        for round_number in range(rounds):
            for turn in range(len(engines)):
                at = (turn + round_number) % len(engines)
                times[at].append(engines[at].run(texts[at])[0] / 1e6)
        measured[name] = times
    return measured


def measure_covered(engines, queries, rounds):
    """The same of prepared statements, right after our engine wrote 1,000 cells."""
    measured = {}
    for name, (query, _) in queries.items():
        texts = [engine.sql(query) for engine in engines]
        times = [[] for _ in engines]
        for round_number in range(rounds + 1):
            engines[0].tell("write 1000")
            for at, engine in enumerate(engines):
                elapsed, _ = engine.run_prepared(name, texts[at])
                # the first round prepares
                if round_number > 0:
                    times[at].append(elapsed / 1e6)
            # in `perfos` this is a thread in the background
            engines[0].tell("choose")
        measured[name] = times
    return measured


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def report(engines, counts, measured, figure, digits=2):
    """A table of medians, or of least times; beside peers, also how many times as long as the fastest ours takes."""
    figures = {name: [figure(each) for each in times] for name, times in measured.items()}
    ratio = len(engines) > 1
    heads = [f"{engine.name}, ms" for engine in engines] + ["ours / fastest peer"] * ratio
    print("| query | rows | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 2) + "|")
    lines = dict(figures)
    lines["geometric mean"] = [geometric_mean(each) for each in zip(*figures.values())]
    for name, times in lines.items():
        cells = [f"{each:.{digits}f}" for each in times]
        if ratio:
            ratios = [each[0] / min(each[1:]) for each in figures.values()]
            own = geometric_mean(ratios) if name not in figures else times[0] / min(times[1:])
            cells.append(f"{own:.{digits}f}")
        print(f"| {name} | {counts.get(name, '')} | " + " | ".join(cells) + " |")


def report_covered(engines, counts, measured, sources, kept, size):
    """The thirteen queries and those drawn later, apart; which aggregate answers each."""
    total = sum(int(row[4]) for row in kept)
    print(f"{len(kept)} aggregates of {total / 1e6:.0f} MB, {100 * total / size:.0f} % of what the rows take")
    for title, first in [("The thirteen queries, medians", "Q"), ("Drawn later, medians", "D")]:
        chosen = {name: times for name, times in measured.items() if name.startswith(first)}
        covered = {name: times for name, times in chosen.items() if sources[name]}
        print(f"\n{title}: {len(covered)} of {len(chosen)} are covered\n")
        report(engines, counts, chosen, statistics.median, 4)
        if 0 < len(covered) < len(chosen):
            print("\nThose that are covered\n")
            report(engines, counts, covered, statistics.median, 4)
    print("\n| query | aggregate |\n|---|---|")
    for name, source in sources.items():
        print(f"| {name} | {source} |")


def check_memory(scale, engines):
    """Refuses what would not fit: the tables of so many engines, and the file."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    needed = int(6_000_000 * float(scale) * BYTES_A_ROW * engines)
    if needed > free:
        sys.exit(f"error: scale {scale} takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free")


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, {THREADS} threads an engine"


def loaded(name, peer):
    """A peer, and how long it took to load."""
    importlib.import_module(name)
    started = time.perf_counter()
    engine = peer()
    engine.load_s = time.perf_counter() - started
    return engine


def main():
    program, folder, scale, order, rounds, names, what = sys.argv[1:]
    check_memory(scale, 1 + len([name for name in names.split(",") if name]))
    # a machine with more cores gives every engine the same two
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    with tempfile.TemporaryDirectory(dir=folder) as work:
        file = os.path.join(work, "lineorder.arrow")
        ours = Ours(program, scale, order, file)
        peers = {"polars": lambda: Polars(file), "duckdb": lambda: DuckDb(file), "chdb": lambda: Chdb(file, work)}
        engines = [ours] + [loaded(name, peers[name]) for name in names.split(",") if name in peers]
        texts = texts_by_column(file)
        os.remove(file)
        rows, size = ours.loaded["rows"], ours.loaded["bytes"]
        print(f"\nStar Schema Benchmark, scale {scale}, order {order}: {rows} rows, {rounds} rounds; {machine()}")
        versions = [f"{engine.name} {importlib.metadata.version(engine.package)}" for engine in engines[1:]]
        print("; ".join(versions) + f"; ours: loaded in {ours.loaded['load_s']:.1f} s, {size / rows:.0f} bytes a row")
        figures = {"scale": scale, "order": order}
        if what in ("all", "scans"):
            figures |= run_scans(engines, int(rounds), rows)
        if what in ("all", "covered"):
            figures |= run_covered(engines, int(rounds), texts, size)
        if len(engines) > 1:
            figures["load_ratio"] = min(engine.load_s for engine in engines[1:]) / ours.loaded["load_s"]
        for engine in engines:
            engine.close()
    pairs = [f"{name}={value:.2f}" if isinstance(value, float) else f"{name}={value}" for name, value in figures.items()]
    print("\nssb " + " ".join(pairs))


def run_scans(engines, rounds, rows):
    """Measures and shows what reads all rows."""
    engines[0].tell("use off")
    counts = compare(engines, QUERIES)
    measured = measure(engines, QUERIES, rounds)
    # other work on the machine touches the least times least
    for title, figure in [("Medians", statistics.median), ("Least times", min)]:
        print(f"\n{title}\n")
        report(engines, counts, measured, figure)
    size = int(engines[0].run("SELECT bytes FROM perfos.cubes")[1][0][0])
    ratios = gains(measured)
    means = {"scan_ratio": geometric_mean(ratios), "scan_worst": min(ratios)} if ratios else {}
    return means | {"bytes_per_row": size / rows}


def run_covered(engines, rounds, texts, size):
    """Measures and shows what maintained aggregates answer."""
    ours = engines[0]
    ours.tell("use on")
    for query, _ in QUERIES.values():
        for _ in range(3):
            ours.run(ours.sql(query))
    ours.tell("choose")
    queries = QUERIES | draw(texts, 26)
    kept = ours.run("aggregates")[1]
    counts = compare(engines, queries)
    measured = measure_covered(engines, queries, rounds)
    sources = {name: ours.source(ours.sql(query)) for name, (query, _) in queries.items()}
    compare_with_rows(ours, queries)
    report_covered(engines, counts, measured, sources, kept, size)
    ratios = {name: gains({name: times}) for name, times in measured.items()}
    of = lambda first: [ratio[0] for name, ratio in ratios.items() if ratio and name.startswith(first)]
    return {name: geometric_mean(of(first)) for name, first in [("covered_ratio", "Q"), ("heldout_ratio", "D")] if of(first)}


def gains(measured):
    """How many times as long as ours the fastest peer takes, by medians."""
    medians = [[statistics.median(each) for each in times] for times in measured.values()]
    return [min(each[1:]) / each[0] for each in medians if len(each) > 1]


if __name__ == "__main__":
    main()
