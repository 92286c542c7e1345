"""One small reader per delivery format."""
