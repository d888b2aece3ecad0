"""The bills of materials of a release: valid, complete, the same at every run, and silent about registries."""

import json
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing

from reconciler import __version__
from releasing.made import EPOCH, PROJECT, Release
from sbom import NotPinned, Pin, image_bom, product_bom, read_pins

PRODUCT = f"pkg:pypi/ahasend-key-reconciler@{__version__}"
WHEEL = ("some.whl", "0" * 64)
OF = {"runtime": "", "image": "-image"}
"""The name of the pins, and how the file of what is made of them ends."""


@pytest.fixture(params=OF)
def pins(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bom(release: Release, pins: str) -> dict[str, Any]:
    path = release.dist / f"ahasend_key_reconciler-{__version__}{OF[pins]}.cdx.json"
    return dict(json.loads(path.read_text()))


def test_it_is_valid(bom: dict[str, Any]) -> None:
    """It is CycloneDX 1.6, by the strict schema of those who make it, and each licence an expression of SPDX."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is None
    licences = list(chain.from_iterable(each["licenses"] for each in bom["components"]))
    expressions = [each["expression"] for each in licences if "expression" in each]
    assert [each for each in expressions if get_spdx_licensing().validate(each).errors] == []
    assert [each["license"]["name"] for each in licences if "license" in each] == ["BSD License"]  # jinja2's own words


def test_every_pin_is_in_it(bom: dict[str, Any], pins: str) -> None:
    """It lists exactly the packages that are pinned, with the hash of every file that may be installed."""
    listed = {
        each["purl"]: tuple(one["content"] for one in each["externalReferences"][0]["hashes"])
        for each in bom["components"]
        if each["purl"] != PRODUCT
    }
    assert listed == {pin.purl: pin.hashes for pin in read_pins(PROJECT / f"requirements/{pins}.txt").values()}
    assert all(listed.values())


def test_who_needs_whom(bom: dict[str, Any]) -> None:
    """Each package is needed by another, the first ones by the product, as its project says."""
    below = {each["ref"]: each["dependsOn"] for each in bom["dependencies"]}
    assert below.keys() == {bom["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in bom["components"])}
    assert set(chain.from_iterable(below.values())) == below.keys() - {bom["metadata"]["component"]["bom-ref"]}
    names = {re.sub(r"^pkg:pypi/|@.*", "", each) for each in below[PRODUCT]}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["notify"] if "apprise" in names else []
    assert names == {re.split(r"[<>=]", each)[0] for each in (*project["dependencies"], *extra)}


def test_what_it_is_about(release: Release, bom: dict[str, Any], pins: str) -> None:
    """It tells of this version's wheel, as of the commit's time; the image's says that its base is not in it."""
    component = bom["metadata"]["component"]
    assert (component["name"], component["version"]) == ("ahasend-key-reconciler", __version__)
    assert bom["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"
    assert (component["type"], bom["compositions"][0]["aggregate"]) in (
        ("application", "complete"),
        ("container", "incomplete"),
    )
    product = component if pins == "runtime" else bom["components"][0]
    (file,) = product["externalReferences"]
    assert f"{file['hashes'][0]['content']}  {file['comment']}" in (release.dist / "SHA256SUMS").read_text()


def test_where_it_points(bom: dict[str, Any]) -> None:
    """Packages are named by what they are, never by where somebody fetched them; nothing is drawn by lot."""
    urls = {reference["url"] for each in bom["components"] for reference in each["externalReferences"]}
    assert {url.partition("@")[0].partition("/")[0] for url in urls} == {"pkg:pypi"}
    assert re.findall(r"https?://[^\"]+", json.dumps(bom)) == ["http://cyclonedx.org/schema/bom-1.6.schema.json"]
    assert bom["serialNumber"].split("-")[2].startswith("5")  # of a hash


def test_other_contents_have_another_number() -> None:
    """Equal contents have an equal serial number, and others another."""
    one, same = (product_bom(PROJECT, "1.0.0", EPOCH, WHEEL) for _ in range(2))
    assert one == same
    assert image_bom(PROJECT, "1.0.0", EPOCH, WHEEL)["serialNumber"] != one["serialNumber"]
    assert product_bom(PROJECT, "1.0.1", EPOCH, WHEEL)["serialNumber"] != one["serialNumber"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("anyio==", "anyio-of-another==", "anyio is needed, and not pinned"),
        ("anyio==", "anyio==0.", r"anyio is pinned to 0\..* is installed"),
        ("anyio==", "iniconfig==1.0\nanyio==", "pinned, and needed by nothing: iniconfig"),
    ],
)
def test_pins_that_do_not_fit(tmp_path: Path, before: str, after: str, told: str) -> None:
    """A package that is needed and not pinned, pinned and not needed, or installed in another version, is told."""
    (tmp_path / "requirements").mkdir()
    text = (PROJECT / "requirements/runtime.txt").read_text()
    assert before in text
    (tmp_path / "requirements/runtime.txt").write_text(text.replace(before, after, 1))
    (tmp_path / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text())
    with pytest.raises(NotPinned, match=told):
        product_bom(tmp_path, "1.0.0", EPOCH, WHEEL)


def test_how_pins_are_read(tmp_path: Path) -> None:
    """A pin may have a marker, and hashes in any order; what is no pin is none."""
    path = tmp_path / "pins.txt"
    one, two = "1" * 64, "2" * 64
    path.write_text(
        f'# some\nyarl==1.2 ; python_version > "3" \\\n    --hash=sha256:{two} \\\n    --hash=sha256:{one}\nidna==3\n'
    )
    assert read_pins(path) == {"yarl": Pin("yarl", "1.2", (one, two)), "idna": Pin("idna", "3", ())}
