"""What if: other rates, quotas and deals by SQL, every cell compared with Python's for the changed plan, and all of it put back.

For a tenant with the example `crm`; PERFOS_TEST_DATA is the folder of its CSV files.
"""

import sys
import unittest
from decimal import Decimal
from pathlib import Path

from connection import connect, setting

GOLDEN = Path(__file__).parent.parent / "golden" / "crm"
sys.dont_write_bytecode = True
sys.path.insert(0, str(GOLDEN))

from cells import of_plan  # noqa: E402
from plan import Plan  # noqa: E402
from test_cells import differences  # noqa: E402


class Changed(Plan):
    """The plan with some of its figures changed."""

    tiers_to = {}  # (plan, step from 0): rate
    rates_to = {}  # (category, year): rate
    quotas_to = {}  # (owner, quarter): full quota
    values_to = {}  # opportunity: value

    def _terms(self):
        super()._terms()
        for (plan, step), rate in self.tiers_to.items():
            self.tiers[plan][step] = self.tiers[plan][step][0], Decimal(rate)
        self.rates |= {key: Decimal(rate) for key, rate in self.rates_to.items()}

    def quotas(self):
        return super().quotas() | {key: Decimal(quota) for key, quota in self.quotas_to.items()}

    def _deal(self, row):
        value = self.values_to.get(int(row["opportunity_id"]))
        return super()._deal(row if value is None else {**row, "value": value})


class Commissions(unittest.TestCase):
    """Each change is written, compared and written back."""

    def setUp(self):
        self.connection = connect()
        self.addCleanup(self.connection.close)

    def compare(self, **changes):
        plan = type("ChangedPlan", (Changed,), changes)(setting("PERFOS_TEST_DATA"))
        for name, (key, measures, cells) in of_plan(plan).items():
            found = differences(self.connection, name, key.split(), measures.split(), cells)
            self.assertEqual(found[:20], [], name)

    def write(self, statement, old, new):
        """Runs a statement with a new value; afterwards with the old one."""
        self.addCleanup(self.compare)
        self.addCleanup(self.connection.execute, statement, (old,))
        self.assertEqual(self.connection.execute(statement, (new,)).rowcount, 1)

    def test_a_rate_of_a_step(self):
        self.write("UPDATE tiers SET rate = %s WHERE plan = 'hunter' AND step = 3", Decimal("0.08"), Decimal("0.09"))
        self.compare(tiers_to={("hunter", 2): "0.09"})

    def test_a_rate_between_steps(self):
        self.write("UPDATE tiers SET rate = %s WHERE plan = 'partner' AND step = 2", Decimal("0.045"), Decimal("0.05"))
        self.compare(tiers_to={("partner", 1): "0.05"})

    def test_a_credit_rate(self):
        statement = "UPDATE credit_rate SET rate = %s WHERE product = 'category:Accessories' AND date = '2021'"
        self.write(statement, Decimal("0.5"), Decimal(1))
        self.compare(rates_to={("Accessories", 2021): "1"})

    def test_a_quota(self):
        self.write("UPDATE credit SET full_quota = %s WHERE owner = 10 AND date = '2020-Q1'", 18000, 9000)
        self.compare(quotas_to={(10, "2020-Q1"): 9000})

    def test_a_deal(self):
        deal, value = self.connection.execute(
            "SELECT opportunity_id, value FROM deals WHERE status = 'Won' AND owner = 7 AND date_quarter = '2020-Q4'"
            " AND opportunity_id % 61 <> 0 ORDER BY opportunity_id LIMIT 1"
        ).fetchone()
        self.write(f"UPDATE deals SET value = %s WHERE opportunity_id = {deal}", value, Decimal(99999))
        self.compare(values_to={deal: "99999"})


if __name__ == "__main__":
    unittest.main()
