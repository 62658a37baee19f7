"""Types of the native module `wirehttp`, whose functions other native modules call."""
