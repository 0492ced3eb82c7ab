#!/usr/bin/env python3
"""Five formulas deep over a million deals, in Polars: the peer of our own engine's run of the same model.

    formulas_polars.py [--deals N] [--runs N]        needs the package polars

The data is generated, the same in every language. A generator is a state of 64 bits, all its arithmetic modulo 2^64:

    state = seed                                              # before the first draw
    draw:   state = state * 6364136223846793005 + 1442695040888963407
            return state >> 33                                # 31 bits
    below(n):  draw() * n >> 31                               # 0 .. n-1; the product fits 64 bits

Each table has a generator of its own:

    products  seed 1; product 0..49:                 rate   = 5000 + below(5001)            in 1/10000
    quotas    seed 2; rep 0..1999, in it month 0..35: quota = (30000 + below(40001)) * 100  in cents
    deals     seed 3; deal 0, 1, ...: rep = below(2000), month = below(36), product = below(50),
              amount = 10000 + below(990000) in cents, drawn in this order

Tiers: attainment from 0, 0.5, 1, 1.5 pays 2 %, 5 %, 8 %, 12 % of the quota's part in the slice. The cap is 3,500.00.

The formulas, each rounded half-even once to the scale that it names:

    credit     = amount * rate                                2 digits, a row each
    bookings   = credit summed by rep and month
    attainment = bookings / quota                             6 digits
    commission = marginal tiers(attainment) * quota           2 digits
    payout     = the lesser of commission and the cap
    totals     = bookings, commission and payout by region (rep / 100) and of the company

Everything is an integer in fixed point, so that the totals compare exactly. Two times are reported, each the median of the runs
after one to warm up: `totals_ms` where Polars gives the totals alone and fuses the rest as it likes, `cells_ms` where it
also gives the credit of each deal and the four figures of each rep and month, which is what a cube keeps.
"""

import argparse
import statistics
import time

import polars as pl

REPS, MONTHS, PRODUCTS = 2000, 36, 50
THRESHOLDS = (0, 500_000, 1_000_000, 1_500_000)  # in 1/1000000
RATES = (200, 500, 800, 1200)  # in 1/10000
CAP = 350_000


def generator(seed):
    """The function `below` of a generator."""
    state = seed

    def below(n):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFF_FFFF_FFFF_FFFF
        return (state >> 33) * n >> 31

    return below


def tables(count):
    """Deals, quotas and products."""
    below = generator(1)
    products = pl.DataFrame({"product": range(PRODUCTS), "rate": [5000 + below(5001) for _ in range(PRODUCTS)]})
    below = generator(2)
    quotas = pl.DataFrame(
        [(rep, month, (30000 + below(40001)) * 100) for rep in range(REPS) for month in range(MONTHS)],
        schema=["rep", "month", "quota"],
        orient="row",
    )
    below = generator(3)
    deals = pl.DataFrame(
        [(below(REPS), below(MONTHS), below(PRODUCTS), 10000 + below(990000)) for _ in range(count)],
        schema=["rep", "month", "product", "amount"],
        orient="row",
    )
    keys = pl.col("rep", "month", "product").cast(pl.Int32)
    return (
        deals.with_columns(keys),
        quotas.with_columns(pl.col("rep", "month").cast(pl.Int32)),
        products.with_columns(pl.col("product").cast(pl.Int32)),
    )


def half_even(numerator, denominator):
    """The quotient of two expressions of integers that are not negative, rounded half-even."""
    quotient = numerator // denominator
    rest = (numerator - quotient * denominator) * 2
    up = (rest > denominator) | ((rest == denominator) & (quotient % 2 == 1))
    return quotient + up.cast(pl.Int64)


def marginal(value):
    """The sum over the slices of rate times the part of the value in the slice, in 1/10^10."""
    amount = pl.lit(0, pl.Int64)
    for step, (low, rate) in enumerate(zip(THRESHOLDS, RATES)):
        part = value - low
        if step + 1 < len(THRESHOLDS):
            part = part.clip(upper_bound=THRESHOLDS[step + 1] - low)
        amount = amount + part.clip(lower_bound=0) * rate
    return amount


def plan(deals, quotas, products):
    """The lazy frames: credit of each deal, figures of each rep and month, totals by region and of the company."""
    credit = deals.lazy().join(products.lazy(), on="product", how="left", maintain_order="left")
    credit = credit.with_columns(half_even(pl.col("amount") * pl.col("rate"), pl.lit(10_000, pl.Int64)).alias("credit"))
    cells = (
        credit.group_by("rep", "month")
        .agg(pl.col("credit").sum().alias("bookings"))
        .join(quotas.lazy(), on=["rep", "month"])
        .with_columns(half_even(pl.col("bookings") * 1_000_000, pl.col("quota")).alias("attainment"))
        .with_columns(
            half_even(marginal(pl.col("attainment")) * pl.col("quota"), pl.lit(10**10, pl.Int64)).alias("commission")
        )
        .with_columns(pl.min_horizontal("commission", pl.lit(CAP, pl.Int64)).alias("payout"))
    )
    sums = pl.col("bookings", "commission", "payout").sum()
    regions = cells.group_by((pl.col("rep") // 100).alias("region")).agg(sums)
    return credit.select("credit"), cells, regions, regions.select(sums)


def median_ms(runs, work):
    """The median time of some runs, in milliseconds, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[1:])


def main():
    parser = argparse.ArgumentParser(description="Five formulas deep over generated deals, in Polars.")
    parser.add_argument("--deals", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    credit, cells, regions, company = plan(*tables(arguments.deals))
    totals_ms = median_ms(arguments.runs, lambda: pl.collect_all([regions, company]))
    cells_ms = median_ms(arguments.runs, lambda: pl.collect_all([credit, cells, regions, company]))
    rows, by_month, by_region, total = pl.collect_all([credit, cells, regions.sort("region"), company])
    print("region,bookings,commission,payout")
    for row in by_region.iter_rows():
        print(",".join(map(str, row)))
    capped = by_month.filter(pl.col("payout") < pl.col("commission")).height
    bookings, commission, payout = total.row(0)
    print(
        f"formulas_polars version={pl.__version__} threads={pl.thread_pool_size()} deals={rows.height}"
        f" cells={by_month.height} capped={capped} credit={rows['credit'].sum()} attainment={by_month['attainment'].sum()}"
        f" bookings={bookings} commission={commission} payout={payout}"
        f" totals_ms={totals_ms:.1f} cells_ms={cells_ms:.1f}"
    )


if __name__ == "__main__":
    main()
