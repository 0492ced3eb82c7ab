"""What psql's backslash commands show of a tenant."""

import re
import unittest

from connection import psql, setting

CUBES = ["exchange_rate", "finance", "internet_sales", "reseller_sales", "sales_quota"]
DIMENSIONS = [
    "account",
    "currency",
    "customer",
    "date",
    "department",
    "employee",
    "organization",
    "product",
    "promotion",
    "reseller",
    "scenario",
    "territory",
]


def table(text):
    """The rows of an unaligned listing."""
    return [line.split("|") for line in text.splitlines()]


class Psql(unittest.TestCase):
    """Each command ends with exit code 0 and shows what it should."""

    def rows(self, command):
        result = psql(f"{command}\n", "-A")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return table(result.stdout)

    def test_tables(self):
        relations = {row[1]: row for row in self.rows("\\dt") if len(row) >= 4}
        for name in CUBES:
            self.assertIn(name, relations)
            self.assertEqual(relations[name][0], "public")
            self.assertEqual(relations[name][2], "table")

    def test_relations(self):
        names = {row[1] for row in self.rows("\\d") if len(row) >= 4}
        self.assertLessEqual({*CUBES, *DIMENSIONS, "account_closure", "organization_closure"}, names)

    def test_describe_cells(self):
        rows = self.rows("\\d finance")
        types = {row[0]: row[1] for row in rows if len(row) >= 5}
        expected = {
            "date": "date",
            "date_year": "integer",
            "date_quarter": "text",
            "date_month": "text",
            "date_fiscal_year": "integer",
            "date_fiscal_quarter": "text",
            "organization": "integer",
            "organization_l1": "text",
            "organization_l4": "text",
            "organization_ownership_l1": "text",
            "department": "integer",
            "department_l2": "text",
            "scenario": "integer",
            "account": "integer",
            "account_l1": "text",
            "account_l6": "text",
            "amount": "numeric(18,4)",
        }
        self.assertEqual({name: types.get(name) for name in expected}, expected)
        text = "\n".join("|".join(row) for row in rows)
        self.assertRegex(text, r"PRIMARY KEY.*\(date, organization, department, scenario, account\)")

    def test_describe_records(self):
        rows = self.rows("\\d reseller_sales")
        types = {row[0]: row[1] for row in rows if len(row) >= 5}
        expected = {
            "order_number": "text",
            "line": "integer",
            "product": "integer",
            "product_category": "text",
            "product_subcategory": "text",
            "territory_group": "text",
            "employee_l1": "text",
            "sales_amount": "numeric(18,4)",
            "order_quantity": "bigint",
            "gross_margin": "numeric(18,6)",
            "commission": "numeric(18,8)",
        }
        self.assertEqual({name: types.get(name) for name in expected}, expected)
        self.assertEqual(types.get("product_product"), "text")
        self.assertEqual(types.get("territory_region"), "text")
        text = "\n".join("|".join(row) for row in rows)
        self.assertRegex(text, r"PRIMARY KEY.*\(order_number, line\)")

    def test_describe_dimension(self):
        types = {row[0]: row[1] for row in self.rows("\\d employee") if len(row) >= 5}
        expected = {
            "key": "integer",
            "name": "text",
            "parent": "integer",
            "employee_l1": "text",
            "title": "text",
            "hire_date": "date",
            "sales_person": "boolean",
            "commission_pct": "numeric(7,4)",
        }
        self.assertEqual({name: types.get(name) for name in expected}, expected)

    def test_describe_unknown(self):
        result = psql("\\set QUIET off\n\\d no_such_cube\n")
        self.assertRegex(result.stdout + result.stderr, re.compile("did not find any relation", re.IGNORECASE))

    def test_databases(self):
        self.assertIn(setting("PERFOS_TEST_TENANT"), {row[0] for row in self.rows("\\l")})

    def test_schemas(self):
        self.assertIn("public", {row[0] for row in self.rows("\\dn")})

    def test_connection(self):
        result = psql("\\conninfo\nSELECT current_database();\n", "-A", "-t")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(setting("PERFOS_TEST_TENANT"), result.stdout.splitlines())

    def test_error_has_a_sqlstate(self):
        result = psql("SELECT no_such_column FROM finance;\n")
        self.assertEqual(result.returncode, 3)
        self.assertIn("42703", result.stderr)


if __name__ == "__main__":
    unittest.main()
