"""HTTP/1.1 in and out of the node, by hand for speed and for bounds."""
