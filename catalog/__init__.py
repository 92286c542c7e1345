"""Scenes at rest: stores, finds and serves them. Imports nothing of ours."""
