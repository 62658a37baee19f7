"""Who people and organisations are, what they may do, and who looked at whose data.

Implements the first cut of least privilege (every act is denied until a role that names it was granted, for one scope and
a limited time) and the record of every read of personal data, after ARCHITECTURE.md sections 2 and 3 (idea 6).

The face of the room:
- `pseudonyms`  keyed pseudonyms (HMAC): a person's number never enters this room's tables
- `access`      may this person do this here? (pure)
- `receipts`    the one shape in which rooms write to the ledger
- `reads`       a read of personal data as a value, and its commitment
- `doings`      register_organisation, register_person, define_role, grant_role, revoke_grant, record_reads
- `queries`     reads_about, grants_of
- `appendonly`  models whose rows are never changed

Leaves to others: signing in and sessions (`web`), the Merkle tree itself (`ledger`), the member network (`membership`).
"""
