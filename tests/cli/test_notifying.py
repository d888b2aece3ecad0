"""The addresses of notifications as the secrets have them, the command that lists and tests them, and the options."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from core.telling import account, change, report
from receiving import mail_server, mail_url, refused, silent, webhook
from reconciler.cli.notifying import AddressBook, Notifying, Office, make_notifier, notifying
from reconciler.cli.wiring import Secrets
from reconciler.core.changes import Outcome
from reconciler.core.events import Event, NotificationFailed, PassFinished
from reconciler.errors import SettingsError
from reconciler.notify import sending
from reconciler.notify.delivery import Receipt
from reconciler.render.notice import Message, Urgency
from shell import Shell

MESSAGE = Message("title", "body", Urgency.INFO)
HELD = report(account(change("shop", Outcome.REFUSED, "hold: INC-1")))
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
    for text in (b" \n", b"\xff", None):
        file.unlink() if text is None else file.write_bytes(text)
        assert names(book) == ["json://second"]
    (second,) = book.read()
    assert book.find(second.identity) == second
    assert book.find("another") is None


def test_what_is_no_address(file: Path) -> None:
    """At the start it is an error that says where and why; later that is told of once, and the others count."""
    file.write_text("json://good\ns3cret-word\nTeam Growth=json://other\n")
    with pytest.raises(
        SettingsError, match=r"^RECONCILER_NOTIFY: line 2 is not understood; line 3 has a blank"
    ) as raised:
        AddressBook(Secrets()).read()
    assert "s3cret" not in str(raised.value)
    book, events = AddressBook(Secrets()), list[Event]()
    assert names(book, events) == names(book, events) == ["json://good"]
    told = "the address has a blank in the name of an owner: write - for it, and a comma between two; it is left out"
    assert events == [
        NotificationFailed("line 2", "the address is not understood; it is left out", 0, None),
        NotificationFailed("line 3", told, 0, None),
    ]
    file.write_text("json://good, s3cret://word")
    with pytest.raises(SettingsError, match="address 2 is not understood"):
        AddressBook(Secrets()).read()


def test_a_file_without_addresses_is_an_error(file: Path) -> None:
    """At the start: nobody would be told anything. Later nothing changes by it."""
    for text in (b" \n", b"\xff"):
        file.write_bytes(text)
        with pytest.raises(SettingsError, match="the addresses of notifications: "):
            AddressBook(Secrets()).read()


def test_every_address_that_ever_was_is_masked(file: Path) -> None:
    """Also those that were rotated away."""
    secrets = Secrets()
    book = AddressBook(secrets)
    for text in (ONE, "json://u:another-word@127.0.0.1:1/"):
        file.write_text(text)
        book.read()
    assert {"s3cret-word", "T0KEN-of-mine", "another-word"} <= set(secrets())


async def test_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent arrives, or the reason is told; an address that is not there any more is one."""
    with webhook() as hook:
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}/\njson://no-such-host.invalid")
        book = AddressBook(Secrets())
        first, second = (each.identity for each in book.read())
        office = Office(book)
        assert await office(first, MESSAGE, ()) == Receipt()
        assert await office(second, MESSAGE, ()) == Receipt("its host is not known")
        assert await office("elsewhere", MESSAGE, ()) == Receipt("it is not set any more")
    assert hook.titles == ["title"]


async def test_who_took_a_message_does_not_get_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also through the process that sends it."""
    with mail_server("bad@example.org") as mail:
        to = mail_url(mail.address).replace("ops@example.org", "ops@example.org,bad@example.org")
        monkeypatch.setenv("RECONCILER_NOTIFY", to)
        book = AddressBook(Secrets())
        (address,) = book.read()
        first = await Office(book)(address.identity, MESSAGE, ())
        assert (first.error, len(first.taken)) == ("its mail server answered 550", 1)
        assert (await Office(book)(address.identity, MESSAGE, first.taken)).error is not None
    assert len(mail.mails) == 1


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
    assert isinstance(notifier, Notifying)
    before = len(asyncio.all_tasks())
    async with notifying(notifier):
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) > before
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


async def test_no_process_outlives_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not come to an end in the last moment is ended."""
    monkeypatch.setattr("reconciler.daemon.notifier.LAST_MOMENT", 0.5)
    with silent() as address:
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{address}")
        what = make_notifier(Secrets(), list[Event]().append, None, timedelta(minutes=5), None)
        assert what is not None
        async with notifying(what):
            what.notifier(PassFinished("run", HELD, 1.0))
            while not what.office.sender._processes:
                await asyncio.sleep(0.01)
        ended = time.monotonic()
        while what.office.sender._processes:
            await asyncio.sleep(0.01)
    assert time.monotonic() - ended < 3


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
        "line 1  json://127.0.0.1:1  hears of everything\n"
        "line 3  json://hooks.example.com for growth  hears of the keys of these owners alone\n"
    )


def test_the_test(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address is told to have taken the message, or why not; exit 0 where all took it, else 1."""
    with webhook() as hook, mail_server() as mail:
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}/T0KEN-of-mine\n{mail_url(mail.address)}")
        assert shell.run("notify", "--test", "--page-url", "https://keys.example.com/") == 0
        assert shell.out == f"line 1  json://{hook.address}  sent\nline 2  mailto://{mail.address}  sent\n"
        assert hook.bodies[0]["message"].endswith("Status: https://keys.example.com/")
        assert mail.mails[0]["Subject"] == "Test of notifications"
        wrong, dead = mail_url(mail.address, "wrong-horse-9"), refused()
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{hook.address}, {wrong} json://{dead}/T0KEN-of-mine")
        assert shell.run("notify", "--test") == 1
    assert shell.out == (
        f"address 1  json://{hook.address}  sent\n"
        f"address 2  mailto://{mail.address}  failed: the login was refused\n"
        f"address 3  json://{dead}  failed: the connection was refused\n"
    )
    assert not any(word in shell.out + shell.err for word in ("T0KEN", "horse"))


def test_the_test_waits_for_nobody_for_ever(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not answer has failed after a while."""
    monkeypatch.setattr(sending, "LONGEST_SEND", 0.1)
    with silent() as address:
        monkeypatch.setenv("RECONCILER_NOTIFY", f"json://{address}")
        assert shell.run("notify", "--test") == 1
    assert shell.out == f"line 1  json://{address}  failed: it has not answered for 0 seconds\n"


def test_a_line_that_is_none(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` does not start with it, and nothing of it is shown."""
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://good\nbogus://s3cret-word")
    for command in ("notify", "run"):
        assert shell.run(command) == 1
        assert "RECONCILER_NOTIFY: line 2 is not understood" in shell.err
        assert "s3cret" not in shell.out + shell.err


@pytest.mark.parametrize(
    "url", ["keys.example.com", "ftp://keys", "https://keys/?a", "https://", "javascript:x", "https://k/\n"]
)
def test_what_is_no_page(shell: Shell, url: str) -> None:
    """An address from which no links can be made is wrong usage."""
    assert shell.run("notify", "--test", "--page-url", url) == 64
    assert "is no address of a page" in shell.err
