"""The REST API, version 1: every resource of the console, for programs with a token. README.md has the rules."""
