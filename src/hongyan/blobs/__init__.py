"""The bytes of files: on the local disk, or in an S3-compatible store."""

from hongyan.blobs.places import local, place, s3

__all__ = ["local", "place", "s3"]
