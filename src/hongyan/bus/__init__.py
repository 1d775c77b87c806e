"""Between nodes. May lose; the store may not."""
