"""Which acquisition when: a plan of most value, with a proven bound; functions of arrays alone."""
