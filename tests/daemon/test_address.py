"""Where the web server listens, as the command line says it."""

import click
import pytest
from click.testing import CliRunner

from reconciler.cli import options
from reconciler.daemon.address import Address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("0.0.0.0:80", "0.0.0.0", 80),  # noqa: S104 # somebody says so
        ("[::1]:8080", "::1", 8080),
        ("[::]:0", "::", 0),
        ("[fe80::1%eth0]:8080", "fe80::1%eth0", 8080),
        ("localhost:8080", "localhost", 8080),
        ("pod-1.keys.svc.cluster.local:65535", "pod-1.keys.svc.cluster.local", 65535),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    """A host and a port are read, IPv6 in brackets, and written as they were."""
    assert Address.read(text) == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize("text", [":8080", "8080", "*:8080"])
def test_no_host(text: str) -> None:
    """A port alone is refused, with both things that it may mean: it is not to be guessed who may come in."""
    with pytest.raises(ValueError, match=r"names no host: write 127\.0\.0\.1:8080 .* or 0\.0\.0\.0:8080 "):
        Address.read(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none:",
        "localhost",
        "localhost:http",
        "localhost:-1",
        "localhost:123456",
        "http://localhost:8080",
        "localhost:8080/",
        "::1:8080",
        "[::1]",
        "[127.0.0.1]:8080",
        "[localhost]:8080",
        "[]:8080",
        "0:8080",
        "0x7f.1:8080",
        "1.0x0:8080",
        "127.1:8080",
        "256.0.0.1:8080",
        "local host:8080",
        "-a.example:8080",
        f"{'a' * 64}.example:8080",
        f"{'a.' * 130}example:8080",
        "läufer.example:8080",
        "localhost:٨٠٨٠",
        "localhost:8080\n",
    ],
)
def test_no_address(text: str) -> None:
    """What is no address is refused with an example; also old ways to write one, of which 0 is everywhere."""
    with pytest.raises(ValueError, match=r"write HOST:PORT, such as 127\.0\.0\.1:8080 or \[::1\]:8080, or none"):
        Address.read(text)


def test_no_port() -> None:
    """A port beyond the last one is refused."""
    with pytest.raises(ValueError, match="the last one is 65535"):
        Address.read("localhost:65536")


@click.command
@options.listen
def shown(listen: Address | None) -> None:
    click.echo(repr(listen))


@pytest.mark.parametrize(
    ("arguments", "variable", "told"),
    [
        ([], None, "Address(host='127.0.0.1', port=8080)"),
        (["--listen", "[::1]:9"], "x:1", "Address(host='::1', port=9)"),
        ([], "localhost:9", "Address(host='localhost', port=9)"),
        (["--listen", "none"], None, "None"),
        ([], "none", "None"),
    ],
)
def test_the_option(arguments: list[str], variable: str | None, told: str) -> None:
    """``--listen`` listens on this machine alone unless it says otherwise; ``none`` is nowhere."""
    result = CliRunner().invoke(shown, arguments, env={"RECONCILER_LISTEN": variable})
    assert result.output == f"{told}\n"


def test_the_option_with_no_address() -> None:
    """What is no address is a mistake of usage, and says what to write."""
    result = CliRunner().invoke(shown, ["--listen", ":8080"])
    assert result.exit_code == click.UsageError.exit_code
    assert "write 127.0.0.1:8080" in result.output
