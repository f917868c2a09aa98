"""The wire between the services and the phone: formats, public checks and public arithmetic.

Nothing here holds a private key, reads a clock or draws a random number.
"""
