"""A daemon's status, written and read back."""

import json
import re
import time
from dataclasses import replace

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from daemon.test_recent import occurrence
from reconciler.core.changes import Fields, ListDiff
from reconciler.core.report import Mode
from reconciler.core.status import AskedBy, Status, Sync
from reconciler.errors import FilesError
from reconciler.files.status import load_readiness, load_status, status_schema
from reconciler.render.json import render
from render.statuses import NOT_IN_SYNC, status

FULL = status(
    NOT_IN_SYNC,
    "account a-1 was not read since then",
    rejected="the files do not load",
    recent=(
        occurrence(
            "shop",
            fields=Fields(scopes=ListDiff(None, ("domains:read",))),
        ),
        replace(occurrence("old"), asked_by=AskedBy("keys/a.yaml", 3, 5, "ab12", modified=True), mode=Mode.APPLY),
    ),
)


@pytest.mark.parametrize("told", [status(), status(Sync(), passes=0), FULL])
def test_there_and_back(told: Status) -> None:
    """What is written loads back into the same value, and keeps to the schema."""
    text = render(told)
    assert load_status(text.encode()) == told
    jsonschema.validate(json.loads(text), status_schema(), jsonschema.Draft202012Validator)


def test_how_it_is_written() -> None:
    """Times are those of RFC 3339, and of a change only the fields that differ are written."""
    told = json.loads(render(FULL))
    assert told["schema"] == "reconciler/status/v1"
    assert told["readiness"]["configuration"]["loaded_at"] == "2026-11-23T08:00:00Z"
    assert told["last_pass"]["seconds"] == 1.25
    assert told["recent"][0]["fields"] == {"scopes": {"before": None, "after": ["domains:read"]}}


def test_a_newer_daemon() -> None:
    """Fields that this version does not know are passed over, at any depth."""
    told = json.loads(render(FULL))
    told["mood"] = told["sync"]["mood"] = told["recent"][0]["mood"] = "good"
    assert load_status(json.dumps(told).encode()) == FULL


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"<html>", "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "schema: "),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (render(FULL).replace("status/v1", "status/v9").encode(), "schema: "),
        (render(FULL).replace('"in_sync": false', '"in_sync": "no"').encode(), "sync.in_sync: "),
    ],
)
def test_what_is_no_status(text: bytes, problem: str) -> None:
    """What is no JSON or no status is an error that names the field."""
    with pytest.raises(FilesError) as raised:
        load_status(text, "answer")
    assert problem in raised.value.problems[0].message
    assert raised.value.problems[0].file == "answer"


def test_readiness() -> None:
    """What ``/readyz`` answers loads back, too."""
    text = (
        b'{"ready":false,"reasons":["no configuration is loaded"],"configuration":{"loaded_at":'
        b'"2026-11-23T10:00:00Z","age_seconds":1.5,"rejected":null,"rejected_at":null,"problems":[],'
        b'"problem_count":0},"accounts":[]}'
    )
    readiness = load_readiness(text)
    assert (readiness.ready, readiness.reasons) == (False, ("no configuration is loaded",))


@pytest.mark.parametrize(
    "text",
    [
        b'{"ready":"yes","reasons":[],"configuration":{},"accounts":[]}',
        b'{"ready":true,"reasons":[1],"configuration":{},"accounts":[]}',
        b'{"ready":true,"reasons":"no","configuration":{},"accounts":[]}',
        b'{"ready":true,"reasons":[]}',
        b"[]",
        b"ready",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_readiness(text: bytes) -> None:
    """What does not say whether it is ready, as a daemon does, is an error."""
    with pytest.raises(FilesError):
        load_readiness(text)


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-11-23T10:00:00"])
@pytest.mark.parametrize("name", ["loaded_at", "rejected_at", "read_at"])
def test_a_time_that_nobody_can_have_meant(name: str, when: str) -> None:
    """A time at an end of the calendar, which cannot be shown, or one without a zone is no daemon's."""
    text = re.sub(rf'"{name}": [^,]*,', f'"{name}": "{when}",', render(FULL))
    assert when in text
    with pytest.raises(FilesError):
        load_status(text.encode())


def test_of_a_million_mistakes_the_first() -> None:
    """Ten megabytes of mistakes are an error that names the first, within a moment."""
    mistakes = '"recent": [' + ", ".join(["{}"] * 2_000_000) + "]"
    text = re.sub(r'"recent": \[.*?\n  \]', mistakes, render(FULL), flags=re.DOTALL).encode()
    assert len(text) > 8_000_000
    began = time.process_time()
    with pytest.raises(FilesError) as raised:
        load_status(text)
    assert time.process_time() - began < 2
    assert raised.value.problems[0].message.startswith("recent.0.")
