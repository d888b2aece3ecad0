"""Gives one message to a service of Apprise, and tells what became of it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from reconciler.notify.hearing import listening, quieten, reason

if TYPE_CHECKING:
    from apprise import NotifyBase

PATIENCE: Final = 20.0
"""Seconds that an answer may take, unless the address says otherwise (``rto``)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message: ``title`` is one line, ``urgency`` is ``info``, ``success``, ``warning`` or ``failure``.

    ``taken`` are the recipients who have it already.
    """

    title: str
    body: str
    urgency: str
    taken: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Why a message was not delivered, in words of ours, None where it was; and the recipients who took it anyway."""

    error: str | None = None
    taken: tuple[str, ...] = field(default=(), repr=False)


def deliver(service: "NotifyBase", letter: Letter) -> Receipt:
    """Send a message, and wait for it."""
    from apprise import NotifyFormat, NotifyType, OverflowMode

    quieten()
    # Left alone, a service refuses the whole of what is too long for it.
    overflow = OverflowMode.TRUNCATE if service.overflow_mode == OverflowMode.UPSTREAM else None
    taken = _note_recipients(service, letter.taken)
    if service.socket_read_timeout == type(service).socket_read_timeout:
        service.socket_read_timeout = PATIENCE
    with listening() as heard:
        try:
            delivered = service.notify(
                body=letter.body,
                title=letter.title,
                notify_type=NotifyType(letter.urgency),
                overflow=overflow,
                body_format=NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 # whatever it is, it ends here, and its text may hold anything
            heard.append(type(error).__name__)
            delivered = False
    return Receipt() if delivered else Receipt(reason(heard), tuple(taken))


def _note_recipients(service: "NotifyBase", already: tuple[str, ...]) -> list[str]:
    """Let a service pass over the recipients who have the message ``already``, and give those who take it now.

    Plugins ask `is_delivered` before each recipient, and tell `mark_delivered` after; of a message that is sent in
    pieces somebody may have one and not the next, so that there all of them get all of it again.
    """
    from apprise import OverflowMode

    taken: list[str] = []
    if service.overflow_mode == OverflowMode.SPLIT:
        return taken
    is_delivered, mark_delivered = service.is_delivered, service.mark_delivered

    def has(key: Any, per_message: bool = False) -> bool:
        return repr(key) in already or is_delivered(key, per_message)

    def note(key: Any, per_message: bool = False) -> None:
        if isinstance(key, str | int | tuple) and not per_message:  # not what a service marks for itself
            taken.append(repr(key))
        mark_delivered(key, per_message)

    service.is_delivered, service.mark_delivered = has, note  # type: ignore[method-assign] # asked for by name
    return taken
