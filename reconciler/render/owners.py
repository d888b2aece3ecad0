"""What accounts and sub accounts are called at a terminal.

The name of a sub account is whatever somebody typed into AhaSend's dashboard: it is shown in quotes, escaped and cut,
and with its id wherever it stands alone or is not the only one of that name.
"""

from collections import Counter
from collections.abc import Sequence

from reconciler.core.keys import EVERY_SUB_ACCOUNT
from reconciler.errors import visible
from reconciler.render.groups import Owner
from reconciler.render.page import cut, listed, quoted

_LONGEST_ID = 64
_LONGEST_LISTED = 32
_LONGEST_NAME = 48
_SHORTEST_NAME = 16


def heading(owner: Owner, width: int) -> tuple[str, str]:
    """Give the words of a heading: what to call it, and of which account it is where that needs to be said."""
    if owner.sub_account_id is None:
        return f"Account {visible(owner.account_id)}", ""
    if owner.sub_account_id == EVERY_SUB_ACCOUNT:
        return f"All sub accounts of account {visible(owner.account_id)}", ""
    room = width - len(f"Sub account  ({owner.sub_account_id})  FAILED")
    return f"Sub account {_called(owner, room)}", f"of account {visible(owner.account_id)}"


def in_words(owner: Owner) -> list[str]:
    """Give the words that tell below something else whom it is about; each may hold spaces."""
    if owner.sub_account_id is None:
        return ["account", visible(owner.account_id)]
    if owner.sub_account_id == EVERY_SUB_ACCOUNT:
        return ["all sub accounts", "of account", visible(owner.account_id)]
    return ["sub account", _called(owner, _LONGEST_NAME), "of account", visible(owner.account_id)]


def in_short(owner: Owner) -> str:
    """Give the words that bring to mind whom something was about that was told in full before."""
    if owner.sub_account_id is None or owner.sub_account_id == EVERY_SUB_ACCOUNT:
        return " ".join(in_words(owner))
    return f"sub account {_listed(owner)}"


def in_list(owners: Sequence[Owner], most: int) -> list[str]:
    """Give the words that list the first of some sub accounts, and count the others; each may hold spaces."""
    first = owners[:most]
    names = Counter(_listed(owner) for owner in first)
    shown = [
        f"{name} ({_id(owner)})" if owner.name and names[name] > 1 else name
        for owner in first
        for name in (_listed(owner),)
    ]
    return listed(shown, len(owners))


def _called(owner: Owner, room: int) -> str:
    if not owner.name:
        return _id(owner)
    return f"{quoted(owner.name, min(max(room, _SHORTEST_NAME), _LONGEST_NAME))} ({_id(owner)})"


def _listed(owner: Owner) -> str:
    return quoted(owner.name, _LONGEST_LISTED) if owner.name else _id(owner)


def _id(owner: Owner) -> str:
    return cut(visible(owner.sub_account_id or owner.account_id), _LONGEST_ID)
