"""Run by LinkML-Map's own Python: maps rows of the peers' task given as JSON lines, prints CPU seconds per row.

As much of the task as it does: eleven of seventeen fields, four of them code lists as enum derivations, no names taken apart, no dates, no addresses.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import yaml
from linkml_map.transformer.object_transformer import ObjectTransformer
from linkml_runtime import SchemaView

warnings.simplefilter("ignore")
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]  # noqa: SIM115 - one short run
tables = json.load(open(sys.argv[2], encoding="utf-8"))  # noqa: SIM115
COPIED = ("id", "pin", "surname", "given", "birth_date", "document", "updated_at")

source = {
    "id": "http://example.org/legacy",
    "name": "legacy",
    "prefixes": {"x": "http://example.org/"},
    "default_prefix": "x",
    "default_range": "string",
    "types": {"string": {"uri": "xsd:string", "base": "str"}},
    "enums": {f"legacy_{name}": {"permissible_values": {code: {} for code in table}} for name, table in tables.items()},
    "classes": {
        "Person": {"attributes": {name: ({"range": f"legacy_{name}"} if name in tables else {}) for name in rows[0]}}
    },
}
slots = {name: {"populated_from": name} for name in (*COPIED, *tables)}
enums = {}
for name, table in tables.items():
    back: dict[str, list[str]] = {}
    for code, target in table.items():
        back.setdefault(target, []).append(code)
    enums[name] = {
        "populated_from": f"legacy_{name}",
        "permissible_value_derivations": {t: {"populated_from": codes} for t, codes in back.items()},
    }
transformer = ObjectTransformer(source_schemaview=SchemaView(yaml.safe_dump(source, allow_unicode=True)))
transformer.create_transformer_specification(
    {
        "class_derivations": {"Canonical": {"populated_from": "Person", "slot_derivations": slots}},
        "enum_derivations": enums,
    }
)
transformer.map_object(rows[0], source_type="Person")
begun = time.process_time()
done, refused = 0, 0
for row in rows:
    try:
        transformer.map_object(row, source_type="Person")
        done += 1
    except Exception:  # whatever it raises of a row: the row is counted as refused, and told
        refused += 1
print(
    json.dumps(
        {
            "rows": done,
            "refused": refused,
            "cpu_per_row": (time.process_time() - begun) / max(done, 1),
            "first": transformer.map_object(rows[0], source_type="Person"),
        }
    )
)
