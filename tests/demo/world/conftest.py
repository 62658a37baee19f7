from pathlib import Path

import pytest

from kerege.demo.world import generate, load_dirt

SOATE = Path(__file__).parents[4] / "shared" / "data" / "kg" / "soate.csv"


@pytest.fixture(scope="session")
def small():
    """A small world on districts only: what every checkout has."""
    return generate(7, load_dirt(), soate_csv=None, persons=1500, applications=120)


@pytest.fixture(scope="session")
def real():
    """A world on the real area tree."""
    if not SOATE.exists():
        pytest.skip(f"not there: {SOATE}")
    return generate(11, load_dirt(), soate_csv=SOATE, persons=4000, applications=300)


@pytest.fixture(params=["small", "real"])
def world(request):
    return request.getfixturevalue(request.param)
