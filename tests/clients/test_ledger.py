"""What if: postings and a rate are written by SQL, every cell that formulas make of the ledger is compared, and all is put back.

For a tenant with the example `adventureworks`; PERFOS_TEST_DATA is the folder of its CSV files.
"""

import datetime
import sys
import unittest
from decimal import Decimal
from pathlib import Path

from connection import connect, setting

GOLDEN = Path(__file__).parent.parent / "golden" / "adventureworks"
sys.dont_write_bytecode = True
sys.path.insert(0, str(GOLDEN))

from cells import of_ledger  # noqa: E402
from test_cells import differences  # noqa: E402
from warehouse import Warehouse  # noqa: E402

KEY = "date", "organization", "department", "scenario", "account"
PLACE = " AND ".join(f"{column} = %s" for column in KEY)
UPDATE = f"UPDATE finance SET amount = %s WHERE {PLACE}"
INSERT = f"INSERT INTO finance (amount, {', '.join(KEY)}) VALUES (%s, %s, %s, %s, %s, %s)"
DELETE = f"DELETE FROM finance WHERE {PLACE}"
RATE = "UPDATE exchange_rate SET average_rate = %s, end_of_day_rate = %s WHERE currency = %s AND date = %s"
COMPANY, CURRENCY = 8, 19  # the Canadian division and its dollars
DAY = datetime.date(2011, 10, 29)  # has postings
NEW_DAY = datetime.date(2011, 2, 15)  # has none, nor has its month
NEW_PERIODS = {"date": NEW_DAY, "date_month": "2011-02", "date_quarter": "2011-Q1", "date_year": 2011}


class Ledger(unittest.TestCase):
    """All changes at once, and all of them undone."""

    def test_changes(self):
        warehouse = Warehouse(setting("PERFOS_TEST_DATA"))
        cells = {tuple(cell[column] for column in KEY): cell for cell in warehouse.finance}
        changed = [
            self.first(cells, account=53, scenario=1, date=DAY),
            self.first(cells, account=53, scenario=2),
            self.first(cells, account=97, scenario=1, date=DAY),
            self.first(cells, account=4, scenario=1, date=DAY),
        ]
        gone = self.first(cells, account=60, scenario=1, date=datetime.date(2012, 1, 29))
        new = {**cells[changed[0]], **NEW_PERIODS, "amount": Decimal("777.77")}
        new_at = tuple(new[column] for column in KEY)
        rate = next(rate for rate in warehouse.rates if (rate["currency"], rate["date"]) == (CURRENCY, DAY))
        rates = Decimal("0.5"), Decimal("0.625")
        with connect() as connection:

            def run(statement, *values):
                self.assertEqual(connection.execute(statement, values).rowcount, 1)

            def compare(finance, *rates):
                warehouse.finance = list(finance.values())
                rate["average_rate"], rate["end_of_day_rate"] = rates
                self.compare(connection, warehouse)

            before = rate["average_rate"], rate["end_of_day_rate"]
            after = dict(cells)
            for at in changed:
                after[at] = {**cells[at], "amount": cells[at]["amount"] * 3 + 1}
                run(UPDATE, after[at]["amount"], *at)
            run(INSERT, new["amount"], *new_at)
            after[new_at] = new
            run(DELETE, *gone)
            del after[gone]
            run(RATE, *rates, CURRENCY, DAY)
            try:
                compare(after, *rates)
            finally:
                for at in changed:
                    run(UPDATE, cells[at]["amount"], *at)
                run(DELETE, *new_at)
                run(INSERT, cells[gone]["amount"], *gone)
                run(RATE, *before, CURRENCY, DAY)
            compare(cells, *before)

    def first(self, cells, **wanted):
        """The company's first cell with some members."""
        wanted["organization"] = COMPANY
        return min(at for at, cell in cells.items() if all(cell[name] == value for name, value in wanted.items()))

    def compare(self, connection, warehouse):
        for name, (key, measures, cells) in of_ledger(warehouse).items():
            found = differences(connection, name, key.split(), measures.split(), cells)
            self.assertEqual(found[:20], [], name)


if __name__ == "__main__":
    unittest.main()
