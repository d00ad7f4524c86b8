#!/bin/sh
# The values of a topic as lines of JSON, up to its end. CBOR values one after another are a CBOR sequence (RFC 8742), which
# any CBOR tool reads; this one comes with Python's cbor2.
# usage: values.sh BROKERS TOPIC
set -eu
kcat -C -e -q -b "$1" -t "$2" -f '%s' | "${PYTHON:-python3}" -m cbor2.tool --sequence
