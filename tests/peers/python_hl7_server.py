#!/usr/bin/env python3
"""An independent receiver: python-hl7's MLLP server (pip install hl7).

Prints `listening on <port>` to stderr once it takes connections, and each message that arrives as one line of JSON to
stdout. Answers with python-hl7's own create_ack.

    python3 tests/peers/python_hl7_server.py [--port 0] [--code AA]
"""

import argparse
import asyncio
import json
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


async def serve(port, code):
    def handler(reader, writer):
        return converse(reader, writer, code)

    async with await start_hl7_server(handler, host="127.0.0.1", port=port, encoding="utf-8") as server:
        print(f"listening on {server.sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--code", default="AA", help="MSA-1 of every answer")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.port, arguments.code))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
