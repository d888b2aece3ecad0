"""What conformance needs and this project does not hold: AhaSend's document, schemathesis, Prism."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from required import not_run

ROOT = Path(__file__).parents[2]
# Read before any test: the environment of a test says nothing of AhaSend.
OPENAPI = ROOT / os.environ.get("AHASEND_OPENAPI", "../shared/ahasend/openapi.yaml")
PRISM = os.environ.get("PRISM", "prism")
SCHEMATHESIS = ROOT / ".venv/conformance/bin/schemathesis"

SERVED = re.compile(r"/v2/accounts/{account_id}/(api-keys\b|sub-accounts\b|domains(/{domain})?$)")


def schemathesis() -> Path:
    """Where schemathesis is; the test is not run where it or the document is missing."""
    _need_document("schemathesis")
    if not SCHEMATHESIS.is_file():
        not_run("schemathesis", "not installed: make conformance does it, where the package index can be reached")
    return SCHEMATHESIS


def prism() -> str:
    """Where Prism is; the test is not run where it or the document is missing."""
    _need_document("prism")
    found = shutil.which(PRISM)
    if found is None:
        not_run("prism", "not installed: npm install @stoplight/prism-cli, then set PRISM to its path")
    return found


def document(name: str) -> dict[str, Any]:
    """AhaSend's document with nothing left but the operations that the emulator serves, each as it was published."""
    _need_document(name)
    whole: dict[str, Any] = yaml.load(OPENAPI.read_bytes(), Loader=yaml.CSafeLoader)
    whole["paths"] = {
        path: {
            method: operation
            for method, operation in methods.items()
            # Domains are read and no more: nothing else about them says anything of keys.
            if "/domains" not in path or method == "get"
        }
        for path, methods in whole["paths"].items()
        if path == "/v2/ping" or SERVED.match(path)
    }
    return whole


def _need_document(name: str) -> None:
    if not OPENAPI.is_file():
        not_run(name, "no openapi.yaml: set AHASEND_OPENAPI to its path")
