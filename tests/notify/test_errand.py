"""What the process that sends one message reads and tells, and what it may take."""

import json
import subprocess
import sys
import time

from receiving import refused, webhook
from reconciler.notify import errand
from reconciler.notify.delivery import Letter
from reconciler.notify.errand import MOST_MEMORY, Errand, run

LETTER = Letter("title", "body \u20ac", "warning", ("'a'",))


def test_an_errand_reads_back() -> None:
    """What is written to it is what it reads; nothing of it is in its repr."""
    sent = Errand("json://u:s3cret-word@127.0.0.1", LETTER)
    assert Errand.read(sent.written().decode()) == sent
    assert "s3cret" not in repr(sent)


def test_it_tells_what_became_of_it() -> None:
    """Delivered, or why not."""
    with webhook() as hook:
        told = json.loads(run(Errand(f"json://{hook.address}", LETTER).written().decode()))
    assert told == {"error": None, "taken": []}
    told = json.loads(run(Errand(f"json://{refused()}", LETTER).written().decode()))
    assert told["error"] == "the connection was refused"
    told = json.loads(run(Errand("bogus://s3cret-word", LETTER).written().decode()))
    assert told["error"] == "its address is not understood any more"


def process(code: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """A process that does an errand after ``code``."""
    main = f"from reconciler.notify import errand\n{code}\nerrand.main()"
    return subprocess.run([sys.executable, "-c", main], input=text, capture_output=True, timeout=30, check=False)


def test_a_process_of_its_own() -> None:
    """It reads stdin and tells on stdout; what plugins print is neither there nor on stderr."""
    noisy = """import os
quiet = errand.run
def loud(text):
    print("a")
    os.write(1, b"b")
    os.write(2, b"c")
    return quiet(text)
errand.run = loud"""
    with webhook() as hook:
        ended = process(noisy, Errand(f"json://{hook.address}", LETTER).written())
    assert (ended.returncode, ended.stderr, json.loads(ended.stdout)["error"]) == (0, b"", None)
    assert hook.titles == ["title"]


def test_it_takes_no_more_memory_than_it_may() -> None:
    """Whatever an answer holds; it leaves no dump of its memory, either."""
    large = f"errand.run = lambda text: str(len(bytearray({MOST_MEMORY})))"
    ended = process(large)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"1" in process("import resource\nerrand.run = lambda text: str(resource.getrlimit(4)[0] + 1)").stdout


def test_it_ends_by_itself() -> None:
    """When nobody ends it, as where the daemon was killed."""
    began = time.monotonic()
    ended = process("import time\nerrand.LONGEST = 1\nerrand.run = lambda text: time.sleep(20)")
    assert ended.returncode < 0
    assert time.monotonic() - began < 15
    assert errand.LONGEST > 60
