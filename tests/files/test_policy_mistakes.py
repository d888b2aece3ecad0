"""What is said about mistakes in policy files, and the exact place that is told for each."""

from pathlib import Path

import pytest

from reconciler.errors import FilesError
from reconciler.files.policy import load_policy

MISTAKES = [
    block.split("\n", 1) for block in (Path(__file__).parent / "policy_mistakes.txt").read_text().split("### ")[1:]
]
RULE = "version: 1\nrules:\n  - id: r\n    severity: deny\n    message: m\n    when: "
MESSAGE = "version: 1\nrules:\n  - id: r\n    severity: deny\n    uses: no-wildcard\n    message: "
HERE = "«"
"""Stands before the place that is told."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(*paths: str, **files: str) -> list[str]:
    for name, text in files.items():
        Path(f"{name}.yaml").write_bytes(text.encode())
    with pytest.raises(FilesError) as caught:
        load_policy([Path(path) for path in paths or ["."]])
    return str(caught.value).split("\n")


def marked(text: str) -> tuple[str, list[str]]:
    """Give a text without its marks, and the places of these, as messages begin."""
    places = []
    while HERE in text:
        before, _, after = text.partition(HERE)
        places.append(f"p.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: ")
        text = before + after
    return text, places


@pytest.mark.parametrize("mistake", [pytest.param(rest, id=name) for name, rest in MISTAKES])
def test_a_mistake_is_told_at_its_place(mistake: str) -> None:
    """Every mistake is told at its exact place, in words for a person, with what to write instead."""
    text, _, expected = mistake.partition("---\n")
    assert refused("p.yaml", p=text) == expected.strip().split("\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('«key.nme == ""\n', id="plain"),
        pytest.param('key.name == "a#b" && «key.nme == ""  # why\n', id="plain, with a comment"),
        pytest.param('\n      key.name == "" && «key.nme == ""\n', id="plain, on the next line"),
        pytest.param('\'key.name == "" && «key.nme == ""\'\n', id="single-quoted"),
        pytest.param("\"key.name == '' && «key.nme == ''\"\n", id="double-quoted"),
        pytest.param("\"«key.nme == ''\\n|| true\"\n", id="double-quoted, before an escape"),
        pytest.param("\"'é😀' == «key.nme\"\n", id="after characters of two and four bytes"),
        pytest.param('key.name\t==\t"" &&\t«key.nme == ""\n', id="after tabs"),
        pytest.param('|\n      key.name == ""\n      && «key.nme == ""\n', id="literal"),
        pytest.param('|-\n      «key.nme == ""\n    hint: h\n', id="literal, without its last line break"),
        pytest.param('| # why\n\n\n      // why\n      «key.nme == ""\n', id="literal, after empty lines and comments"),
        pytest.param('|\n      key.name == "" ||\n          «key.nme == ""\n', id="literal, indented further"),
        pytest.param('|2\n          «key.nme == ""\n', id="literal, with its indentation said"),
        pytest.param("|-\n      key.name == «", id="literal, ends too early"),
        pytest.param("|\n      key.name ==«\n", id="literal, ends too early before its line break"),
        pytest.param("|\n      key.name ==«\n    hint: h\n", id="literal, ends too early before another field"),
        pytest.param("|\n      true ||\n        key.name ==  «\n", id="literal, ends too early on its second line"),
        pytest.param("|+\n      key.name ==«\n\n\n", id="literal, ends too early before empty lines"),
        pytest.param("|\n      key.name ==\n      // why«\n", id="literal, ends too early with a comment"),
        pytest.param("|+\n«\n\n", id="literal, of nothing but empty lines"),
        pytest.param(">\n      key.name ==«\n", id="folded, ends too early"),
        pytest.param('"key.name ==«\\n"\n', id="double-quoted, ends too early before an escape"),
        pytest.param("key.name ==«\n", id="plain, ends too early"),
        pytest.param('|\n      «key.nme == ""\n      || «kee.name == ""\n', id="literal, with two mistakes"),
        pytest.param('>\n      key.name == "" || «key.nme == ""\n', id="folded, on one line"),
        pytest.param('>-\n      true ||\n        «key.nme == ""\n', id="folded, a line that is not"),
    ],
)
def test_a_place_in_an_expression_is_exact(text: str) -> None:
    """In whatever way an expression is written, its mistake is told where it stands in the file."""
    written, places = marked(RULE + text)
    for problem, place in zip(refused(p=written), places, strict=True):
        assert problem.startswith(f"{place}when: ")
    for problem, place in zip(refused(p=written.replace("\n", "\r\n")), places, strict=True):
        assert problem.startswith(f"{place}when: ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('«key.name == "" ||\n      key.nme == ""\n', id="plain, on a second line"),
        pytest.param("«'key.name == ''''\n      || key.nme == \"\"'\n", id="single-quoted, on a second line"),
        pytest.param("«'key.name == '''' || key.nme == \"\"'\n", id="single-quoted, after a quote"),
        pytest.param('«"key.name == \\"\\" || key.nme == \'\'"\n', id="double-quoted, after an escape"),
        pytest.param("«\"true\\n|| key.nme == ''\"\n", id="double-quoted, on a second line of the text"),
        pytest.param("«\"true ||\\nkey.nme == ''\"\n", id="double-quoted, where a second line of the text begins"),
        pytest.param('«>\n      key.name == "" ||\n      key.nme == ""\n', id="folded, two lines in one"),
        pytest.param('«>\n      true\n\n      || key.nme == ""\n', id="folded, after an empty line"),
        pytest.param('«&e true && key.nme == ""\n', id="behind an anchor"),
    ],
)
def test_a_place_that_cannot_be_told_is_that_of_the_value(text: str) -> None:
    """Where a file writes an expression differently, the place of the value is told, never a wrong one inside."""
    written, (place,) = marked(RULE + text)
    assert refused(p=written) == [f"{place}when: there is no 'key.nme': did you mean 'key.name'?"]


def test_a_place_behind_an_alias_is_that_of_the_alias() -> None:
    """What is wrong with an expression that an alias repeats is told at the alias."""
    rules = "- {id: a, severity: deny, message: m, when: «&e true && key.nme == ''}\n"
    rules += "- {id: b, severity: deny, message: m, when: «*e}\n"
    text, (anchor, alias) = marked(f"version: 1\nrules:\n{rules}")
    assert refused(p=text) == [
        f"{anchor}when: there is no 'key.nme': did you mean 'key.name'?",
        f"{alias}when: there is no 'key.nme': did you mean 'key.name'?",
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("the key «{key.nme} is wrong\n", id="plain"),
        pytest.param('"{key.name} is «{key.nme}"\n', id="double-quoted"),
        pytest.param("'{{ «{key.nme} }}'\n", id="single-quoted, after a brace that is one"),
        pytest.param("|\n      {key.name}\n      is «{key.nme}\n", id="literal"),
        pytest.param('«"the \\"key\\" {key.nme}"\n', id="after an escape: the value's"),
        pytest.param("«>\n      the key\n      {key.nme}\n", id="folded: the value's"),
    ],
)
def test_a_place_in_a_message_is_exact(text: str) -> None:
    """A placeholder that stands for nothing is told where it stands, or where its message does."""
    written, (place,) = marked(MESSAGE + text)
    assert refused(p=written) == [
        f"{place}message: there is no variable 'key.nme' to be filled in: did you mean {{key.name}}?"
    ]


def test_all_files_are_told_at_once() -> None:
    """Syntax, shape and meaning of all files are told together, in the order of files and lines."""
    assert refused(
        "gone.yaml",
        "a.yaml",
        "b.yaml",
        "c.yaml",
        a="version: 1\nrules: [\n",
        b="version: 1\nguardrails: {max_changes: {percent: 200}}\nrules: [{id: x, severity: denny}]\n",
        c="version: 1\nrequire: [{can: messages:send}]\nrules: [{id: x, severity: deny}]\n",
    ) == [
        "a.yaml:3:1: is not YAML: did not find expected node content (while parsing a flow node that begins on line 3)",
        "b.yaml:2:37: percent: 200 is out of range: the limit is 100",
        "b.yaml:3:27: severity: \"denny\": did you mean 'deny'?",
        "c.yaml:2:11: 'domain' is missing: messages:send is for one, write 'domain: example.com'",
        "c.yaml:3:9: a rule has one check: write 'when' and an expression, or 'uses' and a name",
        "gone.yaml: cannot be read: no such file or directory",
    ]


@pytest.mark.parametrize(
    "rules",
    ["version: 1\nrules: [\n", "version: 1\nrules: [{id: no-wildcard}]\n", "- version: 1\n", "rules: 1\n", None],
)
def test_a_rule_that_could_not_be_read_is_not_missed(rules: str | None) -> None:
    """Where a file, or a rule of it, does not fit, no waiver is said to be for a rule that does not exist."""
    waiver = "version: 1\nwaivers: [{rule: no-wildcard, key: a, until: 2027-01-31, owner: o, reason: r}]\n"
    if rules:
        Path("rules.yaml").write_text(rules)
    problems = refused("rules.yaml", "waivers.yaml", waivers=waiver)
    assert {problem.partition(":")[0] for problem in problems} == {"rules.yaml"}


def test_a_rule_of_a_folder_that_could_not_be_read_is_not_missed() -> None:
    """Where a folder gives no files, no waiver is said to be for a rule that does not exist."""
    Path("rules").mkdir()
    waiver = "version: 1\nwaivers: [{rule: no-wildcard, key: a, until: 2027-01-31, owner: o, reason: r}]\n"
    (problem,) = refused("rules", "waivers.yaml", waivers=waiver)
    assert problem.startswith("rules: holds no policy file")


def test_a_link_out_of_a_folder_is_told() -> None:
    """Each link out of a policy's folder is an error, since nobody would miss a rule that is not read."""
    told = "is a link that leads out of its folder, and so is not read: name what it leads to, or copy it"
    Path("policy/deep").mkdir(parents=True)
    waiver = "version: 1\nwaivers: [{rule: r, key: a, until: 2027-01-31, owner: o, reason: r}]\n"
    files = {"outside": "version: 1\n", "policy/p": waiver, "policy/z": "version: 2\n"}
    Path("policy/y.yaml").symlink_to("../outside.yaml")
    Path("policy/deep/x.yaml").symlink_to("../../outside.yaml")
    Path("policy/elsewhere").symlink_to(Path.cwd().parent)
    Path("policy/inside.yaml").symlink_to("p.yaml")
    Path("policy/notes.txt").symlink_to("../outside.yaml")
    assert refused("policy", "outside.yaml", **files) == [
        f"policy/deep/x.yaml: {told}",
        f"policy/elsewhere: {told}",
        f"policy/y.yaml: {told}",
        "policy/z.yaml:1:10: version: 2 is out of range: the limit is 1",
    ]


def test_a_folder_without_policies_is_told() -> None:
    """A folder that holds no policy is an error that says what to do, beside what is wrong with other files."""
    Path("empty").mkdir()
    assert refused("empty", "p.yaml", p="version: 2\n") == [
        "empty: holds no policy file (*.yaml, *.yml): nothing to do; write one, or name another path with --policy",
        "p.yaml:1:10: version: 2 is out of range: the limit is 1",
    ]


def test_a_secret_in_a_policy_is_told_and_shown_nowhere() -> None:
    """A secret key that was pasted is told at its place, and nothing else of that file: that could show a part."""
    secret = "aha-sk-" + "s" * 64
    told = refused("p.yaml", p=f"version: 1\nrules:\n  - {{id: r, when: '{secret}'}}\n  - {{id: Q}}\n")
    assert told == [
        "p.yaml:3:20: this looks like a secret key: take it out, and revoke that key, since it has been in a file"
    ]
