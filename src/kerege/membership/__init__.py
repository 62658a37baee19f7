"""Who is in the exchange network and what the nodes must obey: members, subsystems, servers, rights, contracts, permits.

The central services' share of the house (ARCHITECTURE.md section 2): every change is a doing that leaves a ledger entry, and
`publish_configuration` turns the tables into one picture that is signed and handed to the nodes. Nodes obey the published
picture only, never this database.

The face of the room:
- `picture`  the network as a value, and the rules it gives the nodes (pure)
- `publish`  having them signed, and put where the nodes fetch them
- `states`   what a traffic permit may be
- `doings`   register_member, register_subsystem, register_server, host_client, register_public_service, grant_right,
             revoke_right, set_contract, set_permit, publish_configuration
- `queries`  network_view, current_permit
- `central`  the central services' register as entries: put, drop; `declared` holds a whole file against it
- `requests` management requests: receive, approve, decline
- `central_picture` the register as X-Road's parameters, published in every version; `signing` its keys and anchors

Leaves to others: the configuration's format and signature (`exchange`, `node.network`), whether a permit is deserved
(`delivery`), enforcement (`exchange`, in the node).
"""
