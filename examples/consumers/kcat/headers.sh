#!/bin/sh
# Where each record of a topic stands, its key, its CloudEvents headers and the length of its value, up to the topic's end.
# usage: headers.sh BROKERS TOPIC
set -eu
kcat -C -e -q -b "$1" -t "$2" -f '%p/%o key=%k %h bytes=%S\n'
