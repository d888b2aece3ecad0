"""Kubernetes' own JSON Schemas, strict, as the package kubernetes-validate carries them; and what operators demand."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types
from referencing import Registry, Resource

from deploy.rendering import Document

_FOLDER = files("kubernetes_validate") / "kubernetes-json-schema"
OLDEST = (1, 29)
"""The first version in which a shard is tried again by itself (``backoffLimitPerIndex``) unless somebody forbids it."""


def versions() -> list[str]:
    """Give every version, from the oldest that we say we run on, such as ``1.29.0``."""
    found = {each.name.removeprefix("v").split("-")[0] for each in _FOLDER.iterdir()}
    wanted = sorted((tuple(map(int, each.split("."))) for each in found), key=lambda each: each[:2])
    return [".".join(map(str, each)) for each in wanted if each[:2] >= OLDEST]


@cache
def _read(version: str, name: str) -> Any:
    return json.loads((_FOLDER / f"v{version}-local-strict" / f"{name}.json").read_text(encoding="utf-8"))


@cache
def _definitions(version: str) -> Registry[Any]:
    contents: Resource[Any] = Resource.from_contents(_read(version, "_definitions"))
    return contents @ Registry()


@cache
def _validator(version: str, kind: str, api_version: str) -> Draft202012Validator:
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.split(".")[0], number)))
    schema: Resource[Any] = Resource.from_contents(_read(version, name))
    return Draft202012Validator(schema.contents, registry=schema @ _definitions(version))


def problems(document: Document, version: str) -> list[str]:
    """Give what a version of Kubernetes would not take of a document, each with its path."""
    validator = _validator(version, document["kind"], document["apiVersion"])
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(document)]


_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_DURATION = {"type": "string", "pattern": "^(0|([0-9]+(ms|[smhdwy]))+)$"}
_METADATA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}, "labels": _TEXTS},
    "required": ["name", "namespace", "labels"],
    "additionalProperties": False,
}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _document(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    version = {"const": "monitoring.coreos.com/v1"}
    named = {"const": kind}
    return _object(
        ["apiVersion", "kind", "metadata", "spec"], apiVersion=version, kind=named, metadata=_METADATA, spec=spec
    )


_RULE = _object(
    ["alert", "expr"],
    alert={"type": "string", "minLength": 1},
    expr={"type": ["string", "integer"]},
    **{"for": _DURATION},
    keep_firing_for=_DURATION,
    labels=_TEXTS,
    annotations=_TEXTS,
)
_GROUP = _object(
    ["name"], name={"type": "string", "minLength": 1}, interval=_DURATION, rules={"type": "array", "items": _RULE}
)
_ENDPOINT = _object(
    ["port"],
    port={"type": "string"},
    path={"type": "string", "pattern": "^/"},
    scheme={"enum": ["http", "https", "HTTP", "HTTPS"]},
    interval=_DURATION,
    scrapeTimeout=_DURATION,
)
_SELECTOR = _object(["matchLabels"], matchLabels=_TEXTS)
OPERATORS = {
    "PrometheusRule": Draft202012Validator(
        _document("PrometheusRule", _object(["groups"], groups={"type": "array", "items": _GROUP}))
    ),
    "ServiceMonitor": Draft202012Validator(
        _document(
            "ServiceMonitor",
            _object(["endpoints", "selector"], endpoints={"type": "array", "items": _ENDPOINT}, selector=_SELECTOR),
        )
    ),
}
"""What the Prometheus operator's definitions demand of the fields that we use, and no other field."""
