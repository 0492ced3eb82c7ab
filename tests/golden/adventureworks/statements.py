"""The cubes that formulas make of the ledger: monthly statement, balances, income, amounts in US dollars, the group's result.

As in `warehouse.py`: from the files and the written semantics, never from the engine.
"""

from decimal import Decimal
from fractions import Fraction

from warehouse import ratio, round_half_even, total

MONTHS = [f"{year}-{month:02}" for year in range(2005, 2015) for month in range(1, 13)]
QUARTERS = [f"{year}-Q{quarter}" for year in range(2005, 2015) for quarter in range(1, 5)]
STOCKS = ("Assets", "Liabilities", "Balances")
REDUCED = {  # dated values to one
    "last": lambda dated: max(dated)[1],
    "first": lambda dated: min(dated)[1],
    "sum": lambda dated: sum(value for _, value in dated),
}
LINES = {"net_sales": 50, "gross_margin": 49, "operating_profit": 48, "net_income": 47, "units": 97}


def rounded(value, digits):
    """A value as a measure keeps it; blank stays blank."""
    return None if value is None else round_half_even(Fraction(value), digits)


def window(series, position, size):
    """What is there of the last few periods."""
    return [value for value in series[max(0, position + 1 - size) : position + 1] if value is not None]


def year_to_date(series):
    """Running totals that start again every twelve periods."""
    result, running = [], None
    for position, value in enumerate(series):
        running = total([None if position % 12 == 0 else running, value])
        result.append(running)
    return result


def shifted(series, count):
    """What was there so many periods before."""
    return [None] * count + series[:-count]


def last(cells, measure):
    """The last value of a measure that is not blank."""
    values = [(cell["date"], cell[measure]) for cell in cells if cell[measure] is not None]
    return max(values)[1] if values else None


class Statements:
    """The cells, each a row with the columns that SQL shows."""

    def __init__(self, warehouse):
        self.w = warehouse
        self.amounts = {}
        self._statement()
        self._balance()
        self._income()
        self._dollars()
        self._group()

    def is_stock(self, account):
        return self.w.account.rows[account]["AccountType"] in STOCKS

    def _closed(self, period):
        """(account, organization, scenario, period) and the amount: per department, then all departments."""
        leaves = {}
        for cell in self.w.finance:
            leaf = cell["account"], cell["organization"], cell["scenario"], cell[period], cell["department"]
            leaves.setdefault(leaf, []).append((cell["date"], cell["amount"]))
        cells = {}
        for (*key, _), days in leaves.items():
            amount = max(days)[1] if self.is_stock(key[0]) else sum(amount for _, amount in days)
            cells[tuple(key)] = cells.get(tuple(key), Decimal(0)) + amount
        return cells

    def _lines(self, ancestor):
        """All of an account, by organization, scenario and month."""
        below = {a: self.w.account.weight(ancestor, a) for a in self.w.account.rows}
        cells = {}
        for (account, *key), amount in self.amounts.items():
            if below[account]:
                cells[tuple(key)] = cells.get(tuple(key), Decimal(0)) + amount * below[account]
        return cells

    def _statement(self):
        self.amounts = self._closed("date_month")
        sales, units = self._lines(50), self._lines(97)
        for key in sales.keys() & units.keys():
            price = ratio(sales[key], units[key], 4)
            if price is not None:
                self.amounts[98, *key] = price
        self.statement = []
        for account, organization, scenario in sorted({key[:3] for key in self.amounts}):
            amounts = [self.amounts.get((account, organization, scenario, month)) for month in MONTHS]
            stock = self.is_stock(account)
            to_date = amounts if stock else year_to_date(amounts)
            before = shifted(amounts, 12)
            for position, month in enumerate(MONTHS):
                amount, three = amounts[position], window(amounts, position, 3)
                cell = {
                    "amount": amount,
                    "amount_ytd": to_date[position],
                    "previous_year": before[position],
                    "change": change(amount, before[position]),
                    "average_3": rounded(Fraction(sum(three)) / len(three), 4) if three else None,
                    "sum_12": None if stock else total(window(amounts, position, 12)),
                }
                if any(value is not None for value in cell.values()):
                    key = {"account": account, "organization": organization, "scenario": scenario, "date": month}
                    self.statement.append({**key, **self._levels(account, organization), **periods(month), **cell})

    def _levels(self, account, organization):
        return {
            **self.w.account.levels(account, 6, "account"),
            **self.w.organization.levels(organization, 4, "organization"),
        }

    def _balance(self):
        closed = {key: amount for key, amount in self._closed("date_quarter").items() if self.is_stock(key[0])}
        self.balance = []
        for account, organization, scenario in sorted({key[:3] for key in closed}):
            closing = [closed.get((account, organization, scenario, quarter)) for quarter in QUARTERS]
            for quarter, now, before in zip(QUARTERS, closing, shifted(closing, 1)):
                if now is not None or before is not None:
                    movement = None if now is None else now - (before or Decimal(0))
                    key = {"account": account, "organization": organization, "scenario": scenario, "date": quarter}
                    cell = {"closing": now, "opening": before, "movement": movement}
                    self.balance.append({**key, **self._levels(account, organization), **cell})

    def _income(self):
        measures = {name: self._lines(account) for name, account in LINES.items()}
        keys = {key for cells in measures.values() for key in cells}
        self.income = []
        for organization, scenario, month in sorted(keys):
            key = {"organization": organization, "scenario": scenario, "date": month}
            cell = {name: cells.get((organization, scenario, month)) for name, cells in measures.items()}
            levels = self.w.organization.levels(organization, 4, "organization")
            self.income.append({**key, **levels, **periods(month), **cell})

        budgets = {(c["organization"], c["date"]): c["net_sales"] for c in self.income if c["scenario"] == 2}
        known = {(c["organization"], c["scenario"], c["date"]) for c in self.income}
        for organization, month in sorted(place for place, sales in budgets.items() if sales is not None):
            for scenario in self.w.scenario:
                if (organization, scenario, month) not in known:
                    key = {"organization": organization, "scenario": scenario, "date": month}
                    levels = self.w.organization.levels(organization, 4, "organization")
                    self.income.append({**key, **levels, **periods(month), **dict.fromkeys(LINES)})
        for cell in self.income:
            cell["budgeted_sales"] = budgets.get((cell["organization"], cell["date"]))
        self.income.sort(key=lambda cell: (cell["organization"], cell["scenario"], cell["date"]))

    def _dollars(self):
        rates = {(rate["currency"], rate["date"]): rate for rate in self.w.rates}
        self.dollars = []
        for cell in self.w.finance:
            if self.w.account.rows[cell["account"]]["ValueType"] != "Currency":
                continue
            company = self.w.organization.rows[cell["organization"]]
            rate = rates[int(company["CurrencyKey"]), cell["date"]]
            rate = rate["end_of_day_rate" if self.is_stock(cell["account"]) else "average_rate"]
            usd = rounded(cell["amount"] * rate, 8)
            owned = rounded(usd * self.w.ownership.weight(1, cell["organization"]), 8)
            self.dollars.append({**cell, "amount_usd": usd, "owned_usd": owned, "minority_usd": usd - owned})

    def _group(self):
        cells = {}
        for cell in self.dollars:
            weight = self.w.account.weight(47, cell["account"])
            if weight:
                sums = cells.setdefault((cell["scenario"], cell["date_month"]), [Decimal(0), Decimal(0)])
                sums[0] += cell["amount_usd"] * weight
                sums[1] += cell["owned_usd"] * weight
        self.group = []
        for scenario in sorted({scenario for scenario, _ in cells}):
            income, owned = ([cells.get((scenario, m), (None, None))[n] for m in MONTHS] for n in (0, 1))
            to_date, before = year_to_date(owned), shifted(owned, 12)
            for position, month in enumerate(MONTHS):
                all_of_it, share = income[position], owned[position]
                cell = {
                    "net_income": all_of_it,
                    "owned": share,
                    "minority": None if all_of_it is None else all_of_it - share,
                    "owned_ytd": to_date[position],
                    "owned_previous_year": before[position],
                    "owned_share": ratio(share, all_of_it),
                }
                if any(value is not None for value in cell.values()):
                    self.group.append({"scenario": scenario, "date": month, **periods(month), **cell})

    def consolidated(self, cells, measure, account_depth, rule):
        """A measure of the statement or the balances: time first, per leaf, then the accounts' operators.

        The rule is `type` (stocks keep their last, flows add up), `last`, `first` or `sum`.
        """
        leaves = {}
        for cell in cells:
            if cell[measure] is not None:
                leaf = cell["account"], cell["organization"], cell["scenario"]
                leaves.setdefault(leaf, []).append((cell["date"], cell[measure]))
        values = []
        for (account, *_), dated in leaves.items():
            kind = ("last" if self.is_stock(account) else "sum") if rule == "type" else rule
            values.append(REDUCED[kind](dated) * self.w.account.weight(self.w.account.path(account)[account_depth - 1], account))
        return total(values)


def periods(month):
    """The year and the quarter of a month."""
    return {"date_year": int(month[:4]), "date_quarter": f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}"}


def change(now, before):
    """now / before - 1."""
    if now is None or before is None or before == 0:
        return None
    return round_half_even(Fraction(now) / Fraction(before) - 1, 6)


def line(cells, names):
    """Sums of measures of the cube income, and its ratios of those sums."""
    sums = {name: total(cell[name] for cell in cells) for name in LINES}
    ratios = {
        "gross_margin_pct": ratio(sums["gross_margin"], sums["net_sales"]),
        "operating_margin_pct": ratio(sums["operating_profit"], sums["net_sales"]),
        "average_unit_price": ratio(sums["net_sales"], sums["units"]),
    }
    return [{**sums, **ratios}[name] for name in names.split()]
