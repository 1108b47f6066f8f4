"""Threads that NumPy's linear algebra uses now."""

from threadpoolctl import ThreadpoolController


def blas_threads() -> int:
    """Of NumPy's own library; other packages may load more of them."""
    found = ThreadpoolController().select(user_api="blas").info()
    return next(one["num_threads"] for one in found if "numpy" in one["filepath"])
