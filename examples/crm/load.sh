#!/bin/sh
# Applies the model beside this script and loads the CRM files of a folder and the plan beside it into a tenant.
# Uses perfos from PATH and its environment variables alone; stops at the first error.
set -eu

fail() {
    echo "load.sh: $1" >&2
    exit 2
}

[ $# -eq 1 ] || fail "usage: load.sh DATA_DIR (the folder with opportunities.csv and the other files)"
data=$1
[ -f "$data/opportunities.csv" ] || fail "no opportunities.csv in $data"
command -v perfos >/dev/null || fail "perfos is not in PATH"
[ -n "${PERFOS_TENANT:-}" ] || fail "set PERFOS_TENANT to the name of the tenant to load into"
[ -n "${PERFOS_DATA:-}${PERFOS_SERVER:-}" ] ||
    fail "set PERFOS_DATA to a data folder, or PERFOS_SERVER to the address of a running server"
example=$(cd "$(dirname "$0")" && pwd)
plan=$example/plan

dimension() { # NAME FILE [MAP]
    perfos load "$2" --dimension "$1" --map "$example/maps/${3:-$1}.toml"
}

cube() { # NAME FILE
    perfos load "$2" --cube "$1" --map "$example/maps/$1.toml"
}

perfos apply "$example"

# Members, upper levels and those that others refer to first. The date dimension makes its own.
dimension plan "$plan/plans.csv"
dimension step "$plan/tiers.csv"
dimension manager "$plan/managers.csv"
dimension status "$data/opportunities.csv"
dimension product "$data/products.csv" product_category
dimension product "$data/products.csv"
dimension territory "$data/territories.csv" territory_region
dimension territory "$data/territories.csv" territory_area
dimension territory "$data/territories.csv" territory_state
dimension account "$data/accounts.csv"
dimension owner "$data/owners.csv" owner_team
dimension owner "$data/owners.csv"
dimension owner "$plan/owners.csv" owner_plan
dimension owner "$plan/reassignments.csv" owner_reassignment

# The plan, then the deals.
cube credit_rate "$plan/credit_rates.csv"
cube tiers "$plan/tiers.csv"
cube plan_terms "$plan/plans.csv"
cube manager_terms "$plan/managers.csv"
cube credit "$plan/quotas.csv"
cube deals "$data/opportunities.csv"
cube cancellations "$plan/cancellations.csv"
