#!/usr/bin/env python3
"""The expected figures of the golden cases in this folder, computed from the CSV files.

    compute.py DATA_DIR            prints every case
    compute.py DATA_DIR --check    compares with the .expected files; ends with 1 where one differs
    compute.py DATA_DIR --write    writes the .expected files

A case is NAME.sql (one statement; comment lines first, `-- set SETTING = VALUE` among them for a session
setting) and NAME.expected: CSV with a header row, NULL as an empty field; or one line `error: SQLSTATE`
where the statement is refused, followed by `hint: TEXT` for a text that the hint contains.
"""

import csv
import io
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from statements import MONTHS, Statements, change, last, line
from warehouse import Warehouse, group, ratio, read, round_half_even, total

HERE = Path(__file__).parent
CASES = {}


def case(header):
    """Registers a function that makes the rows of the case of its name."""

    def register(function):
        CASES[function.__name__] = (header.split(), function)
        return function

    return register


def where(rows, **conditions):
    """The rows whose columns have these values; a tuple lists several."""
    sets = {k: v if isinstance(v, tuple) else (v,) for k, v in conditions.items()}
    return [row for row in rows if all(row[k] in v for k, v in sets.items())]


def sums(rows, *columns):
    """The total of each column."""
    return [total(row[column] for row in rows) for column in columns]


def distinct(rows, column):
    """How many values a column has."""
    return len({row[column] for row in rows})


def by(rows, keys, *columns):
    """Rows of keys and totals."""
    return [[*key, *sums(part, *columns)] for key, part in group(rows, *keys.split())]


def margin(rows):
    """Gross profit as a share of sales, of the sums."""
    return ratio(*sums(rows, "gross_profit", "sales_amount"))


# ---- counts and totals ----


@case("cube row_count")
def row_counts(w):
    return [
        ["exchange_rate", len(w.rates)],
        ["finance", len(w.finance)],
        ["internet_sales", len(w.internet_sales)],
        ["reseller_sales", len(w.reseller_sales)],
        ["sales_quota", sum(cell["sales_amount_quota"] is not None for cell in w.sales_quota)],
    ]


@case("dimension members")
def member_counts(w):
    return [
        ["account", len(w.account.rows)],
        ["currency", len(w.currency)],
        ["customer", len(w.customer)],
        ["department", len(w.department.rows)],
        ["employee", len(w.employee.rows)],
        ["organization", len(w.organization.rows)],
        ["product", len(w.product)],
        ["promotion", len(w.promotion)],
        ["reseller", len(w.reseller)],
        ["scenario", len(w.scenario)],
        ["territory", len(w.territory)],
    ]


@case("sales_amount total_product_cost tax_amt freight order_quantity orders")
def reseller_totals(w):
    rows = w.reseller_sales
    columns = "sales_amount", "total_product_cost", "tax_amt", "freight", "order_quantity"
    return [[*sums(rows, *columns), distinct(rows, "order_number")]]


@case("sales_amount total_product_cost orders customers")
def internet_totals(w):
    rows = w.internet_sales
    return [[*sums(rows, "sales_amount", "total_product_cost"), distinct(rows, "order_number"), distinct(rows, "customer")]]


# ---- time ----


@case("date_year sales_amount order_lines")
def reseller_by_year(w):
    return [[*key, *sums(part, "sales_amount"), len(part)] for key, part in group(w.reseller_sales, "date_year")]


@case("date_quarter sales_amount order_quantity")
def reseller_by_quarter(w):
    return by(w.reseller_sales, "date_quarter", "sales_amount", "order_quantity")


@case("date_month sales_amount gross_profit")
def internet_by_month(w):
    return by(where(w.internet_sales, date_year=2013), "date_month", "sales_amount", "gross_profit")


@case("date_fiscal_year sales_amount")
def reseller_by_fiscal_year(w):
    return by(w.reseller_sales, "date_fiscal_year", "sales_amount")


@case("date_fiscal_year date_fiscal_quarter first_day last_day sales_amount")
def internet_by_fiscal_quarter(w):
    return [
        [*key, min(row["date"] for row in part), max(row["date"] for row in part), *sums(part, "sales_amount")]
        for key, part in group(
            where(w.internet_sales, date_fiscal_year=(2012, 2013)), "date_fiscal_year", "date_fiscal_quarter"
        )
    ]


@case("quarter_start order_lines sales_amount")
def date_trunc_quarter(w):
    rows = [
        {**row, "start": row["date"].replace(month=(row["date"].month - 1) // 3 * 3 + 1, day=1)}
        for row in where(w.reseller_sales, date_year=2012)
    ]
    return [[*key, len(part), *sums(part, "sales_amount")] for key, part in group(rows, "start")]


@case("month sales_amount")
def date_extract(w):
    rows = [{**row, "month": row["date"].month} for row in where(w.internet_sales, date_year=2012)]
    return by(rows, "month", "sales_amount")


@case("first_day last_day days sales_amount")
def date_range(w):
    rows = [row for row in w.reseller_sales if "2011-03-01" <= row["date"].isoformat() <= "2011-08-29"]
    dates = {row["date"] for row in rows}
    return [[min(dates), max(dates), len(dates), *sums(rows, "sales_amount")]]


@case("date_year customers orders")
def distinct_customers(w):
    return [
        [*key, distinct(part, "customer"), distinct(part, "order_number")]
        for key, part in group(w.internet_sales, "date_year")
    ]


# ---- levels and joins ----


@case("territory_group territory_country sales_amount freight")
def reseller_by_territory(w):
    return by(w.reseller_sales, "territory_group territory_country", "sales_amount", "freight")


@case("region territory_country sales_amount")
def reseller_by_region(w):
    rows = [
        {**row, "region": w.territory[row["territory"]]["name"]}
        for row in where(w.reseller_sales, territory_group="North America")
    ]
    return by(rows, "region territory_country", "sales_amount")


@case("territory_region territory_country sales_amount")
def reseller_by_region_level(w):
    return reseller_by_region(w)


@case("name parent territory_group territory_country")
def territory_members(w):
    members = []
    for row in w.territory.values():
        top, country = row["SalesTerritoryGroup"], row["SalesTerritoryCountry"]
        if top in ("Europe", "NA"):
            members.append([row["name"], f"country:{country}", top, country])
    return sorted(members, key=lambda row: (row[2], row[3], row[1]))


@case("product_category product_subcategory sales_amount order_lines")
def internet_by_subcategory(w):
    return [
        [*key, *sums(part, "sales_amount"), len(part)]
        for key, part in group(w.internet_sales, "product_category", "product_subcategory")
    ]


@case("product_category date_year sales_amount order_quantity")
def reseller_category_year(w):
    return by(w.reseller_sales, "product_category date_year", "sales_amount", "order_quantity")


@case("product_category with_subcategory with_list_price members")
def products_by_category(w):
    members = []
    for key, row in w.product.items():
        levels = w.product_levels(key)
        members.append(
            {"category": levels["product_category"], "subcategory": levels["product_subcategory"], "price": row["ListPrice"]}
        )
    count = lambda part, column: sum(row[column] is not None for row in part)
    return [
        [*key, count(part, "subcategory"), count(part, "price"), len(part)]
        for key, part in group(members, "category")
    ]


@case("employee name title sales_amount")
def join_employee(w):
    rows = by(where(w.reseller_sales, date_year=2013), "employee", "sales_amount")
    rows = sorted(rows, key=lambda row: -row[1])[:5]
    return [[key, w.employee.rows[key]["name"], w.employee.rows[key]["Title"], amount] for key, amount in rows]


@case("key name manager depth commission_pct")
def join_manager(w):
    return [
        [key, row["name"], w.employee.rows[row["parent"]]["name"], len(w.employee.path(key)), row["commission_pct"]]
        for key, row in sorted(w.employee.rows.items())
        if row["commission_pct"] is not None
    ]


@case("name discount_pct start_date end_date max_quantity sales_amount")
def join_promotion(w):
    return [
        [w.promotion[key][c] for c in ("name", "DiscountPct", "StartDate", "EndDate", "MaxQty")] + [amount]
        for key, amount in by(w.reseller_sales, "promotion", "sales_amount")
    ]


@case("business_type resellers sales_amount")
def join_reseller(w):
    rows = [{**row, "type": w.reseller[row["reseller"]]["BusinessType"]} for row in w.reseller_sales]
    return [[*key, distinct(part, "reseller"), *sums(part, "sales_amount")] for key, part in group(rows, "type")]


@case("country house_owner customers sales_amount")
def join_customer(w):
    rows = [
        {
            **row,
            "country": w.customer[row["customer"]]["country"],
            "house_owner": w.customer[row["customer"]]["HouseOwnerFlag"] == "1",
        }
        for row in w.internet_sales
        if w.customer[row["customer"]]["BirthDate"] >= "1970-01-01"
    ]
    return [
        [*key, distinct(part, "customer"), *sums(part, "sales_amount")]
        for key, part in group(rows, "country", "house_owner")
    ]


@case("code order_lines sales_amount")
def join_currency(w):
    rows = [{**row, "code": w.currency[row["currency"]]["CurrencyAlternateKey"]} for row in w.internet_sales]
    return [[*key, len(part), *sums(part, "sales_amount")] for key, part in group(rows, "code")]


@case("color products sales_amount")
def join_product(w):
    rows = [
        {**row, "color": w.product[row["product"]]["Color"], "code": w.product[row["product"]]["ProductAlternateKey"]}
        for row in w.reseller_sales
    ]
    result = [[*key, distinct(part, "code"), *sums(part, "sales_amount")] for key, part in group(rows, "color")]
    return sorted(result, key=lambda row: -row[2])


ORDER_LINE = (
    "order_number line date product territory employee reseller promotion currency sales_amount"
    " total_product_cost tax_amt freight order_quantity gross_profit gross_margin commission"
)


@case(ORDER_LINE)
def order_lines(w):
    rows = sorted(where(w.reseller_sales, order_number="SO43659"), key=lambda row: row["line"])
    return [[margin([row]) if c == "gross_margin" else row[c] for c in ORDER_LINE.split()] for row in rows]


# ---- kinds of statement ----


@case("date_year sales_amount growth")
def cte_growth(w):
    years = dict(by(w.reseller_sales, "date_year", "sales_amount"))
    return [[y, amount, amount - years[y - 1] if y - 1 in years else None] for y, amount in years.items()]


@case("date_year reseller internet total")
def cte_channels(w):
    reseller = dict(by(w.reseller_sales, "date_year", "sales_amount"))
    internet = dict(by(w.internet_sales, "date_year", "sales_amount"))
    return [[y, reseller.get(y), amount, reseller.get(y, 0) + amount] for y, amount in internet.items()]


@case("date_year place employee sales_amount")
def window_rank(w):
    result = []
    for (year,), part in group(w.reseller_sales, "date_year"):
        best = sorted(by(part, "employee", "sales_amount"), key=lambda row: -row[1])[:3]
        result += [[year, place, *row] for place, row in enumerate(best, 1)]
    return result


@case("date_month sales_amount running_total")
def window_running_total(w):
    running, result = Decimal(0), []
    for month, amount in by(where(w.reseller_sales, date_year=2012), "date_month", "sales_amount"):
        running += amount
        result.append([month, amount, running])
    return result


@case("date_quarter sales_amount previous place")
def window_lag(w):
    rows = by(w.internet_sales, "date_quarter", "sales_amount")
    places = sorted((amount for _, amount in rows), reverse=True)
    previous = [None, *(amount for _, amount in rows)]
    return [[quarter, amount, before, places.index(amount) + 1] for (quarter, amount), before in zip(rows, previous)]


@case("reseller orders sales_amount")
def having_resellers(w):
    rows = [
        [*key, distinct(part, "order_number"), *sums(part, "sales_amount")]
        for key, part in group(w.reseller_sales, "reseller")
    ]
    return sorted((row for row in rows if row[2] > 700000), key=lambda row: -row[2])


@case("product order_quantity")
def order_limit(w):
    rows = by(w.reseller_sales, "product", "order_quantity")
    return sorted(rows, key=lambda row: (-row[1], row[0]))[2:12]


@case("territory_country sales_2012 sales_2013 large_lines")
def conditional_sums(w):
    result = []
    for (country,), part in group(w.reseller_sales, "territory_country"):
        years = [sum((row["sales_amount"] for row in part if row["date_year"] == y), Decimal(0)) for y in (2012, 2013)]
        result.append([country, *years, sum(row["order_quantity"] >= 20 for row in part)])
    return result


@case("customers sales_amount")
def returning_customers(w):
    early = {row["customer"] for row in where(w.internet_sales, date_year=2011)}
    rows = [row for row in where(w.internet_sales, date_year=2013) if row["customer"] in early]
    return [[distinct(rows, "customer"), *sums(rows, "sales_amount")]]


# ---- members and closures ----


@case("key name parent depth weight account_l1 account_l2 account_l3 account_type operator")
def account_members(w):
    result = []
    for key, row in sorted(w.account.rows.items()):
        if row["parent"] in (1, 47, 48, 50):
            levels = w.account.levels(key, 3, "account").values()
            depth = len(w.account.path(key))
            weight = w.account.weight_of[key]
            result.append([key, row["name"], row["parent"], depth, weight, *levels, row["AccountType"], row["Operator"]])
    return result


@case("name members first_key last_key")
def account_names(w):
    names = Counter(row["name"] for row in w.account.rows.values())
    keys = lambda name: [key for key, row in w.account.rows.items() if row["name"] == name]
    return [[name, count, min(keys(name)), max(keys(name))] for name, count in names.items() if count > 1]


@case(
    "key name parent ownership currency organization_l1 organization_l2 organization_l3 organization_l4"
    " organization_ownership_l2"
)
def organization_members(w):
    result = []
    for key, row in sorted(w.organization.rows.items()):
        levels = list(w.organization.levels(key, 4, "organization").values())
        result.append([key, row["name"], row["parent"], row["ownership"], row["currency"], *levels, levels[1]])
    return result


@case("key name parent depth department_l1 department_l2")
def department_members(w):
    return [
        [key, row["name"], row["parent"], len(w.department.path(key)), *w.department.levels(key, 2, "department").values()]
        for key, row in sorted(w.department.rows.items())
    ]


@case("name cells first_day last_day accounts")
def scenario_rows(w):
    result = []
    for (key,), part in group(w.finance, "scenario"):
        days = [cell["date"] for cell in part]
        result.append([w.scenario[key]["name"], len(part), min(days), max(days), distinct(part, "account")])
    return result


@case("key name amount")
def closure_income(w):
    result = []
    for ancestor in (47, 48, 50):
        amount = Decimal(0)
        for cell in where(w.finance, scenario=1, date_year=2011):
            weight = w.account.weight(ancestor, cell["account"])
            if weight is not None:
                amount += cell["amount"] * weight
        result.append([ancestor, w.account.rows[ancestor]["name"], amount])
    return result


@case("ancestor distance weight")
def closure_account_weights(w):
    rows = [[key, w.account.distance(key, 56), w.account.weight(key, 56)] for key in w.account.path(56)]
    return sorted((row for row in rows if row[1] > 0), key=lambda row: row[1])


@case("part employees sales_amount")
def closure_employees(w):
    rows = [
        {**row, "part": "own" if row["employee"] == 272 else "below"}
        for row in where(w.reseller_sales, date_year=2013)
        if 272 in w.employee.path(row["employee"])
    ]
    return [[*key, distinct(part, "employee"), *sums(part, "sales_amount")] for key, part in group(rows, "part")]


@case("hierarchy descendant distance weight")
def closure_ownership(w):
    return [
        [hierarchy.name, key, hierarchy.distance(1, key), hierarchy.weight(1, key)]
        for hierarchy in (w.organization, w.ownership)
        for key in (3, 8, 11, 12, 13)
    ]


@case("hierarchy amount")
def closure_ownership_income(w):
    result = []
    for hierarchy in (w.organization, w.ownership):
        amount = Decimal(0)
        for cell in where(w.finance, scenario=1, date_year=2011):
            weight = w.account.weight(47, cell["account"])
            if weight is not None:
                amount += cell["amount"] * weight * hierarchy.weight(1, cell["organization"])
        result.append([hierarchy.name, amount])
    return result


@case("employee_l2 employee_l3 sales_amount employees")
def managers_2013(w):
    rows = [
        [*key, *sums(part, "sales_amount"), distinct(part, "employee")]
        for key, part in group(where(w.reseller_sales, date_year=2013), "employee_l2", "employee_l3")
    ]
    return sorted(rows, key=lambda row: row[1])


@case("employee employee_l3 employee_l4 sales_amount")
def manager_own_sales(w):
    rows = where(w.reseller_sales, date_year=2013, employee=(272, 290, 294))
    return by(rows, "employee employee_l3 employee_l4", "sales_amount")


# ---- finance by its own rules ----


def measured(w, keys, account_depth=None, ownership_depth=None, **conditions):
    """Rows of keys and the amount by the cube's rules, of actual figures unless the scenario is named."""
    cells = where(w.finance, **{"scenario": 1, **conditions})
    return [
        [*key, w.amount(part, account_depth, ownership_depth)] for key, part in group(cells, *keys.split())
    ]


INCOME = {"account_depth": 1, "account_l1": "Net Income"}
ASSETS = {"account_depth": 2, "account_l2": "Assets"}


@case("date_year net_income")
def measure_net_income(w):
    return measured(w, "date_year", **INCOME)


@case("date_month net_income")
def measure_net_income_months(w):
    return measured(w, "date_month", date_year=(2011, 2012), **INCOME)


@case("account_l2 amount")
def measure_operating_profit(w):
    return measured(w, "account_l2", 2, account_l1="Net Income", date_year=2011)


@case("account_l3 amount")
def measure_gross_margin_members(w):
    return measured(w, "account_l3", 3, account_l2="Operating Profit", date_year=2011)


@case("date_quarter net_sales")
def measure_net_sales(w):
    return measured(w, "date_quarter", 4, account_l4="Net Sales")


@case("net_sales")
def measure_net_sales_2011(w):
    return measured(w, "", 4, account_l4="Net Sales", date_year=2011)


@case("name net_income")
def measure_budget(w):
    rows = measured(w, "scenario", scenario=(1, 2), date_year=2011, **INCOME)
    return [[w.scenario[key]["name"], amount] for key, amount in rows]


@case("date_quarter assets")
def measure_assets_quarters(w):
    return measured(w, "date_quarter", **ASSETS)


@case("date_year account_l3 amount")
def measure_assets_years(w):
    return measured(w, "date_year account_l3", 3, account_l2="Assets")


@case("date_quarter balance_sheet")
def measure_balance_sheet(w):
    return measured(w, "date_quarter", 1, account_l1="Balance Sheet")


@case("date balance_sheet")
def measure_balance_sheet_days(w):
    return measured(w, "date", 1, account_l1="Balance Sheet")


@case("account_l2 date_fiscal_year amount")
def measure_balance_sheet_sides(w):
    return measured(w, "account_l2 date_fiscal_year", 2, account_l1="Balance Sheet")


@case("account_l2 date_year amount")
def measure_statistics(w):
    return measured(w, "account_l2 date_year", 2, account_l2=("Headcount", "Units", "Square Footage"))


@case("organization_l2 organization_l3 net_income")
def measure_organization(w):
    return measured(w, "organization_l2 organization_l3", date_year=2013, **INCOME)


@case("organization_l1 date_year net_income")
def measure_organization_total(w):
    return measured(w, "organization_l1 date_year", **INCOME)


@case("organization_ownership_l1 date_year net_income")
def measure_ownership_total(w):
    return measured(w, "organization_ownership_l1 date_year", ownership_depth=1, **INCOME)


@case("organization_ownership_l2 net_income")
def measure_ownership_regions(w):
    return measured(w, "organization_ownership_l2", ownership_depth=2, date_year=2013, **INCOME)


@case("organization_ownership_l3 net_income")
def measure_ownership_companies(w):
    return measured(w, "organization_ownership_l3", ownership_depth=3, date_year=2013, **INCOME)


@case("date_quarter assets")
def measure_ownership_assets(w):
    return measured(w, "date_quarter", ownership_depth=1, **ASSETS)


@case("department_l1 department_l2 net_income")
def measure_department(w):
    return measured(w, "department_l1 department_l2", date_year=2011, **INCOME)


@case("part net_income")
def measure_department_own(w):
    own = measured(w, "", department=1, date_year=2011, **INCOME)
    return [["own", *own[0]], ["total", *measured(w, "", date_year=2011, **INCOME)[0]]]


@case("account date_quarter amount")
def measure_leaf_account(w):
    return measured(w, "account date_quarter", account=(4, 60), organization=3, department=7, date_year=2012)


# ---- what sum means ----

REFUSED = ["error: 42803", "hint: measure("]


@case("")
def aggregates_strict_stock(w):
    return REFUSED


@case("")
def aggregates_strict_weighted(w):
    return REFUSED


@case("")
def aggregates_strict_ratio(w):
    return REFUSED


def one_day(w):
    """Net income accounts on one day of actual figures."""
    cells = where(w.finance, scenario=1, account_l1="Net Income")
    return [cell for cell in cells if cell["date"].isoformat() == "2011-12-29"]


@case("date_quarter assets")
def aggregates_cube_stock(w):
    return measured(w, "date_quarter", **ASSETS)


@case("account_l1 amount")
def aggregates_cube_weighted(w):
    return [["Net Income", w.amount(one_day(w), 1)]]


@case("territory_group gross_margin")
def aggregates_cube_ratio(w):
    return [[*key, margin(part)] for key, part in group(w.reseller_sales, "territory_group")]


@case("date_quarter amount")
def aggregates_leaf_stock(w):
    return by(where(w.finance, scenario=1, account_l2="Assets"), "date_quarter", "amount")


@case("account_l1 amount")
def aggregates_leaf_weighted(w):
    return [["Net Income", *sums(one_day(w), "amount")]]


# ---- ratios and commissions ----


@case("gross_profit gross_margin")
def margin_total(w):
    return [[*sums(w.reseller_sales, "gross_profit"), margin(w.reseller_sales)]]


@case("date_year gross_margin")
def margin_by_year(w):
    return [[*key, margin(part)] for key, part in group(w.internet_sales, "date_year")]


@case("product_category product_subcategory gross_margin")
def margin_by_subcategory(w):
    return [[*key, margin(part)] for key, part in group(w.reseller_sales, "product_category", "product_subcategory")]


@case("territory_country date_quarter gross_margin")
def margin_by_country_quarter(w):
    rows = where(w.reseller_sales, territory_group="Europe")
    return [[*key, margin(part)] for key, part in group(rows, "territory_country", "date_quarter")]


@case("product gross_margin gross_profit")
def margin_by_product(w):
    rows = where(w.reseller_sales, product_subcategory="Helmets")
    return [[*key, margin(part), *sums(part, "gross_profit")] for key, part in group(rows, "product")]


@case("employee date_year commission")
def commission_by_employee(w):
    return by(w.reseller_sales, "employee date_year", "commission")


@case("employee_l3 commission sales_amount")
def commission_by_manager(w):
    return by(w.reseller_sales, "employee_l3", "commission", "sales_amount")


# ---- quotas and rates ----


@case("date_year quota quotas")
def quota_by_year(w):
    return [
        [*key, *sums(part, "sales_amount_quota"), sum(cell["sales_amount_quota"] is not None for cell in part)]
        for key, part in group(w.sales_quota, "date_year")
    ]


@case("employee date_quarter actual_sales")
def actual_by_quarter(w):
    cells = [cell for cell in where(w.sales_quota, date_year=2011) if cell["actual_sales"] is not None]
    return by(cells, "employee date_quarter", "actual_sales")


@case("date_year actual_sales sales_amount")
def actual_equals_sales(w):
    sales = dict(by(w.reseller_sales, "date_year", "sales_amount"))
    return [[year, amount, sales[year]] for year, amount in by(w.sales_quota, "date_year", "actual_sales")]


def attained(cells, keys):
    """Rows of keys, quota, sales and their ratio."""
    rows = by(cells, keys, "sales_amount_quota", "actual_sales")
    return [[*row, ratio(row[-1], row[-2])] for row in rows]


@case("employee date_quarter quota actual_sales attainment")
def attainment_by_employee(w):
    return attained(where(w.sales_quota, date_year=2011), "employee date_quarter")


@case("employee_l3 date_quarter quota actual_sales attainment")
def attainment_by_manager(w):
    return attained(w.sales_quota, "employee_l3 date_quarter")


@case("employee_l2 date_year attainment")
def attainment_by_year(w):
    return [row[:2] + row[4:] for row in attained(w.sales_quota, "employee_l2 date_year")]


@case("date_fiscal_year attainment")
def attainment_by_fiscal_year(w):
    return [row[:1] + row[3:] for row in attained(w.sales_quota, "date_fiscal_year")]


@case("date_month quota actual_sales attainment")
def attainment_below_quarter(w):
    rows = by(where(w.sales_quota, employee=281, date_year=2012), "date_month", "sales_amount_quota", "actual_sales")
    return [[*row, None] for row in rows]


@case("employee date sales_amount_quota actual_sales attainment")
def quota_days(w):
    cells = sorted(where(w.sales_quota, employee=282, date_year=2013), key=lambda cell: cell["date"])
    return [[c["employee"], c["date"], c["sales_amount_quota"], c["actual_sales"], None] for c in cells]


@case("code date average_rate end_of_day_rate")
def exchange_rate_days(w):
    days = ("2010-12-29", "2012-06-30", "2014-02-28")
    rows = [
        [w.currency[r["currency"]]["CurrencyAlternateKey"], r["date"], r["average_rate"], r["end_of_day_rate"]]
        for r in w.rates
        if r["date"].isoformat() in days
    ]
    return sorted(rows)


@case("currency date average_rate end_of_day_rate")
def exchange_rate_ties(w):
    days = [(61, "2013-11-06")] + [(102, day) for day in ("2011-02-24", "2011-10-08", "2011-10-28", "2013-09-20")]
    rows = [r for r in w.rates if (r["currency"], r["date"].isoformat()) in days]
    columns = "currency", "date", "average_rate", "end_of_day_rate"
    return sorted([r[column] for column in columns] for r in rows)


@case("date_month average_rate")
def exchange_rate_months(w):
    return [
        [*key, round_half_even(sum(Fraction(row["average_rate"]) for row in part) / len(part), 15)]
        for key, part in group(where(w.rates, currency=36, date_year=2012), "date_month")
    ]


# ---- formulas over the ledger: every cell, the many of the statement and the ledger as sums that any change of one changes ----


def place(cell):
    """The months from December 2010 on are 1, 2, ..."""
    return MONTHS.index(cell["date"]) - MONTHS.index("2010-12") + 1


def checksums(cells, *measures):
    """Per measure, how many cells have it and their sum by place."""
    result = []
    for measure in measures:
        present = [cell for cell in cells if cell[measure] is not None]
        result += [len(present), total(cell[measure] * place(cell) for cell in present)]
    return result


@case(
    "account organization scenario cells amounts amount_sum ytds ytd_sum previous previous_sum"
    " changes change_sum averages average_sum twelves twelve_sum"
)
def statement_checksums(w):
    measures = "amount", "amount_ytd", "previous_year", "change", "average_3", "sum_12"
    return [
        [*key, len(part), *checksums(part, *measures)]
        for key, part in group(w.statements.statement, "account", "organization", "scenario")
    ]


STATEMENT = "account organization scenario date amount amount_ytd previous_year change average_3 sum_12"


@case(STATEMENT)
def statement_cells(w):
    rows = where(w.statements.statement, organization=11, scenario=1, account=(4, 57, 60, 92, 96, 97, 98, 101))
    return [[row[column] for column in STATEMENT.split()] for row in rows]


@case("account organization scenario date amount")
def statement_average_unit_price(w):
    rows = [row for row in where(w.statements.statement, account=98) if row["amount"] is not None]
    return [[row[c] for c in "account organization scenario date amount".split()] for row in rows]


def statement_line(w, keys, depth, cells):
    """Amount, year to date, the year before, and the change of the sums."""
    result = []
    for key, part in group(cells, *keys.split()):
        rules = ("amount", "type"), ("amount_ytd", "last"), ("previous_year", "type")
        now, to_date, before = (w.statements.consolidated(part, measure, depth, rule) for measure, rule in rules)
        result.append([*key, now, to_date, before, change(now, before)])
    return result


@case("date_year amount amount_ytd previous_year change")
def statement_net_income_years(w):
    return statement_line(w, "date_year", 1, where(w.statements.statement, scenario=1, account_l1="Net Income"))


@case("organization_l2 date_quarter amount amount_ytd previous_year change")
def statement_operating_profit_quarters(w):
    cells = where(w.statements.statement, scenario=1, account_l2="Operating Profit")
    return statement_line(w, "organization_l2 date_quarter", 2, cells)


@case("account_l3 date_year amount amount_ytd previous_year change")
def statement_assets_years(w):
    return statement_line(w, "account_l3 date_year", 3, where(w.statements.statement, scenario=1, account_l2="Assets"))


@case("date average_3 sum_12")
def statement_rolling_income(w):
    cells = where(w.statements.statement, scenario=1, account_l1="Net Income")
    return [
        [*key, *(w.statements.consolidated(part, measure, 1, "last") for measure in ("average_3", "sum_12"))]
        for key, part in group(cells, "date")
    ]


@case("account organization scenario date closing opening movement")
def balance_cells(w):
    columns = "account organization scenario date closing opening movement".split()
    return [[row[column] for column in columns] for row in w.statements.balance]


@case("account_l2 date closing opening movement")
def balance_sides(w):
    return [
        [*key, *(w.statements.consolidated(part, measure, 2, "sum") for measure in ("closing", "opening", "movement"))]
        for key, part in group(where(w.statements.balance, account_l1="Balance Sheet"), "account_l2", "date")
    ]


@case("date_year closing opening movement")
def balance_assets_years(w):
    cells = [{**cell, "date_year": int(cell["date"][:4])} for cell in where(w.statements.balance, account_l2="Assets")]
    rules = ("closing", "last"), ("opening", "first"), ("movement", "sum")
    return [
        [*key, *(w.statements.consolidated(part, measure, 2, rule) for measure, rule in rules)]
        for key, part in group(cells, "date_year")
    ]


INCOME_LINES = "net_sales gross_margin operating_profit net_income units"
INCOME_RATIOS = "gross_margin_pct operating_margin_pct average_unit_price"


def income_by(w, keys):
    """Lines and ratios of the cells by some columns, the scenario among them, which says nothing of the budget."""
    result = []
    for key, part in group(w.statements.income, *keys.split()):
        budgets = total(cell["budgeted_sales"] for cell in part)
        sales = total(cell["net_sales"] for cell in part)
        result.append([*key, *line(part, f"{INCOME_LINES} {INCOME_RATIOS}"), budgets, ratio(sales, budgets)])
    return result


@case(f"organization scenario date {INCOME_LINES} {INCOME_RATIOS} budgeted_sales budget_attainment")
def income_cells(w):
    return income_by(w, "organization scenario date")


@case(f"scenario date_year {INCOME_LINES} {INCOME_RATIOS} budgeted_sales budget_attainment")
def income_years(w):
    return income_by(w, "scenario date_year")


@case(f"scenario organization_l2 date_quarter {INCOME_LINES} {INCOME_RATIOS} budgeted_sales budget_attainment")
def income_regions(w):
    return income_by(w, "scenario organization_l2 date_quarter")


@case("organization date scenario cells amount_usd owned_usd minority_usd checksum owned_checksum")
def dollars_checksums(w):
    rows = w.statements.dollars
    return [
        [
            *key,
            len(part),
            *sums(part, "amount_usd", "owned_usd", "minority_usd"),
            *(sum(row[c] * (row["account"] + 100 * row["department"]) for row in part) for c in ("amount_usd", "owned_usd")),
        ]
        for key, part in group(rows, "organization", "date", "scenario")
    ]


@case("account department amount amount_usd owned_usd minority_usd")
def dollars_one_day(w):
    rows = [cell for cell in w.statements.dollars if cell["date"].isoformat() == "2013-06-30" and cell["organization"] == 12]
    rows.sort(key=lambda cell: (cell["account"], cell["department"]))
    return [[row[c] for c in "account department amount amount_usd owned_usd minority_usd".split()] for row in rows]


@case("organization amount_usd owned_usd minority_usd")
def dollars_net_income(w):
    result = []
    for key, part in group(where(w.statements.dollars, scenario=1, account_l1="Net Income"), "organization"):
        columns = "amount_usd", "owned_usd", "minority_usd"
        result.append([*key, *(total(c[name] * w.account.weight(47, c["account"]) for c in part) for name in columns)])
    return result


GROUP = "net_income owned minority owned_ytd owned_previous_year owned_share"


@case(f"scenario date {GROUP}")
def group_result_cells(w):
    return [[row[column] for column in f"scenario date {GROUP}".split()] for row in w.statements.group]


@case(f"scenario date_year {GROUP}")
def group_result_years(w):
    result = []
    for key, part in group(w.statements.group, "scenario", "date_year"):
        income, owned, minority, before = sums(part, "net_income", "owned", "minority", "owned_previous_year")
        result.append([*key, income, owned, minority, last(part, "owned_ytd"), before, ratio(owned, income)])
    return result


# ---- published totals, which the rows above must agree with ----


def check_published(w):
    """Totals published with the data, the two in another currency among them."""
    d = Decimal
    assert reseller_totals(w)[0][:2] == [d("80450596.9823"), d("79980114.3790")]
    assert reseller_totals(w)[0][4:] == [214378, 3796]
    assert internet_totals(w) == [[d("29358677.2207"), d("17277793.5757"), 27659, 18484]]
    years = [d("489328.5787"), d("18192802.7143"), d("28193631.5321"), d("33574834.1572")]
    assert [row[1] for row in reseller_by_year(w)] == years
    assert [row[1] for row in quota_by_year(w)] == [3886000, 25982000, 36339000, 29507000]
    # The source's own label of the year agrees with the date's year.
    assert all(row["CalendarYear"] == row["DateKey"][:4] for row in read(w.folder, "FactSalesQuota"))
    assert [row[2] for row in closure_income(w)] == [d("5462068.53"), d("7306805.10"), d("24246689.54")]
    assert measure_net_income(w)[1][1] == d("5462068.53")
    assert measure_net_sales_2011(w) == [[d("24246689.54")]]
    quarters = [d("3964724.68"), d("7522877.41"), d("11369549.48")]
    assert [row[1] for row in measure_assets_quarters(w)][:3] == quarters
    assert all(row[1] == 0 for row in measure_balance_sheet_days(w))
    assert sum(row[2] for row in closure_employees(w)) == d("23201862.8159")
    assert closure_employees(w)[1][2] == d("559697.5639")
    assert [row[1] for row in scenario_rows(w)] == [34563, 4846]
    rates = {
        (row["CurrencyKey"], row["DateKey"]): d(row["AverageRate"]) for row in read(w.folder, "FactCurrencyRate")
    }
    plain = owned = d(0)
    for cell in where(w.finance, scenario=1, date_quarter="2010-Q4", account_l1="Net Income"):
        company = w.organization.rows[cell["organization"]]
        usd = cell["amount"] * rates[company["CurrencyKey"], cell["date"].strftime("%Y%m%d")]
        usd *= w.account.weight(47, cell["account"])
        plain += usd
        owned += usd * w.ownership.weight(1, cell["organization"])
    published = [d("-237697.2740"), d("-232155.2055")]
    assert [round_half_even(Fraction(x), 4) for x in (plain, owned)] == published
    check_statements(w, published)


def check_statements(w, group_income):
    """The same published totals, by way of the statements; and what must hold between them."""
    d = Decimal
    first = w.statements.group[0]
    assert [round_half_even(Fraction(first[name]), 4) for name in ("net_income", "owned")] == group_income
    for year, row in enumerate(statement_net_income_years(w)[:4]):
        assert row[:2] == measure_net_income(w)[year] and row[1] == row[2]
    quarters = [row[2] for row in balance_sides(w) if row[0] == "Assets"][:3]
    assert quarters == [d("3964724.68"), d("7522877.41"), d("11369549.48")]
    years = {row[1]: row for row in income_years(w) if row[0] == 1}
    assert [years[2011][n] for n in (5, 4, 2)] == [d("5462068.53"), d("7306805.10"), d("24246689.54")]
    totals = [total(row[n] for row in dollars_net_income(w)) for n in (1, 2, 3)]
    assert totals == [total(row[n] for row in group_result_cells(w) if row[0] == 1) for n in (2, 3, 4)]


# ---- output ----

MONEY = (
    "amount sales_amount total_product_cost tax_amt freight gross_profit net_income net_sales assets balance_sheet"
    " quota sales_amount_quota actual_sales growth reseller internet total running_total previous sales_2012 sales_2013"
).split()


def text(name, value):
    """A field as psql prints it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, Decimal):
        digits = max(-value.as_tuple().exponent, 4 if name in MONEY else 0)
        return f"{value:.{digits}f}"
    return str(value)


def render(name, warehouse):
    """The text of one .expected file."""
    header, function = CASES[name]
    rows = function(warehouse)
    if not header:
        return "".join(f"{line}\n" for line in rows)
    assert rows, f"{name} has no rows"
    assert all(len(row) == len(header) for row in rows), name
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([text(column, value) for column, value in zip(header, row)] for row in rows)
    return out.getvalue()


def main(arguments):
    if not arguments or arguments[1:] not in ([], ["--check"], ["--write"]):
        print(__doc__, file=sys.stderr)
        return 2
    named = {path.stem for path in HERE.glob("*.sql")}
    assert named == set(CASES), f"a statement without figures, or figures without one: {sorted(named ^ set(CASES))}"
    warehouse = Warehouse(arguments[0])
    warehouse.statements = Statements(warehouse)
    check_published(warehouse)
    different = []
    for name in sorted(CASES):
        expected = render(name, warehouse)
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
