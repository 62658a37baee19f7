"""The exchange node: a process that relays, signs, verifies, logs, enforces access and permits, and translates.

Puts the engines together around sockets and a clock. Needs its own folder only: no hub, no database, no web framework.

Here: the node's file (`config`), its process (`serve`, put together by `assembly`), a message's way (`consumer`, `provider`, `sealing`),
who is at the other end. In packages: `http`, `link`, `lane` (small messages by compiled code), `conf` (the global configuration), `keys`,
`ocsp`, `log`, `contracts` (translation), `local` (what the node answers itself), `telling` (monitoring), `asking` (requests to the central
services), `check`.

Which module is the room for a change: docs/architecture.md, "The node's rooms".
"""
