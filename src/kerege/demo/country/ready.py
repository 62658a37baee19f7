"""The run's folders made empty and the hub's database made: before anything that needs Django is imported."""

from __future__ import annotations

import os
import shutil
from typing import IO

from kerege.demo.country.options import Options, claim


def make_ready(options: Options) -> IO[str]:
    """Claim the folder, clear what an earlier run left, prepare the hub's home. The folder is ours while the file returned is open.

    Raises FolderNotOurs, FolderInUse and PortTaken, each before anything was touched.
    """
    from kerege.web.installation import check_port, prepare

    if options.port:
        check_port("127.0.0.1", options.port)
    os.umask(0o077)  # the demo's people are invented, its files are kept as real ones would be
    held = claim(options.folder)
    for folder in (options.home, options.agencies, options.truth, options.network, options.overlay, options.logs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    os.environ["KEREGE_HOME"] = str(options.home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "kerege.web.settings"
    prepare(options.home)
    return held
