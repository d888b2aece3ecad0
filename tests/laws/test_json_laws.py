"""Laws of the report for programs: it is what Python's own module would write, and loads back, whatever it holds."""

import json
import re
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.universe import law
from reconciler.core.changes import Fields
from reconciler.core.inventory import ReportedKey, ReportedPause, ReportedRule, ReportedWaiver
from reconciler.core.keys import Source
from reconciler.core.report import (
    ChangedKey,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    Since,
)
from reconciler.errors import FilesError
from reconciler.files.report import load_report
from reconciler.render.json import render

OBEYED = "\x7f\x80\x85\x9f\u061c\u200b\u200f\u2028\u2029\u202a\u202e\u2060\u2069\ufeff\ud800\udfff"
"""What a terminal would obey instead of show, or no UTF-8 can hold: both ends of each range, and the line ends."""
texts = st.text(max_size=3) | st.text('a/"\\u \n\t\0é😀\ud7ff\ue000\u200a\u2027\u202f' + OBEYED, max_size=3)
places = st.none() | st.builds(Source, file=texts)
changes = st.builds(ReportedChange, label=texts, reason=st.none() | texts)
pauses = st.none() | st.builds(ReportedPause, reason=texts)
keys = st.builds(ReportedKey, label=texts, name=st.none() | texts, owner=texts, paused=pauses, source=places)
accounts = st.builds(
    ReportedAccount,
    changes=st.lists(changes, max_size=2).map(tuple),
    error=st.none() | texts,
    inventory=st.none() | st.lists(keys, max_size=2).map(tuple),
)
findings = st.lists(st.builds(ReportedFinding, message=texts, label=st.none() | texts), max_size=2).map(tuple)
changed = st.lists(st.builds(ChangedKey, label=texts, name=st.none() | texts), max_size=2).map(tuple)
rules = st.lists(st.builds(ReportedRule, checks=texts, hint=texts, source=places), max_size=2).map(tuple)
waivers = st.lists(st.builds(ReportedWaiver, key=st.none() | texts, reason=texts), max_size=2).map(tuple)
reports = st.builds(
    Report,
    accounts=st.lists(accounts, max_size=2).map(tuple),
    findings=findings,
    refusals=st.lists(st.builds(ReportedRefusal, message=texts), max_size=1).map(tuple),
    since=st.none() | st.builds(Since, gone=findings, keys=changed, not_compared=st.integers(0, 9)),
    as_of=st.none() | texts,
    rules=rules,
    waivers=waivers,
)


def content(value: Any) -> Any:
    """Give what a report holds as Python's own module takes it; of the fields of a change only those that differ."""
    if isinstance(value, tuple):
        return [content(each) for each in value]
    if not is_dataclass(value):
        return value
    held = {field.name: content(getattr(value, field.name)) for field in fields(value)}
    return {name: each for name, each in held.items() if each is not None} if isinstance(value, Fields) else held


def unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)


@settings(law, max_examples=60)
@given(reports)
def test_it_is_what_python_would_write(report: Report) -> None:
    """A report is written as Python writes it indented, but for what a terminal would obey, which is escaped."""
    text = render(report)
    assert json.loads(text) == content(report)
    assert unescaped(text) == unescaped(json.dumps(content(report), indent=2, ensure_ascii=False)) + "\n"
    assert not set(text) & set(OBEYED)
    assert text.encode()


@settings(law, max_examples=60)
@given(reports)
def test_it_loads_back(report: Report) -> None:
    """A report is read back as it was, whatever it holds that UTF-8 can; with half a character it is no report."""
    text = render(report)
    halves = any("\ud800" <= letter <= "\udfff" for letter in json.dumps(content(report), ensure_ascii=False))
    if halves:
        with pytest.raises(FilesError):
            load_report(text)
    else:
        assert load_report(text) == report
