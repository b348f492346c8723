#!/usr/bin/env python3
"""An independent sender: python-hl7's MLLP client (pip install hl7), over mutual TLS.

Sends each file as one message after the answer to the one before, and prints each answer as one line of JSON.

    python3 tests/peers/python_hl7_client.py --port N --ca FILE --cert FILE --key FILE MESSAGE...
"""

import argparse
import asyncio
import json
import ssl

import hl7
from hl7.mllp import open_hl7_connection


async def send(arguments):
    context = ssl.create_default_context(cafile=arguments.ca)
    context.load_cert_chain(arguments.cert, arguments.key)
    reader, writer = await open_hl7_connection("127.0.0.1", arguments.port, encoding="utf-8", ssl=context)
    for file in arguments.messages:
        with open(file, encoding="utf-8", newline="") as opened:
            writer.writemessage(hl7.parse(opened.read()))
        await writer.drain()
        answer = await asyncio.wait_for(reader.readmessage(), 30)
        acknowledged = answer.segment("MSA")
        print(json.dumps({"code": str(acknowledged[1]), "control_id": str(acknowledged[2])}))
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    for name in ("--ca", "--cert", "--key"):
        parser.add_argument(name, required=True)
    parser.add_argument("messages", nargs="+")
    asyncio.run(send(parser.parse_args()))


main()
