"""The addresses of notifications as the secrets have them, the command that lists and tests them, and the options."""

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from receiving import mail_server, mail_url, refused, silent, webhook
from reconciler.cli.notifying import AddressBook, Sender, make_notifier, notifying
from reconciler.cli.wiring import Secrets
from reconciler.core.events import Event, NotificationFailed
from reconciler.daemon.notifier import Notifier
from reconciler.errors import SettingsError
from reconciler.render.notice import Message, Urgency
from shell import Shell

MESSAGE = Message("title", "body", Urgency.INFO)
ONE = "json://u:s3cret-word@127.0.0.1:1/T0KEN-of-mine"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the secrets directory has the addresses."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
    return secrets / "reconciler_notify"


def names(book: AddressBook, events: list[Event] | None = None) -> list[str]:
    return [each.name for each in book.current((events if events is not None else []).append)]


def test_the_file_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses come from their file, else from the environment; none is fine."""
    book = AddressBook(Secrets())
    assert book.read() == ()
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://of-the-environment")
    assert [each.name for each in book.read()] == ["json://of-the-environment"]
    file.write_text("json://of-the-file\n")
    assert [each.name for each in book.read()] == ["json://of-the-file"]


def test_it_follows_the_file(file: Path) -> None:
    """A new text counts at once; one that is gone, empty or unreadable for a moment changes nothing."""
    book = AddressBook(Secrets())
    file.write_text("json://first")
    assert names(book) == ["json://first"]
    file.write_text("json://second")
    assert names(book) == ["json://second"]
    for spoil in (lambda: file.write_text(" \n"), lambda: file.write_bytes(b"\xff"), file.unlink):
        spoil()
        assert names(book) == ["json://second"]
    found = book.find("json://second")
    assert found is not None
    assert found.name == "json://second"
    assert book.find("json://first") is None


def test_lines_that_are_none(file: Path) -> None:
    """At the start they are an error that names them; later they are told of once, and the others count."""
    file.write_text("json://good\ns3cret-word\nbogus://s3cret-word\n")
    with pytest.raises(SettingsError, match=r"^RECONCILER_NOTIFY: lines 2, 3 not understood") as raised:
        AddressBook(Secrets()).read()
    assert "s3cret" not in str(raised.value)
    book, events = AddressBook(Secrets()), list[Event]()
    assert names(book, events) == names(book, events) == ["json://good"]
    told = "the address is not understood, and left out"
    assert events == [NotificationFailed(f"line {line}", told, 0, None) for line in (2, 3)]
    file.write_text("s3cret-word")
    with pytest.raises(SettingsError, match="line 1 not understood"):
        AddressBook(Secrets()).read()


def test_every_address_that_ever_was_is_masked(file: Path) -> None:
    """Also those that were rotated away."""
    secrets = Secrets()
    book = AddressBook(secrets)
    for text in (ONE, "json://u:another-word@127.0.0.1:1/"):
        file.write_text(text)
        book.read()
    assert {"s3cret-word", "T0KEN-of-mine", "another-word"} <= set(secrets())


async def test_sending() -> None:
    """What is sent arrives, or the reason is told; an address that is not there any more is one."""
    with webhook() as hook, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}/\njson://no-such-host.invalid")
        book = AddressBook(Secrets())
        book.read()
        sender = Sender(book)
        assert await sender("json://127.0.0.1", MESSAGE) is None
        assert await sender("json://no-such-host.invalid", MESSAGE) == "its host is not known"
        assert await sender("json://elsewhere", MESSAGE) == "it is not set any more"
    assert hook.titles == ["title"]


async def test_hanging_addresses_take_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many hang, there are no more threads than a handful, and the loop goes on."""
    with webhook() as hook:
        hook.delay = threading.Event()
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}/\n" * 12)
        book = AddressBook(Secrets())
        sender, before = Sender(book), set(threading.enumerate())
        sending = [asyncio.create_task(sender(each.name, MESSAGE)) for each in book.read()]
        await asyncio.sleep(0.5)
        assert sum(thread.name.startswith("notify_") for thread in {*threading.enumerate()} - before) == 8
        assert not any(task.done() for task in sending)
        hook.delay.set()
        assert await asyncio.gather(*sending) == [None] * 12


def test_nobody_is_notified_where_no_address_is_set() -> None:
    """Then there is no worker, and nothing of Apprise is loaded."""

    async def nothing() -> None:
        async with notifying(None):
            pass

    assert make_notifier(Secrets(), list[Event]().append, None, timedelta(minutes=5), None) is None
    asyncio.run(nothing())


async def test_a_worker_for_as_long_as_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It works while the block lasts, and ends with it."""
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://127.0.0.1:1")
    notifier = make_notifier(Secrets(), list[Event]().append, None, timedelta(minutes=5), "https://keys.example.com")
    assert isinstance(notifier, Notifier)
    before = len(asyncio.all_tasks())
    async with notifying(notifier):
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) > before
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


# The command


def test_no_addresses(shell: Shell) -> None:
    """Exit 64, and how to set them."""
    assert shell.run("notify", "--test") == 64
    assert "set RECONCILER_NOTIFY" in shell.err


def test_the_list(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --test addresses are listed, and nobody gets anything."""
    monkeypatch.setenv("RECONCILER_NOTIFY", f"{ONE}\n# x\ngrowth=json://hooks.example.com")
    assert shell.run("notify") == 0
    assert shell.out == (
        "line 1  json://127.0.0.1  hears of everything\n"
        "line 3  json://hooks.example.com for growth  hears of the keys of these owners alone\n"
    )


def test_the_test(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address is told to have taken the message, or why not; exit 0 where all took it, else 1."""
    with webhook() as hook, mail_server() as mail:
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}/T0KEN-of-mine\n{mail_url(mail.address)}")
        assert shell.run("notify", "--test", "--page-url", "https://keys.example.com/") == 0
        assert shell.out == "line 1  json://127.0.0.1  sent\nline 2  mailto://127.0.0.1  sent\n"
        assert hook.bodies[0]["message"].endswith("Status: https://keys.example.com/")
        assert mail.mails[0]["Subject"] == "Test of notifications"
        wrong = mail_url(mail.address, "wrong-horse-9")
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}\n{wrong}\njson://{refused()}/T0KEN-of-mine")
        assert shell.run("notify", "--test") == 1
    assert shell.out == (
        "line 1  json://127.0.0.1  sent\n"
        "line 2  mailto://127.0.0.1  failed: the login was refused\n"
        "line 3  json://127.0.0.1 #2  failed: the connection was refused\n"
    )
    assert not any(word in shell.out + shell.err for word in ("T0KEN", "horse"))


def test_the_test_waits_for_nobody_for_ever(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not answer has failed after a while."""
    monkeypatch.setattr("reconciler.daemon.notifier.LONGEST_SEND", 0.1)
    with silent() as address:
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{address}?rto=1")
        began = time.monotonic()
        assert shell.run("notify", "--test") == 1
    assert shell.out == "line 1  json://127.0.0.1  failed: it has not answered for 0 seconds\n"
    assert time.monotonic() - began < 5


def test_a_line_that_is_none(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` does not start with it, and nothing of it is shown."""
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://good\nbogus://s3cret-word")
    for command in ("notify", "run"):
        assert shell.run(command) == 1
        assert "RECONCILER_NOTIFY: line 2 not understood" in shell.err
        assert "s3cret" not in shell.out + shell.err


@pytest.mark.parametrize(
    "url", ["keys.example.com", "ftp://keys", "https://keys/?a", "https://", "javascript:x", "https://k/\n"]
)
def test_what_is_no_page(shell: Shell, url: str) -> None:
    """An address from which no links can be made is wrong usage."""
    assert shell.run("notify", "--test", "--page-url", url) == 64
    assert "is no address of a page" in shell.err
