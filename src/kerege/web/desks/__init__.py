"""Pages for those who run it: catalogue, discrepancies, network, applications, gate and measures."""
