"""The program that encrypts what comes on its standard input for OpenPGP recipients: started by `openpgp`, never imported.

Arguments: the file to write (it is there, and its owner's only), and how many bytes of public keys come first. It ends with 0 when
everything was encrypted and written, else with 1 and a line of what was wrong. Where the node is asked to stop, so may be all its
processes: this one goes on until the node ends it, or its input.
"""

import os
import signal
import sys

from pysequoia import Cert, encrypt_file


def main(path: str, size: int) -> int:
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, signal.SIG_IGN)
    try:
        keys = b""
        while len(keys) < size:  # from the descriptor itself: what follows is read by the library
            piece = os.read(0, size - len(keys))
            if not piece:
                raise ValueError("the keys did not come")
            keys += piece
        encrypt_file("/dev/stdin", path, recipients=Cert.split_bytes(keys), armor=False)
    except Exception as problem:  # noqa: BLE001 - whatever it is, the one who started this is told
        sys.stderr.write(str(problem).partition("\n")[0][:500])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
