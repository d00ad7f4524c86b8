"""Lines of `{"cddl": file, "hex": bytes}` in, a line of `null` or the fault out, as the Rust `cddl` library judges."""

import functools
import json
import sys

import pycddl


@functools.cache
def schema(file):
    with open(file, encoding="utf-8") as text:
        return pycddl.Schema(text.read())


for line in sys.stdin:
    asked = json.loads(line)
    try:
        schema(asked["cddl"]).validate_cbor(bytes.fromhex(asked["hex"]))
        print("null", flush=True)
    except Exception as fault:  # whatever it says is the answer
        print(json.dumps(str(fault) or "refused"), flush=True)
