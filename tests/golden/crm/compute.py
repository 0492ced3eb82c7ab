#!/usr/bin/env python3
"""The expected figures of the golden cases in this folder, computed from the CSV files.

    compute.py DATA_DIR            prints every case
    compute.py DATA_DIR --check    compares with the .expected files; ends with 1 where one differs
    compute.py DATA_DIR --write    writes the .expected files

A case is NAME.sql (one statement) and NAME.expected: CSV with a header row, NULL as an empty field.
"""

import csv
import io
import sys
from decimal import Decimal
from pathlib import Path

from plan import Plan, group, ratio, total

HERE = Path(__file__).parent
CASES = {}


def case(header):
    """Registers a function that makes the rows of the case of its name."""

    def register(function):
        CASES[function.__name__] = (header.split(), function)
        return function

    return register


def columns(cells, header):
    """The cells' columns of a header, a row each; what a cell does not have is blank."""
    return [[cell.get(column) for column in header.split()] for cell in cells]


def by_key(cells):
    """The cells of a cube in the order of their coordinates."""
    return [cell for _, cell in sorted(cells.items())]


def sums(cells, names):
    return [total(cell.get(name) for cell in cells) for name in names.split()]


def with_year(cells):
    """Cells of quarters, with their year and their owner's team."""
    return [{**cell, "date_year": int(cell["date"][:4])} for cell in cells]


# ---- what is loaded ----


@case("status deals value credit")
def deals_by_status(p):
    return [[*key, len(part), *sums(part, "value credit")] for key, part in group(p.deals, "status")]


@case("key name plan start_date end_date owner_team")
def owner_members(p):
    return [
        [key, row["owner"], row["plan"], row["start_date"], row["end_date"], row["managers"][0][1]]
        for key, row in sorted(p.owners.items())
    ]


# ---- every cell of every computed cube; the deals by owner and quarter, with a sum that any change of a deal changes ----


@case("owner date_quarter product_category deals credit commission checksum")
def deals_won(p):
    won = [deal for deal in p.deals if deal["status"] == "Won"]
    return [
        [*key, len(part), *sums(part, "credit commission"), sum(d["commission"] * d["opportunity_id"] for d in part)]
        for key, part in group(won, "owner", "date_quarter", "product_category")
    ]


@case("status owner date_quarter credit checksum")
def deals_not_won(p):
    rest = [deal for deal in p.deals if deal["status"] != "Won"]
    return [
        [*key, *sums(part, "credit"), sum(d["credit"] * d["opportunity_id"] for d in part)]
        for key, part in group(rest, "status", "owner", "date_quarter")
    ]


CREDIT = "owner date full_quota quota bookings attainment won lost win_rate"
PAYOUT = "owner date commission accelerator earned bookings effective_rate clawback amount amount_ytd amount_before"


@case(CREDIT)
def credit_cells(p):
    return columns(by_key(p.credit), CREDIT)


@case(PAYOUT)
def payout_cells(p):
    return columns(by_key(p.payout), PAYOUT)


@case("opportunity_id date closed_on owner credit to_recover")
def cancellation_rows(p):
    return columns(p.cancellations, "opportunity_id date closed_on owner credit to_recover")


@case("manager date base amount all_amounts share")
def manager_cells(p):
    return columns(p.manager_payout, "manager date base amount all_amounts share")


@case("territory date bookings all_bookings share")
def territory_cells(p):
    return columns(p.territory_bookings, "territory date bookings all_bookings share")


# ---- consolidated ----


@case("owner date_year quota bookings attainment win_rate")
def attainment_by_year(p):
    result = []
    for key, part in group(with_year(by_key(p.credit)), "owner", "date_year"):
        quota, bookings, won, lost = sums(part, "quota bookings won lost")
        result.append([*key, quota, bookings, ratio(bookings, quota), ratio(won, total([won, lost]))])
    return result


@case("date_year quota bookings attainment win_rate")
def attainment_of_company(p):
    result = []
    for key, part in group(with_year(by_key(p.credit)), "date_year"):
        quota, bookings, won, lost = sums(part, "quota bookings won lost")
        result.append([*key, quota, bookings, ratio(bookings, quota), ratio(won, total([won, lost]))])
    return result


def paid(p, cells, bookings):
    """Earned, effective rate, clawback, amount, and the last of the amounts to date of each owner."""
    earned, clawback, amount = sums(cells, "earned clawback amount")
    last = {}
    for cell in sorted(cells, key=lambda cell: cell["date"]):
        if cell.get("amount_ytd") is not None:
            last[cell["owner"]] = cell["amount_ytd"]
    return [earned, ratio(earned, total(cell["bookings"] for cell in bookings)), clawback, amount, total(last.values())]


def paid_by(p, *keys):
    team = lambda cells: [{**c, "owner_team": p.owners[c["owner"]]["manager"]} for c in with_year(by_key(cells))]
    bookings = dict(group(team(p.credit), *keys))
    return [[*key, *paid(p, part, bookings.get(key, []))] for key, part in group(team(p.payout), *keys)]


PAID = "earned effective_rate clawback amount amount_ytd"


@case(f"owner date_year {PAID}")
def payout_by_year(p):
    return paid_by(p, "owner", "date_year")


@case(f"owner_team date {PAID}")
def payout_by_team(p):
    return paid_by(p, "owner_team", "date")


@case(f"date_year {PAID}")
def payout_of_company(p):
    return paid_by(p, "date_year")


def shared_by(cells, key, measures, all_of_it):
    """Sums by a column and year, what all have in the year, and the share of it; what all have adds up over quarters alone."""
    result = []
    for group_key, part in group(with_year(cells), key, "date_year"):
        everything = total({cell["date"]: cell[all_of_it] for cell in part}.values())
        parts = sums(part, measures)
        result.append([*group_key, *parts, everything, ratio(parts[-1], everything)])
    return result


@case("manager date_year base amount all_amounts share")
def manager_by_year(p):
    return shared_by(p.manager_payout, "manager", "base amount", "all_amounts")


@case("territory_area date_year bookings all_bookings share")
def territory_by_year(p):
    cells = [{**cell, "territory_area": p.territories[cell["territory"]]["territory"]} for cell in p.territory_bookings]
    return shared_by(cells, "territory_area", "bookings", "all_bookings")


# ---- totals that the rows above must agree with ----


def check(p):
    """Totals published with the data, and what must hold of the cells."""
    published = [["Lost", 7385, 23003910], ["Open", 5333, 27812381], ["Won", 7282, 26435925]]
    assert [row[:3] for row in deals_by_status(p)] == published
    won = [deal for deal in p.deals if deal["status"] == "Won"]
    bookings = total(deal["credit"] for deal in won)
    assert bookings == total(cell["bookings"] for cell in p.credit.values())
    assert bookings == total(cell.get("bookings") for cell in p.territory_bookings)
    assert all(deal["commission"] is not None for deal in won)
    assert total(cell.get("base") for cell in p.manager_payout) == total(deal["commission"] for deal in won)
    amounts = {cell.get("amount") for cell in p.payout.values()} - {None}
    assert min(amounts) < 0 < max(amounts)
    capped = [cell for cell in p.payout.values() if total([cell.get("commission"), cell.get("accelerator")]) is not None]
    capped = [c for c in capped if c["earned"] + 1 < total([c["commission"], c["accelerator"]])]
    assert capped, "a cap that nobody reaches proves nothing"
    assert len({cell["attainment"] > 1 for cell in p.credit.values() if cell["attainment"] is not None}) == 2
    assert {row["to_recover"] is None for row in p.cancellations} == {True, False}
    assert all(deal["owner"] != 15 for deal in p.deals)


# ---- output ----


def text(value):
    """A field as psql prints it."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def render(name, plan):
    """The text of one .expected file."""
    header, function = CASES[name]
    rows = function(plan)
    assert rows, f"{name} has no rows"
    assert all(len(row) == len(header) for row in rows), name
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([text(value) for value in row] for row in rows)
    return out.getvalue()


def main(arguments):
    if not arguments or arguments[1:] not in ([], ["--check"], ["--write"]):
        print(__doc__, file=sys.stderr)
        return 2
    named = {path.stem for path in HERE.glob("*.sql")}
    assert named == set(CASES), f"a statement without figures, or figures without one: {sorted(named ^ set(CASES))}"
    plan = Plan(arguments[0])
    check(plan)
    different = []
    for name in sorted(CASES):
        expected = render(name, plan)
        path = HERE / f"{name}.expected"
        if arguments[1:] == ["--write"]:
            path.write_text(expected, encoding="utf-8")
        elif arguments[1:] == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != expected:
                different.append(name)
        else:
            print(f"== {name}\n{expected}")
    for name in different:
        print(f"{name}.expected differs", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
