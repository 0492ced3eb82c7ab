#!/usr/bin/env python3
"""The planning model of `calc/examples/planning/model.rs` in Polars: the same numbers, the same formulas.

    planning_polars.py [--combinations N] [--runs N]        needs the packages polars and numpy

Numbers are drawn by their place. All arithmetic is modulo 2^64:

    x = (kind << 40) + place + 1;  x *= 0x9e3779b97f4a7c15
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;  x = (x ^ x >> 27) * 0x94d049bb133111eb
    draw(kind, place, n) = ((x ^ x >> 31) >> 33) * n >> 31

Each combination has 3 scenarios of 24 months. Names are numbers here, and every column is as narrow as it comes. Of the formulas of
`formulas()` there, the split of the overhead and what follows from it are left out: they are computed in cubes of some thousand cells.
`cells_ms` is the time in which Polars gives all columns and tables that a cube keeps.
"""

import argparse
import statistics
import time

import numpy as np
import polars as pl

SCENARIOS, MONTHS, PRODUCTS, ENTITIES, CURRENCIES = 3, 24, 2_000, 60, 12
CATEGORIES = 20


def draw(kind, place, n):
    """Numbers below `n`, one for each place."""
    x = place.astype(np.uint64) + np.uint64((kind << 40) + 1)
    x *= np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (((x ^ (x >> np.uint64(31))) >> np.uint64(33)) * np.uint64(n)) >> np.uint64(31)


def tables(combinations):
    """The budget's inputs and the exchange rates."""
    at = np.repeat(np.arange(combinations, dtype=np.uint64), SCENARIOS * MONTHS)
    row = np.arange(len(at), dtype=np.uint64)
    product = at % np.uint64(PRODUCTS)
    entity = (at // np.uint64(PRODUCTS) * np.uint64(7) + product) % np.uint64(ENTITIES)
    small = {
        "scenario": row // np.uint64(MONTHS) % np.uint64(SCENARIOS),
        "month": row % np.uint64(MONTHS),
        "entity": entity,
        "department": draw(1, at, 40),
        "category": product % np.uint64(CATEGORIES),
        "channel": draw(2, at, 8),
        "segment": draw(3, at, 10),
        "currency": entity % np.uint64(CURRENCIES),
    }
    columns = {name: values.astype(np.uint8) for name, values in small.items()}
    columns["product"] = product.astype(np.uint16)
    drawn = {"units": (4, 500, 1), "price": (5, 9_500, 500), "unit_cost": (6, 300, 100), "discount_rate": (7, 2_500, 0)}
    for name, (kind, n, least) in drawn.items():
        columns[name] = (draw(kind, row, n) + np.uint64(least)).astype(np.int32)
    place = np.arange(MONTHS * CURRENCIES, dtype=np.uint64)
    fx = {
        "month": (place // np.uint64(CURRENCIES)).astype(np.uint8),
        "currency": (place % np.uint64(CURRENCIES)).astype(np.uint8),
        "rate": (draw(8, place, 1_000_000) + np.uint64(500_000)).astype(np.int64),
    }
    return pl.DataFrame(columns), pl.DataFrame(fx)


def half_even(numerator, denominator):
    """The quotient of two whole numbers, rounded half-even."""
    quotient = numerator // denominator
    rest = (numerator - quotient * denominator) * 2
    up = (rest > denominator) | ((rest == denominator) & (quotient % 2 == 1))
    return quotient + up.cast(pl.Int64)


def plan(budget, fx):
    """The lazy frames of all formulas that are computed here."""
    wide = lambda name: pl.col(name).cast(pl.Int64)
    rows = (
        budget.lazy()
        .with_columns(gross=wide("units") * wide("price"))
        .with_columns(discount=half_even(pl.col("gross") * wide("discount_rate"), pl.lit(10_000, pl.Int64)))
        .with_columns(net=pl.col("gross") - pl.col("discount"))
        .with_columns(margin=pl.col("net") - wide("units") * wide("unit_cost"))
    )
    rate = lambda name: half_even(pl.col(name) * pl.col("rate"), pl.lit(1_000_000, pl.Int64))
    summary = (
        rows.group_by("scenario", "month", "entity", "category", "currency")
        .agg(wide("units").sum(), pl.col("net", "margin").sum())
        .join(fx.lazy(), on=["month", "currency"])
        .with_columns(net_eur=rate("net"), margin_eur=rate("margin"))
    )
    entity = summary.group_by("scenario", "month", "entity").agg(pl.col("net_eur", "margin_eur").sum())
    department = rows.group_by("scenario", "month", "department").agg(pl.col("net").sum())
    return rows.select("gross", "discount", "net", "margin"), summary, entity, department


def queries(rows):
    """The questions of `calc/examples/planning/queries.rs`, each with the columns that are added up."""
    total = lambda name: pl.col(name).cast(pl.Int64).sum()
    takings = (pl.col("units").cast(pl.Int64) * pl.col("price")).sum().alias("takings")
    scenario = lambda n: pl.col("scenario") == n
    return [
        (rows.filter(scenario(0)).group_by("entity", "month").agg(total("net")), ["net"]),
        (
            rows.filter(scenario(1) & (pl.col("month") < 12))
            .group_by("category", "channel")
            .agg(total("net"), total("margin")),
            ["net", "margin"],
        ),
        (
            rows.filter(scenario(0) & (pl.col("region") == 2)).group_by("product").agg(total("units")),
            ["units"],
        ),
        (rows.group_by("scenario").agg(total("net")), ["net"]),
        (rows.filter(pl.col("category") == 3).group_by("department", "segment").agg(total("margin")), ["margin"]),
        (
            rows.filter((pl.col("channel") == 2) & scenario(2)).group_by("currency").agg(takings),
            ["takings"],
        ),
    ]


def asked(budget, computed, runs):
    """What the questions' answers are in short, and the median time of each, as words of a line."""
    region = (pl.col("entity") % 5).alias("region")
    all_columns = pl.concat([budget, computed], how="horizontal").with_columns(region).rechunk().lazy()
    words = []
    for number, (query, columns) in enumerate(queries(all_columns), start=1):
        times = []
        for _ in range(runs + 1):
            start = time.perf_counter()
            answer = query.collect()
            times.append((time.perf_counter() - start) * 1000)
        total = sum(answer[column].sum() for column in columns)
        words.append(f"q{number}_groups={answer.height} q{number}={total} q{number}_ms={statistics.median(times[1:]):.2f}")
    return " ".join(words)


def main():
    parser = argparse.ArgumentParser(description="A planning model in Polars.")
    parser.add_argument("--combinations", type=int, default=87_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    budget, fx = tables(arguments.combinations)
    frames = plan(budget, fx)
    times = []
    for _ in range(arguments.runs + 1):
        start = time.perf_counter()
        rows, summary, entity, department = pl.collect_all(frames)
        times.append((time.perf_counter() - start) * 1000)
    print(
        f"planning_polars version={pl.__version__} threads={pl.thread_pool_size()} rows={rows.height}"
        f" net={rows['net'].sum()} margin={rows['margin'].sum()} sales={entity['net_eur'].sum()}"
        f" department={department['net'].sum()} cells_ms={statistics.median(times[1:]):.0f}"
        f" {asked(budget, rows, 15)}"
    )


if __name__ == "__main__":
    main()
