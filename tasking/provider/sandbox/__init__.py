"""A made-up constellation over a made-up Earth: real orbits and rays, so that the truth is known everywhere."""
