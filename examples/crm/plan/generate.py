#!/usr/bin/env python3
"""Makes `quotas.csv` and `cancellations.csv` beside this script; the other files here are written by hand.

    generate.py DATA_DIR        the folder with opportunities.csv

Quotas. The company's target of a quarter (TARGETS) is shared out by weight: an owner weighs 3 + (7 * owner_id mod 5),
which is 3 to 7, and his quota is target * weight / sum of the weights, rounded to 1,000. Nobody has a quota for a quarter
that he is not employed in (`owners.csv`); in a quarter that he works in part it stands in full, and the model prorates it.

Cancellations. A won deal whose number is divisible by 61 is cancelled 30 + (opportunity_id mod 120) days after it closed. The
file repeats what the deal was: its owner, product, value and discount.
"""

import csv
import datetime
import sys
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = {
    "2019-Q4": 220_000, "2020-Q1": 600_000, "2020-Q2": 950_000, "2020-Q3": 1_500_000, "2020-Q4": 2_300_000,
    "2021-Q1": 1_900_000, "2021-Q2": 3_000_000, "2021-Q3": 5_200_000, "2021-Q4": 2_600_000,
}  # fmt: skip


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(name, header, rows):
    with open(HERE / name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def first_day(quarter):
    year, number = quarter.split("-Q")
    return datetime.date(int(year), int(number) * 3 - 2, 1)


def quotas(owners):
    weights = {owner["owner_id"]: 3 + 7 * int(owner["owner_id"]) % 5 for owner in owners}
    for owner in owners:
        for quarter, target in TARGETS.items():
            first = first_day(quarter).isoformat()
            after = first_day(quarter) + datetime.timedelta(days=95)
            after = after.replace(day=1).isoformat()
            if owner["start_date"] < after and (not owner["end_date"] or first < owner["end_date"]):
                share = target * weights[owner["owner_id"]] / sum(weights.values())
                yield owner["owner_id"], quarter, round(share / 1000) * 1000


def cancellations(deals):
    for deal in deals:
        number = int(deal["opportunity_id"])
        if deal["status"] == "Won" and number % 61 == 0:
            closed = datetime.date.fromisoformat(deal["close_date"])
            cancelled = closed + datetime.timedelta(days=30 + number % 120)
            kept = (deal[column] for column in ("owner_id", "product_id", "value", "discount"))
            yield number, cancelled, closed, *kept


if __name__ == "__main__":
    write("quotas.csv", ["owner_id", "quarter", "quota"], quotas(read(HERE / "owners.csv")))
    deals = sorted(read(Path(sys.argv[1]) / "opportunities.csv"), key=lambda deal: int(deal["opportunity_id"]))
    header = ["opportunity_id", "cancelled_on", "closed_on", "owner_id", "product_id", "value", "discount"]
    write("cancellations.csv", header, cancellations(deals))
