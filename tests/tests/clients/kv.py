"""A plain client of a bucket: runs the commands of its standard input, one JSON list a line, and answers each with one line.

["put", key, text]      -> revision
["create", key, text]   -> revision
["delete", key]         -> true
["get", key]            -> {"value": text, "revision": revision, "headers": {name: text}}; null where there is none
"""

import asyncio
import json
import sys

import nats
from nats.js.errors import KeyNotFoundError


async def get(jetstream, kv, bucket, key):
    try:
        entry = await kv.get(key)
    except KeyNotFoundError:
        return None
    message = await jetstream.get_msg(f"KV_{bucket}", entry.revision)
    return {"value": entry.value.decode(), "revision": entry.revision, "headers": dict(message.headers or {})}


async def main(url, bucket):
    client = await nats.connect(url)
    jetstream = client.jetstream()
    kv = await jetstream.key_value(bucket)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, key, *text = json.loads(line)
        if command == "put":
            answer = await kv.put(key, text[0].encode())
        elif command == "create":
            answer = await kv.create(key, text[0].encode())
        elif command == "delete":
            answer = await kv.delete(key)
        elif command == "get":
            answer = await get(jetstream, kv, bucket, key)
        else:
            raise ValueError(command)
        print(json.dumps(answer), flush=True)
    await client.close()


asyncio.run(main(*sys.argv[1:]))
