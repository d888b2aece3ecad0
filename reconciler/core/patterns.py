"""Patterns of texts, as in a shell, but for brackets, which stand for themselves: labels hold them."""

from fnmatch import fnmatchcase


def is_like(text: str, pattern: str) -> bool:
    """Tell whether ``text`` is like ``pattern``, in which ``*`` stands for any characters and ``?`` for one."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def is_like_id(known: str, pattern: str) -> bool:
    """Tell whether an id, which in our own texts is in lower case, is like a pattern that somebody wrote in any."""
    return is_like(known, pattern.lower())
