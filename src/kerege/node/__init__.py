"""The exchange node: a process that relays, signs, verifies, logs, enforces access and permits, and translates.

Puts the engines together around sockets and a clock. Needs its own folder only: no hub, no database, no web framework.

network    lay out and publish a (test) network
config     the node's one YAML file
serve      start and stop the process; `consumer`, `provider`, `ocspserver` and `admin` answer its listeners
keeper     the global configuration in use (`picture`); `follower` follows one instance, `conffetch` downloads
revocation OCSP answers; `keys` the node's own keys
registration   the node asks the central services to be registered, `changes` for changes of that; `submitting` sends
commit     group commit of the message log; `monitoring` one record per exchange
httpserver, httpclient   raw HTTP on the event loop; `httpreading`, `httpconnection` their parsers, `httpwriting` answers on their way,
           `httpmessages` what handlers see, `httpbodies` big bodies on their way and deadlines
translate  answers in canonical records, by the semantics engine

Which of the many modules is the room for a change: docs/architecture.md, "The node's rooms".
"""
