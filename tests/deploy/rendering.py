"""What kustomize makes of ``deploy/kubernetes``, kept in ``tests/deploy/rendered``; ``make golden`` calls it.

So the tests know every document on a machine without kustomize, and what users will see changed is seen in the commit.
"""

import os
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
ALERTS = ROOT / "deploy/observability/alerts.yaml"
RULE = KUBERNETES / "components/monitoring/prometheus-rule.yaml"
RENDERED = Path(__file__).parent / "rendered"
KUBECTL = os.environ.get("KUBECTL", "kubectl")
OVERLAYS = ("cronjob", "audit", "daemon", "sharded")
MONITORED = "daemon with monitoring"
COMPONENTS = {MONITORED: ("daemon", "monitoring"), "cronjob with job-alerts": ("cronjob", "job-alerts")}
"""Overlays with a component on top."""
NAMES = (*OVERLAYS, *COMPONENTS)

BETWEEN = "\n---\n"

Document = dict[str, Any]


def kustomize(folder: Path) -> str:
    """Give what ``kubectl kustomize`` prints of a folder.

    Raises:
        subprocess.CalledProcessError: it refuses the folder.
    """
    return subprocess.run([KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=True).stdout


def render(name: str) -> str:
    """Give the documents of an overlay, or of one with a component."""
    if name not in COMPONENTS:
        return kustomize(KUBERNETES / "overlays" / name)
    overlay, component = COMPONENTS[name]
    with TemporaryDirectory() as folder:
        Path(folder, "here").symlink_to(KUBERNETES)
        text = f"resources: [here/overlays/{overlay}]\ncomponents: [here/components/{component}]\n"
        Path(folder, "kustomization.yaml").write_text(text, encoding="utf-8")
        return kustomize(Path(folder))


def parsed(text: str) -> list[Document]:
    """Give the documents of a text."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


@cache
def _kept(name: str) -> str:
    return (RENDERED / f"{name}.yaml").read_text(encoding="utf-8")


def rendered(name: str) -> list[Document]:
    """Give the documents as they are kept: new ones at each call, which a test may change."""
    if name not in COMPONENTS:
        return parsed(_kept(name))
    overlay, component = COMPONENTS[name]
    return rendered(overlay) + parsed(_kept(component))


def one(documents: list[Document], kind: str, name: str = "") -> Document:
    """Give the one document of a kind, or the one with a name."""
    (found,) = (each for each in documents if each["kind"] == kind and name in ("", each["metadata"]["name"]))
    return found


def workload(documents: list[Document]) -> Document:
    """Give the CronJob or the Deployment."""
    (found,) = (each for each in documents if each["kind"] in {"CronJob", "Deployment"})
    return found


def template(document: Document) -> Document:
    """Give the template of the Pods of a CronJob or a Deployment."""
    spec = document["spec"]
    found: Document = (spec["jobTemplate"]["spec"] if document["kind"] == "CronJob" else spec)["template"]
    return found


def rule() -> str:
    """Give the PrometheusRule that the alert rules make."""
    groups = [f"    {line}".rstrip() for line in _below("groups:", ALERTS.read_text(encoding="utf-8"))]
    return "\n".join([*RULE_BEGINS.splitlines(), *groups, ""])


def _below(heading: str, text: str) -> list[str]:
    """Give the lines below a heading, without the depth that is common to all."""
    lines = text.splitlines()
    found = lines[lines.index(heading) + 1 :]
    depth = min(len(line) - len(line.lstrip()) for line in found if line.strip())
    return [line[depth:] for line in found]


RULE_BEGINS = """\
# Made of deploy/observability/alerts.yaml by `make golden`: change that, and not this.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: reconciler
  namespace: reconciler
  labels:
    app.kubernetes.io/name: reconciler
    app.kubernetes.io/part-of: ahasend-key-reconciler
spec:
  groups:
"""


def main() -> None:
    """Write every file."""
    RULE.write_text(rule(), encoding="utf-8")
    RENDERED.mkdir(exist_ok=True)
    for name in OVERLAYS:
        (RENDERED / f"{name}.yaml").write_text(render(name), encoding="utf-8")
    for name, (overlay, component) in COMPONENTS.items():
        before = render(overlay).split(BETWEEN)
        added = [each for each in render(name).split(BETWEEN) if each not in before]
        (RENDERED / f"{component}.yaml").write_text(BETWEEN.join(added), encoding="utf-8")


if __name__ == "__main__":
    main()
