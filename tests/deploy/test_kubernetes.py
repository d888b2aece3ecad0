"""What the manifests say fits the product, and one another."""

import re
from datetime import timedelta
from typing import Any

import pytest

from deploy.kubelet import what_happens
from deploy.rendering import (
    ALERTS,
    MONITORED,
    NAMES,
    OVERLAYS,
    RULE,
    Document,
    one,
    parsed,
    rendered,
    rule,
    template,
    workload,
)
from reconciler import __version__
from reconciler.ahasend.pace import Stop
from reconciler.cli.options import DEFAULT_PASS_TIMEOUT
from reconciler.cli.values import duration
from reconciler.exits import ExitCode

WRITING = {"cronjob": "FailJob", "sharded": "FailIndex"}
JOBS = (*WRITING, "audit")
OUT_OF_MEMORY = 137


def spec(name: str) -> dict[str, Any]:
    """Give what an overlay says of its Pods."""
    found: dict[str, Any] = template(workload(rendered(name)))["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (found,) = spec(name)["containers"]
    return dict(found)


def variables(name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(name)["env"] if "value" in each}


def job(name: str) -> dict[str, Any]:
    found: dict[str, Any] = workload(rendered(name))["spec"]["jobTemplate"]["spec"]
    return found


def seconds(name: str) -> float:
    """Give how long a pass of an overlay may take."""
    return duration(variables(name).get("RECONCILER_PASS_TIMEOUT", DEFAULT_PASS_TIMEOUT)).total_seconds()


def interval(schedule: str) -> float:
    """Give the seconds between two times of the schedules that are used here."""
    if found := re.fullmatch(r"\*/(\d+) \* \* \* \*", schedule):
        return timedelta(minutes=int(found[1])).total_seconds()
    assert re.fullmatch(r"\d+ \d+ \* \* \*", schedule)
    return timedelta(days=1).total_seconds()


@pytest.mark.parametrize("name", NAMES)
def test_the_version(name: str) -> None:
    """The image has the version for a tag, and the labels tell it."""
    assert container(name)["image"] == f"ahasend-key-reconciler:{__version__}"
    labelled = [each["metadata"]["labels"] for each in (*rendered(name), template(workload(rendered(name))))]
    told = {each.get("app.kubernetes.io/version") for each in labelled}
    assert told - {None} == {__version__}


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_container_is_the_same_everywhere(name: str) -> None:
    """The image's entry point runs, with nothing of the cluster in its hands, as 65532; the image is read-only."""
    pod, running = spec(name), container(name)
    assert "command" not in running
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    account = one(rendered(name), "ServiceAccount")
    assert (pod["serviceAccountName"], account["automountServiceAccountToken"]) == (account["metadata"]["name"], False)
    context = pod["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (65532, 65532, 65532)
    assert running["securityContext"] == container("cronjob")["securityContext"]
    assert running["securityContext"]["readOnlyRootFilesystem"] is True
    assert running["resources"] == container("cronjob")["resources"]
    assert set(running["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_credentials_are_files(name: str) -> None:
    """The credential is read from a mounted Secret, which group 65532 may read; nothing here holds a value of one."""
    pod = spec(name)
    (secret,) = (each["secret"] for each in pod["volumes"] if "secret" in each)
    assert secret["defaultMode"] == 0o440
    assert secret["secretName"] == ("reconciler-audit" if name == "audit" else "reconciler-apply")
    mounted = {each["name"]: each["mountPath"] for each in container(name)["volumeMounts"]}
    assert mounted["credentials"] == variables(name)["RECONCILER_SECRETS_DIR"]
    assert not [each for each in container(name)["env"] if each["name"].startswith("AHASEND")]
    assert [each for each in rendered(name) if each["kind"] == "Secret"] == []


def test_an_audit_cannot_get_at_what_may_write() -> None:
    """Nothing of the audit names the Secret with which keys are written."""
    assert "reconciler-apply" not in str(rendered("audit"))
    assert container("audit")["args"][0] == "audit"


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_network(name: str) -> None:
    """A NetworkPolicy that selects the Pods lets out HTTPS to public addresses, and names; and nothing in."""
    policy = one(rendered(name), "NetworkPolicy", "reconciler-audit" if name == "audit" else "reconciler")["spec"]
    labels = template(workload(rendered(name)))["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress", "Egress"], [])
    allowed = {(each["protocol"], each["port"]) for way in policy["egress"] for each in way["ports"]}
    assert allowed == {("TCP", 443), ("UDP", 53), ("TCP", 53)}
    (https,) = (each for each in policy["egress"] if each["ports"] == [{"protocol": "TCP", "port": 443}])
    (block,) = (each["ipBlock"] for each in https["to"])
    assert block["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(block["except"])


def test_only_prometheus_comes_in() -> None:
    """The daemon's port is open to one namespace, for nothing but that port; the other overlays have no such rule."""
    policy = one(rendered("daemon"), "NetworkPolicy", "reconciler-metrics")["spec"]
    labels = template(workload(rendered("daemon")))["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert policy["ingress"] == [{"from": [namespace], "ports": [{"protocol": "TCP", "port": "http"}]}]
    for name in JOBS:
        assert len([each for each in rendered(name) if each["kind"] == "NetworkPolicy"]) == 1


@pytest.mark.parametrize("name", JOBS)
def test_what_each_exit_code_does(name: str) -> None:
    """What a retry may mend is tried again; wrong usage and what waits for a person is not; a move is no failure."""
    ends = "FailIndex" if name == "sharded" else "FailJob"
    wanted = {
        ExitCode.ERROR: "Count",
        ExitCode.UNFINISHED: "Count",
        ExitCode.HELD_BACK: ends,
        ExitCode.USAGE: ends,
        ExitCode.KILLED_BY_INTERRUPT: "Count",
    }
    assert set(ExitCode) - set(wanted) == {ExitCode.IN_ORDER, ExitCode.DIFFERENT}, (
        "decide what a Job does about a new one"
    )
    assert {code: what_happens(job(name), code) for code in wanted} == wanted
    assert what_happens(job(name), OUT_OF_MEMORY) == "Count"
    assert {what_happens(job(name), code, disrupted=True) for code in wanted} == {"Ignore"}
    assert spec(name)["restartPolicy"] == "Never"
    rules = [each["onExitCodes"] for each in job(name)["podFailurePolicy"]["rules"] if "onExitCodes" in each]
    assert [(each["containerName"], sorted(each["values"])) for each in rules] == [
        (container(name)["name"], each["values"]) for each in rules
    ]


def test_how_often_it_is_tried_again() -> None:
    """A pass is tried thrice, each shard by itself; an audit, whose next one is a day away, four times."""
    assert (job("cronjob")["backoffLimit"], job("audit")["backoffLimit"]) == (2, 3)
    assert job("sharded")["backoffLimitPerIndex"] == 2
    assert "backoffLimit" not in job("sharded")


@pytest.mark.parametrize("name", JOBS)
def test_time_limits(name: str) -> None:
    """A whole pass and its end fit into the Job's time, and that into the time to the next; a late one may begin."""
    document = workload(rendered(name))["spec"]
    assert document["concurrencyPolicy"] == "Forbid"
    rounds = -(-job(name).get("completions", 1) // job(name).get("parallelism", 1))
    needed = rounds * (seconds(name) + spec(name)["terminationGracePeriodSeconds"])
    assert needed < job(name)["activeDeadlineSeconds"] < interval(document["schedule"])
    assert 10 < document["startingDeadlineSeconds"] < interval(document["schedule"])
    assert job(name)["ttlSecondsAfterFinished"] >= interval(document["schedule"])
    assert document["failedJobsHistoryLimit"] >= document["successfulJobsHistoryLimit"] > 0


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_write_in_flight_is_finished(name: str) -> None:
    """Kubernetes waits for longer than the reconciler does for a write in flight, with time for its report."""
    assert spec(name)["terminationGracePeriodSeconds"] >= 2 * Stop()._grace


def test_shards() -> None:
    """Each Pod of an Indexed Job has its share: the number of shares is that of the Pods, written once."""
    sharded = job("sharded")
    assert (sharded["completionMode"], sharded["completions"], sharded["parallelism"]) == ("Indexed", 8, 8)
    shares = [each["value"] for each in container("sharded")["env"] if each["name"] == "RECONCILER_SHARD"]
    assert shares == [f"$(JOB_COMPLETION_INDEX)/{sharded['completions']}"]
    (spread,) = spec("sharded")["topologySpreadConstraints"]
    labels = template(workload(rendered("sharded")))["metadata"]["labels"]
    assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


def test_one_daemon() -> None:
    """There is one daemon, never two while one replaces the other; a first pass of full length is no failed rollout."""
    deployment = workload(rendered("daemon"))["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert deployment["progressDeadlineSeconds"] > seconds("daemon")


def test_probes() -> None:
    """It is killed for a loop that no longer turns, and not for an account that cannot be read."""
    running = container("daemon")
    (port,) = running["ports"]
    asked = {each: running[each]["httpGet"] for each in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {each: path["path"] for each, path in asked.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert {path["port"] for path in asked.values()} == {port["name"]}
    assert variables("daemon")["RECONCILER_LISTEN"] == f"0.0.0.0:{port['containerPort']}"
    liveness, startup = running["livenessProbe"], running["startupProbe"]
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 60, "100,000 keys hold it up for half a minute"
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120


@pytest.mark.parametrize("name", ["daemon", MONITORED])
def test_the_service(name: str) -> None:
    """The Service leads to the daemon's port, also while the daemon is not ready."""
    service = one(rendered(name), "Service")["spec"]
    labels = template(workload(rendered(name)))["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert service["publishNotReadyAddresses"] is True
    assert [each["targetPort"] for each in service["ports"]] == [container(name)["ports"][0]["name"]]


def test_the_monitor() -> None:
    """The ServiceMonitor selects the Service, and asks for a port that it has."""
    documents = rendered(MONITORED)
    monitor, service = one(documents, "ServiceMonitor")["spec"], one(documents, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {each["name"] for each in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_rules_are_those_of_the_file() -> None:
    """The PrometheusRule holds the alert rules, all of them and as they are."""
    (alerts,) = parsed(ALERTS.read_text(encoding="utf-8"))
    assert one(rendered(MONITORED), "PrometheusRule")["spec"] == alerts
    assert RULE.read_text(encoding="utf-8") == rule(), "`make golden` makes it anew"


@pytest.mark.parametrize("name", OVERLAYS)
def test_settings_stay_where_they_are(name: str) -> None:
    """ConfigMaps keep their names, so that new files are seen by what runs and not by a new Pod."""
    suffix = "-audit" if name == "audit" else ""
    names = [each["metadata"]["name"] for each in rendered(name) if each["kind"] == "ConfigMap"]
    assert names == [f"reconciler-keys{suffix}", f"reconciler-policy{suffix}"]
    mounted = [each["configMap"]["name"] for each in spec(name)["volumes"] if "configMap" in each]
    assert mounted == names
    paths: dict[str, Document] = {each["name"]: each for each in container(name)["volumeMounts"]}
    assert paths["keys"]["mountPath"] == variables(name)["RECONCILER_DESIRED"]
    assert paths["policy"]["mountPath"] == variables(name)["RECONCILER_POLICY"]
    assert not any("subPath" in each for each in paths.values()), "a file that is mounted so never changes"
