"""Every cell of every computed cube through psycopg, against what `cells.py` of the golden folder computes from the files.

PERFOS_TEST_GOLDEN names the folder as for `test_golden.py`; PERFOS_TEST_DATA, the folder of the CSV files, is needed.
A cell that one side lacks is a difference as much as another value: the keys of both must be the same.
"""

import os
import sys
import unittest
from pathlib import Path

from psycopg import sql

from connection import connect, setting

GOLDEN = Path(__file__).parent.parent / "golden" / os.environ.get("PERFOS_TEST_GOLDEN", "adventureworks")
SHOWN_MAX = 20


def expected_cells(key, measures, cells):
    """The cells by key, their measures in order; blanks are None."""
    result = {}
    for cell in cells:
        at = tuple(cell[column] for column in key)
        assert at not in result, f"two cells at {at}"
        result[at] = tuple(cell.get(measure) for measure in measures)
    return result


def differences(connection, name, key, measures, cells):
    """Where the cells of a cube are others than expected."""
    expected = expected_cells(key, measures, cells)
    columns = sql.SQL(", ").join(map(sql.Identifier, [*key, *measures]))
    rows = connection.execute(sql.SQL("SELECT {} FROM {}").format(columns, sql.Identifier(name))).fetchall()
    found = {row[: len(key)]: row[len(key) :] for row in rows}
    assert len(found) == len(rows), f"keys of {name} repeat"
    different = [at for at in sorted(expected.keys() | found.keys()) if found.get(at) != expected.get(at)]
    values = sum(value is not None for row in expected.values() for value in row)
    print(f"{name}: {len(expected)} cells, {values} values, {len(different)} differences", file=sys.stderr)
    return [f"{at}: {found.get(at)} is not {expected.get(at)}" for at in different]


class Cells(unittest.TestCase):
    """All cubes of one model."""

    def test_every_cell(self):
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(GOLDEN))
        from cells import cubes

        computed = cubes(setting("PERFOS_TEST_DATA"))
        with connect() as connection:
            for name, (key, measures, cells) in computed.items():
                with self.subTest(cube=name):
                    found = differences(connection, name, key.split(), measures.split(), cells)
                    self.assertEqual(found[:SHOWN_MAX], [])


if __name__ == "__main__":
    unittest.main()
