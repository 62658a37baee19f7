"""Run inside the environment of pysdmx: codelists it reads, checked against SDMX's schemas, as JSON. `python sdmx_codes.py FILE...`"""

import json
import sys
from pathlib import Path

from pysdmx.io import read_sdmx

out = []
for path in sys.argv[1:]:
    (found,) = read_sdmx(Path(path), validate=True).get_codelists()
    agency = found.agency if isinstance(found.agency, str) else found.agency.id
    out.append({"id": f"{agency}:{found.id}", "version": found.version, "codes": [code.id for code in found.items]})
print(json.dumps(out))
