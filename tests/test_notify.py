"""Addresses and messages through Apprise, against real servers: what is delivered, why not, and no secret anywhere."""

import builtins
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from receiving import PASSWORD, mail_server, mail_url, refused, silent, webhook
from reconciler.errors import SettingsError, mask
from reconciler.notify import MOST_ADDRESSES, Address, check_installed, read_addresses, send

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"


def the(url: str) -> Address:
    """The one address of a text."""
    read = read_addresses(url)
    assert read.wrong == ()
    (address,) = read.addresses
    return address


def names(text: str) -> list[str]:
    return [address.name for address in read_addresses(text).addresses]


# What is an address


def test_one_address_a_line() -> None:
    """Blank lines and comments count as lines and are no addresses; tags stand before an address."""
    text = (
        "# the team\n\n; and another\r\n"
        "json://127.0.0.1:1/hook\r\n"
        "Growth, team-news ops = json://hooks.example.com\n"
        f"  {SLACK}  \n"
    )
    read = read_addresses(text)
    assert [(each.line, each.name, set(each.tags)) for each in read.addresses] == [
        (4, "json://127.0.0.1", set()),
        (5, "json://hooks.example.com for growth,ops,team-news", {"growth", "team-news", "ops"}),
        (6, "slack://", set()),
    ]
    assert read.wrong == ()


def test_several_in_one_line() -> None:
    """An environment variable may have them between commas or blanks, as Apprise's own has; each has its number."""
    text = "json://a.example/x?to=a@b.c,d@e.f, ops=json://b.example json://c.example,x,y=json://d.example"
    read = read_addresses(text)
    assert [(each.line, each.name) for each in read.addresses] == [
        (1, "json://a.example"),
        (2, "json://b.example for ops"),
        (3, "json://c.example"),
        (4, "json://d.example for x,y"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "include http://127.0.0.1:1/more",
        "include /etc/passwd",
        "group = one, two",
        "urls:",
        "  - json://127.0.0.1",
        "no-such-service://secret",
        "slack://too/few",
        "json://",
        "json:// 127.0.0.1",
        "2:ops=json://127.0.0.1",
        "an owner with ümlaut=json://127.0.0.1",
        "pagerduty://x@y/?action=nonsense",
    ],
)
def test_what_is_no_address(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It is told by its number; nothing of it is logged, nothing else is read, and the others count."""
    read = read_addresses(f"json://127.0.0.1\n{line}\n")
    assert (read.wrong, [each.line for each in read.addresses]) == ((2,), [1])
    assert capfd.readouterr() == ("", "")


def test_an_address_that_a_plugin_chokes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a plugin raises, the line is wrong, and the text of the error goes nowhere."""
    from apprise import Apprise

    def chokes(*_args: object, **_fields: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(Apprise, "instantiate", chokes)
    assert read_addresses("json://127.0.0.1").wrong == (1,)


def test_there_are_not_too_many() -> None:
    """Beyond some number lines are wrong, since each address takes a thread of its own while it hangs."""
    read = read_addresses("json://127.0.0.1\n" * (MOST_ADDRESSES + 1))
    assert (len(read.addresses), read.wrong) == (MOST_ADDRESSES, (MOST_ADDRESSES + 1,))


def test_names_tell_addresses_apart() -> None:
    """Those that would be called the same are numbered; a new password or path changes no name."""
    before = names("json://a.example/one\njson://a.example/two\nx=json://a.example/two")
    assert before == ["json://a.example", "json://a.example #2", "json://a.example for x"]
    assert names("json://u:new@a.example/three\njson://a.example/four\nx=json://a.example") == before


# Secrets

SECRET_ADDRESSES = {
    "json://user:s3cret-word@hooks.example.com/hook/T0KEN-of-mine?key=qu3ry-secret": (
        "s3cret-word",
        "T0KEN-of-mine",
        "qu3ry-secret",
    ),
    "json://user:s3cret%2Fword%40x@hooks.example.com/": ("s3cret%2Fword%40x", "s3cret/word@x"),
    SLACK: ("TIiajkdnlazkcOXrIdevi7FQ", "T1JJ3T3L2", "A1BRTD4JD"),
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ": ("TIiajkdnlazkcOXrIdevi7FQ",),
    "tgram://123456789:abcdefg_hijklmnop/12315544/": ("123456789", "abcdefg_hijklmnop"),
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js": ("4174216298", "JHMHI8qBe7bk2ZwO5U711o3dV_js"),
    "pagerduty://A1BRTD4JDTIiajkdnlazkcOXrIdevi7FQ@2xB1234567": ("A1BRTD4JDTIiajkdnlazkcOXrIdevi7FQ", "2xB1234567"),
    "mailto://me:correct-horse@example.com?to=ops@example.org": ("correct-horse",),
    "ntfys://tk_lowercasetoken@ntfy.example.com/quiet-topic-name": ("tk_lowercasetoken",),
    "ifttt://WebHook-ID-of-mine@EventID-of-mine": ("WebHook-ID-of-mine",),
    "gotify://gotify.example.com/ABCDEFtoken": ("ABCDEFtoken",),
    "jsons://hooks.example.com/onlylowercaseletterstoken": ("/onlylowercaseletterstoken",),
}


@pytest.mark.parametrize(("url", "secrets"), SECRET_ADDRESSES.items(), ids=lambda value: str(value)[:20])
def test_no_part_of_an_address_that_is_secret_is_shown(url: str, secrets: Sequence[str]) -> None:
    """Password, token, path and query, as written and decoded, are masked, and are in no name and no repr."""
    address = the(url)
    for secret in (url, *secrets):
        assert secret not in mask(f"failed: {secret}!", *address.secrets)
        assert secret not in address.name + repr(address)


def test_ordinary_words_are_not_masked() -> None:
    """A host, a word in a path, or somebody's mail address in logs is not garbled."""
    told = "hooks.example.com services ops@example.org deliveries example.com"
    for url in (
        "json://hooks.example.com/services/deliveries",
        "mailto://me:correct-horse@example.com?to=ops@example.org",
    ):
        assert mask(told, *the(url).secrets) == told


def test_a_host_is_shown_where_it_is_one() -> None:
    """Several services have a token in its place; those are called by the service alone."""
    shown = {url: the(url).name for url in SECRET_ADDRESSES}
    assert set(shown.values()) == {
        "json://hooks.example.com",
        "slack://",
        "tgram://",
        "discord://",
        "pagerduty://",
        "mailto://example.com",
        "ntfys://ntfy.example.com",
        "ifttt://",
        "gotify://gotify.example.com",
        "jsons://hooks.example.com",
    }


# What is delivered


def test_a_webhook_gets_it() -> None:
    """Title, text and kind arrive as they are."""
    with webhook() as hook:
        assert send(the(f"json://{hook.address}/hook"), "1 key", "a < b\n- c", "warning") is None
    (body,) = hook.bodies
    assert (body["title"], body["message"], body["type"]) == ("1 key", "a < b\n- c", "warning")


@pytest.mark.parametrize(
    ("format_", "shown"), [("", b"a <b>bold</b> label"), ("&format=html", b"a &lt;b&gt;bold&lt;/b&gt; label")]
)
def test_mail_arrives(format_: str, shown: bytes) -> None:
    """With a login; what could be markup is text in it, whichever format the address asks for."""
    with mail_server() as server:
        address = the(mail_url(server.address) + format_)
        assert send(address, "1 key held back", "a <b>bold</b> label", "failure") is None
    (mail,) = server.mails
    assert (mail["Subject"], mail["To"]) == ("1 key held back", "ops@example.org")
    last = list(mail.walk())[-1].get_payload(decode=True)
    assert isinstance(last, bytes)
    assert shown in last.replace(b"&nbsp;", b" ")


def test_what_is_too_long_for_a_service_is_cut() -> None:
    """A service would refuse the whole of it otherwise; what an address says of that itself counts."""
    with webhook() as hook:
        address = the(f"json://{hook.address}")
        address.service.body_maxlen = 100
        assert send(address, "t", "x" * 500, "info") is None
        split = the(f"json://{hook.address}?overflow=split")
        split.service.body_maxlen = 400
        split.service.request_rate_per_sec = 0
        assert send(split, "t", "x" * 500, "info") is None
    assert [len(str(body["message"])) <= 400 for body in hook.bodies] == [True] * 3
    assert len(str(hook.bodies[0]["message"])) <= 100


def test_nobody_is_followed_elsewhere() -> None:
    """An answer that points to another address gets no second message there."""
    with webhook() as hook, webhook(302) as first:
        first.location = f"http://{hook.address}/"
        assert send(the(f"json://{first.address}"), "t", "b", "info") == "it answered 302"
    assert hook.bodies == []


# What is not


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_a_status(status: int) -> None:
    """The status of an answer is told, and nothing else of it."""
    with webhook(status) as hook:
        assert send(the(f"json://{hook.address}/T0KEN-of-mine"), "t", "b", "info") == f"it answered {status}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"json://{refused()}", "the connection was refused"),
        (mail_url(refused()), "the connection was refused"),
        ("json://no-such-host.invalid", "its host is not known"),
    ],
)
def test_nobody_there(url: str, reason: str) -> None:
    """Why nothing could be sent is told in words of ours."""
    assert send(the(url), "t", "b", "info") == reason


def test_a_login_that_is_wrong() -> None:
    """It is told to be, without the password."""
    with mail_server() as server:
        assert send(the(mail_url(server.address, "wrong-horse-9")), "t", "b", "info") == "the login was refused"
    assert server.mails == []


def test_no_tls_where_there_must_be() -> None:
    """What does not speak TLS is not spoken to without."""
    with webhook() as hook:
        told = send(the(f"jsons://{hook.address}"), "t", "b", "info")
    assert told == "its TLS certificate or protocol was not accepted"


def test_one_that_never_answers() -> None:
    """It is given up after Apprise's own time, or the address' own."""
    with silent() as address:
        began = time.monotonic()
        assert send(the(f"json://{address}?rto=0.2"), "t", "b", "info") == "no answer in time"
    assert time.monotonic() - began < 5


def test_an_error_that_nobody_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a plugin raises, no text of it is given on."""
    address = the("json://127.0.0.1:1")

    def chokes(**_fields: object) -> bool:
        raise RuntimeError("s3cret-word")

    monkeypatch.setattr(address.service, "notify", chokes)
    assert send(address, "t", "b", "info") == "it was not taken"


def test_nothing_is_written_to_stderr(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by Apprise nor by what it sends with, whatever happens: our stderr holds lines of JSON alone."""
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler())
    with webhook(500) as hook, silent() as address:
        for url in (f"json://{hook.address}", f"json://{refused()}", f"json://{address}?rto=0.1", mail_url(refused())):
            assert send(the(url), "t", "b", "info")
    logging.getLogger("urllib3.connectionpool").warning("a retry")
    assert capfd.readouterr() == ("", "")


def test_reasons_of_two_at_a_time_are_not_mixed_up() -> None:
    """Each thread hears what was logged for its own message."""
    told: dict[str, str | None] = {}
    with webhook(503) as hook:
        urls = {"status": f"json://{hook.address}", "refused": f"json://{refused()}"}

        def sends(name: str) -> None:
            told[name] = send(the(urls[name]), "t", "b", "info")

        threads = [threading.Thread(target=sends, args=(name,)) for name in urls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told == {"status": "it answered 503", "refused": "the connection was refused"}


def test_without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the error says how to install it."""
    check_installed()
    imported = builtins.__import__

    def without(name: str, *rest: Any, **fields: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return imported(name, *rest, **fields)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match="not installed") as raised:
        check_installed()
    assert "pip install 'ahasend-key-reconciler[notify]'" in raised.value.hint


def test_a_line_that_cannot_be_logged_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plugin logs wrongly does not turn a message that was delivered into one that was not."""
    address = the("json://127.0.0.1:1")

    def logs(**_fields: object) -> bool:
        address.service.logger.warning("%d sent", "one")
        return True

    monkeypatch.setattr(address.service, "notify", logs)
    assert send(address, "t", "b", "info") is None


def test_a_password_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """What Apprise logs reaches no handler but ours."""
    with mail_server() as server, caplog.at_level(logging.DEBUG):
        send(the(mail_url(server.address)), "t", "b", "info")
    assert PASSWORD not in caplog.text
