"""Does with a Pod's container what the kubelet does: variables, expansion, mounts; and what the Job controller adds.

Paths of mounts become folders below one of the test's own, wherever they stand in arguments and variables: nothing else
of a container is changed.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.rendering import Document, template

Secrets = Mapping[str, Mapping[str, str]]
"""The files of each Secret, by the Secret's name."""

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
INDEX = "batch.kubernetes.io/job-completion-index"


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Give a text with ``$(NAME)`` filled in; a name that is not known stays as it is, and ``$$`` is one ``$``."""

    def one(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    return _REFERENCE.sub(one, text)


@dataclass(frozen=True, slots=True)
class Command:
    """What the kubelet starts: the image's entry point with ``arguments``, and ``variables`` as all its environment."""

    arguments: tuple[str, ...]
    variables: dict[str, str]


@dataclass
class Node:
    """A machine: a folder for the volumes of one Pod of a workload, and what the cluster holds."""

    folder: Path
    documents: list[Document]
    secrets: Secrets
    places: dict[str, Path] = field(default_factory=dict)

    def command(self, workload: Document, job: str = "reconciler-29400000", index: int | None = None) -> Command:
        """Mount the volumes of a Pod, and give what its one container starts.

        Args:
            workload: A CronJob or a Deployment.
            job: The name of the Pod's Job.
            index: Which of an Indexed Job's Pods this is.
        """
        pod = template(workload)
        (container,) = pod["spec"]["containers"]
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        self.places = {}
        for mount in container["volumeMounts"]:
            self.places[mount["mountPath"]] = self._volume(
                volumes[mount["name"]], read_only=mount.get("readOnly", False)
            )
        about = {"labels": {"batch.kubernetes.io/job-name": job}, "annotations": {}}
        listed = list(container["env"])
        if index is not None:
            about["annotations"] = {INDEX: str(index)}
            # The Job adds it only where there is none, and at the end: what stands before it cannot refer to it.
            source = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}}
            if all(each["name"] != "JOB_COMPLETION_INDEX" for each in listed):
                listed.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
        variables: dict[str, str] = {}
        for each in listed:
            value = self._value(each, about)
            if value is not None:
                variables[each["name"]] = expanded(value, variables)
        arguments = tuple(self.here(expanded(each, variables)) for each in container["args"])
        return Command(arguments, {name: self.here(value) for name, value in variables.items()})

    def here(self, text: str) -> str:
        """Give a text with the folders of this machine in place of the container's."""
        for path in sorted(self.places, key=len, reverse=True):
            text = re.sub(rf"(?<![\w/]){re.escape(path)}(?=[/,:]|$)", str(self.places[path]), text)
        return text

    def _value(self, variable: Document, about: dict[str, dict[str, str]]) -> str | None:
        if "value" in variable:
            return str(variable["value"])
        ((kind, source),) = variable["valueFrom"].items()
        if kind == "fieldRef":
            found = _FIELD.fullmatch(source["fieldPath"])
            assert found is not None, source
            return about[found[1]][found[2]]
        assert kind == "secretKeyRef", kind
        value = self.secrets[source["name"]].get(source["key"])
        assert value is not None or source.get("optional"), f"{source}: the Pod would not start"
        return value

    def _volume(self, volume: Document, *, read_only: bool) -> Path:
        place: Path = self.folder / volume["name"]
        place.mkdir(parents=True, exist_ok=True)
        if "configMap" in volume:
            _project(place, self._config_map(volume["configMap"]["name"]), 0o644)
        elif "secret" in volume:
            about = volume["secret"]
            _project(place, self.secrets[about["secretName"]], about["defaultMode"])
        elif "persistentVolumeClaim" in volume:
            name = volume["persistentVolumeClaim"]["claimName"]
            assert ("PersistentVolumeClaim", name) in {
                (each["kind"], each["metadata"]["name"]) for each in self.documents
            }
        else:
            assert "emptyDir" in volume, volume
        assert read_only == ("configMap" in volume or "secret" in volume)
        return place

    def _config_map(self, name: str) -> dict[str, str]:
        (data,) = (
            each.get("data") or {}
            for each in self.documents
            if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", name)
        )
        return dict(data)


def _project(place: Path, files: Mapping[str, str], mode: int) -> None:
    """Write files as the kubelet does: in a folder with a time for a name, behind a link to it, behind links to that.

    New files replace what is there by one rename.
    """
    before = place / "..data"
    dated = place / f"..2026_11_23_12_00_0{len(list(place.glob('..2026*')))}.123456789"
    dated.mkdir()
    for name, text in files.items():
        (dated / name).write_text(text, encoding="utf-8")
        (dated / name).chmod(mode)
    swap = place / "..data_tmp"
    swap.symlink_to(dated.name)
    swap.rename(before)
    for name in files:
        if not (place / name).is_symlink():
            (place / name).symlink_to(f"..data/{name}")


def with_keys(documents: list[Document], **files: str) -> list[Document]:
    """Give the documents with files of keys in the ConfigMap, as a team's own kustomization puts them there."""
    (config,) = (each for each in documents if each["metadata"]["name"].startswith("reconciler-keys"))
    config["data"] = {f"{name}.yaml": text for name, text in files.items()}
    return documents


def environment(command: Command, **more: str) -> dict[str, str]:
    """Give all that a process of a container finds in its environment; what measures coverage is let through."""
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COV")}
    return kept | command.variables | more


def what_happens(job: Document, code: int, *, disrupted: bool = False) -> str:
    """Give what the Job controller does about a Pod of a Job that failed: the action of the first rule that matches.

    Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy; no rule: Count.
    """
    for rule in job["podFailurePolicy"]["rules"]:
        conditions: list[Any] = rule.get("onPodConditions", [])
        if disrupted and any(each["type"] == "DisruptionTarget" and each["status"] == "True" for each in conditions):
            return str(rule["action"])
        codes = rule.get("onExitCodes")
        if codes and (code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
    return "Count"
