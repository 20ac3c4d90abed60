#!/bin/bash
# Installs the Debian packages of the named lists that are missing: packages/install.sh build runtime
# Touches neither apt nor the network when nothing is missing.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

if ! command -v dpkg-query >/dev/null; then
    echo "error: no dpkg here. Switchhook's setup knows Debian 12; elsewhere install the packages" >&2
    echo "       named in $here/*.txt under their local names and build with docker/pjsip/build.py." >&2
    exit 1
fi

missing=()
for list in "$@"; do
    while read -r package; do
        status=$(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null || true)
        [[ $status == *installed* && $status != *not-installed* ]] || missing+=("$package")
    done < <(grep -v -e '^#' -e '^$' "$here/$list.txt")
done
(( ${#missing[@]} )) || exit 0

command=(apt-get install -y --no-install-recommends "${missing[@]}")
if (( EUID != 0 )); then
    echo "error: these Debian packages are missing: ${missing[*]}" >&2
    echo "Install them, then call make again:" >&2
    echo "    sudo apt-get update && sudo ${command[*]}" >&2
    exit 1
fi
echo "Installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q </dev/null
"${command[@]}" -q </dev/null
