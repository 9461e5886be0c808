"""For patched programs only: the identity of a thread, its home, its loop, its signal handlers (internal)."""
