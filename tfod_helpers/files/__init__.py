"""Bytes: files that appear whole, workers, buckets, archives, downloads and run folders; nothing that knows a photo."""
