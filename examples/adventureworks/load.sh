#!/bin/sh
# Applies the model beside this script and loads the AdventureWorks files of a folder into a tenant.
# Uses perfos from PATH and its environment variables alone; stops at the first error.
set -eu

fail() {
    echo "load.sh: $1" >&2
    exit 2
}

[ $# -eq 1 ] || fail "usage: load.sh DATA_DIR (the folder with DimAccount.csv and the other files)"
data=$1
[ -f "$data/DimAccount.csv" ] || fail "no DimAccount.csv in $data"
command -v perfos >/dev/null || fail "perfos is not in PATH"
[ -n "${PERFOS_TENANT:-}" ] || fail "set PERFOS_TENANT to the name of the tenant to load into"
[ -n "${PERFOS_DATA:-}${PERFOS_SERVER:-}" ] ||
    fail "set PERFOS_DATA to a data folder, or PERFOS_SERVER to the address of a running server"
example=$(cd "$(dirname "$0")" && pwd)

dimension() { # NAME FILE [MAP]
    perfos load "$data/$2.csv" --dimension "$1" --map "$example/maps/${3:-$1}.toml"
}

cube() { # NAME FILE
    perfos load "$data/$2.csv" --cube "$1" --map "$example/maps/$1.toml"
}

perfos apply "$example"

# Members, upper levels first. The date dimension makes its own.
dimension scenario DimScenario
dimension currency DimCurrency
dimension account DimAccount
dimension organization DimOrganization
dimension department DimDepartmentGroup
dimension territory DimSalesTerritory territory_group
dimension territory DimSalesTerritory territory_country
dimension territory DimSalesTerritory territory_region
dimension product DimProductCategory product_category
dimension product DimProductSubcategory product_subcategory
dimension product DimProduct
dimension promotion DimPromotion
dimension reseller DimReseller
dimension customer DimCustomer
dimension employee DimEmployee

# Cells and rows. Amounts are converted as they come in, so the rates are there before them.
cube exchange_rate FactCurrencyRate
cube finance FactFinance
cube reseller_sales FactResellerSales
cube internet_sales FactInternetSales
cube sales_quota FactSalesQuota
