"""Holds a root file system that was built of deploy/Dockerfile to what the image claims; `image` runs it.

Entrypoint, user, folder, environment, health check and labels are those of the image's own configuration; what is
mounted and set is what deploy/compose.yaml says. All of it happens in a network namespace that has loopback and nothing
else, and in which everything listens where compose.yaml says.
"""

import fcntl
import json
import os
import signal
import socket
import socketserver
import ssl
import stat
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from composed import Service, service
from contained import Container, first_process
from image import Failed, tell
from receiving import webhook
from reconciler import __version__

EMULATOR: Final = "http://127.0.0.1:4280"
STATE: Final = "/var/lib/reconciler"
NAMED: Final = "api.example.test"
SOUGHT: Final = (
    "sh",
    "bash",
    "dash",
    "busybox",
    "apt",
    "dpkg",
    "pip",
    "pip3",
    "gcc",
    "cc",
    "perl",
    "man",
    "su",
    "mount",
)
WITHOUT: Final = frozenset(
    [
        *("curses", "curses_panel", "dbm", "gdbm", "nis", "readline", "sqlite3", "tkinter", "turtle"),
        *("ensurepip", "lib2to3", "pydoc", "pydoc_data", "turtledemo", "unittest"),
        *("msi", "msvcrt", "nt", "overlapped", "scproxy", "winapi"),
    ]
)
"""What of Python's standard library the image lacks: terminals, databases, documentation, other systems' modules."""
IMPORTS: Final = """
import importlib, pkgutil, sys, warnings, zoneinfo, ssl
warnings.simplefilter("ignore")
lacking = []
for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib", "msilib", "winreg", "winsound"}):
    try:
        importlib.import_module(name)
    except ImportError as error:
        lacking.append(error.name or name)
for package in ("reconciler", "apprise", "dulwich.repo", "httpx", "pydantic", "cel_expr_python.cel", "uvicorn"):
    module = importlib.import_module(package)
    if package in ("reconciler", "apprise"):
        for one in pkgutil.walk_packages(module.__path__, package + "."):
            if not one.name.endswith(("__main__", "fcm.oauth")):
                importlib.import_module(one.name)
zoneinfo.ZoneInfo("Europe/Berlin")
import json
authorities = len(ssl.create_default_context().get_ca_certs())
print(json.dumps({"lacking": lacking, "authorities": authorities, "safe_path": sys.flags.safe_path}))
"""


class Image:
    """The image's configuration and its root file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config: dict[str, Any] = json.loads(root.with_suffix(".json").read_text(encoding="utf-8"))
        self.environment = dict(entry.split("=", 1) for entry in self.config["Env"])

    def container(self, *arguments: str, like: Service | None = None, **environment: str) -> Container:
        """Give the container that runs the image's entrypoint with ``arguments``, as that service of compose."""
        return Container(
            root=str(self.root),
            argv=(*self.config["Entrypoint"], *arguments),
            environment=self.environment | (like.environment if like else {}) | environment,
            folder=self.config["WorkingDir"],
            user=self.config["User"],
            read_only={target: str(source) for target, source in like.mounts.items()} if like else {},
            writable=like.writable if like else (),
        )

    def health(self, running: Container, inside: int, command: tuple[str, ...] = ()) -> int:
        """Give the exit code of the health check, run as an engine does: a process more in the container."""
        test = tuple(self.config["Healthcheck"]["Test"])
        if test[0] != "CMD":
            raise Failed(f"the health check needs a shell: {test}")
        return replace(running, argv=command or test[1:], inside=inside).run(20).returncode


def main() -> int:
    root, folder = map(Path, sys.argv[1:])
    _bring_loopback_up()
    image = Image(root)
    try:
        for claim in (files, configuration, imports):
            tell(claim(image))
        with running(image.container(*service("emulator").command, like=service("emulator"))) as (emulator, first):
            until(lambda: image.health(emulator, first, service("emulator").healthcheck) == 0, "the emulator is up")
            seed = ask("/_emulator/state")
            for proof in (once, daemon, notifications, commands, encrypted, committed):
                ask("/_emulator/state", seed)
                tell(proof(image, folder))
    except (Failed, subprocess.TimeoutExpired) as error:
        sys.stdout.write(f"FAILED: {error}\n")
        return 1
    return 0


def files(image: Image) -> str:
    """There is no shell and no tool, nothing has privileges, and nobody but root owns what is there."""
    everything = [path for path in image.root.rglob("*") if not path.is_symlink()]
    for path in everything:
        status, shown = path.stat(), f"/{path.relative_to(image.root)}"
        require(not status.st_mode & (stat.S_ISUID | stat.S_ISGID), f"{shown} changes who it runs as")
        require(not status.st_mode & stat.S_IWOTH or shown == "/tmp", f"everybody may write to {shown}")  # noqa: S108 # not used
        owner = 65532 if shown == STATE else 0
        require((status.st_uid, status.st_gid) == (owner, owner), f"{shown} belongs to {status.st_uid}")
    names = {path.name for path in image.root.rglob("*") if not path.is_dir()}
    require(not names & set(SOUGHT), f"there is {names & set(SOUGHT)}")
    programs = [path.name for path in everything if path.is_file() and path.parent.name in ("bin", "sbin")]
    require(sorted(programs) == ["python3.11", "reconciler"], f"there are the programs {programs}")
    packages = {path.name for path in (image.root / "var/lib/dpkg/status.d").iterdir()}
    require({"libc6", "libssl3", "python3.11-minimal"} <= packages, f"scanners are told of {sorted(packages)} alone")
    require(
        "ID=debian" in (image.root / "etc/os-release").read_text(encoding="utf-8"), "it does not say that it is Debian"
    )
    sources = [path for path in everything if path.suffix == ".py"]
    uncompiled = [path for path in sources if not list(path.parent.glob(f"__pycache__/{path.stem}.cpython-311.pyc"))]
    require(not uncompiled, f"not compiled: {uncompiled[:5]}")
    checked = [path for path in everything if path.suffix == ".pyc" and path.read_bytes()[4:8] != b"\1\0\0\0"]
    require(not checked, f"compiled with a time or a check: {checked[:5]}")
    size = sum(path.stat().st_size for path in everything if path.is_file())
    tar = subprocess.Popen(["tar", "-c", "-C", str(image.root), "."], stdout=subprocess.PIPE)
    packed = len(subprocess.run(["gzip", "-6"], stdin=tar.stdout, capture_output=True, check=True).stdout)
    tar.wait()
    parts = {"Python and its libraries": image.root / "usr", "reconciler and its packages": image.root / "opt"}
    sizes = [f"{what} {sum(p.lstat().st_size for p in at.rglob('*')) / 1e6:.0f} MB" for what, at in parts.items()]
    shown = f"{size / 1e6:.0f} MB, {packed / 1e6:.0f} MB packed: {', '.join(sizes)}"
    return f"{len(sources)} modules compiled, no shell, no tool; {shown}"


def configuration(image: Image) -> str:
    """The labels say what it is, and the version is the package's."""
    labels = {
        name.rpartition(".")[2]: value for name, value in image.config["Labels"].items() if "opencontainers" in name
    }
    require(labels["version"] == __version__ and len(labels["revision"]) == 40, f"labels {labels}")
    shown = image.container("--version").run()
    require(shown.returncode == 0 and shown.stdout.split()[-1] == labels["version"], f"--version: {shown}")
    return f"{shown.stdout.strip()}; user {image.config['User']}, labels {', '.join(sorted(labels))}"


def imports(image: Image) -> str:
    """Every module can be imported but those that are known to be missing: each library is there."""
    python = replace(image.container(), argv=("python", "-c", IMPORTS))
    done = python.run()
    require(done.returncode == 0, done.stderr[-2000:])
    told = json.loads(done.stdout)
    lacking = {name.removeprefix("_").split(".")[0] for name in told["lacking"]}
    require(lacking <= WITHOUT, f"the standard library lacks {sorted(lacking - WITHOUT)}")
    require(told["authorities"] > 100 and told["safe_path"], str(told))
    return f"everything else can be imported but {', '.join(sorted(lacking))}; {told['authorities']} authorities"


def once(image: Image, _folder: Path) -> str:
    """`apply` heals what differs, once."""
    like = service("daemon")
    for expected in ("Applied 1 of 1 change", "Nothing to change: 4 keys"):
        done = image.container("apply", like=like).run()
        require(done.returncode == 0 and expected in done.stdout, f"apply: {done}")
    return "apply: 1 change applied, then in sync"


def daemon(image: Image, _folder: Path) -> str:
    """`run` is healthy, may do nothing but its work, and ends in order."""
    container = image.container(*service("daemon").command, like=service("daemon"))
    with running(container) as (container, first):
        until(lambda: image.health(container, first) == 0, "healthy")
        privileges = Path(f"/proc/{first}/status").read_text(encoding="utf-8")
        for line in (
            "NSpid:",
            "Uid:\t65532\t65532\t65532\t65532",
            "NoNewPrivs:\t1",
            *(f"Cap{kind}:\t{0:016x}" for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")),
        ):
            require(line in privileges, f"no {line!r} in {privileges}")
        require(privileges.split("NSpid:")[1].split("\n")[0].split()[-1] == "1", "it is not PID 1")
        for place in ("/", "/etc/reconciler", "/etc/reconciler/keys", "/opt/reconciler/bin", "/tmp", "/run", "/dev"):  # noqa: S108 # of the image
            write = f"import os; os.close(os.open('{place}/new', os.O_CREAT | os.O_WRONLY))"
            refused = replace(container, argv=("python", "-c", write), inside=first).run()
            require(
                "Read-only file system" in refused.stderr or "Permission denied" in refused.stderr,
                f"{place}: {refused}",
            )
        with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=10) as page:
            require("In sync" in page.read().decode(), "the page does not say in sync")
        inside = replace(container, argv=("reconciler", "trail", "verify", f"{STATE}/trail.jsonl"), inside=first).run()
        require(inside.returncode == 0, f"trail: {inside}")
        began = time.monotonic()
        os.kill(first, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{first}").exists(), "ended")
        seconds = time.monotonic() - began
    return f"run: healthy, in sync, read-only, no capability, PID 1; ended within {seconds:.1f} s of SIGTERM, with 0"


def notifications(image: Image, folder: Path) -> str:
    """Processes that send messages leave nothing behind, also those that are killed."""
    policy = folder / "strict.yaml"
    policy.write_text("version: 1\nguardrails: {max_changes: {percent: 0, at_least: 0}}\n", encoding="utf-8")
    like = service("daemon")
    like = replace(like, mounts={**like.mounts, "/etc/reconciler/policy/policy.yaml": policy})
    with webhook() as hook:
        hook.delay = threading.Event()
        addresses = f"json://{hook.address}/\njson://127.0.0.1:1/"
        container = image.container("run", like=like, RECONCILER_NOTIFY=addresses, RECONCILER_LISTEN="127.0.0.1:8080")
        with running(container) as (_, first):
            require(hook.arrived.wait(60), "nothing was sent")
            senders = [pid for pid, _ in children(first)]
            require(bool(senders), "it is sent by no process of its own")
            os.kill(senders[0], signal.SIGKILL)
            hook.delay.set()
            hook.delay = None
            until(lambda: not children(first), "every process is gone, and was waited for")
            os.kill(first, signal.SIGTERM)
        test = image.container("notify", "--test", like=like, RECONCILER_NOTIFY=f"json://{hook.address}/").run()
        require(test.returncode == 0 and bool(hook.bodies), f"notify --test: {test}")
    return f"notifications: sent by {len(senders)} process(es); one was killed; none is left, dead or alive"


def commands(image: Image, _folder: Path) -> str:
    """Every other command works as well."""
    like = service("daemon")
    account = like.mounts["/etc/reconciler/keys/customers.yaml"].read_text(encoding="utf-8").split("id: ")[1].split()[0]
    of_account = ("--account", account, "--credential", "platform")
    lines: tuple[tuple[tuple[str, ...], int], ...] = (
        (("demo",), 0),
        (("validate",), 0),
        (("plan", "--detailed-exitcode"), 2),
        (("audit", "-o", f"html={STATE}/audit.html", "--fail-on", "never"), 0),
        (("who-can", "messages:send", "shop.example.com"), 0),
        (("explain", "sender"), 0),
        (("export", *of_account, "--sub-accounts", "--to", f"{STATE}/keys"), 0),
        (("schema", "desired"), 0),
        (("completion", "bash"), 0),
        (("help", "run"), 0),
        (("status", "--quiet"), 1),
        (("run", "--cron", "bad"), 64),
    )
    for arguments, code in lines:
        done = image.container(*arguments, like=like).run()
        require(done.returncode == code and "Traceback" not in done.stderr, f"{arguments}: {done}")
    module = replace(image.container(like=like), argv=("python", "-m", "reconciler", "--version")).run()
    require(module.returncode == 0, f"python -m reconciler: {module}")
    with running(image.container("run", "--cron", "0 3 * * *", "--time-zone", "Europe/Berlin", like=like)) as (
        one,
        first,
    ):
        until(lambda: image.health(one, first) == 0, "healthy")
        status = replace(one, argv=("reconciler", "status", "-o", "json"), inside=first).run()
        require("Europe/Berlin" in json.loads(status.stdout)["schedule"], f"status: {status}")
        os.kill(first, signal.SIGTERM)
    return f"{len(lines)} other commands; python -m reconciler; --time-zone Europe/Berlin"


def encrypted(image: Image, folder: Path) -> str:
    """An https server is found by its name, and trusted where its authority is named, and only there."""
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subject = ["-subj", "/CN=authority", "-addext", f"subjectAltName=IP:127.0.0.1,DNS:{NAMED}"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    subprocess.run([*make, "-keyout", str(key), "-out", str(certificate)], capture_output=True, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    like = service("daemon")
    like = replace(like, mounts={**like.mounts, "/etc/reconciler/ca.pem": certificate})
    with tunnel(context) as port:
        address = f"https://127.0.0.1:{port}"
        trusted = image.container(
            "plan", like=like, AHASEND_ENDPOINT=address, SSL_CERT_FILE="/etc/reconciler/ca.pem"
        ).run()
        refused = image.container("plan", like=like, AHASEND_ENDPOINT=address).run()
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        knowing = replace(like, mounts={**like.mounts, "/etc/resolv.conf": folder / "resolv.conf"})
        with naming():
            named = image.container(
                "plan",
                like=knowing,
                AHASEND_ENDPOINT=f"https://{NAMED}:{port}",
                SSL_CERT_FILE="/etc/reconciler/ca.pem",
            ).run()
    require(trusted.returncode == 0 and "1 to update" in trusted.stdout, f"with its authority: {trusted}")
    require(refused.returncode == 1 and "certificate" in refused.stdout + refused.stderr, f"without it: {refused}")
    require(named.returncode == 0 and "1 to update" in named.stdout, f"by its name: {named}")
    return "https: found by name, trusted with SSL_CERT_FILE, refused without it"


def committed(image: Image, folder: Path) -> str:
    """The commit of a mounted worktree is told, with no git in the image."""
    worktree = folder / "worktree"
    worktree.mkdir()
    like = service("daemon")
    desired = like.mounts["/etc/reconciler/keys/customers.yaml"]
    (worktree / desired.name).write_bytes(desired.read_bytes())
    git = ["git", "-C", str(worktree), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Keys"]):
        subprocess.run([*git, *arguments], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    mounts = {name: at for name, at in like.mounts.items() if "keys" not in name} | {"/etc/reconciler/keys": worktree}
    with running(image.container("run", like=replace(like, mounts=mounts))) as (one, first):
        until(lambda: image.health(one, first) == 0, "healthy")
        status = replace(one, argv=("reconciler", "status", "-o", "json"), inside=first).run()
    recent = json.loads(status.stdout)["recent"]
    require([change["asked_by"]["commit"] for change in recent] == [commit], f"no {commit} in {recent}")
    return f"commit {commit[:12]} of a mounted worktree is told"


class Names(socketserver.BaseRequestHandler):
    """Answers every question for an address of IPv4 with this machine's own, as a name server does (RFC 1035)."""

    def handle(self) -> None:
        asked, connection = self.request
        end = asked.index(b"\0", 12) + 5
        known = asked[end - 4 : end - 2] == b"\0\1"
        head = asked[:2] + struct.pack("!HHHHH", 0x8180, 1, known, 0, 0)
        address = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton("127.0.0.1")
        connection.sendto(head + asked[12:end] + (address if known else b""), self.client_address)


@contextmanager
def naming() -> Iterator[None]:
    """Serve names until the block ends."""
    with socketserver.UDPServer(("127.0.0.1", 53), Names) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            yield
        finally:
            server.shutdown()


@contextmanager
def running(container: Container) -> Iterator[tuple[Container, int]]:
    """Run it for as long as the block takes; it is to have ended with exit code 0 then, by SIGTERM at the latest."""
    process = container.start(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until(lambda: first_process(process.pid) > 0, "started")
        first = first_process(process.pid)
        yield container, first
        if process.poll() is None and Path(f"/proc/{first}").exists():
            os.kill(first, signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        require(process.returncode == 0, f"{container.argv} ended with {process.returncode}: {errors[-2000:]}")
    finally:
        process.kill()
        process.wait()


@contextmanager
def tunnel(context: ssl.SSLContext) -> Iterator[int]:
    """Serve the emulator by TLS: one connection, one request of each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, context), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_relay, args=(connection, context), daemon=True).start()


def _relay(connection: socket.socket, context: ssl.SSLContext) -> None:
    try:
        with context.wrap_socket(connection, server_side=True) as client:
            while request := client.recv(65536):
                with socket.create_connection(("127.0.0.1", 4280)) as emulator:
                    emulator.sendall(request)
                    emulator.settimeout(1)
                    try:
                        while answer := emulator.recv(65536):
                            client.sendall(answer)
                    except TimeoutError:
                        continue
    except OSError:
        return


def children(parent: int) -> list[tuple[int, str]]:
    """Give the processes below ``parent``, with their state: Z is one that nobody waited for."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append((int(folder.name), fields[0]))
    return found


def ask(path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(EMULATOR + path, data=body, method="PUT" if body else "GET")  # noqa: S310 # http
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 # http
        return bytes(answer.read())


def until(happened: Callable[[], bool], what: str) -> None:
    for _ in range(240):
        if happened():
            return
        time.sleep(0.25)
    raise Failed(f"not within a minute: {what}")


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        up = struct.pack("16sh14x", b"lo", 1)
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS, IFF_UP


if __name__ == "__main__":
    sys.exit(main())
