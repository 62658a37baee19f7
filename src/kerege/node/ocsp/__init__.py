"""What certificate authorities say of certificates now: asked, kept, shown to others."""
