"""Pairs of registers whose truth is known, for measuring linkage (`persons`) and the work of reconciling (`agencies`)."""
