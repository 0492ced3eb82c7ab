"""The AdventureWorks files as rows with the columns that SQL shows, computed with the standard library alone.

Everything here follows the files and the written semantics, never the engine: it is what the engine is
checked against. Amounts are `Decimal`, ratios are rounded from exact fractions.
"""

import csv
import datetime
import decimal
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

decimal.getcontext().prec = 100  # far more than any sum or product here: nothing is rounded silently
decimal.getcontext().traps[decimal.Inexact] = True


def read(folder, name):
    """The rows of a file; an empty field is None."""
    with open(Path(folder) / f"{name}.csv", encoding="utf-8", newline="") as file:
        return [{k: (v if v != "" else None) for k, v in row.items()} for row in csv.DictReader(file)]


def day(key):
    """20101229 as a date."""
    return datetime.date(int(key[:4]), int(key[4:6]), int(key[6:]))


def calendar(date):
    """The level columns of a day; a fiscal year starts in July and is named after the year in which it ends."""
    fiscal = date.year + (1 if date.month >= 7 else 0)
    return {
        "date": date,
        "date_year": date.year,
        "date_quarter": f"{date.year}-Q{(date.month + 2) // 3}",
        "date_month": f"{date.year}-{date.month:02}",
        "date_fiscal_year": fiscal,
        "date_fiscal_quarter": f"FY{fiscal}-Q{((date.month - 7) % 12) // 3 + 1}",
    }


def round_half_even(value, digits):
    """A fraction rounded to so many digits after the point."""
    units = value * 10**digits
    whole = units.numerator // units.denominator
    rest = units - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1):
        whole += 1
    return Decimal(whole).scaleb(-digits)


def ratio(numerator, denominator, digits=6):
    """numerator / denominator, half-even; blank where an operand is blank or the denominator is 0."""
    if numerator is None or denominator is None or denominator == 0:
        return None
    return round_half_even(Fraction(numerator) / Fraction(denominator), digits)


def total(values):
    """The sum of the values that are not blank; blank where all are."""
    present = [value for value in values if value is not None]
    return sum(present) if present else None


def group(rows, *keys):
    """The rows by the values of some columns, in the order of the values; None comes first."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return sorted(groups.items(), key=lambda item: [(value is not None, value) for value in item[0]])


class ParentChild:
    """Members with their parents, and per member the weight with which it enters its parent."""

    def __init__(self, name, rows, weight):
        self.name = name
        self.rows = rows
        self.weight_of = {key: weight(row) for key, row in rows.items()}

    def path(self, key):
        """From the root down to the member itself."""
        path = []
        while key is not None:
            path.append(key)
            key = self.rows[key]["parent"]
        return path[::-1]

    def levels(self, key, depth_max, prefix):
        """The level columns: the name of the ancestor at each depth, the member's own at its own."""
        path = self.path(key)
        return {
            f"{prefix}_l{n}": self.rows[path[n - 1]]["name"] if n <= len(path) else None
            for n in range(1, depth_max + 1)
        }

    def weight(self, ancestor, descendant):
        """The product of the weights on the way up, without the ancestor's own; None where it is no ancestor."""
        path = self.path(descendant)
        if ancestor not in path:
            return None
        product = Decimal(1)
        for key in path[path.index(ancestor) + 1 :]:
            product *= self.weight_of[key]
        return product

    def distance(self, ancestor, descendant):
        """How many steps up it is."""
        path = self.path(descendant)
        return len(path) - 1 - path.index(ancestor)


class Warehouse:
    """All members, cells and rows."""

    def __init__(self, folder):
        self.folder = folder
        self._members()
        self._finance()
        self.reseller_sales = self._sales("FactResellerSales")
        self.internet_sales = self._sales("FactInternetSales")
        self._quota()
        self.rates = [
            {
                "currency": int(row["CurrencyKey"]),
                **calendar(day(row["DateKey"])),
                "average_rate": round_half_even(Fraction(row["AverageRate"]), 15),
                "end_of_day_rate": round_half_even(Fraction(row["EndOfDayRate"]), 15),
            }
            for row in read(folder, "FactCurrencyRate")
        ]

    def _keyed(self, file, key, name, parent=None):
        """A table by its integer key, with `name` (a column or a function of the row) and `parent`."""
        members = {}
        for row in read(self.folder, file):
            row["name"] = name(row) if callable(name) else row[name]
            row["parent"] = int(row[parent]) if parent and row[parent] else None
            members[int(row[key])] = row
        return members

    def _members(self):
        self.currency = self._keyed("DimCurrency", "CurrencyKey", "CurrencyName")
        self.scenario = self._keyed("DimScenario", "ScenarioKey", "ScenarioName")
        self.promotion = self._keyed("DimPromotion", "PromotionKey", "EnglishPromotionName")
        self.geography = self._keyed("DimGeography", "GeographyKey", "City")
        self.reseller = self._keyed("DimReseller", "ResellerKey", "ResellerName")
        self.territory = self._keyed("DimSalesTerritory", "SalesTerritoryKey", "SalesTerritoryRegion")
        self.category = self._keyed("DimProductCategory", "ProductCategoryKey", "EnglishProductCategoryName")
        self.subcategory = self._keyed(
            "DimProductSubcategory", "ProductSubcategoryKey", "EnglishProductSubcategoryName"
        )
        self.product = self._keyed("DimProduct", "ProductKey", "EnglishProductName")
        person = lambda row: f"{row['FirstName']} {row['LastName']}"
        self.customer = self._keyed("DimCustomer", "CustomerKey", person)
        for row in self.customer.values():
            row["country"] = self.geography[int(row["GeographyKey"])]["EnglishCountryRegionName"]

        account = self._keyed("DimAccount", "AccountKey", "AccountDescription", "ParentAccountKey")
        operators = {"+": Decimal(1), "-": Decimal(-1), "~": Decimal(0)}
        self.account = ParentChild("account", account, lambda row: operators[row["Operator"]])

        organization = self._keyed(
            "DimOrganization", "OrganizationKey", "OrganizationName", "ParentOrganizationKey"
        )
        for row in organization.values():
            row["currency"] = self.currency[int(row["CurrencyKey"])]["CurrencyAlternateKey"]
            row["ownership"] = Decimal(row["PercentageOfOwnership"])
        self.organization = ParentChild("organization", organization, lambda row: Decimal(1))
        self.ownership = ParentChild("ownership", organization, lambda row: row["ownership"])

        department = self._keyed(
            "DimDepartmentGroup", "DepartmentGroupKey", "DepartmentGroupName", "ParentDepartmentGroupKey"
        )
        self.department = ParentChild("department", department, lambda row: Decimal(1))

        # The order system knows a person by the national id; earlier positions are the same person.
        people = {row["NationalIDNumber"]: row["BusinessEntityID"] for row in read(self.folder, "oltp_Employee")}
        rates = {
            row["BusinessEntityID"]: Decimal(row["CommissionPct"])
            for row in read(self.folder, "oltp_SalesPerson")
        }
        employee = self._keyed("DimEmployee", "EmployeeKey", person, "ParentEmployeeKey")
        for row in employee.values():
            row["commission_pct"] = rates.get(people.get(row["EmployeeNationalIDAlternateKey"]))
        self.employee = ParentChild("employee", employee, lambda row: Decimal(1))

    def product_levels(self, key):
        """Category and subcategory names; a product without a subcategory has neither."""
        subcategory = self.product[key]["ProductSubcategoryKey"]
        if subcategory is None:
            return {"product_category": None, "product_subcategory": None}
        row = self.subcategory[int(subcategory)]
        return {
            "product_category": self.category[int(row["ProductCategoryKey"])]["name"],
            "product_subcategory": row["name"],
        }

    def _finance(self):
        depths = {"account": 6, "organization": 4, "department": 2}
        levels = {
            **{("account", k): self.account.levels(k, depths["account"], "account") for k in self.account.rows},
            **{
                ("organization", k): {
                    **self.organization.levels(k, depths["organization"], "organization"),
                    **self.ownership.levels(k, depths["organization"], "organization_ownership"),
                }
                for k in self.organization.rows
            },
            **{
                ("department", k): self.department.levels(k, depths["department"], "department")
                for k in self.department.rows
            },
        }
        self.finance = []
        for row in read(self.folder, "FactFinance"):
            key = {
                "organization": int(row["OrganizationKey"]),
                "department": int(row["DepartmentGroupKey"]),
                "scenario": int(row["ScenarioKey"]),
                "account": int(row["AccountKey"]),
            }
            cell = {**calendar(day(row["DateKey"])), **key, "amount": Decimal(row["Amount"])}
            for dimension in depths:
                cell |= levels[dimension, key[dimension]]
            self.finance.append(cell)

    def _sales(self, file):
        products = {key: self.product_levels(key) for key in self.product}
        employees = {key: self.employee.levels(key, 5, "employee") for key in self.employee.rows}
        lines = []
        for row in read(self.folder, file):
            territory = self.territory[int(row["SalesTerritoryKey"])]
            line = {
                "order_number": row["SalesOrderNumber"],
                "line": int(row["SalesOrderLineNumber"]),
                **calendar(day(row["OrderDateKey"])),
                "product": int(row["ProductKey"]),
                **products[int(row["ProductKey"])],
                "territory": int(row["SalesTerritoryKey"]),
                "territory_group": territory["SalesTerritoryGroup"],
                "territory_country": territory["SalesTerritoryCountry"],
                "promotion": int(row["PromotionKey"]),
                "currency": int(row["CurrencyKey"]),
                "sales_amount": Decimal(row["SalesAmount"]),
                "total_product_cost": Decimal(row["TotalProductCost"]),
                "tax_amt": Decimal(row["TaxAmt"]),
                "freight": Decimal(row["Freight"]),
                "order_quantity": int(row["OrderQuantity"]),
            }
            line["gross_profit"] = line["sales_amount"] - line["total_product_cost"]
            if "EmployeeKey" in row:
                line["employee"] = int(row["EmployeeKey"])
                line |= employees[line["employee"]]
                line["reseller"] = int(row["ResellerKey"])
                line["commission"] = line["sales_amount"] * self.employee.rows[line["employee"]]["commission_pct"]
            else:
                line["customer"] = int(row["CustomerKey"])
            lines.append(line)
        return lines

    def _quota(self):
        """Every employee and day with a quota or sales."""
        cells = {}
        for row in read(self.folder, "FactSalesQuota"):
            at = int(row["EmployeeKey"]), day(row["DateKey"])
            assert at not in cells
            cells[at] = {"sales_amount_quota": Decimal(row["SalesAmountQuota"]), "actual_sales": None}
        for (employee, date), lines in group(self.reseller_sales, "employee", "date"):
            cell = cells.setdefault((employee, date), {"sales_amount_quota": None})
            cell["actual_sales"] = total(line["sales_amount"] for line in lines)
        self.sales_quota = [
            {
                "employee": employee,
                **self.employee.levels(employee, 5, "employee"),
                **calendar(date),
                **cell,
            }
            for (employee, date), cell in sorted(cells.items())
        ]

    def amount(self, cells, account_depth=None, ownership_depth=None):
        """The finance measure by its own rules, over some cells.

        First time, per leaf: the last amount of stocks, the sum of flows. Then the weights up to the member
        at the depth given, without that member's own; without a depth the leaves are added as they are.
        """
        leaves = {}
        for cell in cells:
            leaf = cell["organization"], cell["department"], cell["scenario"], cell["account"]
            leaves.setdefault(leaf, []).append((cell["date"], cell["amount"]))
        values = []
        for (organization, _, _, account), days in leaves.items():
            if self.account.rows[account]["AccountType"] in ("Assets", "Liabilities", "Balances"):
                value = max(days)[1]
            else:
                value = sum(amount for _, amount in days)
            if account_depth:
                value *= self.account.weight(self.account.path(account)[account_depth - 1], account)
            if ownership_depth:
                path = self.ownership.path(organization)
                value *= self.ownership.weight(path[ownership_depth - 1], organization)
            values.append(value)
        return total(values)
