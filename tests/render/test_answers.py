"""Who can do something, at a terminal and as JSON: both sides side by side, nothing that a terminal would obey."""

import json
import re
from dataclasses import replace

from builders import OFFICE, SHOP
from reconciler.core.answers import Hold, Holder
from reconciler.core.keys import Source
from reconciler.render.answers import Beside, Unanswered, render_json, render_who_can
from reconciler.render.groups import Owner
from reconciler.render.page import Style

PLAIN = Style(colour=False, width=80)
COLOURED = Style(colour=True, width=80)
KEY = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
HOLD = Hold((SHOP,), (OFFICE,))
HOLDER = Holder("a-1", None, None, "shop", "shop", KEY, Source("keys/shop.yaml", 12, 5), HOLD, HOLD)
BELOW = replace(HOLDER, sub_account_id="s-1", sub_account_name="Acme East")
UNREAD = Unanswered(Owner("a-2"), "403: no scope\n  hint: give it one")
AS_OF = "all is as of then"
WHOLE = Beside()
PART = Beside((UNREAD,), (AS_OF, "and \x1b[2J"))


def plain(coloured: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", coloured)


# Who can

HOLDERS = (
    HOLDER,
    replace(HOLDER, name="billing", label="Billing", desired=None, actual=Hold(("*", "messages:send:all"), ())),
    replace(HOLDER, name="new", label="new", key_id=None, actual=None, desired=Hold((SHOP,), None)),
    replace(HOLDER, name=None, label='bad\x1b[2J"', source=None, desired=None, actual=replace(HOLD, switched_off=True)),
    replace(HOLDER, name=None, label="twin", source=None, desired=None, actual=HOLD, unclear=True),
    replace(HOLDER, actual=replace(HOLD, networks=("10.0.0.0/8",), reachable=False)),
    BELOW,
)
WHO_CAN = """\
Who can messages:send:{shop.example.com}

Account a-1
  shop  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    by messages:send:{shop.example.com}, from 203.0.113.0/24
    account  by messages:send:{shop.example.com}, from 203.0.113.0/24
    keys/shop.yaml:12
  billing  "Billing"  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    no
    account  by *, messages:send:all, from anywhere
    keys/shop.yaml:12
  new
    files    by messages:send:{shop.example.com}, from wherever the account says
    account  no
    keys/shop.yaml:12
  unmanaged key  "bad\\x1b[2J\\""  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    no file names it
    account  switched off, so not now; by messages:send:{shop.example.com}, from
             203.0.113.0/24
  key that may be a desired one  "twin"  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    cannot be told
    account  by messages:send:{shop.example.com}, from 203.0.113.0/24
  shop  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    by messages:send:{shop.example.com}, from 203.0.113.0/24
    account  nobody on the public IPv4 internet is on its list, so not now; by
             messages:send:{shop.example.com}, from 10.0.0.0/8
    keys/shop.yaml:12

Sub account "Acme East" (s-1)  of account a-1
  shop  key 3c90c3cc-0d44-4b50-8888-8dd25736052a
    files    by messages:send:{shop.example.com}, from 203.0.113.0/24
    account  by messages:send:{shop.example.com}, from 203.0.113.0/24
    keys/shop.yaml:12

Account a-2  FAILED
  403: no scope
    hint: give it one

note  all is as of then
note  and \\x1b[2J
"""


def test_who_can_reads_like_this() -> None:
    """By account, each key has the files' word and the account's; then what was not read, and what it goes by."""
    assert render_who_can(SHOP, HOLDERS, PART, style=PLAIN) == WHO_CAN


def test_colour_only_repeats_what_is_said() -> None:
    """With colours the text is the same; the side that lacks what the other has is the one in yellow."""
    coloured = render_who_can(SHOP, HOLDERS, PART, style=COLOURED)
    assert plain(coloured) == WHO_CAN
    assert re.findall("\x1b\\[38;5;130m(.*?)\x1b\\[0m", coloured) == ["no", "no", "no file names it", "cannot be told"]


def test_nobody_can() -> None:
    """That nobody can is said; where an account could not be read, only of those that could."""
    first = "Who can domains:\\x1bread\n\n"
    assert render_who_can("domains:\x1bread", (), WHOLE, style=PLAIN) == (
        f"{first}Nobody can, by the files or in the accounts.\n"
    )
    assert render_who_can("domains:\x1bread", (), Beside(notes=(AS_OF,)), style=PLAIN) == (
        f"{first}Nobody can, by the files or in the accounts.\n\nnote  all is as of then\n"
    )
    assert render_who_can("domains:\x1bread", (), Beside((UNREAD,)), style=PLAIN) == (
        f"{first}Nobody can, in what could be read.\n\nAccount a-2  FAILED\n  403: no scope\n    hint: give it one\n"
    )


def test_accounts_are_told_once() -> None:
    """The keys of one account stand together below its heading, whatever their order."""
    text = render_who_can(SHOP, (HOLDER, BELOW, HOLDER), WHOLE, style=PLAIN)
    assert text.count("Account a-1\n") == 1
    assert text.count("Sub account") == 1


def test_who_can_as_json() -> None:
    """The fields have the names of the code, nothing is left out, and other alphabets are escaped."""
    nowhere = Hold((SHOP,), None, switched_off=True)
    maybe = replace(HOLDER, name=None, source=None, desired=nowhere, actual=None, unclear=True)
    text = render_json(SHOP, (replace(HOLDER, label="Ladentür"), maybe), Beside((UNREAD,), (AS_OF,)))
    hold = {"by": [SHOP], "networks": [OFFICE], "switched_off": False, "reachable": True}
    named = {
        "account_id": "a-1",
        "sub_account_id": None,
        "sub_account_name": None,
        "name": "shop",
        "label": "Ladentür",
        "key_id": KEY,
        "source": {"file": "keys/shop.yaml", "line": 12, "column": 5},
        "desired": hold,
        "actual": hold,
        "unclear": False,
    }
    assert json.loads(text) == {
        "scope": SHOP,
        "keys": [
            named,
            named
            | {"name": None, "label": "shop", "source": None, "actual": None, "unclear": True}
            | {"desired": hold | {"networks": None, "switched_off": True}},
        ],
        "unread": [
            {
                "owner": {"account_id": "a-2", "sub_account_id": None, "name": None},
                "error": "403: no scope\n  hint: give it one",
            }
        ],
        "notes": [AS_OF],
    }
    assert text.startswith('{\n  "scope": ')
    assert text.isascii()
    assert text.endswith("}\n")
    assert json.loads(render_json(SHOP, (), WHOLE)) == {"scope": SHOP, "keys": [], "unread": [], "notes": []}
