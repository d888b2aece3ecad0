"""Writes what a release is made of: CycloneDX 1.6 in JSON, from the pinned requirements, the same at every run.

Which package needs which, and under which licence, is what the packages themselves say; so the pinned versions must be
those that are installed here. Of each package the hashes of its files are listed: any of them may be installed.
"""

import json
import re
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAMESPACE: Final = uuid.UUID("6f0a3c39-8f0d-5b0c-9a57-3f3b7b0e6f8e")
"""Of the serial numbers: equal contents have equal ones."""
_PIN: Final = re.compile(r"^([a-z0-9][a-z0-9-]*)==([^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_SPDX: Final = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")


class NotPinned(Exception):
    """The pins are not what the project needs, or not what is installed: such a bill of materials would be wrong."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A package of a requirements file, and the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its address as a package, which names no registry."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_pins(path: Path) -> dict[str, Pin]:
    """Give the pins of a requirements file, by name."""
    pins: dict[str, Pin] = {}
    for entry in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if found := _PIN.match(entry):
            pins[found[1]] = Pin(found[1], found[2], tuple(sorted(_HASH.findall(entry))))
    return pins


def product_bom(project: Path, version: str, epoch: int, wheel: tuple[str, str]) -> dict[str, Any]:
    """Give the bill of materials of the wheel, of which ``wheel`` is the name and the SHA-256."""
    table = _project(project)
    parts = _Parts(read_pins(project / "requirements/runtime.txt"), table["dependencies"])
    root = {"type": "application", **_product(table, version, wheel)}
    return _bom(root, [], parts, epoch, "complete")


def image_bom(project: Path, version: str, epoch: int, wheel: tuple[str, str]) -> dict[str, Any]:
    """Give the one of the image: the wheel with its extra ``notify``; the base image has one of its own."""
    table = _project(project)
    needed = [*table["dependencies"], *table["optional-dependencies"]["notify"]]
    parts = _Parts(read_pins(project / "requirements/image.txt"), needed)
    root = {"type": "container", "bom-ref": f"{table['name']}:{version}", "name": table["name"], "version": version}
    product = {"type": "application", **_product(table, version, wheel)}
    return _bom(root, [product], parts, epoch, "incomplete")


def _project(project: Path) -> dict[str, Any]:
    with (project / "pyproject.toml").open("rb") as file:
        return dict(tomllib.load(file)["project"])


def _product(table: dict[str, Any], version: str, wheel: tuple[str, str]) -> dict[str, Any]:
    purl = f"pkg:pypi/{table['name']}@{version}"
    return {
        "bom-ref": purl,
        "name": table["name"],
        "version": version,
        "description": table["description"],
        "licenses": [{"expression": table["license"]}],
        "purl": purl,
        "externalReferences": [_files(purl, wheel[0], [wheel[1]])],
    }


class _Parts:
    """The packages of a set of pins, and which of them needs which.

    Raises:
        NotPinned: one is needed and not pinned, or pinned and not needed, or installed in another version.
    """

    def __init__(self, pins: dict[str, Pin], needed: Iterable[str]) -> None:
        self._pins = pins
        self.direct, self._edges = self._walk(list(map(Requirement, needed)))
        if idle := sorted(pins.keys() - self._edges.keys()):
            raise NotPinned(f"pinned, and needed by nothing: {', '.join(idle)}")

    def _walk(self, needed: list[Requirement]) -> tuple[set[str], dict[str, set[str]]]:
        edges: dict[str, set[str]] = {}
        seen: set[tuple[str, str]] = set()
        ahead = [(each, extra) for each in needed for extra in ("", *each.extras)]
        while ahead:
            wanted, extra = ahead.pop()
            name = canonicalize_name(wanted.name)
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            below = list(self._needs(name, extra))
            edges.setdefault(name, set()).update(canonicalize_name(each.name) for each in below)
            ahead += [(each, more) for each in below for more in ("", *each.extras)]
        return {canonicalize_name(each.name) for each in needed}, edges

    def _needs(self, name: str, extra: str) -> Iterator[Requirement]:
        pin = self._pins.get(name)
        if pin is None:
            raise NotPinned(f"{name} is needed, and not pinned: make pins")
        installed = metadata.version(name)
        if installed != pin.version:
            raise NotPinned(f"{name} is pinned to {pin.version}, and {installed} is installed: make check sets it up")
        for text in metadata.requires(name) or ():
            each = Requirement(text)
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                yield each

    @property
    def components(self) -> list[dict[str, Any]]:
        """Each package, sorted by name."""
        return [_component(self._pins[name]) for name in sorted(self._pins)]

    @property
    def dependencies(self) -> list[dict[str, Any]]:
        """What each package needs."""
        return [_depends(self._pins[name].purl, self.purls(below)) for name, below in sorted(self._edges.items())]

    def purls(self, names: Iterable[str]) -> list[str]:
        """Give the addresses of packages, sorted."""
        return sorted(self._pins[name].purl for name in names)


def _component(pin: Pin) -> dict[str, Any]:
    about = metadata.metadata(pin.name)
    return {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "description": about["Summary"],
        "licenses": [_licence(about)],
        "purl": pin.purl,
        "externalReferences": [_files(pin.purl, "any one of the files of this version", pin.hashes)],
    }


def _licence(about: metadata.PackageMetadata) -> dict[str, Any]:
    """Give the licence as its package declares it; one that is no expression of SPDX is given by its words."""
    declared = next((about[field] for field in ("License-Expression", "License") if field in about), "")
    if _SPDX.fullmatch(declared):
        return {"expression": declared}
    classifiers = about.get_all("Classifier") or []
    named = [each.rsplit(" :: ", 1)[1] for each in classifiers if each.startswith("License :: ")]
    return {"license": {"name": named[0] if named else declared or "not declared"}}


def _files(purl: str, comment: str, hashes: Iterable[str]) -> dict[str, Any]:
    listed = [{"alg": "SHA-256", "content": each} for each in hashes]
    return {"type": "distribution", "url": purl, "comment": comment, "hashes": listed}


def _depends(ref: str, on: list[str]) -> dict[str, Any]:
    return {"ref": ref, "dependsOn": on}


def _bom(
    root: dict[str, Any], within: list[dict[str, Any]], parts: _Parts, epoch: int, aggregate: str
) -> dict[str, Any]:
    """Put it together: the root needs what is ``within`` it, if anything, and the last of both the direct packages."""
    chain = [each["bom-ref"] for each in (root, *within)]
    above = [_depends(one, [next_one]) for one, next_one in pairwise(chain)]
    content = {
        "components": [*within, *parts.components],
        "dependencies": [*above, _depends(chain[-1], parts.purls(parts.direct)), *parts.dependencies],
        "compositions": [{"aggregate": aggregate, "assemblies": [chain[0]], "dependencies": [chain[-1]]}],
    }
    made = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"timestamp": made, "lifecycles": [{"phase": "build"}], "component": root}
    serial = uuid.uuid5(NAMESPACE, json.dumps([about, content], sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": about,
        **content,
    }
