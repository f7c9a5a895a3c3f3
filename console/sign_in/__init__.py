"""How people get in: what django-allauth asks us (adapters and forms), limits, and what is written down of it."""
