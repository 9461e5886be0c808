"""Adapters, which let other packages' calls switch: one module for each package, of its name.

Each has functions that patching calls when the package is imported. They do not switch.
"""
