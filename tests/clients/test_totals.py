"""Consolidated cells of the ledger's cubes: `measure()` by levels of several dimensions at once, against `totals.py`.

PERFOS_TEST_DATA is the folder of the CSV files. PERFOS_TEST_TOTALS=all asks for every combination of levels, else a few are.
"""

import itertools
import os
import sys
import unittest
from pathlib import Path

from psycopg import sql

from connection import connect, setting

GOLDEN = Path(__file__).parent.parent / "golden" / "adventureworks"
sys.dont_write_bytecode = True
sys.path.insert(0, str(GOLDEN))

from totals import CUBES, Totals  # noqa: E402

LEVELS = {
    "account": [None, "account", *(f"account_l{depth}" for depth in range(1, 7))],
    "organization": [
        None,
        "organization",
        *(f"organization_l{depth}" for depth in range(1, 5)),
        *(f"organization_ownership_l{depth}" for depth in range(1, 5)),
    ],
    "scenario": ["scenario"],
    "department": [None, "department"],
    "date": [None, "date", "date_quarter", "date_year"],
}
STEP = 41  # every so many combinations where not all are asked for


class Consolidated(unittest.TestCase):
    """Each combination of levels is a query."""

    def test_measures(self):
        totals = Totals(setting("PERFOS_TEST_DATA"))
        step = 1 if os.environ.get("PERFOS_TEST_TOTALS") == "all" else STEP
        queries = values = 0
        with connect() as connection:
            for cube, (dimensions, rules, ratios) in CUBES.items():
                combinations = itertools.product(*(LEVELS[dimension] for dimension in dimensions))
                for columns in itertools.islice(combinations, 0, None, step):
                    with self.subTest(cube=cube, columns=columns):
                        values += self.check_totals(connection, totals, cube, columns, [*rules, *ratios])
                        queries += 1
        print(f"{queries} queries, {values} consolidated values", file=sys.stderr)

    def check_totals(self, connection, totals, cube, columns, measures):
        named = [column for column in columns if column is not None]
        keys = sql.SQL(", ").join(map(sql.Identifier, named))
        asked = sql.SQL(", ").join(sql.SQL("measure({})").format(sql.Identifier(measure)) for measure in measures)
        statement = sql.SQL("SELECT {}, {} FROM {} GROUP BY {}").format(keys, asked, sql.Identifier(cube), keys)
        found = {}
        for row in connection.execute(statement).fetchall():
            key, shown = row[: len(named)], row[len(named) :]
            if None not in key and any(value is not None for value in shown):
                found[key] = dict(zip(measures, shown))
        expected = {key: sums for key, sums in totals.by(cube, columns).items() if any(v is not None for v in sums.values())}
        different = [
            f"{key}: {found.get(key)} is not {expected.get(key)}"
            for key in sorted(expected.keys() | found.keys(), key=str)
            if found.get(key) != expected.get(key)
        ]
        self.assertEqual(different[:5], [])
        return sum(value is not None for sums in expected.values() for value in sums.values())


if __name__ == "__main__":
    unittest.main()
