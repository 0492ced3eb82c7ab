"""The CRM files and the plan of examples/crm as cells, computed with the standard library alone.

Everything here follows the files and the written semantics, never the engine: it is what the engine is checked against.
Sums and products are exact; a division carries 28 significant digits; a measure rounds once, when it is assigned.
"""

import bisect
import calendar
import csv
import datetime
import decimal
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

decimal.getcontext().prec = 100  # far more than any sum or product here: nothing is rounded silently
decimal.getcontext().traps[decimal.Inexact] = True
DIVISION = decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN)
ROUNDING = decimal.Context(prec=100)

PLAN = Path(__file__).parents[3] / "examples" / "crm" / "plan"
FIRST_DAY, LAST_DAY = datetime.date(2019, 1, 1), datetime.date(2022, 12, 31)
QUARTERS = [f"{year}-Q{quarter}" for year in range(FIRST_DAY.year, LAST_DAY.year + 1) for quarter in range(1, 5)]
ZERO = Decimal(0)


def read(path):
    """The rows of a file; an empty field is None."""
    with open(path, encoding="utf-8", newline="") as file:
        return [{k: (v if v != "" else None) for k, v in row.items()} for row in csv.DictReader(file)]


def day(text):
    return datetime.date.fromisoformat(text) if text else None


def quarter_of(date):
    return f"{date.year}-Q{(date.month + 2) // 3}"


def first_day(quarter):
    return datetime.date(int(quarter[:4]), int(quarter[-1]) * 3 - 2, 1)


def edate(date, months):
    """The same day so many months later; the last of the month where it has no such day."""
    month = date.year * 12 + date.month - 1 + months
    year, month = month // 12, month % 12 + 1
    return datetime.date(year, month, min(date.day, calendar.monthrange(year, month)[1]))


def rounded(value, digits, rounding=decimal.ROUND_HALF_EVEN):
    """A value as a measure with so many digits keeps it; blank stays blank."""
    if value is None:
        return None
    return value.quantize(Decimal(1).scaleb(-digits), rounding=rounding, context=ROUNDING)


def cents_up(value):
    """Two digits, half up: payments."""
    return rounded(value, 2, decimal.ROUND_HALF_UP)


def divided(numerator, denominator):
    """Blank where an operand is blank or the denominator is 0."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    return DIVISION.divide(numerator, denominator)


def ratio(numerator, denominator, digits=6):
    return rounded(divided(numerator, denominator), digits)


def total(values):
    """The sum of the values that are not blank; blank where all are."""
    present = [value for value in values if value is not None]
    return sum(present[1:], present[0]) if present else None


def plus(*values):
    """Blank operands of + count as nothing; blank where all are."""
    return total(values)


def times(*values):
    """Blank where an operand is."""
    if any(value is None for value in values):
        return None
    product = Decimal(1)
    for value in values:
        product *= value
    return product


def group(rows, *keys):
    """The rows by the values of some columns, in the order of the values."""
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return sorted(groups.items())


def tier(value, steps, mode):
    """What a value earns by steps of (threshold, rate): the lower bound of a step belongs to it; nothing below the first."""
    if value is None:
        return None
    steps = sorted(steps)
    if mode == "marginal":
        bounds = [threshold for threshold, _ in steps[1:]] + [value]
        parts = ((min(value, upper) - low, rate) for (low, rate), upper in zip(steps, bounds))
        return sum((rate * part for part, rate in parts if part > 0), ZERO)
    place = bisect.bisect_right([threshold for threshold, _ in steps], value) - 1
    if place < 0:
        return ZERO
    low, rate = steps[place]
    if mode == "interpolated" and place + 1 < len(steps):
        high, next_rate = steps[place + 1]
        rate += DIVISION.divide((next_rate - rate) * (value - low), high - low)
    return value * rate


MODES = {"hunter": "marginal", "farmer": "whole", "partner": "interpolated"}


class Plan:
    """All cells, computed in the order in which they depend on each other."""

    def __init__(self, folder):
        folder = Path(folder)
        self._terms()
        self._members(folder)
        self.deals = [self._deal(row) for row in read(folder / "opportunities.csv")]
        self.by_number = {deal["opportunity_id"]: deal for deal in self.deals}
        self._credit()
        self._earned()
        self._recovered()
        self._paid()
        self._managers()
        self._territories()

    def _terms(self):
        self.rates = {(r["category"], int(r["year"])): Decimal(r["rate"]) for r in read(PLAN / "credit_rates.csv")}
        self.terms = {r["plan"]: r for r in read(PLAN / "plans.csv")}
        self.tiers = defaultdict(list)
        for row in read(PLAN / "tiers.csv"):
            self.tiers[row["plan"]].append((Decimal(row["threshold"]), Decimal(row["rate"])))
        self.overrides = {r["manager"]: Decimal(r["override_rate"]) for r in read(PLAN / "managers.csv")}

    def _members(self, folder):
        self.products = {int(r["product_id"]): r["category"] for r in read(folder / "products.csv")}
        self.territories = {int(r["territory_id"]): r for r in read(folder / "territories.csv")}
        self.accounts = {int(r["account_id"]): int(r["territory_id"]) for r in read(folder / "accounts.csv")}
        self.owners = {int(r["owner_id"]): r for r in read(folder / "owners.csv")}
        for row in read(PLAN / "owners.csv"):
            self.owners[int(row["owner_id"])].update(row)
        changes = defaultdict(list)
        for row in read(PLAN / "reassignments.csv"):
            changes[int(row["owner_id"])].append((row["valid_from"], row["manager"]))
        for owner, row in self.owners.items():
            row["managers"] = sorted([("2019-01-01", row["manager"]), *changes[owner]])

    def manager(self, owner, date):
        """Who is in charge of an owner on a day."""
        managers = [name for start, name in self.owners[owner]["managers"] if start <= date.isoformat()]
        return managers[-1]

    def credited(self, value, discount, product, date):
        """Value at the rate of the year; half of it above a discount of 15 %."""
        rate = self.rates[self.products[product], date.year]
        return rounded(value * rate * (Decimal("0.5") if discount > Decimal("0.15") else 1), 2)

    def _deal(self, row):
        date, product = day(row["close_date"]), int(row["product_id"])
        deal = {
            "opportunity_id": int(row["opportunity_id"]),
            "date": date,
            "date_year": date.year,
            "date_quarter": quarter_of(date),
            "owner": int(row["owner_id"]),
            "territory": self.accounts[int(row["account_id"])],
            "product": product,
            "product_category": self.products[product],
            "status": row["status"],
            "value": Decimal(row["value"]),
            "discount": rounded(Decimal(row["discount"]), 4),
        }
        deal["credit"] = self.credited(deal["value"], deal["discount"], product, date)
        return deal

    def quotas(self):
        """The full quotas by owner and quarter."""
        return {(int(r["owner_id"]), r["quarter"]): Decimal(r["quota"]) for r in read(PLAN / "quotas.csv")}

    def _credit(self):
        """The cube credit: quota, bookings, attainment, deals won and lost."""
        quotas = self.quotas()
        parts = dict(group(self.deals, "owner", "date_quarter"))
        self.credit = {}
        for owner, quarter in sorted({*quotas, *parts}):
            decided = parts.get((owner, quarter), [])
            won = [deal for deal in decided if deal["status"] == "Won"]
            lost = [deal for deal in decided if deal["status"] == "Lost"]
            cell = {"full_quota": quotas.get((owner, quarter))}
            cell["quota"] = self._prorated(owner, quarter, cell["full_quota"])
            cell["bookings"] = total(deal["credit"] for deal in won)
            cell["attainment"] = ratio(cell["bookings"], cell["quota"])
            cell["won"], cell["lost"] = (Decimal(len(deals)) if deals else None for deals in (won, lost))
            cell["win_rate"] = ratio(cell["won"], plus(cell["won"], cell["lost"]))
            if any(value is not None for value in cell.values()):
                self.credit[owner, quarter] = {"owner": owner, "date": quarter, **cell}

    def _prorated(self, owner, quarter, quota):
        """The quota by the days of the quarter on which the owner is employed; the end date is the first day without."""
        if quota is None:
            return None
        row = self.owners[owner]
        first, after = first_day(quarter), edate(first_day(quarter), 3)
        start = max(first, day(row["start_date"]) or first)
        end = min(after, day(row["end_date"]) or after)
        assert start < end
        return rounded(divided(quota * (end - start).days, Decimal((after - first).days)), 2)

    def _earned(self):
        """The cube payout up to what is earned, and each deal's part of it."""
        self.payout = {}
        for (owner, quarter), credit in self.credit.items():
            plan = self.owners[owner]["plan"]
            bookings, quota, attainment = credit["bookings"], credit["quota"], credit["attainment"]
            assert bookings is None or quota is not None
            commission = rounded(times(tier(attainment, self.tiers[plan], MODES[plan]), quota), 4)
            accelerator = None
            if attainment is not None and attainment > 1:
                accelerator = rounded((bookings - quota) * Decimal(self.terms[plan]["accelerator"]), 4)
            earned = plus(commission, accelerator)
            if earned is not None:
                earned = cents_up(min(earned, quota * Decimal(self.terms[plan]["cap_rate"])))
                self.payout[owner, quarter] = {"owner": owner, "date": quarter} | {
                    "commission": commission,
                    "accelerator": accelerator,
                    "earned": earned,
                    "bookings": bookings,
                    "effective_rate": ratio(earned, bookings),
                }
        for deal in self.deals:
            won = deal["status"] == "Won"
            rate = self.payout.get((deal["owner"], deal["date_quarter"]), {}).get("effective_rate")
            deal["commission"] = rounded(times(deal["credit"], rate), 4) if won else None

    def _recovered(self):
        """Cancelled deals and what is taken back."""
        self.cancellations = []
        for row in read(PLAN / "cancellations.csv"):
            deal = self.by_number[int(row["opportunity_id"])]
            date, closed = day(row["cancelled_on"]), day(row["closed_on"])
            value, discount = Decimal(row["value"]), rounded(Decimal(row["discount"]), 4)
            copied = closed, int(row["owner_id"]), int(row["product_id"]), value, discount
            assert deal["status"] == "Won"
            assert copied == tuple(deal[c] for c in ("date", "owner", "product", "value", "discount"))
            credit = self.credited(value, discount, deal["product"], closed)
            rate = self.payout[deal["owner"], quarter_of(closed)]["effective_rate"]
            self.cancellations.append(
                {
                    "opportunity_id": deal["opportunity_id"],
                    "date": date,
                    "closed_on": closed,
                    "owner": deal["owner"],
                    "date_quarter": quarter_of(date),
                    "credit": credit,
                    "to_recover": rounded(credit * rate, 4) if date <= edate(closed, 3) else None,
                }
            )
        self.cancellations.sort(key=lambda row: row["opportunity_id"])

    def _paid(self):
        """The rest of the cube payout: clawback, what is paid, and its time functions."""
        lost = {
            key: total(row["to_recover"] for row in rows)
            for key, rows in group(self.cancellations, "owner", "date_quarter")
        }
        for owner in self.owners:
            ever = before = year_to_date = None
            for quarter in QUARTERS:
                cell = self.payout.get((owner, quarter), {})
                ever = plus(ever, cell.get("earned"))
                recovered = lost.get((owner, quarter))
                clawback = None if ever is None or recovered is None else cents_up(min(ever, recovered))
                amount = plus(cell.get("earned"), None if clawback is None else -clawback)
                year_to_date = plus(None if quarter.endswith("Q1") else year_to_date, amount)
                if any(value is not None for value in (*cell.values(), clawback, amount, year_to_date, before)):
                    cell = self.payout.setdefault((owner, quarter), {"owner": owner, "date": quarter})
                    cell |= {"clawback": clawback, "amount": amount, "amount_ytd": year_to_date, "amount_before": before}
                before = amount

    def _managers(self):
        """The cube manager_payout."""
        rows = [
            {**deal, "manager": self.manager(deal["owner"], deal["date"])}
            for deal in self.deals
            if deal["commission"] is not None
        ]
        self.manager_payout = []
        for (manager, quarter), part in group(rows, "manager", "date_quarter"):
            base = total(row["commission"] for row in part)
            amount = cents_up(base * self.overrides[manager])
            self.manager_payout.append({"manager": manager, "date": quarter, "base": base, "amount": amount})
        self.manager_payout = with_share(self.manager_payout, "manager", self.overrides, "amount", "all_amounts")

    def _territories(self):
        """The cube territory_bookings."""
        rows = [deal for deal in self.deals if deal["status"] == "Won"]
        self.territory_bookings = [
            {"territory": territory, "date": quarter, "bookings": total(row["credit"] for row in part)}
            for (territory, quarter), part in group(rows, "territory", "date_quarter")
        ]
        self.territory_bookings = with_share(
            self.territory_bookings, "territory", self.territories, "bookings", "all_bookings"
        )


def with_share(cells, dimension, members, measure, all_of_it):
    """A cell for each member and quarter that anybody has something in: what all have, and the member's share of it."""
    known = {(cell[dimension], cell["date"]): cell for cell in cells}
    result = []
    for (quarter,), part in group(cells, "date"):
        everything = total(cell[measure] for cell in part)
        for member in members:
            cell = known.get((member, quarter), {dimension: member, "date": quarter})
            share = ratio(cell.get(measure), everything)
            result.append({**cell, all_of_it: everything, "share": share})
    return sorted(result, key=lambda cell: (cell[dimension], cell["date"]))
