"""Provenance: which code, data, settings and machine a result comes from."""
