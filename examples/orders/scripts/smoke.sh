#!/bin/sh
# Orders a pot of tea and waits until it is settled. Exits with 0 if it is.
#
#     scripts/smoke.sh HOST:PORT
set -eu
api=http://${1:?the address of the API is missing}
item=tea-$$

# Asks the API, and fails unless it answers with 2xx.
ask() {
    curl --silent --show-error --fail --max-time 10 --header 'content-type: application/json' "$@"
}

ask --request PUT --data '{"price_cents": 250, "stock": 10}' "$api/items/$item" > /dev/null
order=$(ask --data "{\"item\": \"$item\", \"quantity\": 2}" "$api/orders")
id=$(echo "$order" | sed 's/.*"id":\([0-9]*\).*/\1/')

for _ in $(seq 100); do
    order=$(ask "$api/orders/$id")
    case $order in
    *'"status":"settled"'*)
        echo "order $id is settled"
        exit 0
        ;;
    *'"status":"pending"'*) sleep 0.1 ;;
    *) break ;;
    esac
done
echo "order $id is not settled: $order" >&2
exit 1
