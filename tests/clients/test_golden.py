"""Every golden case of a folder through psql (the simple protocol) and psycopg (the extended one, text and binary).

PERFOS_TEST_GOLDEN names the folder in `tests/golden`: `adventureworks` where it is not set.

Figures are compared as numbers, everything else as text: 1.50 equals 1.5000, and the order of rows counts.
"""

import csv
import datetime
import io
import os
import re
import subprocess
import sys
import unittest
from decimal import Decimal
from pathlib import Path

import psycopg
from psycopg import sql

from connection import connect, psql

GOLDEN = Path(__file__).parent.parent / "golden" / os.environ.get("PERFOS_TEST_GOLDEN", "adventureworks")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
SETTING = re.compile(r"--\s*set\s+([a-z_.]+)\s*=\s*(\S+)\s*$", re.MULTILINE)


def normalised(field):
    """A field so that equal numbers are equal texts."""
    if not NUMBER.fullmatch(field):
        return field
    number = Decimal(field)
    return format(number.normalize(), "f") if number else "0"


def rows_of(text):
    """The rows of a CSV text, header included."""
    return [[normalised(field) for field in row] for row in csv.reader(io.StringIO(text))]


def as_text(value):
    """A value that psycopg returned, as psql prints it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else value.isoformat()
    return str(value)


class Case:
    """One statement, its settings and what it should give."""

    def __init__(self, path):
        self.name = path.stem
        self.statement = path.read_text(encoding="utf-8")
        self.settings = SETTING.findall(self.statement)
        self.expected = path.with_suffix(".expected").read_text(encoding="utf-8")
        self.sqlstate = self.hint = None
        if self.expected.startswith("error: "):
            lines = dict(line.split(": ", 1) for line in self.expected.splitlines())
            self.sqlstate, self.hint = lines["error"], lines.get("hint", "")


class Golden(unittest.TestCase):
    """The cases; each test method runs all of them and reports each that fails."""

    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.cases = [Case(path) for path in sorted(GOLDEN.glob("*.sql"))]
        assert cls.cases, f"no cases in {GOLDEN}"

    def check_rows(self, case, header, rows):
        expected = rows_of(case.expected)
        self.assertEqual(header, expected[0], "column names")
        self.assertEqual([[normalised(field) for field in row] for row in rows], expected[1:])

    def test_psycopg(self):
        self.through_psycopg(binary=False)

    def test_psycopg_binary(self):
        self.through_psycopg(binary=True)

    def through_psycopg(self, binary):
        with connect() as connection:
            for case in self.cases:
                with self.subTest(case=case.name):
                    self.one_through_psycopg(connection, case, binary)

    def one_through_psycopg(self, connection, case, binary):
        for name, value in case.settings:
            connection.execute(sql.SQL("SET {} = {}").format(sql.SQL(name), sql.Literal(value)))
        try:
            if case.sqlstate:
                with self.assertRaises(psycopg.Error) as caught:
                    connection.execute(case.statement, prepare=True, binary=binary).fetchall()
                self.assertEqual(caught.exception.sqlstate, case.sqlstate)
                self.assertIn(case.hint, caught.exception.diag.message_hint or "")
                return
            cursor = connection.execute(case.statement, prepare=True, binary=binary)
            header = [column.name for column in cursor.description]
            self.check_rows(case, header, [[as_text(value) for value in row] for row in cursor.fetchall()])
        finally:
            for name, _ in case.settings:
                connection.execute(sql.SQL("RESET {}").format(sql.SQL(name)))

    def test_psql(self):
        for case in self.cases:
            with self.subTest(case=case.name):
                self.through_psql(case)

    def through_psql(self, case):
        settings = "".join(f"SET {name} = '{value}';\n" for name, value in case.settings)
        result = psql(f"{settings}{case.statement.rstrip()};\n", "--csv")
        if case.sqlstate:
            self.assertEqual(result.returncode, 3, result.stdout)
            self.assertIn(f"ERROR:  {case.sqlstate}:", result.stderr)
            hints = [line for line in result.stderr.splitlines() if line.startswith("HINT:")]
            self.assertIn(case.hint, "\n".join(hints))
            return
        self.assertEqual(result.returncode, 0, result.stderr)
        rows = list(csv.reader(io.StringIO(result.stdout)))
        self.assertTrue(rows, "no header")
        self.check_rows(case, rows[0], rows[1:])


if os.environ.get("PERFOS_TEST_DATA"):

    class Figures(unittest.TestCase):
        """The expected files are what compute.py makes of the source files."""

        def test_expected_files(self):
            result = subprocess.run(
                [sys.executable, "-B", GOLDEN / "compute.py", os.environ["PERFOS_TEST_DATA"], "--check"],
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
            self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    unittest.main()
