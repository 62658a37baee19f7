"""The nginx side of a run: the provider's information system, the direct call, and the rival, two nginx with mutual TLS between them.

The rival is set up as well as we know how: one worker each (a node is one process too), keep-alive everywhere with pools larger than the
concurrency, TLS 1.3 with the same kind of certificate and key as the nodes', no access log, bodies kept in memory. It neither
signs nor logs nor checks revocation; it is what a plain secured connection between two organisations costs.
"""

from __future__ import annotations

import os
from pathlib import Path

_POOL = 512


def _top(folder: Path, name: str) -> str:
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    temporary = "\n".join(
        f"  {kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder is its owner's alone
    return (
        f"{user}daemon off;\nmaster_process on;\nworker_processes 1;\npid {home}/pid;\nerror_log {home}/error.log warn;\n"
        "events { worker_connections 8192; multi_accept on; }\n"
        "http {\n"
        f"{temporary}\n"
        "  access_log off;\n  keepalive_requests 100000000;\n  keepalive_timeout 600s;\n  tcp_nodelay on;\n"
        "  client_max_body_size 0;\n  client_body_buffer_size 64k;\n  default_type application/json;\n"
    )


def provider(folder: Path, port: int) -> str:
    """/k1 and /k20 answer 1 KB and 20 KB of JSON whatever is asked."""
    text = _top(folder, "provider")
    piece = "r" * 1000
    one = '{"text":"' + "r" * 1013 + '"}'
    text += "  server {\n" + f"    listen 127.0.0.1:{port} backlog=4096;\n"
    text += f"    location /k1 {{ return 200 '{one}'; }}\n"
    text += f"    set $piece '{piece}';\n"
    twenty = "${piece}" * 20 + "r" * 469
    text += '    location /k20 { return 200 \'{"text":"' + twenty + "\"}'; }\n"
    return text + "  }\n}\n"


def outer(folder: Path, name: str, port: int, inner_port: int, keys: Path) -> str:
    """The consumer's side of the rival: plain HTTP in, mutual TLS out."""
    return (
        _top(folder, name)
        + f"  upstream other {{ server 127.0.0.1:{inner_port}; keepalive {_POOL}; keepalive_requests 100000000; }}\n"
        + f"  server {{\n    listen 127.0.0.1:{port} backlog=4096;\n    location / {{\n"
        + "      proxy_pass https://other;\n      proxy_http_version 1.1;\n      proxy_set_header Connection '';\n"
        + f"      proxy_ssl_certificate {keys}/client.pem;\n      proxy_ssl_certificate_key {keys}/client.key;\n"
        + f"      proxy_ssl_trusted_certificate {keys}/ca.pem;\n      proxy_ssl_verify on;\n"
        + "      proxy_ssl_name localhost;\n      proxy_ssl_protocols TLSv1.3;\n      proxy_ssl_session_reuse on;\n"
        + "      proxy_buffers 16 16k;\n      proxy_buffer_size 16k;\n      proxy_busy_buffers_size 64k;\n"
        + "    }\n  }\n}\n"
    )


def inner(folder: Path, name: str, port: int, provider_port: int, keys: Path) -> str:
    """The provider's side of the rival: mutual TLS in, plain HTTP to the information system."""
    return (
        _top(folder, name)
        + f"  upstream provider {{ server 127.0.0.1:{provider_port}; keepalive {_POOL}; keepalive_requests 100000000; }}\n"
        + f"  server {{\n    listen 127.0.0.1:{port} ssl backlog=4096;\n"
        + f"    ssl_certificate {keys}/server.pem;\n    ssl_certificate_key {keys}/server.key;\n"
        + f"    ssl_client_certificate {keys}/ca.pem;\n    ssl_verify_client on;\n    ssl_protocols TLSv1.3;\n"
        + "    ssl_session_cache shared:tls:4m;\n    location / {\n"
        + "      proxy_pass http://provider;\n      proxy_http_version 1.1;\n      proxy_set_header Connection '';\n"
        + "      proxy_buffers 16 16k;\n      proxy_buffer_size 16k;\n      proxy_busy_buffers_size 64k;\n"
        + "    }\n  }\n}\n"
    )
