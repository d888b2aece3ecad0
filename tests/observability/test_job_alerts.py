"""The alerts of CronJobs, in Prometheus' own engine, by what kube-state-metrics tells of a CronJob."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.rendering import COMPONENTS, one, rendered
from observability.timeline import FIRING, run

pytestmark = [pytest.mark.promtool, pytest.mark.usefixtures("promtool")]


def series(cron_job: str, created: str, succeeded: str = "") -> list[dict[str, str]]:
    """Give what a scrape an hour tells of a CronJob, in promtool's notation; promtool's time begins with 0."""
    labels = f'{{namespace="reconciler", cronjob="{cron_job}", job="kube-state-metrics"}}'
    told = [{"series": f"kube_cronjob_created{labels}", "values": created}]
    if succeeded:
        told.append({"series": f"kube_cronjob_status_last_successful_time{labels}", "values": succeeded})
    return told


STORIES: dict[str, tuple[list[dict[str, str]], dict[int, str]]] = {
    "passes never succeed": (series("reconciler", "0x200"), {60: "", 61: "ReconcilerNoPassSucceeds"}),
    "passes succeed, then they do not": (
        series("reconciler", "0x200", "_x14 900x44 3600x140"),
        {30: "", 90: "", 120: "", 121: "ReconcilerNoPassSucceeds"},
    ),
    "passes succeed again": (series("reconciler", "0x200", "0x99 6000x100"), {99: "ReconcilerNoPassSucceeds", 100: ""}),
    "an audit finds something two nights long": (
        series("reconciler-audit", "0x3000", "0x3000"),
        {60: "", 26 * 60: "", 26 * 60 + 1: "ReconcilerNoAuditSucceeds"},
    ),
    "somebody else's CronJob": (series("backup", "0x3000"), {61: "", 3000: ""}),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_fires_when(tmp_path: Path, story: str) -> None:
    """At each minute of a story exactly the alert that it names fires."""
    told, claims = STORIES[story]
    rules = one(rendered("cronjob with job-alerts"), "PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    expected: list[dict[str, Any]] = [
        {
            "expr": FIRING,
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else [],
        }
        for minute, alert in claims.items()
    ]
    test = {"interval": "1m", "input_series": told, "promql_expr_test": expected}
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    run("test", "rules", str(tmp_path / "test.yaml"))


def test_every_alert_fires_once() -> None:
    """No alert is without a story in which it fires, and each tells where the page speaks of it."""
    (group,) = one(rendered("cronjob with job-alerts"), "PrometheusRule")["spec"]["groups"]
    assert {each["alert"] for each in group["rules"]} == {
        alert for _, claims in STORIES.values() for alert in claims.values() if alert
    }
    page = (Path(__file__).parents[2] / "docs/how-to/run-on-kubernetes.md").read_text(encoding="utf-8")
    assert "## Alerts of Jobs" in page
    assert {each["annotations"]["runbook"] for each in group["rules"]} == {
        "docs/how-to/run-on-kubernetes.md#alerts-of-jobs"
    }
    assert COMPONENTS["cronjob with job-alerts"] == ("cronjob", "job-alerts")
