"""Credentials and settings, from the environment and from files."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IFREG
from types import SimpleNamespace

import pytest
import time_machine

from reconciler.cli.wiring import Secrets
from reconciler.core.keys import AccountRef
from reconciler.errors import SettingsError, UsageError
from reconciler.settings import DEFAULT_ENDPOINT, load_settings, look_up, notify_addresses, web_token

KEY_ID = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_ID = "4da1a1dd-1d55-4c61-9999-9ee46847163b"


def test_defaults() -> None:
    """Without anything set there is an endpoint and no credential."""
    settings = load_settings([])
    assert settings.endpoint == DEFAULT_ENDPOINT
    assert (settings.account_id, settings.hold, settings.secrets, settings.self_keys) == (None, None, (), {})


def test_named_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential named ``eu-west`` is AHASEND_API_KEY_EU_WEST, with its own self key; the unnamed one stays apart."""
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-one")
    monkeypatch.setenv("AHASEND_API_KEY_EU_WEST", "aha-sk-two")
    monkeypatch.setenv("RECONCILER_SELF_KEY_ID_EU_WEST", KEY_ID.upper())
    settings = load_settings(["eu-west"])
    assert settings.token(AccountRef("a", None, "eu-west")) == "aha-sk-two"
    assert settings.token(AccountRef("a")) == "aha-sk-one"
    assert settings.self_keys == {"eu-west": KEY_ID}
    assert set(settings.secrets) == {"aha-sk-one", "aha-sk-two"}
    assert "aha-sk" not in repr(settings)


def test_a_missing_credential_names_its_variable() -> None:
    """A missing credential is an error that names the variable and the file to set."""
    with pytest.raises(SettingsError) as caught:
        load_settings(["eu"]).token(AccountRef("a", None, "eu"))
    assert "AHASEND_API_KEY_EU is not set" in caught.value.message
    assert "ahasend_api_key_eu" in caught.value.hint


def test_files_win_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the secrets directory wins, without its last line break, and is read anew each time."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-environment")
    file = tmp_path / "ahasend_api_key"
    file.write_text("aha-sk-file\n")
    assert load_settings([]).token(AccountRef("a")) == "aha-sk-file"
    file.write_text("aha-sk-rotated\n")
    assert load_settings([]).token(AccountRef("a")) == "aha-sk-rotated"
    file.unlink()
    assert load_settings([]).token(AccountRef("a")) == "aha-sk-environment"


def test_look_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``${NAME}`` is looked up in files, then in the environment; what is empty counts as unset."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("COPY", "a name that pydantic uses itself")
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "model_config").write_text("from a file")
    assert look_up("COPY") == "a name that pydantic uses itself"
    assert look_up("MODEL_CONFIG") == "from a file"
    assert look_up("EMPTY") is None
    assert look_up("NOT_SET") is None


def test_a_secrets_directory_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secrets directory that is missing is an error, not an empty one."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="not a directory"):
        load_settings([])


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no text is an error that shows nothing of it."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    (tmp_path / "ahasend_api_key").write_bytes(b"\xff\xfesecret")
    with pytest.raises(SettingsError) as caught:
        load_settings([])
    assert "secret" not in str(caught.value).replace("RECONCILER_SECRETS_DIR", "")


def test_a_self_key_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """RECONCILER_SELF_KEY_ID must be the id of a key, and what it holds is not shown: it may be a secret."""
    monkeypatch.setenv("RECONCILER_SELF_KEY_ID", "aha-sk-pasted")
    with pytest.raises(UsageError) as caught:
        load_settings([])
    assert "pasted" not in str(caught.value)


ACCOUNT = AccountRef("a")


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secrets directory beside an environment that has a token of its own."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-environment")
    return tmp_path


def settle() -> AbstractContextManager[object]:
    """Go on an hour later, when nothing was written lately."""
    return time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=False)


def test_the_id_of_its_own_key_comes_with_its_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside the credential says which key that is, and wins: both are exchanged at once, with no restart."""
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("RECONCILER_SELF_KEY_ID", OTHER_ID)
    assert load_settings([]).self_keys == {None: OTHER_ID}
    (tmp_path / "reconciler_self_key_id").write_text(f"{KEY_ID}\n")
    (tmp_path / "reconciler_self_key_id_eu_west").write_text(OTHER_ID)
    assert load_settings(["eu-west"]).self_keys == {None: KEY_ID, "eu-west": OTHER_ID}
    (tmp_path / "reconciler_self_key_id").write_text("aha-sk-pasted")
    with pytest.raises(UsageError, match="RECONCILER_SELF_KEY_ID is not the id of a key") as caught:
        load_settings([])
    assert "pasted" not in str(caught.value)


def test_a_file_that_changes_is_followed(secrets: Path) -> None:
    """Settings in use follow their file: written anew, replaced by a rename, or put there later."""
    file = secrets / "ahasend_api_key"
    file.write_text("aha-sk-first")
    settings = load_settings([])
    assert settings.token(ACCOUNT) == "aha-sk-first"
    file.write_text("aha-sk-again\n")  # at once, and of the same size
    assert settings.token(ACCOUNT) == "aha-sk-again"
    (secrets / "new").write_text("aha-sk-third")
    (secrets / "new").rename(file)
    assert settings.token(ACCOUNT) == "aha-sk-third"
    assert settings.secrets == ("aha-sk-first", "aha-sk-again", "aha-sk-third")
    assert "aha-sk" not in repr(settings)


def test_a_file_that_comes_later(secrets: Path) -> None:
    """A file that was not there wins over the environment once it is, in whatever case its name is."""
    settings = load_settings([])
    assert settings.token(ACCOUNT) == "aha-sk-environment"
    (secrets / "AHASEND_API_KEY").write_text("aha-sk-file")
    assert settings.token(ACCOUNT) == "aha-sk-file"
    assert settings.token(ACCOUNT, "aha-sk-file") == "aha-sk-file"


def test_a_mounted_secret(secrets: Path) -> None:
    """A link whose target's directory is replaced, as Kubernetes does it, is followed, long settled as it may look."""
    for version in ("one", "two"):
        (secrets / f"..{version}").mkdir()
        (secrets / f"..{version}" / "ahasend_api_key").write_text(f"aha-sk-{version}")
    (secrets / "..data").symlink_to("..one")
    (secrets / "ahasend_api_key").symlink_to("..data/ahasend_api_key")
    with settle():
        settings = load_settings([])
        assert settings.token(ACCOUNT) == "aha-sk-one"
        (secrets / "..next").symlink_to("..two")
        (secrets / "..next").rename(secrets / "..data")
        assert settings.token(ACCOUNT) == "aha-sk-two"


def to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def to_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def without_its_directory(file: Path) -> None:
    file.unlink()
    file.parent.rmdir()


@pytest.mark.parametrize(
    "harm",
    [
        lambda file: file.write_text(""),
        lambda file: file.write_text(" \n"),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: file.unlink(),
        to_itself,
        to_a_directory,
        without_its_directory,
    ],
)
def test_a_file_that_is_harmed(secrets: Path, harm: Callable[[Path], object]) -> None:
    """A file that is empty, gone or unreadable for a moment leaves the value as it was; when it is back, it counts."""
    file = secrets / "ahasend_api_key"
    file.write_text("aha-sk-first")
    settings = load_settings([])
    assert settings.token(ACCOUNT) == "aha-sk-first"
    harm(file)
    assert settings.token(ACCOUNT) == "aha-sk-first"
    assert settings.token(ACCOUNT, "aha-sk-first") == "aha-sk-first"
    secrets.mkdir(exist_ok=True)
    (secrets / "new").write_text("aha-sk-second")
    if file.is_dir():
        file.rmdir()
    (secrets / "new").rename(file)
    assert settings.token(ACCOUNT) == "aha-sk-second"


def test_a_file_elsewhere(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A link out of the secrets directory is not followed."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "key"
    elsewhere.write_text("aha-sk-elsewhere")
    settings = load_settings([])
    (secrets / "ahasend_api_key").symlink_to(elsewhere)
    assert settings.token(ACCOUNT) == "aha-sk-environment"


def test_a_settled_file_is_not_read_again(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that looks as it did, and was not written lately, is only looked at, but for a token that was refused."""
    (secrets / "ahasend_api_key").write_text("aha-sk-first")
    settings = load_settings([])
    with settle():
        assert settings.token(ACCOUNT) == "aha-sk-first"
        monkeypatch.setattr(Path, "read_text", lambda *_args, **_kwargs: "aha-sk-second")
        assert settings.token(ACCOUNT) == "aha-sk-first"
        assert settings.token(ACCOUNT, "aha-sk-zeroth") == "aha-sk-first"
        assert settings.token(ACCOUNT, "aha-sk-first") == "aha-sk-second"


LOOKS = {"st_mtime_ns": 1, "st_ctime_ns": 2, "st_ino": 3, "st_size": 4}


@pytest.mark.parametrize("differing", LOOKS)
def test_looks(secrets: Path, monkeypatch: pytest.MonkeyPatch, differing: str) -> None:
    """A file looks different where anything about it does, also what nobody can choose, as for a copied time."""
    file = secrets / "ahasend_api_key"
    file.write_text("aha-sk-first")
    settings = load_settings([])
    monkeypatch.setattr(Path, "stat", lambda _path: SimpleNamespace(st_mode=S_IFREG, **LOOKS))
    assert settings.token(ACCOUNT) == "aha-sk-first"
    file.write_text("aha-sk-second")
    assert settings.token(ACCOUNT) == "aha-sk-first"
    monkeypatch.setattr(Path, "stat", lambda _path: SimpleNamespace(st_mode=S_IFREG, **LOOKS | {differing: 5}))
    assert settings.token(ACCOUNT) == "aha-sk-second"


def test_a_change_that_does_not_show(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was written just now is read again even if it looks the same: clocks of files tick slowly."""
    file = secrets / "ahasend_api_key"
    file.write_text("aha-sk-first")
    settings = load_settings([])
    about = file.stat()
    monkeypatch.setattr(Path, "stat", lambda _path: about)
    assert settings.token(ACCOUNT) == "aha-sk-first"
    file.write_text("aha-sk-again")
    assert settings.token(ACCOUNT) == "aha-sk-again"


def test_a_refused_token_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a process does not change: a token from there is the same after it was refused."""
    monkeypatch.setenv("AHASEND_API_KEY", "aha-sk-environment")
    assert load_settings([]).token(ACCOUNT, "aha-sk-environment") == "aha-sk-environment"


def test_rotated_secrets_stay_known(secrets: Path) -> None:
    """What logs and reports mask holds each token from the moment it is used, and those of settings loaded before."""
    known = Secrets()
    assert tuple(known()) == ()
    file = secrets / "ahasend_api_key"
    file.write_text("aha-sk-first")
    settings = known.remember(load_settings([]))
    assert set(known()) == {"aha-sk-first"}
    file.write_text("aha-sk-second")
    settings.token(ACCOUNT)
    file.write_text("aha-sk-third")
    known.remember(load_settings([]))
    assert set(known()) == {"aha-sk-first", "aha-sk-second", "aha-sk-third"}


def test_what_is_no_file_is_not_waited_for(secrets: Path) -> None:
    """A named pipe in a secret's place would hold everything up for ever; it is as if it were not there."""
    os.mkfifo(secrets / "ahasend_api_key")
    (secrets / "loop").symlink_to(secrets / "loop")
    assert load_settings([]).token(ACCOUNT) == "aha-sk-environment"


def test_the_token_for_requests(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from its file as that is now, else from the environment; an empty one is none, a short one an error."""
    monkeypatch.delenv("RECONCILER_TOKEN", raising=False)
    assert web_token() is None
    monkeypatch.setenv("RECONCILER_TOKEN", "  ")
    assert web_token() is None
    monkeypatch.setenv("RECONCILER_TOKEN", "of-the-environment")
    assert web_token() == "of-the-environment"
    path = secrets / "reconciler_token"
    for text, token in (("of-the-file-at-first\n", "of-the-file-at-first"), ("", "of-the-environment")):
        path.write_text(text)
        assert web_token() == token
    path.write_bytes(b"\xff" * 20)
    assert web_token() == "of-the-environment"
    path.write_text("fifteen letters")
    with pytest.raises(UsageError, match="RECONCILER_TOKEN is shorter than 16 characters") as raised:
        web_token()
    assert "fifteen" not in str(raised.value)
    monkeypatch.delenv("RECONCILER_SECRETS_DIR")
    assert web_token() == "of-the-environment"


def test_the_addresses_of_notifications(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come from their file as that is now, whole, its name in any case; else from the environment."""
    assert notify_addresses() == ""
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://of-the-environment")
    assert notify_addresses() == "json://of-the-environment"
    for name in ("reconciler_notify", "RECONCILER_NOTIFY"):
        path = secrets / name
        path.write_text("json://a\n" * 5000)
        assert notify_addresses() == "json://a\n" * 5000
        path.unlink()
    monkeypatch.setenv("RECONCILER_SECRETS_DIR", str(secrets / "nowhere"))
    assert notify_addresses() == "json://of-the-environment"
    monkeypatch.delenv("RECONCILER_SECRETS_DIR")
    assert notify_addresses() == "json://of-the-environment"


def test_a_file_that_holds_no_addresses(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error that says why, also where the environment has some: nobody would notice that they are not told."""
    monkeypatch.setenv("RECONCILER_NOTIFY", "json://of-the-environment")
    path = secrets / "reconciler_notify"
    made: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: path.write_text(" \n"), "holds nothing, or is no file"),
        (lambda: os.mkfifo(path), "holds nothing, or is no file"),
        (path.mkdir, "holds nothing, or is no file"),
        (lambda: path.symlink_to("nowhere"), "cannot be read: no such file or directory"),
        (lambda: path.write_bytes("json://\u00fc".encode("latin-1")), "is not UTF-8"),
        (lambda: path.write_text("json://a\n" * 50_000), "is longer than 262144 bytes"),
    )
    for make, why in made:
        make()
        with pytest.raises(SettingsError, match=f"the addresses of notifications: .*/reconciler_notify {why}"):
            notify_addresses()
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_pipe_is_no_token(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no file, or is as long as no token is, is not waited for and counts as what can be read of it at once."""
    monkeypatch.delenv("RECONCILER_TOKEN", raising=False)
    path = secrets / "reconciler_token"
    os.mkfifo(path)
    assert web_token() is None
    path.unlink()
    path.write_text("x" * 1_000_000)
    assert web_token() == "x" * 4096
