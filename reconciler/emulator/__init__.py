"""A local server that behaves as AhaSend's API v2 does with API keys.

LAW: it imports nothing else of ours. Sharing a parser with the product would make every test agree with our own
misreading of the API; what is written here is read from the API's documents alone.
"""
