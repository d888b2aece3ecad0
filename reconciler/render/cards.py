"""What differs, as the pages show it: each change with who asked for it, whose key it is, and what to do about it.

Texts come out as they are: to escape them is the template's affair.
"""

from dataclasses import dataclass

from reconciler.core.report import ReportedChange
from reconciler.core.status import AskedBy
from reconciler.render.addresses import Address
from reconciler.render.advice import Hint
from reconciler.render.groups import Once
from reconciler.render.lately import Lately
from reconciler.render.lookup import Lookup


@dataclass(frozen=True, slots=True)
class Card:
    """One difference.

    Attributes:
        once: The change.
        by: The commit that asks for it, where that is known.
        owner: Whose key it is, by the files.
        address: Where the key is shown.
        hints: What to do about it, where somebody must.
    """

    once: Once[ReportedChange]
    by: AskedBy | None
    owner: str
    address: Address
    hints: tuple[Hint, ...] = ()


def card(once: Once[ReportedChange], lookup: Lookup, lately: Lately, *, alone: bool = True) -> Card:
    """Make the card of a change; one that does not stand ``alone`` leaves to others what to do about several."""
    address = Address.of(once.owners[0], once.item.key_id)
    row = lookup.rows.get(address)
    advice = lookup.advice.of if alone else lookup.advice.own
    return Card(
        once,
        lately.asked(once.item, once.owners),
        row.holder.key.owner if row else "",
        Address(address.account_id) if once.shared else address,
        advice(once.item, once.owners[0]),
    )
