"""What the tests do in the kubelet's place is what Kubernetes' documentation says of it."""

from pathlib import Path

import pytest

from deploy.kubelet import Node, expanded, what_happens
from deploy.rendering import rendered, template, workload


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("$(INDEX)/8", "3/8"),
        ("--shard=$(INDEX)/$(COUNT)", "--shard=3/$(COUNT)"),
        ("$$(INDEX)", "$(INDEX)"),
        ("$INDEX ${INDEX}", "$INDEX ${INDEX}"),
    ],
)
def test_expansion(text: str, becomes: str) -> None:
    """`$(NAME)` is filled in; an unknown name stays; `$$` escapes; a shell's forms mean nothing."""
    assert expanded(text, {"INDEX": "3"}) == becomes


def test_a_variable_knows_only_those_before_it(tmp_path: Path) -> None:
    """What the Job adds to a Pod is known to arguments and not to variables: it is added behind them."""
    documents = rendered("sharded")
    container = template(workload(documents))["spec"]["containers"][0]
    container["env"] = [{"name": "RECONCILER_SHARD", "value": "$(JOB_COMPLETION_INDEX)/8"}]
    command = Node(tmp_path, documents, {"reconciler-apply": {}}).command(workload(documents), index=3)
    assert command.variables == {"RECONCILER_SHARD": "$(JOB_COMPLETION_INDEX)/8", "JOB_COMPLETION_INDEX": "3"}


def test_a_shard_knows_its_index(tmp_path: Path) -> None:
    """The overlay names the index before what refers to it, and then the Job does not add it once more."""
    documents = rendered("sharded")
    command = Node(tmp_path, documents, {"reconciler-apply": {}}).command(workload(documents), index=3)
    count = workload(documents)["spec"]["jobTemplate"]["spec"]["completions"]
    assert (command.arguments, command.variables["RECONCILER_SHARD"]) == (("apply",), f"3/{count}")


def test_files_of_a_volume(tmp_path: Path) -> None:
    """A Secret's files are links behind one link, which a change swaps; they bear the mode that is asked for."""
    documents = rendered("cronjob")
    for key in ("first", "second"):
        node = Node(tmp_path, documents, {"reconciler-apply": {"ahasend_api_key": key}})
        node.command(workload(documents))
        place = node.places["/run/secrets/reconciler"]
        assert (place / "ahasend_api_key").read_text() == key
        assert (place / "ahasend_api_key").readlink() == Path("..data/ahasend_api_key")
        assert (place / "ahasend_api_key").stat().st_mode & 0o777 == 0o440


@pytest.mark.parametrize(
    ("rules", "code", "disrupted", "action"),
    [
        ([], 3, False, "Count"),
        ([{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}], 3, False, "FailJob"),
        ([{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [4]}}], 4, False, "Count"),
        (
            [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}],
            3,
            True,
            "Ignore",
        ),
        (
            [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}],
            3,
            False,
            "Count",
        ),
    ],
)
def test_what_a_failure_does(rules: list[object], code: int, disrupted: bool, action: str) -> None:
    """The first rule that matches decides; without one the failure counts."""
    assert what_happens({"podFailurePolicy": {"rules": rules}}, code, disrupted=disrupted) == action
