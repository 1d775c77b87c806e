"""The bytes of files: on the local disk, or in an S3-compatible store."""

from hongyan.blobs.objects import ObjectBlobs
from hongyan.blobs.places import local, s3

__all__ = ["ObjectBlobs", "local", "s3"]
