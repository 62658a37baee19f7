"""What signing, verifying and the link's frames cost per message, beside the floor: hashing and one signature, in the same run.

    python bench/signing.py

CPU time, medians over rounds that take turns, 1 KB messages with a body (two parts), so that a shared machine shifts all alike.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kerege.exchange import hashchain, multipart
from kerege.exchange.batch import batch
from kerege.exchange.bodies import Attachment
from kerege.exchange.hashchain import SHA512, Digest
from kerege.exchange.ids import MemberId
from kerege.exchange.linkframes import Decoder, encode_messages
from kerege.exchange.linkmessages import Group, LinkMessage
from kerege.exchange.pki import TestAuthority
from kerege.exchange.xades import Signer
from kerege.exchange.xades_verify import _read, verify, verify_batch

ROUNDS = 9
NOW = datetime.now(UTC) + timedelta(hours=1)


def measured(work: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """CPU microseconds per unit; each round runs every piece of work for about 20 ms."""
    times: dict[str, list[float]] = {name: [] for name in work}
    loops: dict[str, int] = {}
    for name, (run, _) in work.items():
        run()
        start = time.process_time()
        run()
        loops[name] = max(1, int(0.02 / max(time.process_time() - start, 1e-6)))
    for _ in range(ROUNDS):
        for name, (run, units) in work.items():
            start = time.process_time()
            for _ in range(loops[name]):
                run()
            times[name].append((time.process_time() - start) / loops[name] / units * 1e6)
    return {name: median(found) for name, found in times.items()}


def sign_all(signer: Signer, parts: list[tuple[bytes, tuple[bytes, ...]]]) -> None:
    """Sign a batch and make every message's chain file, as X-Road's wire and the log need them."""
    for signed in signer.sign_batch(parts, NOW):
        _ = signed.chain


def main() -> None:
    member = MemberId("KG", "GOV", "70000003")
    authority = TestAuthority.create("KG", NOW)
    signers: dict[str, Signer] = {}
    for kind in ("ec", "rsa"):
        pair = authority.sign_certificate(member, "bench", "server", NOW, kind)
        assert isinstance(pair.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        signers[kind] = Signer(pair.key, pair.certificate)
        signers[kind].with_ocsp([authority.ocsp_response(pair.certificate, NOW)])

    body = bytes(1024)
    work: dict[str, tuple[Callable[[], object], int]] = {
        "floor: SHA-512 of a message head and 1 KB": (
            lambda: (hashlib.sha512(body[:300]).digest(), hashlib.sha512(body).digest()),
            1,
        ),
        "floor: sign, EC P-256": (lambda: signers["ec"].sign_bytes(body), 1),
        "floor: sign, RSA-2048": (lambda: signers["rsa"].sign_bytes(body), 1),
    }
    for count in (1, 4, 16, 64):
        messages = [
            LinkMessage(n, multipart.REST_REQUEST, b"%d" % n + body[:300], (Attachment((), body),), leaf=n)
            for n in range(count)
        ]
        parts = [(m.digests[0], tuple(m.digests[1])) for m in messages]
        heads: list[tuple[bytes, tuple[bytes, ...]]] = [(m.digests[0], ()) for m in messages]
        name = f"n={count}"
        if count > 1:
            work[f"{name} tree and chains, one part"] = (lambda heads=heads: chains(heads), count)
        work[f"{name} tree and chains, two parts"] = (lambda parts=parts: chains(parts), count)
        for kind, signer in signers.items():
            signed = signer.sign_batch(parts, NOW)
            work[f"{name} sign and chains, {kind}"] = (lambda s=signer, parts=parts: sign_all(s, parts), count)
            chain = signed[-1].chain
            assert chain is not None
            last = Digest(SHA512, parts[-1][0])
            rest = tuple(Digest(SHA512, digest) for digest in parts[-1][1])

            def seen(xml=signed[0].xml, chain=chain, last=last, rest=rest) -> None:  # type: ignore[no-untyped-def]
                verify(bytes(bytearray(xml)), last, rest, chain)  # a copy, as it comes from a connection

            def new(xml=signed[0].xml, chain=chain, last=last, rest=rest) -> None:  # type: ignore[no-untyped-def]
                _read.cache_clear()
                verify(xml, last, rest, chain)

            work[f"{name} verify, signature seen, {kind}"] = (seen, 1)
            work[f"{name} verify, signature new, {kind}"] = (new, 1)
            if kind == "ec":
                work[f"{name} chain alone (quick reader)"] = (
                    lambda chain=chain, part=parts[-1]: hashchain.quick(chain, *part),
                    1,
                )
                group = Group.of(signed[0].xml, messages, signed[0].batch, chained=True)
                frames = b"".join(encode_messages([group]))
                work[f"{name} link: encode"] = (lambda group=group: encode_messages([group]), count)
                work[f"{name} link: decode"] = (lambda frames=frames: Decoder().feed(frames), count)

                def receive(frames=frames) -> None:  # type: ignore[no-untyped-def]
                    _read.cache_clear()
                    for frame in Decoder().feed(frames):
                        verify_batch(frame.groups[0].signature, frame.groups[0].batch())

                if count > 1:
                    work[f"{name} link: decode, hash, verify all"] = (receive, count)
    for name, micros in measured(work).items():
        print(f"{name:48} {micros:8.2f} us")


def chains(parts: list[tuple[bytes, tuple[bytes, ...]]]) -> None:
    tree = batch(parts)
    for index in range(len(parts)):
        tree.chain(index)


if __name__ == "__main__":
    main()
