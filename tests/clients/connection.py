"""Where the server is, and the two clients that the tests speak through: psycopg 3 and psql.

The tests need a running server and a tenant with the AdventureWorks example loaded:

    PERFOS_TEST_POSTGRES   host:port of the Postgres wire
    PERFOS_TEST_TENANT     the tenant, which is the database
    PERFOS_TEST_USER       a user who may write
    PERFOS_TEST_PASSWORD   the user's password
    PERFOS_TEST_DATA       optional: the folder of the CSV files, to compute the golden figures again
"""

import os
import subprocess

import psycopg

TIMEOUT_SECONDS = 60


def setting(name):
    """A required environment variable."""
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"set {name}: these tests need a running server")
    return value


def host():
    """Host name and port."""
    name, _, port = setting("PERFOS_TEST_POSTGRES").rpartition(":")
    return name.strip("[]"), port


def connect(autocommit=True):
    """A psycopg connection."""
    name, port = host()
    return psycopg.connect(
        host=name,
        port=port,
        dbname=setting("PERFOS_TEST_TENANT"),
        user=setting("PERFOS_TEST_USER"),
        password=setting("PERFOS_TEST_PASSWORD"),
        autocommit=autocommit,
        connect_timeout=TIMEOUT_SECONDS,
    )


def psql(script, *options):
    """Runs statements (and backslash commands) in psql; it stops at the first error."""
    name, port = host()
    environment = {
        **os.environ,
        "PGHOST": name,
        "PGPORT": port,
        "PGDATABASE": setting("PERFOS_TEST_TENANT"),
        "PGUSER": setting("PERFOS_TEST_USER"),
        "PGPASSWORD": setting("PERFOS_TEST_PASSWORD"),
        "PGCLIENTENCODING": "UTF8",
        "PGCONNECT_TIMEOUT": str(TIMEOUT_SECONDS),
    }
    return subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-P", "pager=off", *options],
        input=script,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_SECONDS * 5,
        check=False,
    )
