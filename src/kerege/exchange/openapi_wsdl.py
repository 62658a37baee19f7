"""Service descriptions, as providers wrote them, without the addresses of their own systems.

What getOpenAPI and getWsdl hand out (X-Road PR-MREST, PR-META): OpenAPI 3 `servers` (at the top and wherever else they may stand),
Swagger 2 `host` and `basePath`, and the addresses of WSDL ports become a placeholder. A description is a stranger's document: bounds
on size, depth and count come first, aliases are never expanded, nothing it refers to is fetched. One without addresses is returned
byte for byte. Also reads the endpoints an OpenAPI document lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import yaml
from lxml import etree

from kerege.exchange.safexml import parse_xml

LARGEST: Final = 10 * 1024 * 1024
PLACEHOLDER: Final = "https://example.org/xroad-endpoint"
_HOST: Final = "example.org"
_BASE: Final = "/xroad-endpoint"
_DEEPEST: Final = 100
_MOST_NODES: Final = 300_000
_MOST_ENDPOINTS: Final = 5_000
# below these, names are the provider's own and mean nothing to OpenAPI
_FREE: Final = frozenset({"example", "examples", "default", "enum", "properties", "x-example", "value"})
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ADDRESSES: Final = frozenset(
    {
        "{http://schemas.xmlsoap.org/wsdl/soap/}address",
        "{http://schemas.xmlsoap.org/wsdl/soap12/}address",
        "{http://schemas.xmlsoap.org/wsdl/http/}address",
    }
)
_ENDPOINT_REFERENCE: Final = frozenset(
    {
        "{http://www.w3.org/2005/08/addressing}Address",
        "{http://schemas.xmlsoap.org/ws/2004/08/addressing}Address",
    }
)


def anonymous_openapi(data: bytes) -> bytes:
    """`data` (JSON or YAML) with its servers replaced. Raises ValueError with a reason that names no content."""
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    document = _json(data)
    if document is not None:
        if not _check(document):
            raise ValueError("it is nested too deep or holds too much")
        if not isinstance(document, dict):
            raise ValueError("it is no OpenAPI document")
        return json.dumps(document, ensure_ascii=False, indent=2).encode() if _hide(document) else data
    root = _compose(data)
    return (
        yaml.serialize(root, Dumper=yaml.CSafeDumper, allow_unicode=True, encoding="utf-8")
        if _hide_nodes(root)
        else data
    )


def endpoints(data: bytes) -> tuple[tuple[str, str], ...]:
    """(method, path) of the operations an OpenAPI document lists, its templates in braces become `*`. Raises ValueError."""
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST} bytes")
    document = _json(data)
    if document is None:
        pairs = _node_paths(_compose(data))
    else:
        paths = document.get("paths") if isinstance(document, dict) else None
        pairs = (
            (path, str(name))
            for path, item in (paths.items() if isinstance(paths, dict) else ())
            for name in (item if isinstance(item, dict) else ())
        )
    out = {(method.upper(), _pattern(path)) for path, method in pairs if method in _METHODS and path.startswith("/")}
    if len(out) > _MOST_ENDPOINTS:
        raise ValueError(f"it lists more than {_MOST_ENDPOINTS} endpoints")
    return tuple(sorted(out, key=lambda pair: (pair[1], pair[0])))


def _pattern(path: str) -> str:
    """A path template as an access pattern: a parameter matches within its segment."""
    out, depth = [], 0
    for char in path:
        if char == "{":
            depth += 1
            if depth == 1:
                out.append("*")
        elif char == "}" and depth:
            depth -= 1
        elif not depth:
            out.append("\\" + char if char in "*\\" else char)
    return "".join(out)


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json(data: bytes) -> Any:
    """The document when it is JSON, else None."""
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deep or holds too much") from None
    except ValueError:
        return None  # YAML's flow style looks the same at its beginning


def _check(document: Any) -> bool:
    count, waiting = 0, [(document, 0)]
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if depth > _DEEPEST or count > _MOST_NODES:
            return False
        if isinstance(value, dict):
            waiting.extend((child, depth + 1) for child in value.values())
        elif isinstance(value, list):
            waiting.extend((child, depth + 1) for child in value)
    return True


def _hide(value: Any, top: bool = True) -> bool:
    """Replace addresses in place; whether there were any."""
    changed = False
    if isinstance(value, list):
        for child in value:
            changed |= _hide(child, False)
        return changed
    if not isinstance(value, dict):
        return False
    for key, child in value.items():
        if key == "servers" and isinstance(child, list):
            value[key], changed = [{"url": PLACEHOLDER}], True
        elif key == "server" and isinstance(child, dict) and "url" in child:
            value[key], changed = {"url": PLACEHOLDER}, True
        elif top and key in ("host", "basePath"):
            value[key], changed = (_HOST if key == "host" else _BASE), True
        elif key not in _FREE:
            changed |= _hide(child, False)
    return changed


# --- YAML ------------------------------------------------------------------------------------------------------------


def _compose(data: bytes) -> yaml.MappingNode:
    """The document's nodes. An alias is the same node again, so a document of aliases is no larger than its bytes."""
    depth = count = 0
    try:
        for event in yaml.parse(data, Loader=yaml.CSafeLoader):
            count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEEPEST or count > _MOST_NODES:
                raise ValueError("it is nested too deep or holds too much")
        root = yaml.compose(data, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ValueError(f"it is neither JSON nor YAML{where}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("it is no OpenAPI document")
    return root


def _text(value: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", value, style='"')


def _placeholder() -> yaml.MappingNode:
    return yaml.MappingNode("tag:yaml.org,2002:map", [(_text("url"), _text(PLACEHOLDER))])


def _hide_nodes(root: yaml.MappingNode) -> bool:
    changed, seen = False, set()
    waiting: list[yaml.Node] = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            for index, (key, child) in enumerate(node.value):
                name = key.value if isinstance(key, yaml.ScalarNode) else None
                if name == "servers" and isinstance(child, yaml.SequenceNode):
                    replacement: yaml.Node = yaml.SequenceNode("tag:yaml.org,2002:seq", [_placeholder()])
                elif name == "server" and isinstance(child, yaml.MappingNode) and "url" in _names(child):
                    replacement = _placeholder()
                elif node is root and name in ("host", "basePath"):
                    replacement = _text(_HOST if name == "host" else _BASE)
                else:
                    if name not in _FREE:
                        waiting.append(child)
                    continue
                node.value[index] = (key, replacement)
                changed = True
    return changed


def _names(node: yaml.MappingNode) -> list[str]:
    return [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]


def _node_paths(root: yaml.MappingNode) -> Iterator[tuple[str, str]]:
    for key, paths in root.value:
        if isinstance(key, yaml.ScalarNode) and key.value == "paths" and isinstance(paths, yaml.MappingNode):
            for path, item in paths.value:
                if isinstance(path, yaml.ScalarNode) and isinstance(item, yaml.MappingNode):
                    for name in _names(item):
                        yield path.value, name


# --- WSDL ------------------------------------------------------------------------------------------------------------


def anonymous_wsdl(data: bytes) -> bytes:
    """`data` with the addresses of its ports replaced. Raises ValueError with a reason that names no content."""
    root = parse_xml(data, LARGEST)
    if root.tag != "{http://schemas.xmlsoap.org/wsdl/}definitions":
        raise ValueError("it is no WSDL 1.1 document")
    changed = False
    for node in root.iter(*_ADDRESSES):
        node.set("location", PLACEHOLDER)
        changed = True
    for node in root.iter(*_ENDPOINT_REFERENCE):
        node.text = PLACEHOLDER
        changed = True
    return etree.tostring(root.getroottree(), xml_declaration=True, encoding="UTF-8") if changed else data
