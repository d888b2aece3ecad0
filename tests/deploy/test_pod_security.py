"""Every Pod keeps to the Pod Security Standard `restricted`, and the check of that refuses what breaks a control."""

from collections.abc import Callable
from typing import Any

import pytest

from deploy.pod_security import CONTROLS, Pod, broken
from deploy.rendering import NAMES, rendered, template, workload

Break = Callable[[Pod, dict[str, Any]], object]


def pods(name: str) -> list[Pod]:
    """Give the templates of Pods of an overlay."""
    return [template(workload(rendered(name)))]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_restricted(name: str) -> None:
    """No Pod of an overlay breaks a control."""
    assert [broken(pod) for pod in pods(name)] == [[]]


def in_pod(**fields: Any) -> Break:
    return lambda pod, _: pod["spec"].update(fields)


def shared(**fields: Any) -> Break:
    return lambda pod, _: pod["spec"]["securityContext"].update(fields)


def own(**fields: Any) -> Break:
    return lambda _, container: container["securityContext"].update(fields)


def without(*fields: str) -> Break:
    def remove(pod: Pod, container: dict[str, Any]) -> None:
        for field in fields:
            pod["spec"]["securityContext"].pop(field, None)
            container["securityContext"].pop(field, None)

    return remove


def in_container(**fields: Any) -> Break:
    return lambda _, container: container.update(fields)


def note(profile: str) -> Break:
    name = "container.apparmor.security.beta.kubernetes.io/reconciler"
    return lambda pod, _: pod["metadata"].update(annotations={name: profile})


def beside(field: str) -> Break:
    """Put a second container there that says nothing of its security."""
    return lambda pod, _: pod["spec"].update({field: [*pod["spec"].get(field, ()), {"name": "second"}]})


def probe(**handler: Any) -> Break:
    return in_container(livenessProbe=handler)


BREAKS: list[tuple[str, Break]] = [
    ("host process", shared(windowsOptions={"hostProcess": True})),
    ("host process", own(windowsOptions={"hostProcess": True})),
    ("host namespaces", in_pod(hostNetwork=True)),
    ("host namespaces", in_pod(hostPID=True)),
    ("host namespaces", in_pod(hostIPC=True)),
    ("privileged containers", own(privileged=True)),
    ("host ports", in_container(ports=[{"containerPort": 8080, "hostPort": 80}])),
    ("host probes and lifecycle hooks", probe(httpGet={"path": "/livez", "port": 1, "host": "127.0.0.1"})),
    ("host probes and lifecycle hooks", in_container(lifecycle={"preStop": {"tcpSocket": {"port": 1, "host": "db"}}})),
    ("AppArmor", note("unconfined")),
    ("AppArmor", own(appArmorProfile={"type": "Unconfined"})),
    ("SELinux", own(seLinuxOptions={"type": "spc_t"})),
    ("SELinux", shared(seLinuxOptions={"user": "system_u"})),
    ("SELinux", shared(seLinuxOptions={"role": "system_r"})),
    ("/proc mount type", own(procMount="Unmasked")),
    ("sysctls", shared(sysctls=[{"name": "kernel.msgmax", "value": "65536"}])),
    ("volume types", in_pod(volumes=[{"name": "host", "hostPath": {"path": "/etc"}}])),
    ("volume types", in_pod(volumes=[{"name": "nfs", "nfs": {"server": "files", "path": "/"}}])),
    ("volume types", in_pod(volumes=[{"name": "nothing"}])),
    ("privilege escalation", own(allowPrivilegeEscalation=True)),
    ("privilege escalation", without("allowPrivilegeEscalation")),
    ("running as non-root", without("runAsNonRoot")),
    ("running as non-root", own(runAsNonRoot=False)),
    ("running as non-root user", own(runAsUser=0)),
    ("running as non-root user", shared(runAsUser=0)),
    ("seccomp", without("seccompProfile")),
    ("seccomp", own(seccompProfile={"type": "Unconfined"})),
    ("seccomp", shared(seccompProfile={"type": "Unconfined"})),
    ("capabilities", without("capabilities")),
    ("capabilities", own(capabilities={"drop": ["NET_RAW"]})),
    ("capabilities", own(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})),
]


@pytest.mark.parametrize(("control", "spoil"), BREAKS)
def test_what_breaks_a_control_is_refused(control: str, spoil: Break) -> None:
    """A Pod that breaks one control is refused for that one."""
    (pod,) = pods("daemon")
    spoil(pod, pod["spec"]["containers"][0])
    assert broken(pod) == [control]


@pytest.mark.parametrize("field", ["containers", "initContainers", "ephemeralContainers"])
def test_every_container_counts(field: str) -> None:
    """A second container that says nothing of its security is refused, wherever it stands."""
    (pod,) = pods("daemon")
    beside(field)(pod, {})
    assert broken(pod) == ["privilege escalation", "capabilities"]


def test_every_control_is_broken_once() -> None:
    """No control is without a Pod that it refuses."""
    assert {control for control, _ in BREAKS} == set(CONTROLS)


@pytest.mark.parametrize(
    "allow",
    [
        own(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
        note("runtime/default"),
        note("localhost/strict"),
        own(appArmorProfile={"type": "RuntimeDefault"}, seLinuxOptions={"type": "container_t"}, procMount="Default"),
        shared(sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "1"}]),
        own(seccompProfile={"type": "Localhost", "localhostProfile": "strict.json"}),
    ],
)
def test_what_is_allowed(allow: Break) -> None:
    """What the standard allows is not refused."""
    (pod,) = pods("daemon")
    allow(pod, pod["spec"]["containers"][0])
    assert broken(pod) == []
