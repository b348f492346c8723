#!/usr/bin/env python3
"""Messages as python-hl7 (pip install hl7) takes them apart.

For each file one line of JSON: segments, their fields, repetitions and components, as raw text; null
where it cannot read the file. Bytes are read as ISO 8859-1, so that every byte is a character.

    python3 tests/peers/python_hl7_fields.py MESSAGE...
"""

import json
import sys

import hl7


def parts(container, depth):
    """Lists down to a depth; where there is one part only, python-hl7 leaves its list out."""
    if depth == 0:
        return str(container)
    if isinstance(container, str):
        return [parts(container, depth - 1)]
    return [parts(part, depth - 1) for part in container]


def main():
    for file in sys.argv[1:]:
        with open(file, encoding="iso-8859-1", newline="") as opened:
            text = opened.read()
        try:
            message = hl7.parse(text)
            print(json.dumps([[parts(field, 2) for field in segment] for segment in message]))
        except Exception as error:  # Whatever it is: it cannot read it.
            print(f"{file}: {error!r}", file=sys.stderr)
            print("null")


main()
