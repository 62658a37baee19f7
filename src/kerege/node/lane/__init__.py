"""The native path of small REST messages through a node: the sockets of clients and agencies, and what holds the batches together.

`exchange.lane` has what a message's bytes are; here are its connections (`ports`) and its course on the consumer's side (`consumer`)
and the provider's (`provider`). Only calls that every check has let pass a moment ago go this way; everything else goes as if it were not there.
"""
