"""Messages through Apprise, against real servers: what is delivered, why not, and no secret anywhere."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from notify.test_addresses import the
from receiving import PASSWORD, mail_server, mail_url, refused, silent, webhook
from reconciler.notify.addresses import instantiate
from reconciler.notify.delivery import Letter, Receipt, deliver

if TYPE_CHECKING:
    from apprise import NotifyBase


def service(url: str) -> "NotifyBase":
    """What sends to the one address of a text."""
    found = instantiate(the(url).url)
    assert found is not None
    return found


def send(to: "NotifyBase", title: str, body: str, urgency: str) -> str | None:
    """Why a message was not delivered."""
    return deliver(to, Letter(title, body, urgency)).error


# What is delivered


def test_a_webhook_gets_it() -> None:
    """Title, text and kind arrive as they are."""
    with webhook() as hook:
        assert send(service(f"json://{hook.address}/hook"), "1 key", "a < b\n- c", "warning") is None
    (body,) = hook.bodies
    assert (body["title"], body["message"], body["type"]) == ("1 key", "a < b\n- c", "warning")


@pytest.mark.parametrize(
    ("format_", "shown"), [("", b"a <b>bold</b> label"), ("&format=html", b"a &lt;b&gt;bold&lt;/b&gt; label")]
)
def test_mail_arrives(format_: str, shown: bytes) -> None:
    """With a login; what could be markup is text in it, whichever format the address asks for."""
    with mail_server() as server:
        address = service(mail_url(server.address) + format_)
        assert send(address, "1 key held back", "a <b>bold</b> label", "failure") is None
    (mail,) = server.mails
    assert (mail["Subject"], mail["To"]) == ("1 key held back", "ops@example.org")
    last = list(mail.walk())[-1].get_payload(decode=True)
    assert isinstance(last, bytes)
    assert shown in last.replace(b"&nbsp;", b" ")


def test_what_is_too_long_for_a_service_is_cut() -> None:
    """A service would refuse the whole of it otherwise; what an address says of that itself counts."""
    with webhook() as hook:
        address = service(f"json://{hook.address}")
        address.body_maxlen = 100
        assert send(address, "t", "x" * 500, "info") is None
        split = service(f"json://{hook.address}?overflow=split")
        split.body_maxlen = 400
        split.request_rate_per_sec = 0
        assert send(split, "t", "x" * 500, "info") is None
    assert [len(str(body["message"])) <= 400 for body in hook.bodies] == [True] * 3
    assert len(str(hook.bodies[0]["message"])) <= 100


def test_nobody_is_followed_elsewhere() -> None:
    """An answer that points to another address gets no second message there."""
    with webhook() as hook, webhook(302) as first:
        first.location = f"http://{hook.address}/"
        assert send(service(f"json://{first.address}"), "t", "b", "info") == "it answered 302"
    assert hook.bodies == []


# What is not


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_a_status(status: int) -> None:
    """The status of an answer is told, and nothing else of it."""
    with webhook(status) as hook:
        assert send(service(f"json://{hook.address}/T0KEN-of-mine"), "t", "b", "info") == f"it answered {status}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (lambda: f"json://{refused()}", "the connection was refused"),
        (lambda: mail_url(refused()), "the connection was refused"),
        (lambda: "json://no-such-host.invalid", "its host is not known"),
    ],
    ids=["hook", "mail", "host"],
)
def test_nobody_there(url: Callable[[], str], reason: str) -> None:
    """Why nothing could be sent is told in words of ours."""
    assert send(service(url()), "t", "b", "info") == reason


def test_a_login_that_is_wrong() -> None:
    """It is told to be, without the password."""
    with mail_server() as server:
        assert send(service(mail_url(server.address, "wrong-horse-9")), "t", "b", "info") == "the login was refused"
    assert server.mails == []


def test_mail_that_cannot_be_sent() -> None:
    """What the server does not offer, or says of a recipient, is told, and nothing of its texts."""
    with mail_server(takes_login=False) as server:
        told = send(service(mail_url(server.address)), "t", "b", "info")
        assert told == "it takes no login, or none without TLS"
        secure = mail_url(server.address).replace("mailto", "mailtos").replace("mode=insecure", "mode=starttls")
        assert send(service(secure), "t", "b", "info") == "it offers no TLS (STARTTLS)"
    with mail_server("ops@example.org") as server:
        assert send(service(mail_url(server.address)), "t", "b", "info") == "its mail server answered 550"


def test_some_recipients_take_it() -> None:
    """Who took it is told, and left out of the next attempt; so is nobody of a message that is sent in pieces."""
    with mail_server("bad@example.org") as server:
        to = mail_url(server.address).replace("ops@example.org", "ops@example.org,bad@example.org")
        first = deliver(service(to), Letter("t", "b", "info"))
        assert (first.error, len(first.taken)) == ("its mail server answered 550", 1)
        again = deliver(service(to), Letter("t", "b", "info", first.taken))
        assert again == Receipt("its mail server answered 550")
        server.refuses = ()
        assert deliver(service(to), Letter("t", "b", "info", first.taken)) == Receipt()
        assert [mail["To"] for mail in server.mails] == ["ops@example.org", "bad@example.org"]
        server.refuses = ("bad@example.org",)
        assert deliver(service(f"{to}&overflow=split"), Letter("t", "b", "info")).taken == ()
    assert "ops" not in repr(first)


def test_what_a_service_marks_for_itself_is_no_recipient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that it sent a picture, or a piece: who got that has not got the message."""
    to = service("json://127.0.0.1:1")

    def marks(**_fields: object) -> bool:
        to.mark_delivered("a room", per_message=True)
        to.mark_delivered(object())
        to.mark_delivered("a telephone")
        return False

    monkeypatch.setattr(to, "notify", marks)
    assert deliver(to, Letter("t", "b", "info")).taken == ("'a telephone'",)


def test_no_tls_where_there_must_be() -> None:
    """What does not speak TLS is not spoken to without."""
    with webhook() as hook:
        told = send(service(f"jsons://{hook.address}"), "t", "b", "info")
    assert told == "its TLS certificate or protocol was not accepted"


def test_one_that_never_answers() -> None:
    """It is given up after Apprise's own time, or the address' own."""
    with silent() as address:
        began = time.monotonic()
        assert send(service(f"json://{address}?rto=0.2"), "t", "b", "info") == "no answer in time"
    assert time.monotonic() - began < 5


def test_one_that_answers_slowly() -> None:
    """It is waited for longer than Apprise would: a message that was taken is not to be sent again."""
    with webhook() as hook:
        hook.delay = threading.Event()
        timer = threading.Timer(4.5, hook.delay.set)
        timer.start()
        assert send(service(f"json://{hook.address}"), "t", "b", "info") is None
        timer.join()


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no memory for it, that is told."""
    address = service("json://127.0.0.1:1")

    def chokes(**_fields: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(address, "notify", chokes)
    assert send(address, "t", "b", "info") == "its answer is too large"


def test_an_error_that_nobody_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a plugin raises, no text of it is given on."""
    address = service("json://127.0.0.1:1")

    def chokes(**_fields: object) -> bool:
        raise RuntimeError("s3cret-word")

    monkeypatch.setattr(address, "notify", chokes)
    assert send(address, "t", "b", "info") == "it was not taken"


def test_nothing_is_written_to_stderr(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by Apprise nor by what it sends with, whatever happens: our stderr holds lines of JSON alone."""
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler())
    with webhook(500) as hook, silent() as address:
        for url in (f"json://{hook.address}", f"json://{refused()}", f"json://{address}?rto=0.1", mail_url(refused())):
            assert send(service(url), "t", "b", "info")
    logging.getLogger("urllib3.connectionpool").warning("a retry")
    assert capfd.readouterr() == ("", "")


def test_reasons_of_two_at_a_time_are_not_mixed_up() -> None:
    """Each thread hears what was logged for its own message."""
    told: dict[str, str | None] = {}
    with webhook(503) as hook:
        urls = {"status": f"json://{hook.address}", "refused": f"json://{refused()}"}

        def sends(name: str) -> None:
            told[name] = send(service(urls[name]), "t", "b", "info")

        threads = [threading.Thread(target=sends, args=(name,)) for name in urls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told == {"status": "it answered 503", "refused": "the connection was refused"}


def test_a_line_that_cannot_be_logged_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plugin logs wrongly does not turn a message that was delivered into one that was not."""
    address = service("json://127.0.0.1:1")

    def logs(**_fields: object) -> bool:
        address.logger.warning("%d sent", "one")
        return True

    monkeypatch.setattr(address, "notify", logs)
    assert send(address, "t", "b", "info") is None


def test_a_password_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """What Apprise logs reaches no handler but ours."""
    with mail_server() as server, caplog.at_level(logging.DEBUG):
        send(service(mail_url(server.address)), "t", "b", "info")
    assert PASSWORD not in caplog.text
