"""Pages for everyone and for parents: home, signing in, my child, checking a document."""
