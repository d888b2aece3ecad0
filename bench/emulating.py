"""What the emulator answers on one core: SEED; in process (ASGI alone), and over a socket to a plain client."""

import asyncio
import http.client
import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.emulator.server import Emulator, Server

Request = tuple[str, str, bytes]


def operations(account: dict[str, Any]) -> dict[str, Callable[[int], Request]]:
    """What is measured: for each name, the n-th request (method, path, body)."""
    base = f"/v2/accounts/{account['id']}"
    one = f"{base}/api-keys/{account['keys'][5]['id']}"
    below = f"{base}/sub-accounts/{account['sub_accounts'][0]['id']}/api-keys"
    return {
        "list of 100 keys": lambda _: ("GET", f"{base}/api-keys", b""),
        "one key": lambda _: ("GET", one, b""),
        "a PUT": lambda n: ("PUT", one, json.dumps({"label": f"Label {n}"}).encode()),
        "a sub account's 3 keys": lambda _: ("GET", below, b""),
    }


async def in_process(emulator: Emulator, token: str, ask: Callable[[int], Request], number: int) -> None:
    method, path, body = ask(number)
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
    }
    await emulator(scope, receive, send)
    assert status == 200


def blocking(port: int, token: str, ask: Callable[[int], Request], count: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for number in range(count):
        # Other numbers than in process: a PUT that changes nothing would be refused.
        method, path, body = ask(10_000 + number)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


async def timed(count: int, work: Callable[[int], Awaitable[None]]) -> float:
    began = time.process_time()
    for number in range(count):
        await work(number)
    return count / (time.process_time() - began)


async def main(document: dict[str, Any]) -> None:
    (account,) = document["accounts"]
    token = account["keys"][0]["secret_key"]
    emulator = Emulator(document, rate=1e9, burst=10**9)
    for name, ask in operations(account).items():
        rate = await timed(3000, partial(in_process, emulator, token, ask))
        server = Server(emulator)
        port = await server.start()
        # The client has a thread of its own, whose CPU is in the figure: it is the least that a socket can be asked.
        began = time.perf_counter()
        await asyncio.to_thread(blocking, port, token, ask, 2000)
        socket_rate = 2000 / (time.perf_counter() - began)
        await server.stop()
        print(f"  {name}: {rate:.0f} a second in process, {socket_rate:.0f} over a socket, one after another")


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
