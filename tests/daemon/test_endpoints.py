"""What the daemon's web server answers."""

import asyncio
import json
import re
from dataclasses import asdict, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import pytest

from daemon.visitor import NOW, TOKEN, Behind, Served, ready, request, serving
from reconciler.core.status import AskedBy, Occurrence, Status
from reconciler.daemon.connections import Limits
from reconciler.daemon.status import AccountRead, Progress, judge_readiness

POST = request("POST", "/reconcile", f"Authorization: Bearer {TOKEN}")


async def test_alive() -> None:
    """`/livez` tells that the loop turns, and nothing else."""
    async with serving(Behind()) as served:
        answer = await served.get("/livez")
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')


async def test_ready() -> None:
    """`/readyz` is 200 or 503, and its body says how the daemon is doing, with times of RFC 3339."""
    behind = Behind()
    async with serving(behind) as served:
        answer = await served.get("/readyz")
        behind.readiness = lambda: replace(ready(), ready=False, reasons=("no",))
        refused = await served.get("/readyz")
    assert (answer.status, refused.status) == (200, 503)
    assert json.loads(answer.body) == {
        "ready": True,
        "reasons": [],
        "configuration": {
            "loaded_at": "2026-11-23T10:00:00Z",
            "age_seconds": 0.0,
            "rejected": None,
            "rejected_at": None,
            "problems": [],
            "problem_count": 0,
        },
        "accounts": [],
    }
    assert json.loads(refused.body)["reasons"] == ["no"]


async def test_metrics() -> None:
    """`/metrics` gives what the client accepts, with its content type, however large."""
    behind = Behind(metrics=b"up 1\n" * 100_000)
    async with serving(behind) as served:
        answer = await served.get("/metrics", "Accept: text/plain;q=0.5", "Accept: application/openmetrics-text")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body == behind.metrics
    assert behind.accepted == ["text/plain;q=0.5,application/openmetrics-text"]


async def test_a_pass_on_request() -> None:
    """`POST /reconcile` with the token asks for a pass; the scheme's case does not matter, nor does a body."""
    behind = Behind()
    async with serving(behind) as served:
        answer = await served.ask(POST)
        body = request("POST", "/reconcile", f"authorization:  bEARER   {TOKEN} ", "Content-Length: 2") + b"{}"
        assert (await served.ask(body)).status == 202
    assert (answer.status, answer.body) == (202, b'{"status":"accepted"}')
    assert behind.asked == 2


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Authorization: Bearer wrong"],
        [f"Authorization: Bearer {TOKEN}x"],
        [f"Authorization: Bearer {TOKEN[:-1]}"],
        ["Authorization: Bearer"],
        ["Authorization: Bearer "],
        ["Authorization: Bearer t\N{LATIN SMALL LETTER O WITH DIAERESIS}k\N{SNOWMAN}"],
        [f"Authorization: Basic {TOKEN}"],
        [f"Authorization: {TOKEN}"],
        [f"Authorization:Bearer{TOKEN}"],
        [f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"],
        [f"X-Authorization: Bearer {TOKEN}"],
        [f"Cookie: Authorization=Bearer {TOKEN}"],
    ],
)
async def test_without_the_token(headers: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Without the token, and with a wrong one, the answer is the same 401; nothing happens and nothing is logged."""
    behind = Behind()
    async with serving(behind) as served:
        answer = await served.ask(request("POST", "/reconcile", *headers))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert json.loads(answer.body) == {"error": "the header Authorization must be 'Bearer' and the token"}
    assert behind.asked == 0
    assert caplog.records == []


async def test_the_token_after_a_body() -> None:
    """A header that stands after a body is none: whoever checks headers on the way does not see it."""
    behind = Behind()
    chunked = request("POST", "/reconcile", "Transfer-Encoding: chunked", "Trailer: Authorization")
    async with serving(behind) as served:
        answer = await served.ask(chunked + f"1\r\nx\r\n0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    assert (answer.status, behind.asked) == (401, 0)


@pytest.mark.parametrize("token", ["schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel-\N{SNOWMAN}", "raw-\udcff"])
async def test_tokens_beyond_ascii(token: str) -> None:
    """A token may have any letters; its bytes are what counts, also those that are no UTF-8."""
    behind = Behind(token=token)
    sent = b"POST /reconcile HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
    async with serving(behind) as served:
        assert (await served.ask(sent % token.encode("utf-8", "surrogateescape"))).status == 202
        assert (await served.ask(sent % token.encode("ascii", "replace"))).status == 401


@pytest.mark.parametrize("token", [None, ""])
async def test_no_token_is_set(token: str | None) -> None:
    """Where no token is in force nobody may ask, whatever is sent; the answer says what to set."""
    behind = Behind(token=token)
    async with serving(behind) as served:
        for header in ("Authorization: Bearer ", f"Authorization: Bearer {TOKEN}", "Authorization: Bearer None"):
            answer = await served.ask(request("POST", "/reconcile", header))
            assert answer.status == 403
            assert "RECONCILER_TOKEN" in json.loads(answer.body)["error"]
    assert behind.asked == 0


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_head(path: str) -> None:
    """HEAD gives the headers of GET and no body; the connection goes on after it."""
    async with serving(Behind()) as served, served.visit() as visit:
        visit.send(request("GET", path))
        got = await visit.answer()
        visit.send(request("HEAD", path))
        head = await visit.answer(head_only=True)
        visit.send(request("GET", "/livez"))
        assert (await visit.answer()).body == b'{"status":"ok"}'
    got.headers.pop("date"), head.headers.pop("date")
    assert (head.status, head.headers) == (got.status, got.headers)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/reconcile", "POST"),
        ("HEAD", "/reconcile", "POST"),
        ("PUT", "/reconcile", "POST"),
        ("OPTIONS", "/reconcile", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("DELETE", "/readyz", "GET, HEAD"),
        ("TRACE", "/metrics", "GET, HEAD"),
        ("PROPFIND", "/metrics", "GET, HEAD"),
    ],
)
async def test_other_methods(method: str, path: str, allowed: str) -> None:
    """Another method is 405 and says which there are, with or without the token."""
    behind = Behind()
    async with serving(behind) as served:
        sent = request(method, path, f"Authorization: Bearer {TOKEN}")
        answer = await served.ask(sent, head_only=method == "HEAD")
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert behind.asked == 0


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "//livez",
        "//x/livez",
        "/livez/",
        "/livez/.",
        "/./livez",
        "/x/../livez",
        "/..",
        "/%6civez",
        "/livez%00",
        "/livez%2f",
        "/livez%3fx",
        "/%2e%2e/livez",
        "/livez;x",
        "/LIVEZ",
        "/livez%FF",
        "/livez%zz",
        "/etc/passwd",
        "/../../etc/passwd",
        "http://h//livez",
        "*",
    ],
)
async def test_other_paths(target: str) -> None:
    """Another path is 404, also what is another way to write one of ours."""
    async with serving(Behind()) as served:
        answer = await served.get(target)
    assert answer.status == 404
    assert "/livez, /readyz, /metrics, /reconcile" in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    "target", ["/livez?", "/livez?x=1&/readyz", "/livez?a=%00", "http://h/livez", "HTTP://h:1/livez?x"]
)
async def test_the_same_path(target: str) -> None:
    """What stands after a question mark means nothing, nor does the host of an absolute target."""
    async with serving(Behind()) as served:
        assert (await served.get(target)).body == b'{"status":"ok"}'


async def test_what_every_answer_says(caplog: pytest.LogCaptureFixture) -> None:
    """No answer is kept or guessed at by a browser, none names the server's software; nothing is logged."""
    async with serving(Behind()) as served:
        answers = [await served.get(path) for path in ("/livez", "/readyz", "/metrics", "/", "/reconcile")]
        answers += [await served.ask(POST), await served.ask(b"garbage\r\n\r\n")]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["date"].endswith(" GMT")
        assert "server" not in answer.headers
    assert caplog.records == []


async def test_what_goes_wrong_inside() -> None:
    """An error inside is a 500 that tells nothing of it; the event loop's handler gets it, and the server goes on."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    error = RuntimeError("a detail")

    def broken() -> Any:
        raise error

    behind = Behind(readiness=broken)
    async with serving(behind) as served:
        answer = await served.get("/readyz")
        assert (await served.get("/livez")).status == 200
    assert answer.status == 500
    assert b"detail" not in answer.body
    assert [context["exception"] for context in told] == [error]


async def test_a_probe_is_answered_while_others_ask(caplog: pytest.LogCaptureFixture) -> None:
    """A flood of wrong tokens is answered one by one, and probes in between."""
    behind = Behind()
    wrong = request("POST", "/reconcile", "Authorization: Bearer wrong")

    async def flood(served: Served) -> set[int]:
        async with served.visit() as visit:
            statuses = set()
            for _ in range(200):
                visit.send(wrong)
                statuses.add((await visit.answer()).status)
            return statuses

    async with serving(behind) as served:
        floods = asyncio.gather(*(flood(served) for _ in range(5)))
        assert (await served.get("/livez")).status == 200
        assert not floods.done()
        assert await floods == [{401}] * 5
    assert behind.asked == 0
    assert caplog.records == []


def fields(value: Any) -> set[str]:
    """The names of all fields of a value, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(fields, value.values()))
    return set().union(*map(fields, value)) if isinstance(value, list | tuple) else set()


def test_the_reference_is_complete() -> None:
    """docs/http.md names every endpoint, every field of `/readyz`, and every limit as it is."""
    text = (Path(__file__).parents[2] / "docs/http.md").read_text()
    reads = (AccountRead("one", None, NOW), AccountRead("one", "sub", NOW, "503"))
    told = fields(asdict(judge_readiness(Progress(NOW, 0.0, None, reads), NOW, lambda moment: moment)))
    example = json.loads(text.split("```json\n")[1].split("```")[0])
    assert told <= set(re.findall(r"\w+", text.split("| field |")[1]))
    assert fields(example) == told
    for path in ("/livez", "/readyz", "/metrics", "/reconcile", "/status", "/report"):
        assert path in text
    example = json.loads(text.split("```json\n")[2].split("```")[0])
    assert set(example) == {field.name for field in dataclass_fields(Status)}
    assert set(example["recent"][0]) == {field.name for field in dataclass_fields(Occurrence)}
    assert set(example["recent"][0]["asked_by"]) == {field.name for field in dataclass_fields(AskedBy)}
    limits = Limits()
    for bound in (
        f"{limits.head >> 10} KiB",
        f"{limits.body >> 10} KiB",
        f"{limits.request_seconds:g} s",
        f"{limits.idle_seconds:g} s",
        f"{limits.answer_seconds:g} s",
        f"{limits.age_seconds / 60:g} min",
        f"{limits.connections}",
        f"{limits.unread_answers}",
    ):
        assert f"| {bound} |" in text
