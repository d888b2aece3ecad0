"""The Pod Security Standard ``restricted``: every control of it, as Kubernetes' documentation lists them.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (restricted holds all of baseline).
"""

from collections.abc import Callable, Iterator
from typing import Any

Pod = dict[str, Any]

_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}
_SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_PROFILES = {"RuntimeDefault", "Localhost"}


def _containers(pod: Pod) -> Iterator[Pod]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod["spec"].get(field) or ()


def _contexts(pod: Pod) -> Iterator[Pod]:
    """Give the security contexts of the Pod and of each container, the Pod's first."""
    yield pod["spec"].get("securityContext") or {}
    yield from (each.get("securityContext") or {} for each in _containers(pod))


def _own(pod: Pod) -> Iterator[Pod]:
    yield from (each.get("securityContext") or {} for each in _containers(pod))


def _in_force(pod: Pod, field: str) -> Iterator[Any]:
    """Give what holds for each container: its own value, else the Pod's."""
    shared = (pod["spec"].get("securityContext") or {}).get(field)
    yield from (each.get(field, shared) for each in _own(pod))


def _handlers(pod: Pod) -> Iterator[Pod]:
    for container in _containers(pod):
        probes = (container.get(each) or {} for each in ("livenessProbe", "readinessProbe", "startupProbe"))
        hooks = ((container.get("lifecycle") or {}).get(each) or {} for each in ("postStart", "preStop"))
        yield from (each for part in (*probes, *hooks) for kind in ("httpGet", "tcpSocket") if (each := part.get(kind)))


def _app_armor(pod: Pod) -> bool:
    notes = pod.get("metadata", {}).get("annotations") or {}
    old = (value for name, value in notes.items() if name.startswith("container.apparmor.security.beta.kubernetes.io/"))
    new = (each["appArmorProfile"].get("type") for each in _contexts(pod) if each.get("appArmorProfile"))
    return all(each == "runtime/default" or each.startswith("localhost/") for each in old) and set(new) <= _PROFILES


def _se_linux(pod: Pod) -> bool:
    options = [each.get("seLinuxOptions") or {} for each in _contexts(pod)]
    return all(
        each.get("type", "") in _SELINUX_TYPES and not each.get("user") and not each.get("role") for each in options
    )


def _seccomp(pod: Pod) -> bool:
    return all((each or {}).get("type") in _PROFILES for each in _in_force(pod, "seccompProfile")) and all(
        (each.get("seccompProfile") or {}).get("type", "RuntimeDefault") in _PROFILES for each in _contexts(pod)
    )


def _capabilities(pod: Pod) -> bool:
    held = [each.get("capabilities") or {} for each in _own(pod)]
    return all("ALL" in each.get("drop", ()) and set(each.get("add", ())) <= {"NET_BIND_SERVICE"} for each in held)


CONTROLS: dict[str, Callable[[Pod], bool]] = {
    "host process": lambda pod: (
        not any((each.get("windowsOptions") or {}).get("hostProcess") for each in _contexts(pod))
    ),
    "host namespaces": lambda pod: not any(pod["spec"].get(each) for each in ("hostNetwork", "hostPID", "hostIPC")),
    "privileged containers": lambda pod: not any(each.get("privileged") for each in _own(pod)),
    "host ports": lambda pod: (
        not any(port.get("hostPort") for each in _containers(pod) for port in each.get("ports") or ())
    ),
    "host probes and lifecycle hooks": lambda pod: not any(each.get("host") for each in _handlers(pod)),
    "AppArmor": _app_armor,
    "SELinux": _se_linux,
    "/proc mount type": lambda pod: all(each.get("procMount", "Default") == "Default" for each in _own(pod)),
    "sysctls": lambda pod: (
        {each["name"] for each in (pod["spec"].get("securityContext") or {}).get("sysctls") or ()} <= _SYSCTLS
    ),
    "volume types": lambda pod: all(
        set(each) - {"name"} and set(each) - {"name"} <= _VOLUMES for each in pod["spec"].get("volumes") or ()
    ),
    "privilege escalation": lambda pod: all(each.get("allowPrivilegeEscalation") is False for each in _own(pod)),
    "running as non-root": lambda pod: all(each is True for each in _in_force(pod, "runAsNonRoot")),
    "running as non-root user": lambda pod: all(each.get("runAsUser") != 0 for each in _contexts(pod)),
    "seccomp": _seccomp,
    "capabilities": _capabilities,
}
"""Whether a Pod keeps to it. HostPath volumes, a control of baseline, fall under the volume types."""


def broken(pod: Pod) -> list[str]:
    """Give the controls that a Pod, or the template of one, does not keep to."""
    return [name for name, kept in CONTROLS.items() if not kept(pod)]
