#!/usr/bin/env python3
"""An independent receiver: python-hl7's MLLP server (pip install hl7).

Prints `listening on <port>` to stderr once it takes connections, and each message that arrives as one line of JSON to
stdout. Answers with python-hl7's own create_ack.

    python3 tests/peers/python_hl7_server.py [--port 0] [--code AA] [--ca FILE --cert FILE --key FILE]
"""

import argparse
import asyncio
import json
import ssl
import sys

from hl7.mllp import start_hl7_server


def as_json(message):
    header = message.segment("MSH")
    return {
        "control_id": str(header[10]),
        "event": f"{header[9][0][0]}^{header[9][0][1]}",
        "segments": [[str(field) for field in segment] for segment in message],
    }


async def converse(reader, writer, code):
    try:
        while not writer.is_closing():
            message = await reader.readmessage()
            print(json.dumps(as_json(message), ensure_ascii=False), flush=True)
            writer.writemessage(message.create_ack(ack_code=code))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def mutual_tls(arguments):
    if not arguments.cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=arguments.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(arguments.cert, arguments.key)
    return context


async def serve(port, code, tls):
    def handler(reader, writer):
        return converse(reader, writer, code)

    async with await start_hl7_server(handler, host="127.0.0.1", port=port, encoding="utf-8", ssl=tls) as server:
        print(f"listening on {server.sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--code", default="AA", help="MSA-1 of every answer")
    parser.add_argument("--ca", help="authority of those who may send; without it no TLS")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.port, arguments.code, mutual_tls(arguments)))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
