#!/bin/sh
# Installs the packages that the lock names, where that is due. Run by ./baton and before the tests.
set -eu
cd "$(dirname "$0")/.."

# npm writes this file last; older than the lock, what is installed is not what is asked for.
if [ -f node_modules/.package-lock.json ] && ! [ package-lock.json -nt node_modules/.package-lock.json ]; then exit 0; fi
if ! command -v npm >/dev/null; then
  printf 'baton: npm is needed to install packages, and there is none on PATH (apt-get install npm)\n' >&2
  exit 1
fi
printf 'Installing packages…\n' >&2
# As the lock says. Not `npm ci`: it refuses a lock without the optional packages of other platforms.
if ! said=$(npm install --no-save --no-audit --no-fund --no-progress --loglevel=error 2>&1); then
  printf '%s\n' "$said" | grep -v '^npm error *$' | head -n 12 >&2
  printf 'baton: npm install failed in %s\n' "$PWD" >&2
  exit 1
fi
