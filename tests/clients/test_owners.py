"""After the members were loaded that `tests/tests/crm.rs` changes: every cell is that of the changed plan.

Owner 7 is a partner, owner 14 came later, owner 16 has another manager from a day on, and owner 20's reassignment names another one.
"""

import unittest

from connection import connect, setting
from test_cells import differences
from test_commissions import Plan, of_plan


class Changed(Plan):
    """The plan with other owners."""

    def _members(self, folder):
        super()._members(folder)
        self.owners[7]["plan"] = "partner"
        self.owners[14]["start_date"] = "2019-11-20"
        self.reassign(16, "2021-02-10", "Amelie Garner")
        self.reassign(20, "2020-11-16", "Peyton Davis")

    def reassign(self, owner, day, manager):
        managers = dict(self.owners[owner]["managers"]) | {day: manager}
        self.owners[owner]["managers"] = sorted(managers.items())


class Owners(unittest.TestCase):
    """One comparison of all cubes."""

    def test_every_cell(self):
        plan = Changed(setting("PERFOS_TEST_DATA"))
        with connect() as connection:
            for name, (key, measures, cells) in of_plan(plan).items():
                found = differences(connection, name, key.split(), measures.split(), cells)
                self.assertEqual(found[:20], [], name)


if __name__ == "__main__":
    unittest.main()
