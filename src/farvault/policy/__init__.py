"""Decisions as pure functions: what changed, what is excluded, where data goes, what a policy set may become."""
