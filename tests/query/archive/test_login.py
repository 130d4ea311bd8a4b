from __future__ import annotations

from pathlib import Path

import pytest

from viamachinae.errors import BadInputError
from viamachinae.query.archive.login import (
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    Credentials,
    credentials_for,
)

URL = "https://archive.example/tap"


@pytest.fixture
def account(tmp_path: Path) -> Path:
    path = tmp_path / "account"
    path.write_text("ada\nsecret \n")
    return path


def test_nobody_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(USER_VARIABLE, raising=False)
    assert credentials_for(None, URL) is None


def test_file_before_environment(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USER_VARIABLE, "eve")
    monkeypatch.setenv(PASSWORD_VARIABLE, "other")
    assert credentials_for(None, URL) == Credentials("eve", "other")
    assert credentials_for(account, URL) == Credentials("ada", "secret")


def test_the_password_shows_nowhere(account: Path) -> None:
    found = credentials_for(account, URL)
    assert "secret" not in f"{found} {found!r}"


def test_no_password_in_the_clear_but_on_this_machine(account: Path) -> None:
    with pytest.raises(BadInputError, match="in the clear") as error:
        credentials_for(account, "http://archive.example/tap")
    assert "secret" not in str(error.value)
    assert credentials_for(account, "http://127.0.0.1:8643/tap") is not None


@pytest.mark.parametrize("text", ["", "ada\n", "\nsecret\n", None])
def test_a_file_that_is_no_account(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "account"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInputError, match=r"query\.credentials.*two lines"):
        credentials_for(path, URL)
