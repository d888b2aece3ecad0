"""What the web server shows of keys: page, status and report."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from daemon.visitor import STATUS, Behind, behind, error, request, serving, until
from reconciler.core.status import Status
from reconciler.daemon.audience import Audience, PageFor
from reconciler.daemon.connections import Limits
from reconciler.daemon.maker import MOST_WAITING
from reconciler.daemon.shown import Shown
from reconciler.errors import Interrupted

GUARDS = {
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


async def test_status_and_report() -> None:
    """They are JSON, as they were made, under guards against other sites."""
    async with serving(behind()) as served:
        status, report = await served.get("/status"), await served.get("/report")
        head = await served.ask(request("HEAD", "/report"), head_only=True)
    assert (status.status, status.body) == (200, b'{"status": 1}')
    assert (report.status, report.body.decode()) == (200, '{"report": "\N{SNOWMAN}"}')
    assert (head.status, head.headers["content-length"]) == (200, str(len(report.body)))
    for answer in (status, report, head):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers.items() >= GUARDS.items()


async def test_before_the_first_pass() -> None:
    """Before the first pass there is no report, and that is said."""
    stands = behind()
    del stands.shown["report"]
    async with serving(stands) as served:
        answer = await served.get("/report")
    assert answer.status == 503
    assert "no pass has ended yet" in error(answer)


async def test_a_page() -> None:
    """A path that is no endpoint's is a page's, with the policy that is its own."""
    stands = behind()
    async with serving(stands) as served:
        answer = await served.get("/")
        keys = await served.get("/keys?q=a%26b&c=d+e")
        head = await served.ask(request("HEAD", "/"), head_only=True)
        decoded = await served.get("/keys/%E2%98%83")
    assert (answer.status, answer.body) == (200, b"<p>page</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'sha256-x'"
    assert answer.headers.items() >= GUARDS.items()
    assert (keys.body, head.status, decoded.body) == (b"<p>keys</p>", 200, b"<p>")
    assert stands.looked == [("/", ""), ("/keys", "q=a%26b&c=d+e"), ("/", ""), ("/keys/\N{SNOWMAN}", "")]


async def test_text_that_utf_8_cannot_hold() -> None:
    """A page that holds half a character is sent all the same."""
    stands = behind()
    stands.pages["/", ""] = "a\ud800b"
    async with serving(stands) as served:
        assert (await served.get("/")).body == b"a\\ud800b"


@pytest.mark.parametrize("path", ["/status", "/report", "/"])
async def test_what_has_not_changed_is_not_sent_again(path: str) -> None:
    """Who has it already is told so, without a body; who has something else gets it, and so does who says nothing."""
    async with serving(behind()) as served:
        tag = (await served.get(path)).headers["etag"]
        strong = tag.removeprefix("W/")
        for header in (tag, strong, f'"x", {tag}', "*"):
            answer = await served.get(path, f"If-None-Match: {header}")
            assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
            assert "content-length" not in answer.headers
            assert answer.headers.items() >= GUARDS.items()
        assert (await served.get(path, 'If-None-Match: "x"', f"If-None-Match: {tag}")).status == 304
        for header in ('"x"', tag[:-2] + '"', ""):
            assert (await served.get(path, f"If-None-Match: {header}")).status == 200
        visit = request("GET", path, f"If-None-Match: {tag}")
        async with served.visit() as client:  # the connection goes on
            client.send(visit)
            await client.answer()
            client.send(visit)
            assert (await client.answer()).status == 304


async def test_what_says_the_same_is_told_anew() -> None:
    """A status that says the same has the same tag, and is made anew for who asks later, since it tells the time."""
    stands = behind()
    async with serving(stands) as served:
        first = await served.get("/status")
        stands.shown["status"] = replace(STATUS, moment="10:01", make=lambda: '{"status": 2}')
        second = await served.get("/status")
    assert (first.body, second.body) == (b'{"status": 1}', b'{"status": 2}')
    assert first.headers["etag"] == second.headers["etag"]


async def test_each_answer_says_when_it_was_so() -> None:
    """Page, status and report say by a header when they were so, also where nothing else changed since."""
    stands = behind()
    async with serving(stands) as served:
        for path in ("/", "/status", "/report"):
            first = await served.get(path)
            stands.moment = first.headers["reconciler-as-of"] + "+"
            for name, shown in stands.shown.items():
                stands.shown[name] = replace(shown, as_of=stands.moment)
            same = await served.get(path, f"If-None-Match: {first.headers['etag']}")
            assert (same.status, same.headers["reconciler-as-of"]) == (304, stands.moment)


async def test_nothing_is_made_while_nobody_needs_it() -> None:
    """Who has the newest costs nothing: it is not made to find that out."""

    def fails() -> str:
        raise AssertionError

    stands = behind()
    stands.shown["report"] = Shown("run-2", "", "10:00:00", fails)
    async with serving(stands) as served:
        assert (await served.get("/report", 'If-None-Match: W/"run-2"')).status == 304


async def test_many_ask_for_one_page() -> None:
    """A page that many ask for at once is made once, and the loop goes on meanwhile."""
    go_on, made = threading.Event(), []

    def slow() -> str:
        made.append(1)
        assert go_on.wait(10)
        return "x" * 100_000

    stands = behind()
    stands.shown["report"] = Shown("run-2", "", "10:00:00", slow)
    async with serving(stands) as served:
        asking = [asyncio.create_task(served.get("/report")) for _ in range(50)]
        while not made:
            assert (await served.get("/livez")).status == 200
        go_on.set()
        answers = await asyncio.gather(*asking)
    assert {len(answer.body) for answer in answers} == {100_000}
    assert made == [1]


async def test_a_page_is_asked_for_once() -> None:
    """However many ask for a page at once, it is asked for once."""
    stands = behind()
    go_on = threading.Event()
    draw = stands.draw

    def slow(told: Status, path: str, query: str) -> str | None:
        assert go_on.wait(10)
        return draw(told, path, query)

    stands.draw = slow  # type: ignore[method-assign] # of this story
    async with serving(stands) as served:
        asking = [asyncio.create_task(served.get("/")) for _ in range(20)]
        await served.until_open(20)
        await asyncio.sleep(0.05)
        go_on.set()
        assert {answer.body for answer in await asyncio.gather(*asking)} == {b"<p>page</p>"}
    assert stands.looked == [("/", "")]


async def test_who_asks_when_it_says_something_else() -> None:
    """Who asks for a page while an older one of the same path is being drawn gets the newer one."""
    go_on, drawing = threading.Event(), threading.Event()
    stands = behind()

    def slow(told: Status, path: str, query: str) -> str | None:
        said = stands.told
        drawing.set()
        assert go_on.wait(10)
        return said

    stands.draw = slow  # type: ignore[method-assign] # of this story
    async with serving(stands) as served:
        first = asyncio.create_task(served.get("/"))
        await until(drawing.is_set)
        stands.told = "two"
        second = asyncio.create_task(served.get("/"))
        await served.until_open(2)
        await asyncio.sleep(0.02)
        go_on.set()
        assert (await second).body == b"two"
        assert (await first).headers["etag"] != (await second).headers["etag"]


async def test_a_page_that_says_the_same_is_not_drawn() -> None:
    """Who has a page as it is costs no drawing; what pages of a report share is made once, until there is another."""
    stands = behind()
    async with serving(stands) as served:
        tag = (await served.get("/")).headers["etag"]
        stands.moment = "10:01"
        assert (await served.get("/", f"If-None-Match: {tag}")).status == 304
        assert stands.looked == [("/", "")]
        stands.told = "two"
        assert (await served.get("/", f"If-None-Match: {tag}")).status == 200
        assert stands.boards == 1
        stands.report = "run-2"
        assert (await served.get("/")).status == 200
        assert stands.boards == 2


async def test_no_page_passes_for_another() -> None:
    """Each address has tags of its own; of one at which there is no page no client has a copy, whatever it says."""
    async with serving(behind()) as served:
        tags = [(await served.get(target)).headers["etag"] for target in ("/", "/keys?q=a%26b&c=d+e")]
        assert len(set(tags)) == 2
        for tag in (*tags, "*"):
            assert (await served.get("/nothing", f"If-None-Match: {tag}")).status == 404


async def test_a_page_that_fails() -> None:
    """A bug of a page is a 500, and told; the next one may succeed."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    stands = behind()
    stands.pages["/", ""] = 7  # type: ignore[assignment] # a bug
    async with serving(stands) as served:
        assert (await served.get("/")).status == 500
        stands.pages["/", ""] = "<p>"
        assert (await served.get("/")).status == 200
    assert len(told) == 1


async def test_while_the_daemon_ends() -> None:
    """Who asks while the daemon ends is told so, and nobody is told of an error."""

    def ends(told: Status, path: str, query: str) -> str | None:
        raise Interrupted

    stands = behind()
    stands.draw = ends  # type: ignore[method-assign] # of this story
    async with serving(stands) as served:
        answer = await served.get("/")
    assert (answer.status, error(answer)) == (503, "the daemon ends")


@pytest.mark.parametrize(
    "target",
    [
        "/nothing",
        "/%",
        "/%4",
        "/%zz",
        "/%ff",
        "/a%2fb",
        "/a%5Cb",
        "/a%00b",
        "/a%0Ab",
        "/%6civez",
        "/status/",
        "//status",
        "/%E2%80%AEx",
        "/keys/..%2f",
    ],
)
async def test_paths_of_nothing(target: str) -> None:
    """A path of which there is no page, badly encoded or spelt to mislead, is 404, whatever it is; never a 500."""
    async with serving(behind()) as served:
        answer = await served.get(target)
    assert answer.status == 404
    only = "/livez, /readyz, /metrics, /reconcile, /status, /report, and pages: /, /keys and what they lead to"
    assert error(answer) == f"there is nothing here, only {only}"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, TEXT/HTML ;q=0.1", True),
        ("text/html;level=1", True),
        ("text/html; q=0.0", False),
        ("text/html;q=0, application/json", False),
        ("text/html;q=0.001", True),
        ("text/html;q=0,text/html", True),
        ("text/htmlx", False),
        ("x-text/html", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
    ],
)
async def test_a_browser_is_told_on_a_page(accept: str, html: bool) -> None:
    """Who reads HTML gets a page where there is none, with the guards of all; every other client JSON."""
    async with serving(behind()) as served:
        answer = await served.get("/nothing", f"Accept: {accept}", "If-None-Match: *")
        head = await served.ask(request("HEAD", "/nothing", f"Accept: {accept}"), head_only=True)
    assert (answer.status, head.status) == (404, 404)
    assert (answer.body == b"<p>nothing at /nothing</p>") is html
    if html:
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'sha256-x'"
        assert answer.headers.items() >= GUARDS.items()
        assert answer.headers["vary"] == "Accept"
        assert "etag" not in answer.headers
        assert head.headers["content-length"] == str(len(answer.body))


async def test_a_browser_where_it_may_not_look() -> None:
    """Who may not look gets no page, not even one of nothing; an address that cannot be shown is not shown."""
    async with serving(behind()) as served:
        assert (await served.get("/nothing", "Accept: text/html", "Via: x")).status == 403
        assert (await served.get("/%ff", "Accept: text/html")).body == b"<p>nothing at ?</p>"
        assert (await served.get("/nothing?%", "Accept: text/html")).status == 400


@pytest.mark.parametrize("target", ["/%", "/%ff", "/a%2fb", "/a%5Cb", "/a%00b", "/a%0Ab", "/%E2%80%AEx", "/keys/..%2f"])
async def test_pages_are_not_asked_for_what_misleads(target: str) -> None:
    """No page is asked for a path that cannot be decoded, hides a separator, or has letters that nobody sees."""
    stands = behind()
    async with serving(stands) as served:
        await served.get(target)
    assert stands.looked == []


@pytest.mark.parametrize("query", ["%", "a=%f", "a=%ff", "%zz"])
async def test_queries_that_cannot_be_decoded(query: str) -> None:
    """A query that is badly encoded is 400."""
    async with serving(behind()) as served:
        answer = await served.get(f"/?{query}")
    assert (answer.status, error(answer)) == (400, "the query is badly encoded: it must be percent-encoded UTF-8")


async def test_raw_bytes_in_a_target() -> None:
    """Bytes that are no ASCII are no page, and no query either."""
    async with serving(behind()) as served:
        path = await served.ask(b"GET /\xe2\x98\x83 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        query = await served.ask(b"GET /?\xe2\x98\x83 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert path.status in (400, 404)
    assert query.status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods(method: str) -> None:
    """Pages can be looked at, and nothing else; so can status and report. Without a page there is nothing."""
    async with serving(behind()) as served:
        for path in ("/", "/keys", "/status", "/report"):
            answer = await served.ask(request(method, path))
            assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
            assert "the method must be GET, HEAD" in error(answer)
        assert (await served.ask(request(method, "/", "Via: x"))).status == 403
    async with serving(behind(audience=Audience(PageFor.NONE))) as served:
        assert (await served.ask(request(method, "/"))).status == 404


# While it takes long


class SlowReport:
    """A report that is being made from when it is asked for until it is told to go on."""

    def __init__(self, stands: Behind) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()
        stands.shown["report"] = Shown("run-2", "", "10:00:00", self._make)

    def _make(self) -> str:
        self.began.set()
        assert self.go_on.wait(10)
        return "{}"


async def test_clients_that_leave_hold_nobody_up() -> None:
    """Pages that many asked for and left at once are not drawn; those who stay, and the first page, get theirs."""
    stands = behind()
    slow = SlowReport(stands)
    async with serving(stands) as served:
        await served.get("/")
        stands.looked.clear()
        report = asyncio.create_task(served.get("/report"))
        await until(slow.began.is_set)
        for number in range(20):
            async with served.visit() as visit:
                visit.send(request("GET", f"/keys?q={number}"))
                await asyncio.sleep(0.005)
        stays = asyncio.create_task(served.get("/keys?q=a%26b&c=d+e"))
        await asyncio.sleep(0.05)
        wall = asyncio.create_task(served.get("/"))
        await asyncio.sleep(0.05)
        slow.go_on.set()
        answers = await asyncio.gather(report, stays, wall)
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert stands.looked == [("/", ""), ("/keys", "q=a%26b&c=d+e")]


async def test_who_waited_too_long_is_waited_for_no_more() -> None:
    """What a client was to get that waited so long that it was hung up on is not made."""
    stands = behind()
    slow = SlowReport(stands)
    async with serving(stands, Limits(answer_seconds=0.05)) as served:
        await served.get("/")
        stands.looked.clear()
        async with served.visit() as report, served.visit() as page:
            report.send(request("GET", "/report"))
            await until(slow.began.is_set)
            page.send(request("GET", "/keys?q=a%26b&c=d+e"))
            assert await page.rest() == b""
        slow.go_on.set()
        assert (await served.get("/")).status == 200
    assert stands.looked == [("/", "")]


async def test_more_than_can_be_made() -> None:
    """Who asks for more than can be made is told to ask again; front page and status are there all the same."""
    stands = behind()
    slow = SlowReport(stands)
    async with serving(stands) as served:
        await served.get("/")
        report = asyncio.create_task(served.get("/report"))
        await until(slow.began.is_set)
        asking = [asyncio.create_task(served.get(f"/keys?q={number}")) for number in range(MOST_WAITING + 3)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert "ask again" in error(refused)
        more = [asyncio.create_task(served.get(path)) for path in ("/", "/status")]
        await asyncio.sleep(0.05)
        slow.go_on.set()
        assert {answer.status for answer in await asyncio.gather(report, *more)} == {200}
        assert [answer.status for answer in await asyncio.gather(*asking)].count(503) == 3
