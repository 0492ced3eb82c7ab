"""Measures of the ledger's cubes at consolidated cells, by the written rules: time first, leaf by leaf, then the hierarchies' weights."""

from decimal import Decimal

from statements import LINES, Statements, change
from warehouse import Warehouse, ratio, total

STOCK_OR_FLOW, LAST, FIRST, SUM = "stock or flow", "last", "first", "sum"
CUBES = {  # per cube: dimensions, and per measure its rule; ratios come after the measures that they are made of
    "statement": (
        ("account", "organization", "scenario", "date"),
        {"amount": STOCK_OR_FLOW, "amount_ytd": LAST, "previous_year": STOCK_OR_FLOW, "average_3": LAST, "sum_12": LAST},
        {"change": lambda sums: change(sums["amount"], sums["previous_year"])},
    ),
    "balance": (
        ("account", "organization", "scenario", "date"),
        {"closing": LAST, "opening": FIRST, "movement": SUM},
        {},
    ),
    "income": (
        ("organization", "scenario", "date"),
        {name: SUM for name in LINES},
        {"gross_margin_pct": lambda sums: ratio(sums["gross_margin"], sums["net_sales"])},
    ),
    "finance": (
        ("account", "organization", "scenario", "department", "date"),
        {name: STOCK_OR_FLOW for name in ("amount", "amount_usd", "owned_usd", "minority_usd")},
        {},
    ),
}


class Totals:
    """Asked for totals by columns."""

    def __init__(self, folder):
        self.w = Warehouse(folder)
        self.s = Statements(self.w)
        converted = {self.place("finance", cell): cell for cell in self.s.dollars}
        finance = [converted.get(self.place("finance", cell), cell) for cell in self.w.finance]
        self.cells = {"statement": self.s.statement, "balance": self.s.balance, "income": self.s.income, "finance": finance}

    @staticmethod
    def place(cube, cell):
        return tuple(cell[name] for name in CUBES[cube][0])

    def weight(self, dimension, column, member):
        """Of a leaf in what a column names; in all there is where none is named. None: it has no such ancestor."""
        if dimension not in ("account", "organization") or column == dimension:
            return Decimal(1)
        tree = {"account": self.w.account, "organization": self.w.organization}[dimension]
        if column and column.startswith("organization_ownership"):
            tree = self.w.ownership
        path = tree.path(member)
        if column is None:
            below = path
        else:
            below = path[int(column[-1]) :] if int(column[-1]) <= len(path) else None
        if below is None:
            return None
        product = Decimal(1)
        for key in below:
            product *= tree.weight_of[key]
        return product

    def value(self, dimension, column, member):
        """What a column shows of a leaf."""
        if column is None or column == dimension:
            return None if column is None else member
        if dimension == "date":
            return period(member, column)
        tree = {"account": self.w.account, "organization": self.w.organization}[dimension]
        path = tree.path(member)
        return tree.rows[path[int(column[-1]) - 1]]["name"] if int(column[-1]) <= len(path) else None

    def by(self, cube, columns):
        """Per key, each measure's total; `columns` has one a dimension, or None. Ragged members are left out."""
        ratios = CUBES[cube][2]
        result = self.sums_by(cube, columns)
        if cube == "statement" and columns[0] is not None:
            self.put_prices(columns, result)
        return {key: totals | {name: formula(totals) for name, formula in ratios.items()} for key, totals in result.items()}

    def put_prices(self, columns, result):
        """Account 98 is, at every level, net sales by units of the totals there, whether it has leaves there or not."""
        own_level = f"account_l{len(self.w.account.path(98))}"
        if columns[0] not in ("account", own_level):
            return
        price = self.value("account", columns[0], 98)
        sales, units = self.amounts_of(50, columns), self.amounts_of(97, columns)
        blank = dict.fromkeys(CUBES["statement"][1])
        for rest in sales.keys() & units.keys():
            result.setdefault((price, *rest), dict(blank))
        for key, totals in result.items():
            if key[0] == price:
                totals["amount"] = ratio(sales.get(key[1:]), units.get(key[1:]), 4)

    def amounts_of(self, account, columns):
        """Per key without the account, an account's total."""
        level = f"account_l{len(self.w.account.path(account))}"
        name = self.w.account.rows[account]["name"]
        found = self.sums_by("statement", (level, *columns[1:]))
        return {key[1:]: totals["amount"] for key, totals in found.items() if key[0] == name}

    def sums_by(self, cube, columns):
        """Per key, the sums that rules make of leaves."""
        dimensions, rules, _ = CUBES[cube]
        weights, shown = {}, {}
        sums = {}
        for measure, rule in rules.items():
            leaves = {}
            for cell in self.cells[cube]:
                value = cell.get(measure)
                if value is not None:
                    *place, date = self.place(cube, cell)
                    when = self.cached(shown, "date", columns[-1], date, self.value)
                    leaves.setdefault((*place, when), []).append((date, value))
            for (*place, when), dated in leaves.items():
                key, product = [], Decimal(1)
                for dimension, column, member in zip(dimensions, columns, place):
                    weight = self.cached(weights, dimension, column, member, self.weight)
                    product = None if weight is None or product is None else product * weight
                    if column is not None:
                        key.append(self.cached(shown, dimension, column, member, self.value))
                if not product:
                    continue
                if columns[-1] is not None:
                    key.append(when)
                found = sums.setdefault(tuple(key), {})
                found.setdefault(measure, []).append(self.reduced(rule, place[0], dated) * product)
        result = {}
        for key, lists in sums.items():
            result[key] = {measure: total(lists.get(measure, [])) for measure in rules}
        return result

    def reduced(self, rule, account, dated):
        if rule == STOCK_OR_FLOW:
            rule = LAST if self.s.is_stock(account) else SUM
        if rule == SUM:
            return sum(value for _, value in dated)
        return (max if rule == LAST else min)(dated)[1]

    @staticmethod
    def cached(known, dimension, column, member, function):
        at = dimension, column, member
        if at not in known:
            known[at] = function(dimension, column, member)
        return known[at]


def period(date, column):
    """The quarter or the year of a day, a month or a quarter."""
    text = str(date)
    year = int(text[:4])
    if column == "date_year":
        return year
    if "Q" in text:
        return text
    return f"{year}-Q{(int(text[5:7]) + 2) // 3}" if column == "date_quarter" else text[:7]
