"""Writing quotas through SQL: what is written is read in the next query, formulas included.

Each test leaves the cells as it found them.
"""

import unittest
from decimal import ROUND_HALF_EVEN, Decimal

import psycopg

from connection import connect, psql

EMPLOYEE = 281
DAY = "2013-03-30"  # holds a quota
SALES_DAY = "2013-01-28"  # holds sales and no quota
QUARTER = "2013-Q1"  # of both days
OTHER_EMPLOYEE = 282

READ = "SELECT sales_amount_quota FROM sales_quota WHERE employee = %s AND date = %s"
WRITE = "UPDATE sales_quota SET sales_amount_quota = %s WHERE employee = %s AND date = %s"
INSERT = "INSERT INTO sales_quota (employee, date, sales_amount_quota) VALUES (%s, %s, %s)"
ATTAINMENT = (
    "SELECT measure(actual_sales), measure(attainment) FROM sales_quota WHERE employee = %s AND date_quarter = %s"
)


def quota(connection, employee=EMPLOYEE, day=DAY):
    """The quota as a connection sees it; None where it is blank."""
    row = connection.execute(READ, (employee, day)).fetchone()
    return row[0] if row else None


class Writeback(unittest.TestCase):
    """One connection in autocommit; the quotas of two cells are put back after each test."""

    def setUp(self):
        self.connection = connect()
        self.addCleanup(self.connection.close)
        for employee in (EMPLOYEE, OTHER_EMPLOYEE):
            before = quota(self.connection, employee)
            self.assertIsNotNone(before)
            self.addCleanup(self.restore, employee, before)

    @staticmethod
    def restore(employee, before):
        with connect() as connection:
            connection.execute(WRITE, (before, employee, DAY))

    def check_attainment(self, connection, expected_quota):
        sales, attainment = connection.execute(ATTAINMENT, (EMPLOYEE, QUARTER)).fetchone()
        expected = (sales / Decimal(expected_quota)).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
        self.assertEqual(attainment, expected)

    def other(self, autocommit=True):
        connection = connect(autocommit)
        self.addCleanup(connection.close)
        return connection

    # ---- values ----

    def test_parameters(self):
        values = [(500000, "500000"), (400000.5, "400000.5"), (Decimal("300000.1234"), "300000.1234")]
        for value, exact in values:
            with self.subTest(type=type(value).__name__):
                cursor = self.connection.execute(WRITE, (value, EMPLOYEE, DAY))
                self.assertEqual(cursor.rowcount, 1)
                self.assertEqual(quota(self.connection), Decimal(exact))
                self.check_attainment(self.connection, exact)

    def test_prepared(self):
        for value in (1, 100000, 3000000000, Decimal("2.5")):
            self.connection.execute(WRITE, (value, EMPLOYEE, DAY), prepare=True)
            self.assertEqual(quota(self.connection), value)

    def test_psql_literal(self):
        result = psql(
            f"UPDATE sales_quota SET sales_amount_quota = 450000 WHERE employee = {EMPLOYEE} AND date = '{DAY}';\n"
            f"SELECT measure(sales_amount_quota), measure(attainment) FROM sales_quota"
            f" WHERE employee = {EMPLOYEE} AND date_quarter = '{QUARTER}';\n",
            "-A",
            "-t",
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        written, attainment = result.stdout.strip().split("|")
        self.assertEqual(Decimal(written), 450000)
        self.check_attainment(self.connection, 450000)
        expected = self.connection.execute(ATTAINMENT, (EMPLOYEE, QUARTER)).fetchone()[1]
        self.assertEqual(Decimal(attainment), expected)

    def test_expression(self):
        before = quota(self.connection)
        self.connection.execute(
            "UPDATE sales_quota SET sales_amount_quota = sales_amount_quota * 2 WHERE employee = %s AND date = %s",
            (EMPLOYEE, DAY),
        )
        self.assertEqual(quota(self.connection), before * 2)

    def test_totals_follow(self):
        total = "SELECT sum(sales_amount_quota) FROM sales_quota WHERE date_year = 2013"
        before, = self.connection.execute(total).fetchone()
        self.connection.execute(WRITE, (quota(self.connection) + 1, EMPLOYEE, DAY))
        self.assertEqual(self.connection.execute(total).fetchone()[0], before + 1)

    def test_update_of_nothing(self):
        cursor = self.connection.execute(WRITE, (1, EMPLOYEE, "2009-01-01"))
        self.assertEqual(cursor.rowcount, 0)

    # ---- refusals ----

    def test_insert_of_an_existing_coordinate(self):
        before = quota(self.connection)
        with self.assertRaises(psycopg.errors.UniqueViolation) as caught:
            self.connection.execute(INSERT, (EMPLOYEE, DAY, 1))
        self.assertEqual(caught.exception.sqlstate, "23505")
        self.assertEqual(quota(self.connection), before)

    def test_insert_into_a_blank(self):
        writer = self.other(autocommit=False)
        writer.execute(INSERT, (EMPLOYEE, SALES_DAY, 1000))
        self.assertEqual(quota(writer, EMPLOYEE, SALES_DAY), 1000)
        writer.rollback()
        self.assertIsNone(quota(self.connection, EMPLOYEE, SALES_DAY))

    def test_unknown_member(self):
        with self.assertRaises(psycopg.Error) as caught:
            self.connection.execute(INSERT, (987654, DAY, 1))
        diagnosis = caught.exception.diag
        self.assertIn("987654", f"{diagnosis.message_primary} {diagnosis.message_detail}")
        self.assertNotIn(caught.exception.sqlstate[:2], ("XX", "00"))

    def test_formula_measure(self):
        for measure in ("actual_sales", "attainment"):
            with self.subTest(measure=measure):
                with self.assertRaises(psycopg.Error) as caught:
                    self.connection.execute(
                        f"UPDATE sales_quota SET {measure} = 1 WHERE employee = %s AND date = %s", (EMPLOYEE, DAY)
                    )
                self.assertIn(measure, str(caught.exception))
                self.assertNotIn(caught.exception.sqlstate[:2], ("XX", "00"))

    def test_psql_refusal(self):
        result = psql(
            f"INSERT INTO sales_quota (employee, date, sales_amount_quota) VALUES ({EMPLOYEE}, '{DAY}', 1);\n"
        )
        self.assertEqual(result.returncode, 3)
        self.assertIn("23505", result.stderr)

    # ---- transactions ----

    def test_rollback(self):
        before = quota(self.connection)
        writer = self.other(autocommit=False)
        writer.execute(WRITE, (before + 7, EMPLOYEE, DAY))
        self.assertEqual(quota(writer), before + 7)
        self.check_attainment(writer, before + 7)
        writer.rollback()
        self.assertEqual(quota(writer), before)
        self.assertEqual(quota(self.other()), before)

    def test_commit(self):
        before, other_before = quota(self.connection), quota(self.connection, OTHER_EMPLOYEE)
        writer = self.other(autocommit=False)
        writer.execute(WRITE, (before + 1, EMPLOYEE, DAY))
        writer.execute(WRITE, (other_before + 1, OTHER_EMPLOYEE, DAY))
        # Private until COMMIT, then both at once.
        self.assertEqual(quota(self.connection), before)
        self.assertEqual(quota(self.connection, OTHER_EMPLOYEE), other_before)
        writer.commit()
        self.assertEqual(quota(self.connection), before + 1)
        self.assertEqual(quota(self.connection, OTHER_EMPLOYEE), other_before + 1)
        self.check_attainment(self.connection, before + 1)

    def test_reads_are_repeatable(self):
        before = quota(self.connection)
        reader = self.other(autocommit=False)
        self.assertEqual(quota(reader), before)
        self.connection.execute(WRITE, (before + 5, EMPLOYEE, DAY))
        self.assertEqual(quota(reader), before)
        reader.commit()
        self.assertEqual(quota(reader), before + 5)
        reader.rollback()

    def test_failed_transaction(self):
        before = quota(self.connection)
        writer = self.other(autocommit=False)
        writer.execute(WRITE, (before + 9, EMPLOYEE, DAY))
        with self.assertRaises(psycopg.errors.UniqueViolation):
            writer.execute(INSERT, (EMPLOYEE, DAY, 1))
        with self.assertRaises(psycopg.errors.InFailedSqlTransaction):
            writer.execute("SELECT 1")
        writer.rollback()
        self.assertEqual(quota(self.connection), before)

    def test_conflict(self):
        before = quota(self.connection)
        first, second = self.other(autocommit=False), self.other(autocommit=False)
        self.assertEqual(quota(first), before)
        self.assertEqual(quota(second), before)
        first.execute(WRITE, (before + 1, EMPLOYEE, DAY))
        second.execute(WRITE, (before + 2, EMPLOYEE, DAY))
        first.commit()
        with self.assertRaises(psycopg.errors.SerializationFailure) as caught:
            second.commit()
        self.assertEqual(caught.exception.sqlstate, "40001")
        self.assertEqual(quota(self.connection), before + 1)
        second.rollback()
        self.assertEqual(quota(second), before + 1)

    def test_no_conflict_on_other_cells(self):
        before, other_before = quota(self.connection), quota(self.connection, OTHER_EMPLOYEE)
        first, second = self.other(autocommit=False), self.other(autocommit=False)
        first.execute(WRITE, (before + 1, EMPLOYEE, DAY))
        second.execute(WRITE, (other_before + 2, OTHER_EMPLOYEE, DAY))
        first.commit()
        second.commit()
        self.assertEqual(quota(self.connection), before + 1)
        self.assertEqual(quota(self.connection, OTHER_EMPLOYEE), other_before + 2)

    def test_psql_transactions(self):
        before = quota(self.connection)
        update = (
            f"UPDATE sales_quota SET sales_amount_quota = {before + 3} WHERE employee = {EMPLOYEE} AND date = '{DAY}';"
        )
        for end, expected in (("ROLLBACK", before), ("COMMIT", before + 3)):
            with self.subTest(end=end):
                result = psql(f"BEGIN;\n{update}\n{end};\n")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(quota(self.connection), expected)


if __name__ == "__main__":
    unittest.main()
