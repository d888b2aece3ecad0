"""Kubernetes takes every document, in each version that we say we run on."""

import pytest

from deploy.rendering import COMPONENTS, NAMES, OVERLAYS, ROOT, rendered, template, workload
from deploy.schemas import OPERATORS, problems, versions

NATIVE = {"ConfigMap", "CronJob", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Service", "ServiceAccount"}


@pytest.mark.parametrize("version", versions())
def test_each_document_is_taken(version: str) -> None:
    """No document has a field that a version does not know, nor lacks one that it needs, nor one of another type."""
    documents = [each for name in OVERLAYS for each in rendered(name)]
    assert {each["kind"] for each in documents} == NATIVE
    assert [(each["kind"], problem) for each in documents for problem in problems(each, version)] == []


def test_a_misspelt_field_is_found() -> None:
    """The schemas are the strict ones: what Kubernetes would drop without a word is a problem here."""
    document = workload(rendered("sharded"))
    document["spec"]["jobTemplate"]["spec"]["backOffLimitPerIndex"] = 2
    template(document)["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    told = problems(document, versions()[0])
    assert len(told) == 2
    assert all(any(field in each for each in told) for field in ("backOffLimitPerIndex", "readOnlyRootFilesystem"))


def test_the_versions() -> None:
    """They begin with the one that the page names, and there are none missing between the first and the last."""
    page = (ROOT / "docs/how-to/run-on-kubernetes.md").read_text(encoding="utf-8")
    assert f"Kubernetes {versions()[0].removesuffix('.0')} or newer" in page
    minors = [int(each.split(".")[1]) for each in versions()]
    assert minors == list(range(29, minors[-1] + 1))


def test_the_operator_takes_it() -> None:
    """What components add has what the operator's definitions demand, and no field that we do not know of."""
    added = [each for name in COMPONENTS for each in rendered(name) if each["kind"] in OPERATORS]
    assert [each["kind"] for each in added] == ["PrometheusRule", "ServiceMonitor", "PrometheusRule"]
    for document in added:
        assert [each.message for each in OPERATORS[document["kind"]].iter_errors(document)] == []
        document["spec"]["endpoint"] = []
        assert not OPERATORS[document["kind"]].is_valid(document)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_there_twice(name: str) -> None:
    """Each document of an overlay is of a kind and a name of its own, and in the one namespace."""
    documents = rendered(name)
    ids = [(each["kind"], each["metadata"]["name"]) for each in documents]
    assert len(ids) == len(set(ids))
    assert {each["metadata"]["namespace"] for each in documents} == {"reconciler"}
