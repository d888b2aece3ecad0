"""Desired state from an account: the file that asks for exactly what is there, and nothing else.

Labels come from the account and may hold anything; they stand in the file only as double-quoted text, in which whatever
does not print is escaped, so that none of it can end a line or begin a comment. Names of sub accounts may too; they
stand in comments only, in which a question mark stands for whatever does not print.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.keys import FROM_DOMAINS, AccountRef, RemoteKey, RemoteSubAccount
from reconciler.core.networks import MOST_NETWORKS, check_network
from reconciler.core.scopes import parse_scope, suggestion
from reconciler.errors import mask
from reconciler.files.entries import LONGEST_LABEL
from reconciler.files.keyspecs import no_domain

_HEADER: Final = """\
# Written by `reconciler export`: the API keys of one AhaSend account as they are.
# Keep it in Git, name an owner for each key, and remove what a key does not need;
# then `reconciler plan` shows what that would change.
version: 1
"""
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_LONGEST_NAME: Final = 63
_LONGEST_TITLE: Final = 100
_ID_LENGTH: Final = 8
_NO_NAME: Final = re.compile(r"|key-[0-9a-f-]{36}")  # empty, or the name that a key with a whole id gets
_ASCII: Final = 0x7E
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SubAccountKeys:
    """A sub account and its keys; of a suspended one, which is left out, they need not be read."""

    sub_account: RemoteSubAccount
    keys: tuple[RemoteKey, ...]


def export_account(account: AccountRef, keys: Iterable[RemoteKey], sub_accounts: Iterable[SubAccountKeys] = ()) -> str:
    """Give the text of a file of desired state for what an account has, and the sub accounts below it.

    The same keys give the same bytes, whatever their order. A plan made from it changes nothing; a list of networks
    that a file could not ask for is left as it is, and left out are a key whose label it could not name and a sub
    account that is suspended, each with a comment.
    """
    keys = sorted(keys, key=_id)
    below = sorted(sub_accounts, key=lambda each: each.sub_account.id)
    exported = [*keys, *(key for each in below if not each.sub_account.suspended for key in each.keys)]
    lines = [f"account: {account.account_id}"]
    if account.credential:
        lines = ["account:", f"  id: {account.account_id}", f"  credential: {account.credential}"]
    texts = {scope.text for key in exported if not _unwritable(key) for scope in key.scopes}
    unsure = sorted(text for text in texts if _looks_wrong(text))
    if unsure:
        lines += ["known_scopes:", *(f"  - {_quoted(text)}" for text in unsure)]
    lines += _keys(keys, "") or ["keys: []"]
    rules = [line for each in below for line in _rule(each)]
    lines += ["sub_accounts:", *rules] if rules else []
    lines += [*_left_out(keys, ""), *(line for each in below for line in _remarks(each))]
    return _HEADER + "\n".join(lines) + "\n"


def _id(key: RemoteKey) -> str:
    return key.id


def _keys(keys: Sequence[RemoteKey], indent: str) -> list[str]:
    """Write the field ``keys``; nothing where there is no key that can be written."""
    named = sorted(_names([key for key in keys if not _unwritable(key)]).items())
    lines = [line for name, key in named for line in _key(name, key)]
    return [f"{indent}{line}" for line in ("keys:", *lines)] if lines else []


def _rule(each: SubAccountKeys) -> list[str]:
    """Write what holds for one sub account; it is selected by its id, since it may be renamed."""
    if not each.sub_account.active or not (keys := _keys(each.keys, "    ")):
        return []
    return [f"  # {_title(each.sub_account.name)}", f"  - select: {{id: {each.sub_account.id}}}", *keys]


def _remarks(each: SubAccountKeys) -> list[str]:
    """Say in comments what of a sub account is not in the file, and why."""
    title = f'sub account {each.sub_account.id} "{_title(each.sub_account.name)}"'
    if not each.sub_account.active:
        status = _title(each.sub_account.status)
        return [f"# Left out: {title}, which is {status}: its keys are of no use at present, and left alone."]
    if not each.keys:
        return [f"# Left out: {title}, which has no keys."]
    return _left_out(sorted(each.keys, key=_id), f" of {title}")


def _left_out(keys: Sequence[RemoteKey], where: str) -> list[str]:
    return [
        f"# Left out: key {_comment(key.id)}{where}, whose label {why}." for key in keys if (why := _unwritable(key))
    ]


def _looks_wrong(scope: str) -> bool:
    return FROM_DOMAINS in scope or suggestion(scope) is not None or no_domain(parse_scope(scope), scope) is not None


def _unwritable(key: RemoteKey) -> str | None:
    """Say why a file cannot name a key, or None."""
    if not 1 <= len(key.label) <= LONGEST_LABEL:
        return f"has {len(key.label)} characters (1 to {LONGEST_LABEL} can be written)"
    if any(_SURROGATE.search(text) for text in (key.label, *key.scopes.texts)):
        return "or scopes hold characters that no text file can"
    if any(mask(text) != text for text in (key.label, *key.scopes.texts)):
        return "or scopes hold what looks like a secret key: take it out in the dashboard, and revoke that key"
    return None


def _names(keys: list[RemoteKey]) -> dict[str, RemoteKey]:
    """Name the keys after their labels; namesakes are all told apart by their ids, so that a new one renames none."""
    slugs = {key.id: _slug(key.label, _LONGEST_NAME) for key in keys}
    taken = Counter(slugs.values())
    names = {
        key.id: slug if taken[slug := slugs[key.id]] == 1 and not _NO_NAME.fullmatch(slug) else _with_id(key)
        for key in keys
    }
    # A name made with an id may be another key's label, and two ids may begin alike: those get the whole id.
    taken = Counter(names.values())
    return {names[key.id] if taken[names[key.id]] == 1 else f"key-{key.id}": key for key in keys}


def _with_id(key: RemoteKey) -> str:
    return f"{_slug(key.label, _LONGEST_NAME - _ID_LENGTH - 1) or 'key'}-{key.id[:_ID_LENGTH]}"


def _slug(label: str, longest: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:longest].rstrip("-")


def _key(name: str, key: RemoteKey) -> list[str]:
    fenced = key.ip_allow_list.fenced
    lines = [
        f"  - name: {_plain(name)}",
        f"    label: {_quoted(key.label)}",
        f"    id: {key.id}",
        f"    state: {'quarantined' if fenced else 'present'}",
    ]
    lines += _block("scopes", [_quoted(text) for text in key.scopes.reduced().texts])
    if key.ip_allow_list.anywhere:
        return [*lines, "    ip_allow_list: [] # usable from anywhere"]
    if refused := _refused(key):
        return [*lines, f"    # ip_allow_list is left as it is: {_comment(refused)}"]
    return lines + _block("ip_allow_list", [_quoted(text) for text in key.ip_allow_list.networks])


def _block(field: str, items: list[str]) -> list[str]:
    return [f"    {field}:", *(f"      - {item}" for item in items)] if items else [f"    {field}: []"]


def _refused(key: RemoteKey) -> str | None:
    """Say why a file could not ask for the list that the key has, or None."""
    networks = key.ip_allow_list.networks
    if len(networks) > MOST_NETWORKS:
        return f"it holds {len(networks)} networks, and a file may list {MOST_NETWORKS}"
    try:
        for network in networks:
            check_network(network)
    except ValueError as error:
        return str(error)
    return None


def _plain(text: str) -> str:
    """Write a name; one that reads as a number (``12``, ``1e5``) or a truth value must be quoted to stay text."""
    return text if re.fullmatch(r"[a-z][a-z-]*[a-z]", text) and text not in _WORDS else _quoted(text)


def _quoted(text: str) -> str:
    """Write text in double quotes; JSON's escapes are YAML's, but for characters that need two of them."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if ord(letter) <= _ASCII:
        return json.dumps(letter)[1:-1]
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _title(name: str) -> str:
    """Show a name in a comment, on one line and not too long."""
    return _comment(name if len(name) <= _LONGEST_TITLE else f"{name[:_LONGEST_TITLE]}…")


def _comment(text: str) -> str:
    text = mask(text)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
