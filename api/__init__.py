"""Every door: HTTP, command line, page."""
