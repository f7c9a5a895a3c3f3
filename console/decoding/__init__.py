"""Records as people read them: what they are wrapped in, and what a schema says of them."""
