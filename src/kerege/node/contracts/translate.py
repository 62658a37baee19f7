"""Answers in canonical records, by a mapping both sides agreed on: made by the consumer's node of what it has verified, or by the provider's
before it signs, as the contract says (`contracting`).

The semantics engine is behind a small protocol, so that a node without translation needs no country pack and tests may pass
their own. The original is never lost: it is in a log, and its digest stands in the answer. A client that adds the parameter
`sources=1` to the media type gets, beside the canonical records, the cells each was made of: decoded from the same verified message,
which the same client could have had as it is, so nothing more is disclosed.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson

from kerege.exchange.ids import DataServiceId
from kerege.exchange.resttarget import masked_path
from kerege.exchange.rules import NEVER, Rules, WireContract
from kerege.ground.errors import KeregeError
from kerege.node.config import Translation
from kerege.node.errors import TranslationFailed, TranslationMissing, TranslationUnavailable

CANONICAL: Final = "application/vnd.kerege.canonical+json"
SOURCES: Final = "sources=1"  # the parameter of the media type


class Translated(Protocol):
    """What the semantics engine gives back for one payload."""

    @property
    def records(self) -> Any: ...
    @property
    def sources(self) -> Any: ...
    @property
    def problems(self) -> Any: ...
    @property
    def withheld(self) -> Any: ...
    @property
    def mapping_id(self) -> str: ...
    @property
    def mapping_version(self) -> Any: ...


class Translator(Protocol):
    """Translates one payload by a mapping's identifier; raises KeregeError when it cannot."""

    def __call__(self, mapping_id: str, payload: bytes, content_type: str) -> Translated: ...


TranslatorLoader = Callable[[Translation], Translator]


def load_semantics(translation: Translation) -> Translator:
    """The real translator: the country pack with the installation's overlay, read now."""
    return _Semantics(translation)


class _Semantics:
    """The country pack, and what the node asks of it."""

    def __init__(self, translation: Translation) -> None:
        self._semantics = importlib.import_module("kerege.semantics")
        self._pack = self._semantics.load_pack(translation.pack, data_dir=translation.data, overlay=translation.overlay)

    def __call__(self, mapping_id: str, payload: bytes, content_type: str) -> Translated:
        translated: Translated = self._semantics.translate(self._pack, mapping_id, payload, content_type)
        return translated

    def codes(self, list_id: str) -> frozenset[str]:
        """The notations of a code list. Raises CodeListUnknown."""
        return frozenset(concept.notation for concept in self._pack.codelist(list_id))


@lru_cache(maxsize=256)
def wants_canonical(accept: str) -> bool:
    return any(part.split(";")[0].strip().lower() == CANONICAL for part in accept.split(","))


def wants_sources(accept: str) -> bool:
    """Whether canonical records are asked for together with the cells they were made of (parameter `sources=1`)."""
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media_type == CANONICAL and SOURCES in ("".join(parameter.split()) for parameter in parameters):
            return True
    return False


def forwarded_accept(accept: str) -> bytes:
    """The Accept header that goes on to the provider, who knows nothing of canonical records."""
    kept = [p.strip() for p in accept.split(",") if p.split(";")[0].strip().lower() != CANONICAL and p.strip()]
    return ", ".join(kept).encode("latin-1") or b"*/*"


class WireTranslation:
    """Which mapping applies, and its application. `reload` reads pack and overlay again; when that fails the old stay."""

    def __init__(self, translation: Translation | None, loader: TranslatorLoader = load_semantics) -> None:
        self._translation, self._loader = translation, loader
        self._translator: Translator | None = None
        own = () if translation is None else translation.contracts
        self._local = Rules("", 0, contracts=tuple(WireContract(*contract) for contract in own))
        self.problem: str | None = None

    def take(self, other: WireTranslation) -> None:
        """What `other` has read is in use from now on, for whoever holds this one."""
        self.__dict__.update(other.__dict__)

    def reload(self) -> None:
        if self._translation is None:
            return
        try:
            self._translator = self._loader(self._translation)
            self.problem = None
        except KeregeError as problem:
            self.problem = str(problem)
        except OSError as problem:
            self.problem = f"{problem.filename or self._translation.pack}: {problem.strerror or 'it cannot be read'}"
        except Exception as problem:  # noqa: BLE001 - a broken pack must not stop the exchange of originals
            self.problem = f"{type(problem).__name__}: {problem}"

    def contract_for(self, service: DataServiceId, path: str, method: str, rules: Rules) -> WireContract | None:
        """The contract agreed for this path. The signed rules come first, then the node's own file."""
        found = rules.contract_for(service, path, method)
        if found is None and self._local.contracts:
            found = self._local.contract_for(service, path, method)
        return found

    def none_for(self, service: DataServiceId, rules: Rules) -> bool:
        """Whether there is no contract for any call of this service."""
        return not rules.has_contracts(service) and not self._local.has_contracts(service)

    def translate(self, mapping: str, payload: bytes, content_type: str) -> Translated:
        """The payload in canonical records. Raises what the semantics engine raises, and TranslationUnavailable."""
        if self._translator is None:
            raise TranslationUnavailable(reason=self.problem or "this node has no translation in its configuration")
        return self._translator(mapping, payload, content_type)

    @property
    def generation(self) -> int:
        """Another number each time pack and overlay were read anew."""
        return id(self._translator)

    def codes(self, list_id: str) -> frozenset[str]:
        """The notations of a code list of the pack. Raises TranslationUnavailable, and what the semantics engine raises."""
        codes: Callable[[str], frozenset[str]] | None = getattr(self._translator, "codes", None)
        if codes is None:
            raise TranslationUnavailable(reason=self.problem or "this node has no code lists")
        return codes(list_id)

    def run(
        self,
        mapping: str,
        service: DataServiceId,
        payload: bytes,
        content_type: str,
        message_id: str,
        request_id: str,
        *,
        sources: bool = False,
    ) -> bytes:
        """The canonical JSON body for a verified answer, with the cells of every record when asked for. Raises TranslationFailed."""
        try:
            done = self.translate(mapping, payload, content_type)
        except KeregeError as problem:
            raise failed(problem, service, mapping, request_id) from None
        digest = hashlib.sha256(payload).hexdigest()
        return written(done, digest, content_type, message_id, request_id, sources=sources)


def mapping_of(contract: WireContract | None, service: DataServiceId, path: str) -> str:
    """The mapping of a contract by which answers may be translated. Raises TranslationMissing."""
    if contract is None or not contract.mapping or contract.translate == NEVER:
        raise TranslationMissing(service=service, path=masked_path(path))
    return contract.mapping


def failed(problem: KeregeError, service: DataServiceId, mapping: str, request_id: str) -> TranslationFailed:
    """What keeps an answer from being translated, as its caller is told."""
    bare = isinstance(problem, TranslationUnavailable)
    reason = str(problem.params["reason"]) if bare else f"{problem.text} [{problem.code}]"
    return TranslationFailed(service=service, mapping=mapping, reason=reason, request_id=request_id)


def written(
    done: Translated, sha256: str, content_type: str, message_id: str, request_id: str, *, sources: bool = False
) -> bytes:
    """The canonical JSON body; it names the mapping with its version and the SHA-256 of the original it was made of."""
    message = {
        "records": list(done.records),
        "problems": [_problem(item) for item in done.problems],
        # records a rule held back: their absence is not a fact about the register
        "withheld": list(done.withheld),
        "mapping": {"id": done.mapping_id, "version": done.mapping_version},
        "original": {
            "sha256": sha256,
            "content_type": content_type,
            "message_id": message_id,
            "request_id": request_id,
        },
    }
    if sources:
        message["sources"] = list(done.sources)
    return orjson.dumps(message, default=_plain)


def _problem(item: Any) -> Any:
    if is_dataclass(item) and not isinstance(item, type):
        return {key: value for key, value in asdict(item).items() if value is not None}
    return item


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)
