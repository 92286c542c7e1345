"""Order → scene: who wants what, which satellite can see it, and what became of it."""
