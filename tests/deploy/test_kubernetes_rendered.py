"""What is kept is what kubectl renders, and what a team builds on it renders as the page says."""

import re
from pathlib import Path
from subprocess import CalledProcessError

import pytest
import yaml

from deploy.kubelet import what_happens
from deploy.pod_security import broken
from deploy.rendering import (
    NAMES,
    OVERLAYS,
    ROOT,
    Document,
    kustomize,
    one,
    parsed,
    render,
    rendered,
    template,
    workload,
)
from deploy.schemas import problems, versions
from deploy.snippets import KEYS, PAGE, additions, snippets, write
from required import kubectl


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the page; the test is not run where kubectl is missing."""
    kubectl()
    folder = tmp_path_factory.mktemp("team")
    write(folder)
    return folder


def shards(documents: list[Document]) -> tuple[int, str]:
    """Give the number of an Indexed Job's Pods, and which share each of them is told to make."""
    cron = workload(documents)
    (share,) = (
        each["value"] for each in template(cron)["spec"]["containers"][0]["env"] if each["name"] == "RECONCILER_SHARD"
    )
    return cron["spec"]["jobTemplate"]["spec"]["completions"], share


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_current(name: str) -> None:
    """`make golden` would write what is there; a component changes nothing of the overlay that it is put upon."""
    kubectl()
    assert _by_name(parsed(render(name))) == _by_name(rendered(name))


@pytest.mark.parametrize("name", ["apply", "audit", "daemon", "sharded"])
def test_a_team_s_own_folder(team: Path, name: str) -> None:
    """A folder as the page has it renders: with the team's files, under names that stay, and taken by Kubernetes."""
    documents = parsed(kustomize(team / name))
    maps = {each["metadata"]["name"]: each["data"] for each in documents if each["kind"] == "ConfigMap"}
    suffix = "-audit" if name == "audit" else ""
    assert maps == {
        f"reconciler-keys{suffix}": {"shop.yaml": KEYS},
        f"reconciler-policy{suffix}": {"policy.yaml": "version: 1\n"},
    }
    native = [each for each in documents if not each["apiVersion"].startswith("monitoring")]
    assert [problem for each in native for problem in problems(each, versions()[-1])] == []
    assert broken(template(workload(documents))) == []
    image = template(workload(documents))["spec"]["containers"][0]["image"]
    kept = rendered("cronjob" if name == "apply" else name)
    tag = template(workload(kept))["spec"]["containers"][0]["image"]
    assert image == f"registry.example.com/{tag}"


def test_apply_and_audit_stand_beside_each_other(team: Path) -> None:
    """Both can be applied together; two overlays that write cannot: kustomize refuses names that are there twice."""
    both = team / "both"
    both.mkdir()
    (both / "kustomization.yaml").write_text("resources: [../apply, ../audit]\n")
    assert len(parsed(kustomize(both))) == len(rendered("cronjob")) + len(rendered("audit"))
    (both / "kustomization.yaml").write_text("resources: [../apply, ../daemon]\n")
    with pytest.raises(CalledProcessError) as refused:
        kustomize(both)
    assert "already registered id" in refused.value.stderr


def test_only_planning(team: Path) -> None:
    """What the page adds for a beginning lets the CronJob only plan."""
    ((name, text),) = additions().items()
    trial = team / "trial/kustomization.yaml"
    trial.parent.mkdir()
    trial.write_text((team / name).read_text() + text)
    (container,) = template(workload(parsed(kustomize(trial.parent))))["spec"]["containers"]
    assert {"name": "RECONCILER_DRY_RUN", "value": "true"} in container["env"]


@pytest.mark.parametrize("count", [16, 3])
def test_the_number_of_shards_is_one_number(team: Path, count: int) -> None:
    """Whoever changes `completions` as the page says changes the argument of the Pods with it."""
    folder = team / f"shards-{count}"
    folder.mkdir()
    text = snippets()["sharded/kustomization.yaml"]
    (folder / "kustomization.yaml").write_text(text.replace("completions, value: 16", f"completions, value: {count}"))
    assert shards(parsed(kustomize(folder))) == (count, f"$(JOB_COMPLETION_INDEX)/{count}")


def test_what_else_a_pod_is_told_moves_no_number(team: Path) -> None:
    """Arguments and variables that a team puts before the share leave it alone; without it kustomize refuses."""
    folder = team / "more"
    folder.mkdir()
    text = snippets()["sharded/kustomization.yaml"]
    path = "/spec/jobTemplate/spec/template/spec/containers/0"
    more = (
        f"      - {{op: add, path: {path}/args/1, value: --output=json=reports/x.json}}\n"
        f"      - {{op: add, path: {path}/env/0, value: {{name: RECONCILER_OUTPUT, value: json=a/b}}}}\n"
    )
    at = text.index("images:")
    (folder / "kustomization.yaml").write_text(text[:at] + more + text[at:])
    documents = parsed(kustomize(folder))
    assert shards(documents) == (16, "$(JOB_COMPLETION_INDEX)/16")
    (container,) = template(workload(documents))["spec"]["containers"]
    assert container["args"] == ["apply", "--output=json=reports/x.json"]
    gone = f"      - {{op: replace, path: {path}/env, value: []}}\n"
    (folder / "kustomization.yaml").write_text(text[:at] + gone + text[at:])
    with pytest.raises(CalledProcessError):
        kustomize(folder)


def test_without_the_transformer_the_numbers_differ(team: Path) -> None:
    """The page warns of what is so: a patch alone changes one of the two numbers."""
    folder = team / "patched"
    folder.mkdir()
    text = snippets()["sharded/kustomization.yaml"]
    (folder / "kustomization.yaml").write_text(text[: text.index("transformers:")])
    assert shards(parsed(kustomize(folder))) == (16, "$(JOB_COMPLETION_INDEX)/8")


def test_the_argument_follows_the_overlay(team: Path) -> None:
    """In the overlay itself the argument comes from `completions`, whatever number stands in it."""
    folder = team / "own"
    folder.mkdir()
    overlay = ROOT / "deploy/kubernetes/overlays/sharded"
    cron = re.sub(r"INDEX\)/\d+", "INDEX)/1", (overlay / "cronjob.yaml").read_text(encoding="utf-8"))
    (folder / "cronjob.yaml").write_text(cron)
    text = "resources: [cronjob.yaml]\ntransformers: [../reconciler/deploy/kubernetes/transformers/shards]\n"
    (folder / "kustomization.yaml").write_text(text)
    assert shards(parsed(kustomize(folder))) == (8, "$(JOB_COMPLETION_INDEX)/8")


def test_a_trail_that_outlives_the_pod(team: Path) -> None:
    """With the page's component the daemon keeps its trail in a claim, and nothing else of the Pod changes."""
    folder = team / "trailed"
    folder.mkdir()
    text = snippets()["daemon/kustomization.yaml"].replace("  - ../config\n", "  - ../config\n  - ../trail\n")
    (folder / "kustomization.yaml").write_text(text)
    documents = parsed(kustomize(folder))
    deployment = workload(documents)
    assert problems(deployment, versions()[-1]) == []
    pod = template(deployment)["spec"]
    (state,) = (each for each in pod["volumes"] if each["name"] == "state")
    claim = one(documents, "PersistentVolumeClaim")["metadata"]["name"]
    assert state == {"name": "state", "persistentVolumeClaim": {"claimName": claim}}
    assert {"name": "RECONCILER_TRAIL", "value": "/var/lib/reconciler/trail.jsonl"} in pod["containers"][0]["env"]
    assert (
        len(pod["containers"][0]["env"])
        == len(template(workload(rendered("daemon")))["spec"]["containers"][0]["env"]) + 1
    )


def test_what_fetches_the_reports() -> None:
    """Kubernetes takes the Pod of the page in a namespace with `restricted`; it reads the audit's claim."""
    pod = yaml.safe_load(snippets()["reports.yaml"])
    assert [problem for version in versions() for problem in problems(pod, version)] == []
    assert broken(pod) == []
    (volume,) = pod["spec"]["volumes"]
    claim = one(rendered("audit"), "PersistentVolumeClaim")["metadata"]["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim


def test_every_file_of_config_is_listed() -> None:
    """No file of keys in `config` is left out of the ConfigMaps, nor the policy."""
    kustomization = yaml.safe_load((ROOT / "config/kustomization.yaml").read_text(encoding="utf-8"))
    listed = {each["name"]: set(each["files"]) for each in kustomization["configMapGenerator"]}
    keys = {str(each.relative_to(ROOT / "config")) for each in (ROOT / "config/keys").rglob("*.y*ml")}
    assert listed == {"reconciler-keys": keys, "reconciler-policy": {"policy.yaml"}}


def test_what_the_page_says_of_exit_codes() -> None:
    """The page's table says what the rules do."""
    rows = re.findall(r"(?m)^\| (\d+)[^|]*\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"))
    told = {int(row[0]): dict(zip(("cronjob", "sharded", "audit"), row[1:], strict=True)) for row in rows if row[1]}
    words = {"FailJob": "the Job has failed", "FailIndex": "this shard has failed", "Count": "tried again"}
    assert {code: each for code, each in told.items() if code} == {
        code: {name: words[_action(name, code)] for name in ("cronjob", "sharded", "audit")} for code in (1, 3, 4, 64)
    }


def _by_name(documents: list[Document]) -> dict[tuple[str, str], Document]:
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def _action(name: str, code: int) -> str:
    return what_happens(workload(rendered(name))["spec"]["jobTemplate"]["spec"], code)


def test_overlays_are_all_told_of() -> None:
    """The page's first table names each overlay."""
    assert set(re.findall(r"(?m)^\| `(\w+)` \| `", PAGE.read_text(encoding="utf-8"))) == set(OVERLAYS)
