"""Farvault: a backup server that keeps its data on another backup server. Start at ARCHITECTURE.md."""

__version__ = "0.1.0"
