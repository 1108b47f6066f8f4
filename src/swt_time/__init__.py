"""swt-time: forecasting time series with a frozen language model and a stationary wavelet view."""

__version__ = "0.1.0"
