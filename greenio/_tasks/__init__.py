"""What programs do with greenlets: spawn, link, wait for several, choose, map, set deadlines (internal)."""
