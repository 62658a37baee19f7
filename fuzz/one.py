"""One target under atheris for a bounded time: python fuzz/one.py NAME SECONDS FOLDER. Ends with status 0 when nothing was found.

FOLDER gets the corpus and, when something is found, the input as crash-<hash>. Only the project's own modules are instrumented.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["kerege.exchange"]):
    import targets


def main() -> None:
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target = targets.TARGETS[name]
    corpus = folder / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
        target.run(seed)
    arguments = [
        f"-max_total_time={seconds}",
        "-max_len=16384",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=0",
        "-verbosity=0",
        f"-artifact_prefix={folder}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
