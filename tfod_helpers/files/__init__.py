"""Bytes: files that appear whole, mounted folders, workers, buckets, archives, downloads and run folders; no photos."""
