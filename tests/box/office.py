"""The central services as an office runs them: commands in processes of their own, and a hub."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PROFILE = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
BY = ("--by", "Central office")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Office:
    """The central services: commands in processes of their own, and the hub running."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("KEREGE_", "DJANGO_"))}
        self.environ = inherited | {"KEREGE_HOME": str(folder / "central")}
        self.hub: subprocess.Popen[bytes] | None = None

    def kerege(self, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "kerege", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=self.environ, cwd=self.folder, check=False
        )
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def start(self) -> None:
        command = [sys.executable, "-m", "kerege", "hub", "--port", str(self.port)]
        self.hub = subprocess.Popen(command, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"{self.url}/internalconf", timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the hub does not serve the configuration")

    def stop(self) -> None:
        if self.hub is not None:
            self.hub.terminate()
            self.hub.wait(20)
