"""Masks secrets in all texts of a report or a status: in the few that hold one, which are soon found."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from itertools import chain
from operator import attrgetter, is_not
from typing import Any, Final, cast

from reconciler.errors import mask, may_hold

_TOGETHER: Final = 1 << 16
"""Letters of texts that are looked through at once: more would hold other threads up, fewer would take longer."""


class Mask:
    """Masks secrets in all texts of a value, also such as are broken by blanks; what holds none is given as it is."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def __call__(self, value: Any) -> Any:
        """Mask them in a text, a tuple, or a record with all that it holds."""
        shown = {text: mask(text, *self._secrets) for text in self._suspicious(_texts(value))}
        shown = {text: masked for text, masked in shown.items() if masked != text}
        return _with(value, shown) if shown else value

    def _suspicious(self, texts: Iterable[str]) -> Iterator[str]:
        """Give the texts that stand near one that may hold a secret; the others hold none."""
        for near in _batches(texts):
            # No secret that is in a text is hidden by what stands before or after it.
            if may_hold("|".join(near), *self._secrets):
                yield from near


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    letters = 0
    for text in texts:
        batch.append(text)
        letters += len(text)
        if letters > _TOGETHER:
            yield batch
            batch, letters = [], 0
    yield batch


def _texts(value: Any) -> set[str]:
    """Give all texts of a value, each once: most stand in it many times.

    Values are taken apart kind by kind and field by field, which takes half the time of one after the other.
    """
    left: dict[type, list[Any]] = {type(value): [value]}
    found: set[str] = set()
    while left:
        kind, items = left.popitem()
        if kind is str:
            found.update(items)
        elif issubclass(kind, tuple):
            _sort(list(chain.from_iterable(items)), left)
        else:
            for name in _names(cast("Hashable", kind)):
                _sort(list(map(attrgetter(name), items)), left)
    return found


def _sort(values: list[Any], left: dict[type, list[Any]]) -> None:
    """Add values to those of their kind."""
    kinds = set(map(type, values))
    for kind in kinds:
        of_kind = values if len(kinds) == 1 else [value for value in values if type(value) is kind]
        left.setdefault(kind, []).extend(of_kind)


def _with(value: Any, shown: dict[str, str]) -> Any:
    """Give a value with some of its texts replaced."""
    if type(value) is str:
        return shown.get(value, value)
    if isinstance(value, tuple):
        items = tuple([_with(item, shown) for item in value])
        return items if any(map(is_not, items, value)) else value
    changed = {}
    for name in _names(cast("Hashable", type(value))):
        old = getattr(value, name)
        if old is not None and (new := _with(old, shown)) is not old:
            changed[name] = new
    return replace(value, **changed) if changed else value


@cache
def _names(kind: Any) -> tuple[str, ...]:
    """Name the fields of a record; numbers and words of ours have none."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
