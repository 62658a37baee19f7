import contextlib
import socket
import time

import pytest
import urllib3

from kerege.demo.agencies import Fault, clear_fault, set_fault
from kerege.demo.agencies.errors import FaultUnknown

PATH = "/api/v5/areas?_limit=1"


@contextlib.contextmanager
def fault(folder, agency, *what):
    set_fault(folder / agency, Fault(*what))
    try:
        yield
    finally:
        clear_fault(folder / agency)


def talk(agency, data):
    with socket.create_connection(("127.0.0.1", agency.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_a_slow_agency_answers_late_and_right(running, folder, http):
    url = running["education"].url + PATH
    quick = http.request("GET", url).data
    with fault(folder, "education", "slow", 0.4):
        began = time.monotonic()
        assert http.request("GET", url).data == quick
        assert time.monotonic() - began >= 0.4
    began = time.monotonic()
    http.request("GET", url)
    assert time.monotonic() - began < 0.4


def test_a_slow_answer_to_one_does_not_hold_up_another_agency_client(running, folder):
    with fault(folder, "education", "slow", 0.5):
        pool = urllib3.PoolManager(retries=False, num_pools=1, maxsize=8)
        from concurrent.futures import ThreadPoolExecutor

        began = time.monotonic()
        with ThreadPoolExecutor(4) as threads:
            statuses = list(
                threads.map(lambda _: pool.request("GET", running["education"].url + PATH).status, range(4))
            )
        assert statuses == [200] * 4
        assert time.monotonic() - began < 1.9


def test_an_agency_that_is_down_closes_the_connection(running, folder, http):
    with fault(folder, "civil", "down"), pytest.raises(urllib3.exceptions.ProtocolError):
        http.request("GET", running["civil"].url + "/ws?wsdl")
    assert http.request("GET", running["civil"].url + "/ws?wsdl").status == 200


def test_a_busy_agency_says_503(running, folder, http):
    with fault(folder, "population", "busy"):
        assert http.request("POST", running["population"].url + "/api/persons/search").status == 503


def test_half_an_answer_is_seen_as_broken(running, folder, http):
    with fault(folder, "education", "half"), pytest.raises(urllib3.exceptions.ProtocolError):
        http.request("GET", running["education"].url + "/api/v5/areas")


def test_an_unknown_fault_is_refused_and_a_broken_control_file_breaks_nothing(running, folder, http):
    with pytest.raises(FaultUnknown, match="'lazy'"):
        Fault("lazy")
    control = folder / "education" / "fault.json"
    control.write_text("{", encoding="utf-8")
    try:
        assert http.request("GET", running["education"].url + PATH).status == 200
    finally:
        control.unlink()


def test_one_connection_serves_many_requests_in_their_order(running):
    one = b"GET /api/v5/areas?_limit=1&_page=%d HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = talk(running["education"], b"".join(one % n for n in (1, 2, 3)))
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    codes = [part.split(b'"')[0] for part in answer.split(b'"code":"')[1:]]
    assert len(set(codes)) == 3
    assert codes == sorted(codes)


def test_what_is_not_http_gets_a_400_and_the_door(running):
    answer = talk(running["education"], b"\x16\x03\x01\x00\xa5 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer


def test_a_body_larger_than_the_limit_is_refused(running):
    head = b"POST /ws HTTP/1.1\r\nHost: a\r\nContent-Type: text/xml\r\nContent-Length: 1000001\r\n\r\n"
    assert talk(running["civil"], head + b"x" * 1_000_001).startswith(b"HTTP/1.1 413 ")


def test_a_head_larger_than_the_limit_is_refused(running):
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 40_000 + b"\r\n\r\n"
    assert talk(running["civil"], head).startswith(b"HTTP/1.1 431 ")


def test_agencies_listen_on_this_machine_only(running):
    import psutil

    for agency in running.values():
        listening = [c.laddr.ip for c in psutil.Process(agency.pid).net_connections("inet") if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
