"""What only patched programs need: who a thread is, its home, its loop, its signal handlers (internal)."""
