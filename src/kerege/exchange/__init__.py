"""The exchange engine: X-Road's protocols as plain values. Bytes in, values out; no sockets, no clock of its own.

ids          who is meant: members, subsystems, servers, data services
rest         the REST message protocol: targets, headers, signed byte form, request hash
soap         the SOAP message protocol: envelopes read strictly (`soap_headers` the fields), the request hash put into an answer
mime         attachments and MTOM, read; `mimewrite` writes them, `contenttype` finds the boundary, `soappart` keeps MIME from lying
bodies       bodies of any size: bytes, or an unnamed file beyond memory
multipart    the message transport between security servers, read as it arrives; `parts` writes it in pieces
batch        hash chains over a message and its attachments, and over batches, made; `hashchain` checks ours and foreign ones
xades        signatures: made from a canonical template (`xades_parts` the newer style, `signingkeys` the keys); `xades_verify` checks
             ours, `xades_forms` those like one before, `xades_read` reads foreign ones; `trust` whether the signer is to be believed
linkframes   frames of the link between two Kerege nodes; `linkmessages` what they carry
certs, ocsp  chains, signing rights of a certificate, revocation and its freshness; `profiles` which member a subject names
globalconf   shared, private and optional parameters, read (`confmodel` the values, `confwrite` writes every version); `confdir` the signed
             directory, `conflayout` X-Road's folder of them, `federation` several instances at once; `rules` Kerege's own part
management   what a server asks of the central services, built, read, verified; `management_wire` the multipart around it
access       who may call what; `permits` whether a public service's traffic is open
messagelog   the durable log, read; `logwriter` writes it, `logfolder`, `logframes`, `logcrypt`, `logrecord` are its files, bytes and key
timestamps   RFC 3161 tokens; `tschain` one token for many records, `stamping` which records and when waiting stops traffic
asic         containers for a logged record; `archive` files of them (`archivefile` one), and cleaning; `openpgp` encrypts them,
             `openpgp_writer` is its process; `opmon` monitoring records
faults       X-Road fault codes in both spellings
pki          a TEST network's authority; never for production

What a process does with these (sockets, threads, timers, files of keys) is `kerege.node`'s affair.
"""
