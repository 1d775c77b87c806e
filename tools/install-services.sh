#!/bin/sh
# Installs what `make test-services` needs from Debian: a browser, and a font with Chinese characters for its pictures.
set -eu
packages="chromium fonts-noto-cjk"

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "These tests need Debian's$missing: run \`apt-get install$missing\` as root first." >&2
    exit 1
fi
echo "== Installing Debian's$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
