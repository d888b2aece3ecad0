"""Laws of masking: whatever is done to make it fast, each text is what the plain way makes of it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from laws.universe import law
from reconciler.cli.masking import Mask
from reconciler.errors import MASKED, SHORTEST_SECRET, mask, may_hold

BLANK = re.compile(
    "[\\s\\x00-\\x1f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0]"
)
PIECES = ["a", "ab", "a ", " ", "\n", "\u200b", "\0", "\x7f", "é", "-", "*", "|", "aha-sk-", "aha-sk-***", "k-"]
KNOWN = ["abababab", "abababababab", "a aha-sk", "ab\u200bab\nabab", "aha-sk-*** aab", "        ", "éééé|éééé", "short"]
texts = st.lists(st.sampled_from(PIECES + KNOWN), max_size=12).map("".join)
secrets = st.lists(st.sampled_from(KNOWN) | texts, max_size=6).map(tuple)


def plainly(text: str, *secrets: str) -> str:
    """Mask secrets one after the other, the longest first, as is plain to see."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < SHORTEST_SECRET:
            continue
        text = text.replace(secret, MASKED)
        letters = [letter for letter in secret if not BLANK.match(letter)]
        if len(letters) >= SHORTEST_SECRET:
            broken = f"{BLANK.pattern}*".join(map(re.escape, letters))
            text = re.sub(broken, lambda _: MASKED, text)
    return re.sub(r"aha-sk-[A-Za-z0-9_\-]+", lambda _: MASKED, text)


@law
@given(texts, secrets)
def test_masking_is_what_it_seems(text: str, secrets: tuple[str, ...]) -> None:
    """A text is masked as in the plain way; one that may hold nothing stays."""
    assert mask(text, *secrets) == plainly(text, *secrets)
    assert may_hold(text, *secrets) or plainly(text, *secrets) == text


@law
@given(st.lists(texts, max_size=20).map(tuple), secrets)
def test_many_texts_are_masked_as_each(many: tuple[str, ...], secrets: tuple[str, ...]) -> None:
    """Of many texts each is masked as it is alone, whatever stands beside it."""
    assert Mask(secrets)(many) == tuple(plainly(text, *secrets) for text in many)


def test_what_is_blank() -> None:
    """Every character that may break a secret, and no other one, is passed over in looking for it."""
    for letter in map(chr, range(0x110000)):
        broken = mask(f"abcd{letter}efgh", "abcdefgh")
        assert (broken == MASKED) is bool(BLANK.match(letter)), ascii(letter)
