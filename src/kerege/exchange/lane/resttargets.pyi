"""Types of the native module `resttargets`: all of it is for other native modules."""
