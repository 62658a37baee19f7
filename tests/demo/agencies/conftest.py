import pytest

from kerege.demo.agencies import start_all, write_agencies
from kerege.demo.world import generate, load_dirt


@pytest.fixture(scope="package")
def world():
    return generate(7, load_dirt(), soate_csv=None, persons=1500, applications=120)


@pytest.fixture(scope="package")
def folder(world, tmp_path_factory):
    place = tmp_path_factory.mktemp("agencies")
    write_agencies(world, place)
    return place


@pytest.fixture(scope="package")
def running(folder):
    with start_all(folder, database="sqlite") as agencies:
        yield agencies


@pytest.fixture(scope="package")
def http():
    import urllib3

    return urllib3.PoolManager(retries=False, timeout=10)
