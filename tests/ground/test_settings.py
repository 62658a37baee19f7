import pytest

from kerege.ground import settings


def test_the_environment_wins_over_the_default():
    assert settings.get("country", {}) == "kg"
    assert settings.get("country", {"KEREGE_COUNTRY": "xx"}) == "xx"


def test_a_secret_may_come_from_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("s" * 40 + "\n")
    assert settings.get("secret_key", {"KEREGE_SECRET_KEY_FILE": str(file)}) == "s" * 40


def test_a_secret_without_a_value_is_an_error_and_not_a_default():
    with pytest.raises(settings.SettingMissing):
        settings.get("secret_key", {})


def test_a_flag_that_is_neither_yes_nor_no_is_refused():
    with pytest.raises(settings.SettingInvalid):
        settings.flag("debug", {"KEREGE_DEBUG": "perhaps"})
