"""Speed and memory benchmarks whose results are committed."""
