"""Greenlets in numbers: spawning, waiting for several, choosing, mapping, deadlines (internal)."""
