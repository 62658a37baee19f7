"""What the node answers itself: metaservices, pages on its own address, health."""
