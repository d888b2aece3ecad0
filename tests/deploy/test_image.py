"""The container image, as far as its files tell; ``make test-image`` builds it and runs what comes out."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from composed import COMPOSE, composed, service
from dockerfile import DOCKERFILE, IGNORED, REPOSITORY, Instruction, instructions, seen
from reconciler import __version__
from required import not_run
from sbom import Pin, read_pins

LABELS = {"title", "description", "licenses", "version", "revision", "created", "source"}


def pins(name: str) -> set[Pin]:
    return set(read_pins(REPOSITORY / "requirements" / name).values())


def only(name: str, stage: int = 2) -> Instruction:
    (found,) = [one for one in instructions() if one.name == name and one.stage == stage]
    return found


def runs() -> list[str]:
    return [one.told for one in instructions() if one.name == "RUN"]


def test_the_image_holds_what_everybody_gets_and_apprise() -> None:
    """Its pins are those of `pip install .`, to the hash, with those that `notify` adds; the checks run with them."""
    image, runtime, checked = pins("image.txt"), pins("runtime.txt"), pins("dev.txt")

    assert runtime <= image <= checked
    assert all(pin.hashes for pin in image)
    assert "apprise" in {pin.name for pin in image - runtime}


def test_the_wheel_is_made_by_pinned_tools() -> None:
    """What builds the wheel in the image is what pyproject.toml asks for, pinned with hashes."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))

    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
    assert pins("build.txt") <= pins("dev.txt")
    assert "hatchling" in {pin.name for pin in pins("build.txt")}


def test_nothing_is_installed_that_is_not_pinned() -> None:
    """Each pip takes wheels by their hashes, or has no index at all."""
    commands = [one for run in runs() for one in run.split("&&") if re.search(r"\bpip\b.* (install|wheel) ", one)]

    assert len(commands) == 4
    for command in commands:
        assert {"--require-hashes", "--only-binary"} <= set(command.split()) or "--no-index" in command, command


def test_the_last_stage_is_made_of_nothing_but_what_was_copied() -> None:
    """It begins empty and runs nothing, so no shell, package manager or compiler can get into it."""
    bases = [one.words[0] for one in instructions() if one.name == "FROM"]

    assert bases == ["${BASE}", "scratch"]
    assert [one for one in instructions() if one.name in ("RUN", "ADD", "SHELL") and one.stage == 2] == []
    assert all("--from=build" in one.told for one in instructions() if one.name == "COPY" and one.stage == 2)


def test_the_base_can_be_pinned() -> None:
    """BASE is an argument, so that a digest may be given, and no registry is named."""
    assert only("ARG", stage=0).told == "BASE=debian:bookworm-slim"
    for file in (DOCKERFILE, COMPOSE, IGNORED):
        hosts = re.findall(r"https?://([^/\s'\"]+)", file.read_text(encoding="utf-8"))
        assert {host.split(":")[0] for host in hosts} <= {"127.0.0.1"}


def test_it_runs_as_nobody_with_no_shell() -> None:
    """User, folder, entrypoint and health check are what Kubernetes and compose count on, and need no shell."""
    assert only("USER").told == "65532:65532"
    assert only("WORKDIR").told == "/etc/reconciler"
    assert only("ENTRYPOINT").executed == ["reconciler"]
    assert only("HEALTHCHECK").executed == ["reconciler", "status", "--quiet"]
    assert "CMD [" in only("HEALTHCHECK").told


def test_labels_tell_what_it_is() -> None:
    """Every label that is asked for is there; what differs from build to build comes from outside."""
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', only("LABEL").told))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert labels.keys() == LABELS
    assert labels["title"] == project["name"]
    assert labels["licenses"] == project["license"]
    assert project["description"].startswith(labels["description"])
    assert {name: labels[name] for name in ("version", "revision", "created", "source")} == {
        "version": "$VERSION",
        "revision": "$REVISION",
        "created": "$CREATED",
        "source": "$SOURCE",
    }


def test_the_version_stands_in_one_place() -> None:
    """No file of the image says it; the build fails where the argument is not what the package says."""
    for file in (DOCKERFILE, COMPOSE):
        assert __version__ not in file.read_text(encoding="utf-8")
    assert any("--version)" in run and '"$VERSION" != "${version##* }"' in run and "exit 1" in run for run in runs())


def test_make_image_says_all_that_can_be_said() -> None:
    """`make image` gives every argument that the Dockerfile takes, and the version that the package has."""
    shown = subprocess.run(["make", "-n", "image"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    taken = {one.told.partition("=")[0] for one in instructions() if one.name == "ARG"}

    assert set(re.findall(r"--build-arg (\w+)=", shown)) == taken
    (pattern,) = re.findall(r"sed -n '(.*?)' reconciler/__init__\.py", shown)
    found = subprocess.run(
        ["sed", "-n", pattern, "reconciler/__init__.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == __version__


def test_it_is_compiled_alike_each_time() -> None:
    """No file's time and no order of a set gets into compiled modules, and every time in the image is the one given."""
    (compiling,) = [run for run in runs() if "compileall" in run]

    assert "--invalidation-mode unchecked-hash" in compiling
    assert "PYTHONHASHSEED=0" in compiling
    assert 'touch --no-dereference --date="@$SOURCE_DATE_EPOCH"' in compiling


def test_everything_that_is_copied_is_there() -> None:
    """Each source of a COPY exists, and the build sees it."""
    sources = [word for one in instructions() if one.name == "COPY" and one.stage == 1 for word in one.words[:-1]]

    assert "requirements/image.txt" in sources
    for source in sources:
        path = REPOSITORY / source
        inside = [path] if path.is_file() else [one for one in path.iterdir() if one.is_file()]
        assert inside, source
        assert any(seen(str(one.relative_to(REPOSITORY))) for one in inside), source


def test_the_build_sees_what_it_needs_and_nothing_else() -> None:
    """Of the whole tree the package, its pins, and what its wheel is made with are let in."""
    skipped = {".git", ".venv", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
    folders = [path for path in REPOSITORY.iterdir() if path.is_dir() and path.name not in skipped]
    tree = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    tree += [path for path in REPOSITORY.iterdir() if path.is_file()]
    let_in = {str(path.relative_to(REPOSITORY)) for path in tree if seen(str(path.relative_to(REPOSITORY)))}

    package = {str(path.relative_to(REPOSITORY)) for path in tree if path.is_relative_to(REPOSITORY / "reconciler")}
    assert let_in == {one for one in package if "__pycache__" not in one} | {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "docs/man/reconciler.1",
        "requirements/build.txt",
        "requirements/image.txt",
    }


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "config/keys/production.yaml",
        "deploy/secrets/ahasend_api_key",
        "id_ed25519",
        "pip.conf",
        "reconciler/.env",
        "reconciler/core/__pycache__/keys.cpython-311.pyc",
        "requirements/dev.txt",
        "tests/test_readme.py",
    ],
)
def test_the_build_sees_no_secret(path: str) -> None:
    """Files that may hold secrets, and those of the tests, stay outside."""
    assert not seen(path)


def test_hadolint_finds_nothing() -> None:
    """Nothing is left for hadolint to say, and what it is told to pass over has its reason."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        not_run("hadolint", "its package is there for Linux on x86_64 alone")
    found = subprocess.run([hadolint, "-f", "json", DOCKERFILE], capture_output=True, text=True, check=False)

    assert json.loads(found.stdout) == []
    ignored = re.findall(r"^# hadolint ignore=(.*)$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert ignored
    assert all(re.fullmatch(r"DL\d{4} # \S.*", one) for one in ignored)


def test_compose_is_as_its_specification_says() -> None:
    """The file is valid by the JSON Schema of the compose specification."""
    schema = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))

    assert [error.message for error in validator.iter_errors(composed())] == []
    assert not validator.is_valid({**composed(), "services": {"daemon": {"imagine": "no such key"}}})


def test_compose_lets_its_services_do_nothing_but_their_work() -> None:
    """Both are read-only, without capabilities and as nobody, and what they mount is there and read-only."""
    for name, told in composed()["services"].items():
        assert told["read_only"] is True
        assert told["cap_drop"] == ["ALL"]
        assert told["security_opt"] == ["no-new-privileges:true"]
        assert told["user"] == only("USER").told
        assert told["image"] == "ahasend-key-reconciler"
        assert all(source.is_file() for source in service(name).mounts.values())


def test_compose_shows_nothing_beyond_this_machine() -> None:
    """Daemon and emulator share one network namespace; the page is published, on loopback; nothing is pulled."""
    emulator, daemon = composed()["services"]["emulator"], composed()["services"]["daemon"]
    port = daemon["environment"]["RECONCILER_LISTEN"].split(":")[1]

    assert daemon["network_mode"] == "service:emulator"
    assert "ports" not in daemon
    assert daemon["pull_policy"] == "never"
    assert emulator["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}
    assert emulator["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert "host" not in " ".join(emulator["command"])


def test_compose_brings_everything_in_sync(tmp_path: Path) -> None:
    """What compose.yaml starts finds what differs, heals it, is healthy, and ends in order."""
    told = Told(tmp_path)
    with started(told.command("emulator"), told.environment("emulator")):
        until(lambda: subprocess.run(told.healthcheck(), capture_output=True, check=False).returncode == 0)
        with started(told.command("daemon"), told.environment("daemon")):
            until(lambda: status(told)["sync"]["in_sync"] is True)
            now = status(told)

    assert now["readiness"]["ready"] is True
    assert [(one["name"], one["outcome"], one["access"]["direction"]) for one in now["recent"]] == [
        ("sender", "applied", "narrow")
    ]
    assert '"outcome":"applied"' in (tmp_path / "trail.jsonl").read_text(encoding="utf-8").replace(": ", ":")


class Told:
    """What compose.yaml says of its services, with paths and ports of this machine in place of the containers'."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.api, self.page = one.getsockname()[1], other.getsockname()[1]
        # The longest first: a folder comes after what is mounted in it.
        self._places = {
            "/var/lib/reconciler": str(folder),
            ":4280": f":{self.api}",
            "0.0.0.0:8080": f"127.0.0.1:{self.page}",
        }
        for name in ("emulator", "daemon"):
            for target, source in service(name).mounts.items():
                place = folder / target.removeprefix("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(source.read_bytes())
        self._places["/etc/reconciler"] = str(folder / "etc/reconciler")

    def command(self, name: str) -> list[str]:
        words = [str(self.api) if word == "4280" else self._here(word) for word in service(name).command]
        return [sys.executable, "-m", *only("ENTRYPOINT").executed, *words]

    def environment(self, name: str) -> dict[str, str]:
        told = {variable: self._here(value) for variable, value in service(name).environment.items()}
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)} | told

    def healthcheck(self) -> list[str]:
        python, *words = map(self._here, service("emulator").healthcheck)
        assert python == "python"
        return [sys.executable, *words]

    def _here(self, text: str) -> str:
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text


@contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """Run it for as long as the block takes; SIGTERM is to end it with 0."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.communicate()


def status(told: Told) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{told.page}/status", timeout=10) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.URLError:
        return {"sync": {"in_sync": None}}


def until(happened: Any) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
