"""Who may look at what the web server shows of keys, and by which names of it."""

from dataclasses import replace
from typing import Any

import pytest

from daemon.visitor import behind, error, serving
from reconciler.daemon.audience import Audience, PageFor

ALL = Audience(PageFor.ALL, frozenset({"keys.example.com"}))


def is_called(host: str) -> bytes:
    return f"GET /status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "10.1.2.3:80",
        "localhost",
        "LOCALHOST:8080",
        "[::1]:8080",
        "[fe80::1]",
        "keys.example.com",
        "Keys.Example.com.:8080",
    ],
)
async def test_names_of_this_server(host: str) -> None:
    """It is called by an address, by localhost, or by a name that it was given."""
    async with serving(behind(audience=replace(ALL, page=PageFor.LOCAL))) as served:
        assert (await served.ask(is_called(host))).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "localhost.evil.example.com",
        "evil.localhost",
        "127.0.0.1.evil.example.com",
        "127.0.0.1:8080.evil.example.com",
        "keys.example.com.evil.org",
        "[evil.example.com]",
        "[127.0.0.1]",
        "127.1",
        "2130706433",
        "::1",
        "",
        "user@localhost",
        "localhost:x",
        "localhost:123456",
        "localhost:65536",
        "127.0.0.1:99999",
        "l\xf6calhost",
    ],
)
async def test_names_of_other_sites(host: str) -> None:
    """A browser that another site's name leads here gets nothing: neither page nor status nor report."""
    async with serving(behind(audience=ALL)) as served:
        for path in ("/status", "/report", "/"):
            answer = await served.ask(is_called(host).replace(b"/status", path.encode()))
            assert answer.status == 421
            assert "--page-host" in error(answer)
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await served.ask(is_called(host).replace(b"/status", path.encode()))).status == 200


async def test_without_one_name() -> None:
    """Who calls it by no name, or by two, is told so, too."""
    async with serving(behind(audience=ALL)) as served:
        assert (await served.ask(b"GET /status HTTP/1.0\r\n\r\n")).status == 421
        assert (await served.ask(is_called("localhost\r\nHost: localhost"))).status == 421


def scope(client: str | None, server: str = "10.0.0.5", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    peer = None if client is None else (client, 50_000)
    return {"client": peer, "server": (server, 8080), "headers": [(b"host", b"10.0.0.5:8080"), *headers]}


@pytest.mark.parametrize(
    ("client", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.5", True),
        ("::ffff:10.0.0.5", True),
        ("10.0.0.6", False),
        ("::ffff:10.0.0.6", False),
        ("192.168.0.1", False),
        ("fe80::1%eth0", False),
        (None, False),
    ],
)
def test_who_is_on_this_machine(client: str | None, local: bool) -> None:
    """Local is who comes from a loopback address, or from the one that it asks; mapped into IPv6, too."""
    for page in (PageFor.LOCAL, PageFor.NONE):
        assert (Audience(page).refusal(scope(client)) is None) is local
    assert Audience(PageFor.ALL).refusal(scope(client)) is None
    refusal = Audience().refusal(scope(client))
    assert refusal is None or (refusal.status == 403 and b"--page all" in refusal.body)


@pytest.mark.parametrize(
    "header",
    [
        *(
            b"x-forwarded-for",
            b"forwarded",
            b"via",
            b"x-real-ip",
            b"X-Forwarded-Host",
            b"x-forwarded",
            b"x_forwarded_for",
        ),
        *(
            b"x-client-ip",
            b"client-ip",
            b"true-client-ip",
            b"x-cluster-client-ip",
            b"cf-connecting-ip",
            b"Fastly_Client_Ip",
        ),
        *(b"x-envoy-external-address", b"x-original-forwarded-for"),
    ],
)
def test_what_a_proxy_passes_on_is_not_local(header: bytes) -> None:
    """What a proxy on this machine passes on comes from somebody else, whoever that says to be."""
    passed_on = (header, b"127.0.0.1")
    assert Audience().refusal(scope("127.0.0.1", "127.0.0.1", passed_on)) is not None
    assert Audience(PageFor.ALL).refusal(scope("127.0.0.1", "127.0.0.1", passed_on)) is None


async def test_from_elsewhere() -> None:
    """Who asks from elsewhere gets neither page nor status nor report, and is told what to do."""
    async with serving(behind()) as served:
        for path in ("/status", "/report", "/", "/nothing"):
            answer = await served.get(path, "X-Forwarded-For: 127.0.0.1")
            assert answer.status == 403
            assert "kubectl port-forward" in error(answer)
        for path in ("/livez", "/readyz", "/metrics"):
            assert (await served.get(path, "X-Forwarded-For: 127.0.0.1")).status == 200


async def test_no_page() -> None:
    """Without a page there is none, for nobody; status and report are for this machine as before."""
    stands = behind(audience=Audience(PageFor.NONE))
    async with serving(stands) as served:
        answer = await served.get("/", "Accept: text/html")
        assert (answer.status, "pages" in error(answer)) == (404, False)
        assert (await served.get("/", "Host: evil.example.com")).status == 404
        assert (await served.get("/status")).status == 200
        assert (await served.get("/report", "Via: x")).status == 403
    assert stands.looked == []
