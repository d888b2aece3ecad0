"""Which texts are addresses, what they are called, and that no part of one is ever taken for a part of another."""

import builtins
import time
from typing import Any

import pytest

from reconciler.errors import SettingsError
from reconciler.notify.addresses import MOST_ADDRESSES, Address, check_installed, instantiate, read_addresses

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
MAIL = "mailtos://me:s3cret-word@smtp.example.com"


def the(url: str) -> Address:
    """The one address of a text."""
    read = read_addresses(url)
    assert read.wrong == ()
    (address,) = read.addresses
    return address


def names(text: str) -> list[str]:
    return [address.name for address in read_addresses(text).addresses]


def identities(text: str) -> list[str]:
    return [address.identity for address in read_addresses(text).addresses]


def places(text: str) -> list[tuple[str, str]]:
    return [(each.place, each.name) for each in read_addresses(text).addresses]


def wrong(text: str) -> list[tuple[str, str]]:
    return [(each.place, each.reason) for each in read_addresses(text).wrong]


# What is an address


def test_one_address_a_line() -> None:
    """Blank lines and comments count as lines and are no addresses; tags stand before an address."""
    text = (
        "\ufeff# the team\n\n; and another\r\n"
        "json://127.0.0.1:1/hook\r\n"
        "Growth, team-news,ops = json://hooks.example.com\n"
        f"  {SLACK}  \n"
    )
    read = read_addresses(text)
    assert [(each.place, each.name, set(each.tags)) for each in read.addresses] == [
        ("line 4", "json://127.0.0.1:1", set()),
        ("line 5", "json://hooks.example.com for growth,ops,team-news", {"growth", "team-news", "ops"}),
        ("line 6", "slack://", set()),
    ]
    assert read.wrong == ()


def test_several_in_one_line() -> None:
    """They may stand between commas or blanks, as Apprise's own variable has them; each has its number."""
    text = "json://a.example/x?to=a@b.c,d@e.f, ops=json://b.example json://c.example,x,y=json://d.example"
    assert places(text) == [
        ("address 1", "json://a.example"),
        ("address 2", "json://b.example for ops"),
        ("address 3", "json://c.example"),
        ("address 4", "json://d.example for x,y"),
    ]
    assert wrong("json://a.example, bogus://b") == [("address 2", "is not understood")]


def test_several_in_one_of_many_lines() -> None:
    """A comment above changes nothing in how a line is read: it is called a line then."""
    for text in (f"# both\njson://a.example/x, {MAIL}", f"\njson://a.example/x {MAIL}\n"):
        assert places(text) == [("line 2", "json://a.example"), ("line 2", "mailtos://smtp.example.com")]
    read = read_addresses(f"growth = json://a.example/x , {MAIL}\njson://c.example")
    assert [each.name for each in read.addresses] == [
        "json://a.example for growth",
        "mailtos://smtp.example.com",
        "json://c.example",
    ]


@pytest.mark.parametrize(
    "between",
    [";", "|", "/", "#", "\x0b", "\r", "\u2028", "&", "?x=y,", "?x=y=", "?x=y,z=", "", " #, ", "&x=y ", "%20,"],
)
@pytest.mark.parametrize("before", ["json://a.example/x", "# two\njson://a.example/x", "team = json://a.example/x"])
def test_no_part_of_an_address_goes_to_another(before: str, between: str) -> None:
    """Whatever stands between two: either they are two addresses, or none; the second is never a path of the first."""
    for address in read_addresses(f"{before}{between}{MAIL}").addresses:
        assert "s3cret-word" not in address.url or address.url == MAIL
        assert "smtp" not in address.url or address.url == MAIL


def test_two_that_cannot_be_told_apart() -> None:
    """The line is told to hold two, and nothing of either."""
    told = "holds two addresses that cannot be told apart: write one a line"
    assert wrong(f"json://good\njson://a.example/x;{MAIL}") == [("line 2", told)]


def test_an_address_in_a_parameter_is_one_of_that_address() -> None:
    """A picture, say: it is part of what the service is asked for."""
    assert names("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV?avatar_url=https://x.example/a.png") == ["discord://"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("include http://127.0.0.1:1/more", "is not understood"),
        ("include /etc/passwd", "is not understood"),
        ("group = one, two", "is not understood"),
        ("urls:", "is not understood"),
        ("  - json://127.0.0.1", "is not understood"),
        ("no-such-service://secret", "is not understood"),
        ("slack://too/few", "is not understood"),
        ("json://", "is not understood"),
        ("json://[127.0.0.1/", "is not understood"),
        ("json:// 127.0.0.1", "is not understood"),
        ("json://127.0.0.1/\x00", "is not understood"),
        ("2:ops=json://127.0.0.1", "is not understood"),
        ("an owner with ümlaut=json://127.0.0.1", "is not understood"),
        ("pagerduty://x@y/?action=nonsense", "is not understood"),
        ("json://127.0.0.1/a path", "holds a blank: write %20 for it"),
        (
            "Team Growth=json://127.0.0.1",
            "has a blank in the name of an owner: write - for it, and a comma between two",
        ),
        (",=json://127.0.0.1", "names no owner before the ="),
        ("ops, =json://127.0.0.1", "names no owner before the ="),
    ],
)
def test_what_is_no_address(line: str, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It is told where and why; nothing of it is logged, nothing else is read, and the others count."""
    text = f"json://127.0.0.1\n{line}\n"
    assert (wrong(text), places(text)) == ([("line 2", reason)], [("line 1", "json://127.0.0.1")])
    assert capfd.readouterr() == ("", "")


def test_an_address_that_a_plugin_chokes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a plugin raises, the line is wrong, and the text of the error goes nowhere."""
    from apprise import Apprise

    def chokes(*_args: object, **_fields: object) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(Apprise, "instantiate", chokes)
    assert wrong("json://127.0.0.1") == [("line 1", "is not understood")]


def test_what_python_cannot_take_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets that are no IPv6 address make no address, whatever a plugin makes of them."""
    service = instantiate("json://127.0.0.1")
    monkeypatch.setattr("reconciler.notify.addresses.instantiate", lambda _url: service)
    assert wrong("json://[x/") == [("line 1", "is not understood")]


def test_there_are_not_too_many() -> None:
    """Beyond some number they are wrong, which names the limit: each has secrets that every text is searched for."""
    text = "json://127.0.0.1\n" * (MOST_ADDRESSES + 1)
    assert wrong(text) == [("line 21", "is one too many: there may be 20 addresses at most")]
    assert len(names(text)) == MOST_ADDRESSES


def test_a_long_text_is_read_quickly() -> None:
    """Whatever it is made of."""
    for text in ("a," * 120_000, "json://a?" + "?" * 250_000, "x " * 120_000 + "=", "json://a" + ",b=c" * 60_000):
        began = time.process_time()
        read_addresses(text)
        assert time.process_time() - began < 5


# What it is called, and known by


def test_names_tell_addresses_apart() -> None:
    """By their port, too; those that would be called the same are numbered; a new password or path changes no name."""
    before = names("json://a.example/one\njson://a.example/two\njson://a.example:81/two\nx=json://a.example/two")
    assert before == ["json://a.example", "json://a.example #2", "json://a.example:81", "json://a.example for x"]
    again = "json://u:new@a.example/three\njson://a.example/four\njson://a.example:81\nx=json://a.example"
    assert names(again) == before


def test_a_port_is_shown_where_it_is_one() -> None:
    """Also of IPv6, and never a part of a login or a token."""
    assert names("json://[::1]:8080/") == ["json://[::1]:8080"]
    assert names("json://u:12345@a.example/") == ["json://a.example"]
    assert names("tgram://123456789:abcdefg_hijklmnop/12315544/") == ["tgram://"]


def test_what_an_address_is_known_by() -> None:
    """Neither its line nor its password counts; whom it is for, path, host, user and owners do."""
    one = identities("json://u:one@a.example/path?x=y")
    assert identities("# moved\nJSON://u:another@A.example/path?x=y") == one
    others = (
        "json://u:one@a.example/other?x=y",
        "json://u:one@a.example/path?x=z",
        "json://v:one@a.example/path?x=y",
        "json://u:one@b.example/path?x=y",
        "jsons://u:one@a.example/path?x=y",
        "growth=json://u:one@a.example/path?x=y",
    )
    assert len({*one, *(identity for each in others for identity in identities(each))}) == 7
    both = identities("json://u:one@a.example\njson://u:two@a.example")
    assert both[1] == f"{both[0]}-2"


def test_what_an_address_is_known_by_holds_nothing_of_it() -> None:
    """It is a hash, and goes into the trail."""
    assert the(SLACK).identity.isalnum()
    assert len(the(SLACK).identity) == 16


def test_a_host_is_shown_where_it_is_one() -> None:
    """Several services have a token in its place; those are called by the service alone."""
    shown = {
        "json://user:s3cret-word@hooks.example.com/hook": "json://hooks.example.com",
        SLACK: "slack://",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ": "slack://",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js": "discord://",
        "pagerduty://A1BRTD4JDTIiajkdnlazkcOXrIdevi7FQ@2xB1234567": "pagerduty://",
        "mailto://me:correct-horse@example.com?to=ops@example.org": "mailto://example.com",
        "ntfys://tk_lowercasetoken@ntfy.example.com/quiet-topic-name": "ntfys://ntfy.example.com",
        "ifttt://WebHook-ID-of-mine@EventID-of-mine": "ifttt://",
        "gotify://gotify.example.com/ABCDEFtoken": "gotify://gotify.example.com",
    }
    assert {url: the(url).name for url in shown} == shown


def test_without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the error says how to install it, in a clone, too."""
    check_installed()
    imported = builtins.__import__

    def without(name: str, *rest: Any, **fields: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return imported(name, *rest, **fields)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match="not installed") as raised:
        check_installed()
    for way in ("pip install 'ahasend-key-reconciler[notify]'", "pip install '.[notify]'"):
        assert way in raised.value.hint
