"""Waiting for descriptors, and calls that would block on them (internal)."""
