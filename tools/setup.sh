#!/bin/sh
# Sets up a virtual environment in the checkout with every pinned, hashed dependency.
# Debian packages are installed only where this runs as root; otherwise it says what to ask for.
set -eu
venv="${1:-.venv}" # where the documentation looks for the commands

say() { printf '%s\n' "kerege setup: $*" >&2; }

debian_packages() { # names of Debian packages
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing Debian packages: $*"
        apt-get update -qq || say "apt-get update failed; trying with the package lists at hand"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        return 1
    fi
}

fits() { # an interpreter that can make the environment, and of which CONDITION holds
    "$1" -c "import os, sys, sysconfig, venv, ensurepip
of_311 = sys.version_info[:2] == (3, 11)
headers = os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))
sys.exit(sys.version_info[:2] < (3, 11) or not ($2))" 2>/dev/null
}

# Where PY names none: 3.11, which everything is tried with, before a newer one, also without headers (they are fetched below). Of several
# the distribution's own comes first: it is kept patched with the system, and it is built with the compiler's profile, which a Python
# built on the machine mostly is not (a quarter more speed).
pick() {
    for condition in "of_311 and headers" of_311 headers True; do
        for candidate in /usr/bin/python3.11 python3.11 python3; do
            if command -v "$candidate" >/dev/null 2>&1 && fits "$candidate" "$condition"; then
                echo "$candidate"
                return
            fi
        done
    done
    echo python3
}
py="${PY:-$(pick)}"
command -v "$py" >/dev/null 2>&1 || py=python3
if ! "$py" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || ! "$py" -c 'import venv, ensurepip' 2>/dev/null; then
    debian_packages python3 python3-venv || {
        say "Python 3.11 with venv is needed. Ask an administrator for: apt-get install python3 python3-venv"
        exit 1
    }
    py=python3
fi

if [ ! -x "$venv/bin/python" ]; then
    say "making $venv and installing packages: a minute or two, and nothing more is said meanwhile"
    "$py" -m venv "$venv"
fi
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/lock.txt
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .

# Small messages over the Kerege link go through compiled code (docs/decisions/0150); without a compiler everything runs, those slower.
if ! "$venv/bin/python" tools/native.py --quiet 2>"$venv/native.log"; then
    if ! debian_packages gcc libc6-dev python3-dev || ! "$venv/bin/python" tools/native.py --quiet 2>"$venv/native.log"; then
        say "the native modules were not compiled ($venv/native.log says why; apt-get install gcc libc6-dev python3-dev): messages take the Python path"
    fi
fi
# The browser journeys need Chromium and a font with Kyrgyz letters; without them those tests say so and are skipped.
if ! command -v chromium >/dev/null 2>&1; then
    debian_packages chromium fonts-noto-core || say "no chromium here: browser journeys will be skipped (apt-get install chromium fonts-noto-core)"
fi
# Outside checks of signatures, and a PKCS#11 token in software; tests that need one of them say "not there" without it.
if ! command -v xmlsec1 >/dev/null 2>&1 || ! command -v softhsm2-util >/dev/null 2>&1; then
    debian_packages xmlsec1 openssl softhsm2 || say "no xmlsec1 or softhsm2 here: tests with them will be skipped (apt-get install xmlsec1 softhsm2)"
fi
say "ready in $venv"
