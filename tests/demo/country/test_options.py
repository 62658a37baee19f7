import pytest

from kerege.demo.country.options import MARK, claim
from kerege.demo.errors import FolderInUse, FolderNotOurs


def test_a_new_folder_and_an_earlier_demos_folder_are_taken(tmp_path):
    claim(tmp_path / "new").close()
    (tmp_path / "new" / "left.txt").write_text("x")
    claim(tmp_path / "new")
    assert (tmp_path / "new" / MARK).is_file()


def test_somebody_elses_folder_is_refused_and_left_untouched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderNotOurs):
        claim(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_another_run_is_in_is_refused_until_that_run_ends(tmp_path):
    running = claim(tmp_path / "box")
    with pytest.raises(FolderInUse):
        claim(tmp_path / "box")
    running.close()
    claim(tmp_path / "box").close()
