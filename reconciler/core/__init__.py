"""What is decided, as values. Law: no I/O, no clock, no randomness, no logging; nothing but the standard library."""
