"""A home folder made ready: the session secret is made once, kept to its owner, and never replaced in silence."""

import os
import stat

import pytest

from kerege.web.errors import SecretExposed, SecretTooShort
from kerege.web.installation import secret_file


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path):
    first = secret_file(tmp_path)
    text = first.read_text()
    assert len(text.strip()) >= 50
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert secret_file(tmp_path).read_text() == text
    assert [file.name for file in first.parent.iterdir()] == ["session.secret"]


def test_two_folders_have_two_secrets(tmp_path):
    assert secret_file(tmp_path / "a").read_text() != secret_file(tmp_path / "b").read_text()


def test_a_secret_others_may_read_is_refused_and_left_as_it_is(tmp_path):
    file = secret_file(tmp_path)
    text = file.read_text()
    os.chmod(file, 0o644)
    with pytest.raises(SecretExposed, match="0644"):
        secret_file(tmp_path)
    assert file.read_text() == text


def test_a_short_secret_is_refused(tmp_path):
    file = tmp_path / "keys" / "session.secret"
    file.parent.mkdir()
    file.write_text("short")
    os.chmod(file, 0o600)
    with pytest.raises(SecretTooShort, match="holds 5"):
        secret_file(tmp_path)
