"""Scene → item: orthorectifies, tiles, judges and describes what a satellite delivered."""
