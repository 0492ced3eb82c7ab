"""Every cell of every computed cube, computed from the CSV files: what `tests/clients/test_cells.py` compares."""

from plan import Plan

OWNER = "owner date"


def cubes(folder):
    """Per cube: the columns of its key, its measures, and its cells."""
    return of_plan(Plan(folder))


def of_plan(p):
    """The same of a plan that is computed already."""
    return {
        "deals": ("opportunity_id", "date owner product status value discount credit commission", p.deals),
        "cancellations": ("opportunity_id", "date owner closed_on credit to_recover", p.cancellations),
        "credit": (OWNER, "full_quota quota bookings attainment won lost win_rate", p.credit.values()),
        "payout": (
            OWNER,
            "commission accelerator earned bookings effective_rate clawback amount amount_ytd amount_before",
            p.payout.values(),
        ),
        "manager_payout": ("manager date", "base amount all_amounts share", p.manager_payout),
        "territory_bookings": ("territory date", "bookings all_bookings share", p.territory_bookings),
    }
