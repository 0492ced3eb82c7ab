"""Every cell of every computed cube, computed from the CSV files: what `tests/clients/test_cells.py` compares."""

from statements import LINES, Statements, line
from warehouse import Warehouse, ratio

RATIOS = "gross_margin_pct operating_margin_pct average_unit_price"
SALES = "sales_amount total_product_cost gross_profit gross_margin"


def with_margin(lines):
    """Order lines with their gross margin."""
    return [{**cell, "gross_margin": ratio(cell["gross_profit"], cell["sales_amount"])} for cell in lines]


def with_ratios(cells):
    """Cells of the income statement with their ratios."""
    for cell in cells:
        ratios = dict(zip(RATIOS.split(), line([cell], RATIOS)))
        yield {**cell, **ratios, "budget_attainment": ratio(cell["net_sales"], cell["budgeted_sales"])}


def dollars(warehouse, statements):
    """All of the ledger; what is no money has no dollars."""
    key = "date", "organization", "department", "scenario", "account"
    converted = {tuple(cell[column] for column in key): cell for cell in statements.dollars}
    return [converted.get(tuple(cell[column] for column in key), cell) for cell in warehouse.finance]


def cubes(folder):
    """Per cube: the columns of its key, its measures, and its cells."""
    w = Warehouse(folder)
    return {
        "reseller_sales": ("order_number line", f"{SALES} commission", with_margin(w.reseller_sales)),
        "internet_sales": ("order_number line", SALES, with_margin(w.internet_sales)),
        "sales_quota": ("employee date", "sales_amount_quota actual_sales", w.sales_quota),
        **of_ledger(w),
    }


def of_ledger(w):
    """The cubes that are made of the ledger."""
    s = Statements(w)
    return {
        "finance": (
            "date organization department scenario account",
            "amount amount_usd owned_usd minority_usd",
            dollars(w, s),
        ),
        "statement": (
            "account organization scenario date",
            "amount amount_ytd previous_year change average_3 sum_12",
            s.statement,
        ),
        "balance": ("account organization scenario date", "closing opening movement", s.balance),
        "income": (
            "organization scenario date",
            f"{' '.join(LINES)} {RATIOS} budgeted_sales budget_attainment",
            with_ratios(s.income),
        ),
        "group_result": (
            "scenario date",
            "net_income owned minority owned_ytd owned_previous_year owned_share",
            s.group,
        ),
    }
