"""The table of all keys, filtered by words and marks, a page at a time: what is asked for stands in its address."""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final
from urllib.parse import parse_qs, urlencode

from reconciler.render.addresses import Address
from reconciler.render.lookup import DIFFERS, HELD, Lookup
from reconciler.render.tables import KeyRow

PAGE: Final = 100
"""Keys on a page."""
MARKS: Final = (
    (DIFFERS, "differs"),
    (HELD, "held back"),
    ("deny", "deny"),
    ("warn", "warn"),
    ("note", "note"),
    ("unmanaged", "in no file"),
    ("unclear", "unclear"),
    ("open", "usable from anywhere"),
    ("wild", "may do everything"),
    ("stale", "not used for 90 days"),
    ("never", "90 days old and never used"),
    ("off", "switched off"),
)
"""The words by which keys are found, and what they are called."""
_KNOWN = frozenset(mark for mark, _ in MARKS)
_LONGEST = 200
_MOST_FIELDS = 40
_MOST_UNKNOWN = 5


@dataclass(frozen=True, slots=True)
class Question:
    """Which keys are asked for.

    Attributes:
        words: Each of them must be in what is said of a key, in any case.
        marks: What a key must bear.
        like: A key (its id) that they must be like: may do the same kinds of things, from the same kind of place.
        page: Which page of them, from 1.
        unknown: Marks that are none; they ask for nothing.
    """

    words: str = ""
    marks: tuple[str, ...] = ()
    like: str = ""
    page: int = 1
    unknown: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def read(cls, query: str) -> "Question":
        """Read the query of an address; what nobody understands in it asks for nothing."""
        try:
            fields = parse_qs(query, errors="replace", max_num_fields=_MOST_FIELDS)
        except ValueError:  # more fields than any link of ours has
            fields = {}
        given = dict.fromkeys(fields.get("mark", ()))
        marks = tuple(mark for mark in given if mark in _KNOWN)
        unknown = tuple(mark[:_LONGEST] for mark in given if mark not in _KNOWN)[:_MOST_UNKNOWN]
        words, like, page = (fields.get(name, [""])[-1][:_LONGEST] for name in ("q", "like", "page"))
        number = int(page) if page.isascii() and page.isdecimal() else 1
        return cls(" ".join(words.split()), marks, like, max(number, 1), unknown)

    def __str__(self) -> str:
        fields = [("q", self.words), *(("mark", mark) for mark in self.marks), ("like", self.like)]
        fields += [("page", str(self.page))] if self.page > 1 else []
        told = urlencode([(name, text) for name, text in fields if text], errors="replace")
        return f"/keys?{told}" if told else "/keys"

    def toggled(self, mark: str) -> "Question":
        """Give the question with a mark more, or less."""
        marks = tuple(each for each in self.marks if each != mark)
        return replace(self, marks=marks if len(marks) < len(self.marks) else (*marks, mark), page=1)

    def at(self, page: int) -> "Question":
        """Give the question for another page."""
        return replace(self, page=page)


@dataclass(frozen=True, slots=True)
class Facet:
    """A mark to filter by: what it is called, whether it is chosen, what choosing asks for.

    ``count`` is how many of the keys that are found bear it: so many are left when it is chosen.
    """

    told: str
    count: int
    chosen: bool
    then: Question


class Found:
    """The keys that answer a question, one page of them."""

    def __init__(self, lookup: Lookup, question: Question) -> None:
        self._lookup = lookup
        self._all = list(_answers(lookup, question))
        self.pages = max(-(-len(self._all) // PAGE), 1)
        self.question = question.at(min(question.page, self.pages))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._all)

    @property
    def total(self) -> int:
        """How many keys were read."""
        return len(self._lookup.rows)

    @property
    def shown(self) -> list[tuple[Address, KeyRow]]:
        """Those on this page."""
        start = (self.question.page - 1) * PAGE
        return self._all[start : start + PAGE]

    @property
    def first(self) -> int:
        """The number of the first on this page, from 1."""
        return (self.question.page - 1) * PAGE + 1

    @property
    def filtered(self) -> bool:
        """Whether all keys are not asked for."""
        return self.question.at(1) != Question()

    @property
    def facets(self) -> list[Facet]:
        """The marks that some key bears, or that are chosen."""
        asked, all_counts, counts = self.question, self._lookup.mark_counts, self._counts
        return [
            Facet(told, counts[mark], mark in asked.marks, asked.toggled(mark))
            for mark, told in MARKS
            if all_counts[mark] or mark in asked.marks
        ]

    @cached_property
    def _counts(self) -> Counter[str]:
        if not self.filtered:
            return self._lookup.mark_counts
        return Counter(mark for address, _ in self._all for mark in self._lookup.marks[address])

    @property
    def unlike(self) -> Question:
        """What is asked for when a key to be like is no matter any more."""
        return replace(self.question, like="", page=1)


def _answers(lookup: Lookup, question: Question) -> list[tuple[Address, KeyRow]]:
    rows = list(lookup.rows.items())
    if question.like:
        lines = {row.row for _, row in rows if row.holder.key.key_id == question.like}
        rows = [each for each in rows if each[1].row in lines]
    if wanted := frozenset(question.marks):
        rows = [each for each in rows if wanted <= lookup.marks[each[0]]]
    if words := question.words.casefold().split():
        rows = [each for each in rows if all(word in lookup.texts[each[0]] for word in words)]
    return rows
