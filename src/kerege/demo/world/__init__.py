"""The demo's world: a small synthetic country, its registers with declared dirt, its applications, and the truth.

    generate(seed, dirt, soate_csv=..., persons=20000, applications=1000) -> World
    load_dirt(path=None) -> Dirt
    measure_dirt(world) -> dict          what was really planted, beside what was declared
    write_truth(world, folder, agencies=...)

Deterministic by seed. Agencies' databases and processes: `kerege.demo.agencies`. The whole run: `kerege.demo.country`.
"""

from kerege.demo.world.build import REFERENCE_DATE, generate
from kerege.demo.world.demand import eligible
from kerege.demo.world.dirt import Dirt, load_dirt
from kerege.demo.world.measure import measure_dirt
from kerege.demo.world.model import Application, Record, TruthFacts, World
from kerege.demo.world.truth import write_truth

__all__ = [
    "REFERENCE_DATE",
    "Application",
    "Dirt",
    "Record",
    "TruthFacts",
    "World",
    "eligible",
    "generate",
    "load_dirt",
    "measure_dirt",
    "write_truth",
]
