"""The run's folders made empty and the hub's database made: before anything that needs Django is imported."""

from __future__ import annotations

import os
import shutil

from kerege.demo.country.options import Options, claim


def make_ready(options: Options) -> None:
    """Claim the folder, clear what an earlier run left, prepare the hub's home. Raises FolderNotOurs and touches nothing."""
    os.umask(0o077)  # the demo's people are invented, its files are kept as real ones would be
    claim(options.folder)
    for folder in (options.home, options.agencies, options.truth, options.network, options.overlay, options.logs):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    os.environ["KEREGE_HOME"] = str(options.home)
    os.environ["DJANGO_SETTINGS_MODULE"] = "kerege.web.settings"
    from kerege.web.installation import prepare

    prepare(options.home)
