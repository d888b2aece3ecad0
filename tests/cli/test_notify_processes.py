"""``run`` as a process that notifies people: real servers that take messages, refuse, hang; kills and restarts."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.test_run_processes import Running, running
from receiving import Webhook, mail_server, mail_url, refused, silent, webhook
from shell import Shell

TOKEN = "T0KEN-of-mine"
SECRETS = (TOKEN, "s3cret-word", "correct-horse", "wrong-horse")
PASSES = ("run", "--dry-run", "--every", "1s", "--jitter", "0s", "--log-format", "json", "--listen", "none")
HELD = ("run", "--every", "1s", "--jitter", "0s", "--log-format", "json", "--listen", "none")


@contextmanager
def notified(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, *addresses: str, more: tuple[str, ...] = ()
) -> Iterator[Running]:
    """A daemon that is on hold, so that a change is held back, and no secret in what it logs and stores."""
    shell.drift("domains:read")
    monkeypatch.setenv("RECONCILER_HOLD", "INC-1")
    monkeypatch.setenv("RECONCILER_NOTIFY", "\n".join(addresses))
    with running(shell, *HELD, *more) as daemon:
        yield daemon
    logs = (shell.folder / "logs").read_text()
    assert not [secret for secret in SECRETS if secret in logs]
    assert all(json.loads(line)["event"] for line in logs.splitlines())


def hooked(hook: Webhook, path: str = TOKEN) -> str:
    return f"json://u:s3cret-word@{hook.address}/{path}"


def test_chat_and_mail(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held back arrives by a webhook and by mail, once, with the reason, the line and the link."""
    with webhook() as hook, mail_server() as mail:
        addresses = (hooked(hook), mail_url(mail.address))
        more = ("--page-url", "https://keys.example.com")
        with notified(shell, monkeypatch, *addresses, more=more) as daemon:
            daemon.until(lambda: len(daemon.lines("notification.sent")) == 2, "nobody was told")
            daemon.until_passes(len(daemon.lines("pass.finished")) + 2)
        assert len(mail.mails) == 1
        (body,) = hook.bodies
    assert body["title"].startswith("1 key held back in account ")
    assert "hold: INC-1" in body["message"]
    assert "asked for at config/keys/keys.yaml:6" in body["message"]
    assert "https://keys.example.com/accounts/" in body["message"]
    assert str(mail.mails[0]["Subject"]).startswith("1 key held back in account ")


def test_dead_addresses_disturb_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, hanging, erring, with a wrong password: passes go on, the others are told, the end comes at once."""
    with webhook() as hook, webhook(500) as errs, silent() as hangs, mail_server() as mail:
        addresses = (
            hooked(hook),
            hooked(errs),
            f"json://u:s3cret-word@{hangs}/{TOKEN}?rto=30",
            f"json://u:s3cret-word@{refused()}/{TOKEN}",
            mail_url(mail.address, "wrong-horse-9"),
        )
        with notified(shell, monkeypatch, *addresses) as daemon:
            daemon.until(lambda: len(daemon.lines("notification.failed")) == 3, "failures were not told")
            daemon.until(lambda: len(daemon.lines("notification.sent")) == 1, "nobody was told")
            daemon.until_passes(4)
            daemon.process.send_signal(signal.SIGTERM)
            code, seconds = daemon.ends()
            told = {line["error"] for line in daemon.lines("notification.failed")}
    assert (code, seconds < 4) == (0, True)
    assert told == {"it answered 500", "the connection was refused", "the login was refused"}
    assert len(hook.bodies) == 1


def test_the_end_waits_for_what_is_under_way(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that is taken a moment after SIGTERM is delivered, and known to be."""
    with webhook() as hook:
        hook.delay = threading.Event()
        with notified(shell, monkeypatch, hooked(hook)) as daemon:
            daemon.until(hook.arrived.is_set, "nobody was told")
            daemon.process.send_signal(signal.SIGTERM)
            threading.Timer(0.7, hook.delay.set).start()
            assert daemon.ends()[0] == 0
            assert len(daemon.lines("notification.sent")) == 1
        assert len(hook.bodies) == 1


def test_a_kill_repeats_nothing_with_a_trail(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed and started anew it tells nothing twice; what is over by then it tells once, with how long it lasted."""
    trail = shell.folder / "trail.jsonl"
    more = ("--trail", str(trail), "--notify-every", "1s")
    with webhook() as hook:
        with notified(shell, monkeypatch, hooked(hook), more=more) as daemon:
            daemon.until(lambda: bool(daemon.lines("notification.sent")), "nobody was told")
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()
        for _ in range(2):
            with notified(shell, monkeypatch, hooked(hook), more=more) as daemon:
                daemon.until_passes(3)
                daemon.process.send_signal(signal.SIGKILL)
                daemon.process.wait()
        assert len(hook.titles) == 1
        monkeypatch.delenv("RECONCILER_HOLD")
        with running(shell, *HELD, *more) as daemon:
            daemon.until(lambda: bool(daemon.lines("notification.sent")), "nobody was told that it is over")
            daemon.until_passes(len(daemon.lines("pass.finished")) + 2)
        assert hook.titles[1:] == ["Over: 1 concern, nothing stands any more"]
        assert "nothing is held back any more, after " in hook.bodies[1]["message"]
        with running(shell, *HELD, *more) as daemon:
            daemon.until_passes(3)
        assert len(hook.titles) == 2
    assert shell.run("trail", "verify", str(trail)) == 0
    assert shell.run("trail", "show", "--key", "shop", str(trail)) == 0
    assert "warning" not in shell.err
    assert not [secret for secret in SECRETS if secret in trail.read_text()]


def test_a_dry_run_tells_of_drift(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchman that writes nothing tells what differs, with the plan that could be approved."""
    shell.drift("domains:read")
    with webhook() as hook:
        monkeypatch.setenv("RECONCILER_NOTIFY", hooked(hook))
        with running(shell, *PASSES) as daemon:
            daemon.until(lambda: bool(hook.bodies), "nobody was told")
            assert len(daemon.lines("pass.finished")) >= 2
    assert hook.titles[0].startswith("1 key differs from the files")
    assert "\nPlan, to compare with what is reviewed: sha256:" in hook.bodies[0]["message"]


def test_addresses_are_rotated(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file with other addresses counts without a restart, and a line in it that is none is told by its number."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    file = secrets / "reconciler_notify"
    with webhook(500) as first, webhook() as second:
        file.write_text(f"{hooked(first)}\n")
        monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets))
        with notified(shell, monkeypatch, "json://unused") as daemon:
            daemon.until(lambda: bool(daemon.lines("notification.failed")), "the failure was not told")
            file.write_text(f"growth={hooked(first)}\nbogus://{TOKEN}\n{hooked(second)}\n")
            daemon.until(lambda: bool(second.bodies), "the new address was not told")
            told = [(line["address"], line["wait"]) for line in daemon.lines("notification.failed")]
    assert ("line 2", None) in told


def test_without_the_extra(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where Apprise is not installed a daemon with addresses does not start, and says what to install."""
    (tmp_path / "apprise.py").write_text("raise ImportError('apprise')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    with running(shell, *PASSES) as daemon:
        daemon.until_passes(1)
    monkeypatch.setenv("RECONCILER_NOTIFY", f"json://127.0.0.1/{TOKEN}")
    with running(shell, *PASSES) as daemon:
        assert daemon.process.wait(timeout=20) == 1
    logs = (shell.folder / "logs").read_text()
    assert "pip install 'ahasend-key-reconciler[notify]'" in logs
    assert TOKEN not in logs
