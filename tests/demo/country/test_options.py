import pytest

from kerege.demo.country.options import MARK, claim
from kerege.demo.errors import FolderNotOurs


def test_a_new_folder_and_an_earlier_demos_folder_are_taken(tmp_path):
    claim(tmp_path / "new")
    (tmp_path / "new" / "left.txt").write_text("x")
    claim(tmp_path / "new")
    assert (tmp_path / "new" / MARK).is_file()


def test_somebody_elses_folder_is_refused_and_left_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderNotOurs):
        claim(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
