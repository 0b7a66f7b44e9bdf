#!/usr/bin/env bash
# Installs what the programs here are written with, at fixed versions, into target/ci/clients. It needs python3, npm and their registries.
set -euo pipefail
cd "$(dirname "$0")"
to=../../target/ci/clients

# What is there is kept while it is what is asked for; half an installation never looks whole.
if ! cmp -s requirements.txt "$to/python/requirements.txt"; then
    rm -rf "$to/python"
    python3 -m venv "$to/python"
    # Byte code is made as it is needed: of all that the SDKs bring, the programs use little.
    "$to/python/bin/pip" install --quiet --no-compile --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt "$to/python/"
fi
if ! cmp -s package-lock.json "$to/node/installed.json"; then
    rm -rf "$to/node"
    mkdir -p "$to/node"
    cp package.json package-lock.json "$to/node/"
    npm ci --prefix "$to/node" --silent --no-audit --no-fund --ignore-scripts
    cp package-lock.json "$to/node/installed.json"
fi
