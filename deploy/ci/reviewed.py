"""What a pipeline asks its forge for: a comment that is kept up to date, and the digest of the plan that was reviewed.

Nothing but Python's standard library, for GitHub and GitLab alike. Where it runs is told by the variables that both
set, and the token by ``FORGE_TOKEN``. Start it with ``python3 -I``: files beside those that it reads are not its own.

.. code-block:: text

    reviewed.py summary plan FOLDER CODE            prints what a comment says
    reviewed.py comment plan FOLDER CODE NUMBER     writes it to a pull request, over the one from before
    reviewed.py keep FOLDER CODE                    keeps the plan's digest with the commit that was planned (HEAD_SHA)
    reviewed.py find                                prints digest, pull request and why there is none, as NAME=VALUE
    reviewed.py annotate FILE                       prints FILE:LINE:COL: message as GitHub shows it in the diff
    reviewed.py account FILE                        prints the id of the only account of a saved listing
    reviewed.py listing-run                         prints which run of the default branch saved one (GitHub)
    reviewed.py listing-file FILE                   fetches the one that the default branch saved (GitLab)

``FOLDER`` holds what the reconciler wrote: ``KIND.md``, ``KIND.json`` and ``errors.txt``, each only if it did.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, NoReturn, Protocol
from urllib.parse import quote, urljoin, urlsplit

CONTEXT = "ahasend-keys/plan"
LISTING = "ahasend-keys-listing"
GITHUB_BOT = "github-actions[bot]"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}(?![0-9a-f])")
PROBLEM = re.compile(r"([^:\s][^:]*):([0-9]+):([0-9]+): (.+)")
MOST_ERRORS = 4_000
"""Characters of errors in a comment; with the report's 60,000 it stays below the 65,536 that GitHub takes."""
PER_PAGE = 100
MOST_PAGES = 100
MEANINGS = {
    0: "nothing is held back, nothing failed",
    1: "files or settings do not load, or no account could be read",
    2: "the account differs from the files",
    3: "something is held back, or was not done: a person must act",
    4: "something failed or changed meanwhile: a retry may help",
    64: "the command was not understood",
}
HEADINGS = {"plan": "What merging this would do", "apply": "What was done after the merge"}


def fail(message: str) -> NoReturn:
    """Say what went wrong and end with 1."""
    sys.exit(f"error: {message}")


# Over HTTP


def ask(url: str, headers: dict[str, str], method: str = "GET", body: dict[str, str] | None = None) -> Any:
    """Make one request and give the JSON of its answer; any other answer than that all is well ends the script."""
    headers = {"Accept": "application/json", **headers} | ({} if body is None else {"Content-Type": "application/json"})
    status, answer, _ = exchange(url, headers, method, None if body is None else json.dumps(body).encode())
    if status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        fail(f"{method} {urlsplit(url).path}: the forge answers {status}")
    try:
        return json.loads(answer)
    except ValueError:
        fail(f"{method} {urlsplit(url).path}: the forge answers what is no JSON")


def fetch(url: str, headers: dict[str, str]) -> bytes:
    """Fetch a file; where the forge points to its storage, the token stays behind."""
    status, answer, location = exchange(url, headers)
    if status in (301, 302, 303, 307):
        status, answer, _ = exchange(urljoin(url, location), {})
    return answer if status == HTTPStatus.OK else fail(f"{urlsplit(url).path}: the forge answers {status}")


def exchange(
    url: str, headers: dict[str, str], method: str = "GET", data: bytes | None = None
) -> tuple[int, bytes, str]:
    """Give status, body and ``Location`` of an answer. No redirect is followed: the token would go with it."""
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    stay = type("Stay", (HTTPRedirectHandler,), {"redirect_request": lambda *_: None})
    request = Request(url, data, {"User-Agent": "ahasend-keys", **headers}, method=method)  # noqa: S310 # the forge's
    try:
        with build_opener(stay).open(request, timeout=30) as answer:
            return answer.status, answer.read(), ""
    except HTTPError as error:
        return error.code, b"", error.headers.get("Location", "")
    except (OSError, HTTPException) as error:
        fail(f"{method} {urlsplit(url).path}: no answer: {error}")


# The forges


class Forge(Protocol):
    """What is asked of GitHub and GitLab alike."""

    def pages(self, path: str) -> Iterator[Any]:
        """Give all items of a list."""

    def own_comments(self, number: str) -> Iterator[tuple[str, str]]:
        """Give path and text of each comment in a pull request that has our author."""

    def write(self, number: str, path: str | None, text: str) -> None:
        """Write a comment, over the one at ``path`` if there is one."""

    def keep(self, sha: str, state: str, said: str) -> None:
        """Set our status of a commit: ``state`` is success or failure."""

    def merged(self) -> tuple[str, str] | None:
        """Give number and head of the pull request whose merge this pipeline's commit is."""

    def kept(self, sha: str) -> str:
        """Give what our newest status of a commit says, or nothing."""

    def outdated(self) -> bool:
        """Tell whether this pipeline's commit may be older than what was applied last."""


class GitHub:
    """GitHub, as a workflow's own token sees it."""

    def __init__(self) -> None:
        self._repository = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
        self._sha = os.environ["GITHUB_SHA"]
        self._branch = os.environ.get("GITHUB_REF_NAME", "")
        self._headers = {"Authorization": f"Bearer {token()}", "X-GitHub-Api-Version": "2022-11-28"}

    def _ask(self, path: str, method: str = "GET", body: dict[str, str] | None = None) -> Any:
        return ask(f"{self._repository}/{path}", self._headers, method, body)

    def pages(self, path: str) -> Iterator[Any]:
        between = "&" if "?" in path else "?"
        yield from paged(lambda page: self._ask(f"{path}{between}per_page={PER_PAGE}&page={page}"))

    def own_comments(self, number: str) -> Iterator[tuple[str, str]]:
        for comment in self.pages(f"issues/{number}/comments"):
            if comment["user"] and comment["user"]["login"] == GITHUB_BOT:
                yield f"issues/comments/{comment['id']}", comment["body"] or ""

    def write(self, number: str, path: str | None, text: str) -> None:
        self._ask(path or f"issues/{number}/comments", "PATCH" if path else "POST", {"body": text})

    def keep(self, sha: str, state: str, said: str) -> None:
        told = {"state": state, "context": CONTEXT, "description": said, "target_url": run_address()}
        self._ask(f"statuses/{sha}", "POST", told)

    def merged(self) -> tuple[str, str] | None:
        for pull in self.pages(f"commits/{self._sha}/pulls"):
            into = pull["base"]["ref"] == self._branch
            if pull["merged_at"] and into and pull["merge_commit_sha"] == self._sha:
                return str(int(pull["number"])), str(pull["head"]["sha"])
        return None

    def kept(self, sha: str) -> str:
        for status in self.pages(f"commits/{sha}/statuses"):  # the newest first
            if status["context"] == CONTEXT and (status["creator"] or {}).get("login") == GITHUB_BOT:
                return status["description"] or ""
        return ""

    def outdated(self) -> bool:
        # Pushes are applied in their order; a run that a person starts, or starts again, is out of it.
        by_hand = os.environ.get("GITHUB_EVENT_NAME") != "push" or os.environ.get("GITHUB_RUN_ATTEMPT") != "1"
        return by_hand and bool(self._ask(f"commits/{quote(self._branch)}")["sha"] != self._sha)

    def listing_run(self) -> str:
        """Give the run of the default branch, and of no fork, that saved the newest listing."""
        branch = os.environ["DEFAULT_BRANCH"]
        runs = []
        for artifact in self.pages(f"actions/artifacts?name={LISTING}"):
            run = artifact["workflow_run"]
            ours = run["head_repository_id"] == run["repository_id"]
            runs += [int(run["id"])] if ours and run["head_branch"] == branch and not artifact["expired"] else []
        if runs:
            return str(max(runs))
        fail(f"no run of the default branch keeps {LISTING}: start the workflow of that name there")


class GitLab:
    """GitLab, as a project access token sees it."""

    def __init__(self) -> None:
        self._api = os.environ["CI_API_V4_URL"]
        self._project = f"projects/{os.environ['CI_PROJECT_ID']}"
        self._sha = os.environ["CI_COMMIT_SHA"]
        self._branch = os.environ.get("CI_DEFAULT_BRANCH", "")

    def _ask(self, path: str, method: str = "GET", body: dict[str, str] | None = None) -> Any:
        return ask(f"{self._api}/{path}", {"PRIVATE-TOKEN": token()}, method, body)

    def pages(self, path: str) -> Iterator[Any]:
        between = "&" if "?" in path else "?"
        path = f"{self._project}/{path}{between}per_page={PER_PAGE}"
        yield from paged(lambda page: self._ask(f"{path}&page={page}"))

    def _me(self) -> int:
        return int(self._ask("user")["id"])

    def own_comments(self, number: str) -> Iterator[tuple[str, str]]:
        me = self._me()
        for note in self.pages(f"merge_requests/{number}/notes?sort=asc"):
            if note["author"]["id"] == me and not note["system"]:
                yield f"merge_requests/{number}/notes/{note['id']}", note["body"]

    def write(self, number: str, path: str | None, text: str) -> None:
        where = path or f"merge_requests/{number}/notes"
        self._ask(f"{self._project}/{where}", "PUT" if path else "POST", {"body": text})

    def keep(self, sha: str, state: str, said: str) -> None:
        told = {"state": "failed" if state == "failure" else state, "name": CONTEXT, "description": said}
        told["target_url"] = run_address()
        if "CI_PIPELINE_ID" in os.environ and sha == self._sha:
            told["pipeline_id"] = os.environ["CI_PIPELINE_ID"]
        self._ask(f"{self._project}/statuses/{sha}", "POST", told)

    def merged(self) -> tuple[str, str] | None:
        for request in self.pages(f"repository/commits/{self._sha}/merge_requests"):
            ends = (request["merge_commit_sha"], request["squash_commit_sha"], request["sha"])
            if request["state"] == "merged" and request["target_branch"] == self._branch and self._sha in ends:
                return str(int(request["iid"])), str(request["sha"])
        return None

    def kept(self, sha: str) -> str:
        me = self._me()
        path = f"repository/commits/{sha}/statuses?all=true&name={quote(CONTEXT, safe='')}"
        ours = [status for status in self.pages(path) if status["name"] == CONTEXT and status["author"]["id"] == me]
        newest = max(ours, key=lambda status: int(status["id"]), default={"description": ""})
        return newest["description"] or ""

    def outdated(self) -> bool:
        # A job that is started again cannot be told from one that never ran before.
        branch = quote(self._branch, safe="")
        return bool(self._ask(f"{self._project}/repository/branches/{branch}")["commit"]["id"] != self._sha)


def paged(page_of: Any) -> Iterator[Any]:
    """Give the items of all pages, which ``page_of`` gives by their number."""
    for page in range(1, MOST_PAGES + 1):
        items = page_of(page)
        items = items["artifacts"] if isinstance(items, dict) else items
        yield from items
        if len(items) < PER_PAGE:
            return


def token() -> str:
    """Give the token of the forge, without what may stand around it in a file."""
    return os.environ.get("FORGE_TOKEN", "").strip() or fail("FORGE_TOKEN is not set")


def forge() -> Forge:
    """Give the forge whose pipeline this is."""
    return GitHub() if "GITHUB_ACTIONS" in os.environ else GitLab()


def run_address() -> str:
    """Give where this run can be looked at."""
    if "GITHUB_ACTIONS" not in os.environ:
        return os.environ.get("CI_JOB_URL", "")
    return "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format_map(os.environ)


# What is told


def marker(kind: str) -> str:
    """Give the line that nobody sees and by which a comment is found again."""
    return f"<!-- ahasend-keys/{kind} -->"


def text(kind: str, folder: Path, code: int) -> str:
    """Give a comment; the report in it is escaped already, and what else stands in it is ours or in a fence."""
    commit = os.environ.get("HEAD_SHA", "")[:12]
    meaning = MEANINGS.get(code, "the reconciler did not end as it should")
    parts = [marker(kind), f"## {HEADINGS[kind]}"]
    parts.append(f"Commit `{commit}`, exit code {code}: {meaning}. [Run]({run_address()})")
    parts += [os.environ["WHY"]] if os.environ.get("WHY") else []
    report = read(folder / f"{kind}.md").strip()
    parts += [report] if report else []
    errors = read(folder / "errors.txt").strip()
    if errors and (not report or code not in (0, 2, 3)):
        parts.append(fenced(errors))
    return "\n\n".join(parts)


def read(path: Path) -> str:
    """Give a file's text, or nothing where it was not written."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def fenced(errors: str) -> str:
    """Give errors so that nothing in them is obeyed, and no more than there is room for."""
    shown = errors if len(errors) <= MOST_ERRORS else f"{errors[:MOST_ERRORS]}\n(the log has the rest)"
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{shown}\n{ticks}"


def digest_of(folder: Path) -> str:
    """Give the digest of a plan, or nothing where there is none."""
    report = read(folder / "plan.json")
    return (json.loads(report)["digest"] or "") if report else ""


def annotation(line: str) -> str | None:
    """Give one problem as a workflow command; in it nothing of the problem can end it, or begin another."""
    found = PROBLEM.fullmatch(line)
    if found is None:
        return None
    file, number, column, message = found.groups()
    return f"::error file={escaped(file, ':,')},line={number},col={column}::{escaped(message)}"


def escaped(value: str, more: str = "") -> str:
    """Escape a value of a workflow command as GitHub's own toolkit does; ``more`` is what a property needs beside."""
    return "".join(f"%{ord(letter):02X}" if letter in f"%\r\n{more}" else letter for letter in value)


# The commands


def comment(kind: str, folder: Path, code: int, number: str) -> None:
    """Write over our comment of this kind in a pull request, or write the first."""
    there = forge()
    mine = (path for path, body in there.own_comments(number) if body.startswith(marker(kind)))
    there.write(number, next(mine, None), text(kind, folder, code))


def keep(folder: Path, code: int) -> None:
    """Keep the digest, or that there is none, with the commit that was planned."""
    digest = digest_of(folder)
    said = f"{digest}, exit code {code}" if digest else f"no digest: exit code {code}"
    forge().keep(os.environ["HEAD_SHA"], "success" if digest and code in (0, 2) else "failure", said)


def find() -> dict[str, str]:
    """Give the digest of the plan that was reviewed for this pipeline's commit, or why there is none."""
    there = forge()
    number, head = there.merged() or ("", "")
    digest, why = "", ""
    if there.outdated():
        why = "the branch has moved on since this commit"
    elif typed := os.environ.get("TYPED_DIGEST", "").strip():
        digest, why = (typed, "") if DIGEST.fullmatch(typed) else ("", "what was typed is no digest")
    elif not head:
        why = "this commit is no merge of a pull request, so that no plan of it was reviewed"
    elif found := DIGEST.match(there.kept(head)):
        digest = found[0]
    else:
        why = "no plan was kept with the commit that was merged"
    return {"digest": digest, "pull": number, "why": f"Nothing was applied: {why}." if why else ""}


def only_account(listing: Path) -> str:
    """Give the id of the only account of a saved listing."""
    ids = [str(account["account_id"]) for account in json.loads(listing.read_text(encoding="utf-8"))["accounts"]]
    return ids[0] if len(ids) == 1 else fail(f"{listing} has {len(ids)} accounts: write the id of each into its file")


def fetch_listing(file: Path) -> None:
    """Fetch the listing that the default branch of the project keeps to which the merge request belongs."""
    project, branch = os.environ["CI_MERGE_REQUEST_PROJECT_ID"], os.environ["CI_DEFAULT_BRANCH"]
    path = f"projects/{project}/jobs/artifacts/{quote(branch, safe='')}/raw/listing.json?job={LISTING}"
    file.write_bytes(fetch(f"{os.environ['CI_API_V4_URL']}/{path}", {"JOB-TOKEN": os.environ["CI_JOB_TOKEN"]}))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    names = parser.add_subparsers(dest="command", required=True)
    for name, (wanted, _) in COMMANDS.items():
        command = names.add_parser(name)
        for each in wanted:
            command.add_argument(each, **ARGUMENTS[each])
    given = vars(parser.parse_args())
    _, work = COMMANDS[given.pop("command")]
    try:
        for line in work(**given) or ():
            sys.stdout.write(f"{line}\n")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        fail(f"what the forge or the reconciler says is not what was expected: {type(error).__name__}")


ARGUMENTS: dict[str, Any] = {
    "kind": {"choices": tuple(HEADINGS)},
    "folder": {"type": Path},
    "code": {"type": int},
    "number": {},
    "file": {"type": Path},
}
COMMANDS: dict[str, tuple[tuple[str, ...], Any]] = {
    "summary": (("kind", "folder", "code"), lambda **given: [text(**given)]),
    "comment": (("kind", "folder", "code", "number"), comment),
    "keep": (("folder", "code"), keep),
    "find": ((), lambda: [f"{name}={value}" for name, value in find().items()]),
    "annotate": (("file",), lambda file: filter(None, map(annotation, read(file).splitlines()))),
    "account": (("file",), lambda file: [only_account(file)]),
    "listing-run": ((), lambda: [f"run={GitHub().listing_run()}"]),
    "listing-file": (("file",), fetch_listing),
}

if __name__ == "__main__":
    main()
