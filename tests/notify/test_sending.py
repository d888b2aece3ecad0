"""Messages sent by processes of their own: whatever an address does, it holds up nothing and takes little."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from notify.test_addresses import the
from receiving import refused, silent, webhook
from reconciler.notify import sending
from reconciler.notify.delivery import Letter, Receipt
from reconciler.notify.sending import MOST_AT_A_TIME, Sender

LETTER = Letter("title", "body", "info")


@contextmanager
def answering(*pieces: bytes, every: float = 0.0) -> Iterator[str]:
    """An address that answers each request with the first piece, and then with the others again and again."""
    ends = threading.Event()

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(65536)
            connection.sendall(pieces[0])
            while not ends.wait(every):
                connection.sendall(pieces[1])

    def serve(server: socket.socket) -> None:
        with suppress(OSError):  # it is closed in the end
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        ends.set()
        server.shutdown(socket.SHUT_RDWR)


async def test_what_became_of_it() -> None:
    """Delivered, or why not, as the process tells it."""
    sender = Sender()
    with webhook() as hook:
        assert await sender.send(the(f"json://{hook.address}/"), LETTER) == Receipt()
    assert await sender.send(the(f"json://{refused()}"), LETTER) == Receipt("the connection was refused")
    assert hook.titles == ["title"]


async def test_an_answer_without_an_end() -> None:
    """It takes no memory of ours, and that of the process is bounded."""
    with answering(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000) as address:
        told = await Sender().send(the(f"json://{address}/"), LETTER)
    assert told.error in ("its answer is too large", "what sends it ended before it was delivered")


async def test_an_answer_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a while, however often another byte comes."""
    monkeypatch.setattr(sending, "LONGEST_SEND", 2.0)
    with answering(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", every=0.1) as address:
        began = time.monotonic()
        assert await Sender().send(the(f"json://{address}/"), LETTER) == Receipt("it has not answered for 2 seconds")
    assert time.monotonic() - began < 10


async def test_those_that_hang_silence_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for its turn, and is given its time from then on; there are never more processes than a few."""
    monkeypatch.setattr(sending, "LONGEST_SEND", 5.0)
    sender = Sender()
    with webhook() as hook, silent() as hangs:
        dead = [asyncio.create_task(sender.send(the(f"json://{hangs}"), LETTER)) for _ in range(MOST_AT_A_TIME)]
        await asyncio.sleep(0)
        alive = asyncio.create_task(sender.send(the(f"json://{hook.address}"), LETTER))
        while len(sender._processes) < MOST_AT_A_TIME:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert len(sender._processes) == MOST_AT_A_TIME
        assert not alive.done()
        assert await alive == Receipt()
        assert {each.error for each in await asyncio.gather(*dead)} == {"it has not answered for 5 seconds"}


async def test_the_end() -> None:
    """What is under way is ended, and so is what is given up by whoever waits for it."""
    sender = Sender()
    with silent() as hangs:
        under_way = asyncio.create_task(sender.send(the(f"json://{hangs}"), LETTER))
        given_up = asyncio.create_task(sender.send(the(f"json://{hangs}"), LETTER))
        while len(sender._processes) < 2:
            await asyncio.sleep(0.01)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert len(sender._processes) == 1
        sender.end()
        assert await under_way == Receipt("what sends it ended before it was delivered")


async def test_no_secret_of_ours_is_given_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has neither credentials in its environment nor an address in its arguments."""
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-s3cret-word")
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://s3cret-word")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    with silent() as hangs:
        sender = Sender()
        under_way = asyncio.create_task(sender.send(the(f"json://u:s3cret-word@{hangs}"), LETTER))
        while not sender._processes:
            await asyncio.sleep(0.01)
        (process,) = sender._processes
        await asyncio.sleep(0.3)
        for what in ("environ", "cmdline"):
            held = Path(f"/proc/{process.pid}/{what}").read_bytes()
            assert b"s3cret" not in held
            assert what == "cmdline" or b"HTTPS_PROXY" in held
        assert os.getsid(process.pid) != os.getsid(0)
        sender.end()
        await under_way


async def test_nothing_of_the_folder_is_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file beside the desired state that has the name of a module is none."""
    for name in ("apprise.py", "json.py", "reconciler.py"):
        (tmp_path / name).write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert await Sender().send(the(f"json://{refused()}"), LETTER) == Receipt("the connection was refused")


async def test_where_there_can_be_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is why it was not delivered."""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    told = await Sender().send(the("json://127.0.0.1"), LETTER)
    assert told == Receipt("no process could be made to send it: no such file or directory")
    monkeypatch.setattr("sys.executable", "/bin/false")
    told = await Sender().send(the("json://127.0.0.1"), LETTER)
    assert told == Receipt("what sends it ended before it was delivered")
