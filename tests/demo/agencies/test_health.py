import csv
import io

from kerege.demo.agencies import Fault, clear_fault, set_fault

PATH = "/nightly/vaccinations.csv"


def test_the_nightly_file_has_a_bom_semicolons_every_row_and_its_count_at_the_end(running, world, http):
    answer = http.request("GET", running["health"].url + PATH)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.data.startswith(b"\xef\xbb\xbfN_SPR;FIO;DATA_R;POL;OBLAST;PIN;DATA_VYD;STATUS\r\n")
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""), delimiter=";"))
    assert rows[-1] == ["#ROWS", str(len(rows) - 2)]
    assert rows[1:-1] == [list(r.row.values()) for r in world.registers["health.certificates"]]


def test_half_a_file_is_whole_to_http_but_lacks_its_last_line(running, folder, http):
    whole = http.request("GET", running["health"].url + PATH).data
    set_fault(folder / "health", Fault("half"))
    try:
        half = http.request("GET", running["health"].url + PATH)
    finally:
        clear_fault(folder / "health")
    assert half.status == 200
    assert half.data == whole[: len(whole) // 2]
    assert b"#ROWS" not in half.data


def test_a_night_without_a_file_is_a_404(running, folder, http):
    path = folder / "health" / "nightly" / "vaccinations.csv"
    aside = path.rename(path.with_suffix(".aside"))
    try:
        assert http.request("GET", running["health"].url + PATH).status == 404
    finally:
        aside.rename(path)
    assert http.request("GET", running["health"].url + PATH).status == 200


def test_the_office_takes_no_questions(running, http):
    assert http.request("GET", running["health"].url + PATH + "?pin=1").status == 400
    assert http.request("GET", running["health"].url + "/").status == 404
    assert http.request("POST", running["health"].url + PATH).status == 405
