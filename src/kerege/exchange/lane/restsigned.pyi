"""Types of the native module `restsigned`: all of it is for other native modules."""
