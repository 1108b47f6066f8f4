"""The name of a text where its vector is kept, without PyTorch."""

import hashlib


def text_key(text: str) -> str:
    """SHA-256 of a text without blanks at its ends, in hexadecimal: its name in a cache, which stores no text."""
    return hashlib.sha256(text.strip().encode("utf-8", "surrogatepass")).hexdigest()
