"""Run inside the environment of skosify: what its checks say of a Turtle file, as JSON. `python skos_faults.py FILE`"""

import json
import logging
import sys

from rdflib import Graph
from skosify import check

said = {}


class Kept(logging.Handler):
    def emit(self, record):
        said.setdefault(self.asked, []).append(record.getMessage())


kept = Kept()
logging.getLogger().handlers = [kept]
logging.getLogger().setLevel(logging.WARNING)
graph = Graph().parse(sys.argv[1], format="turtle")
for name, arguments in (
    ("hierarchy_cycles", {}),
    ("disjoint_relations", {}),
    ("hierarchical_redundancy", {}),
    ("label_overlap", {}),
    ("preflabel_uniqueness", {"policy": "shortest"}),  # mends the graph as it goes, so it is asked last
):
    kept.asked = name
    getattr(check, name)(graph, **arguments)
print(json.dumps(said))
