"""Credentials and settings, from the environment and from files."""

from pathlib import Path

import pytest

from reconciler.core.keys import AccountRef
from reconciler.errors import SettingsError, UsageError
from reconciler.settings import DEFAULT_ENDPOINT, load_settings, look_up

KEY_ID = "aaaaaaaa-0000-4000-8000-000000000001"


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
