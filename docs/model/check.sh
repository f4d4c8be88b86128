#!/bin/sh
# Checks the model of the rules of order: whole, and with each rule left out, which has to give a counterexample.
#   sh docs/model/check.sh [-v]      -v prints the counterexamples. Needs spin and gcc.
set -eu
directory=$(mktemp -d)
cp "$(dirname "$0")/order.pml" "$directory"
trap 'rm -rf "$directory"' EXIT
cd "$directory"

check() { # options of the model, options of the compiler
  spin $1 -a order.pml >/dev/null
  gcc -O2 -w -DSAFETY -DMEMLIM=4000 $2 -o pan pan.c
  ./pan -m200000 >out 2>&1
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
  errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' out)
  if grep -q 'max search depth too small\|out of memory' out; then errors=incomplete; fi
}

whole() {
  check "$1" ''
  echo "errors: $errors, states: $states, with ${1:-two payments}"
  [ "$errors" = 0 ] || status=1
}

without() { # Breadth first, so that the counterexample is a shortest one.
  check "-D$1" -DBFS
  echo "without $1: errors: $errors"
  if [ "$errors" != 1 ]; then status=1; elif [ "${verbose-}" = -v ]; then spin -t -T -D${1} order.pml | sed -n '/^[A-C] \|^processor\|^the index\|^a purge/s/^/  /p'; fi
}

status=0
verbose=${1-}
whole '-DDOORS=3'
whole '-DUSED=1 -DMARKS=2 -DPURGES=1 -DSENDS=3'
whole '-DUSED=1 -DMARKS=2 -DSENDS=3 -DDOORS=3'
without NO_FENCE
without NO_FIRST
without 'NO_FRESH -DUSED=1 -DMARKS=2'
without NO_OWNER
without NO_PIN
without 'NO_PIN_ON_TOP -DUSED=1 -DSENDS=3'
without NO_INTENT
without 'NO_GENERATION -DUSED=1 -DPURGES=1'
exit $status
